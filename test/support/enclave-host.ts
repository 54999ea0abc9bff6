// An enclave host in the test's own hands: every run gets a fresh enclave in this process, and a
// hostile one may change what passes, call by call.
import type { EnclaveCalls, EnclaveHost } from '../../src/coordinator/index.ts';
import { concat } from '../../src/core/bytes.ts';
import { systemRng } from '../../src/core/rng.ts';
import { generateAnalystKeys, generatePartyKeys, policyOf } from '../../src/policy/index.ts';
import type { Policy } from '../../src/policy/types.ts';
import { simulatedAttester } from '../../src/tee-adapter/attest/index.ts';
import { Enclave } from '../../src/tee-adapter/enclave/enclave.ts';
import type { EnclaveCall } from '../../src/tee-adapter/enclave/calls.ts';
import { sealedInputBytes } from '../../src/tee-adapter/host/index.ts';
import { MEASUREMENT, SIMULATED, simulator } from './enclave-room.ts';

const NONE = new Uint8Array();

/** A policy that runs on both, with the simulator as its one reference. */
export function withEnclave(policy: Policy): Policy {
  const execution = { ...policy.execution, backends: ['mpc', 'tee'], tee: SIMULATED } as const;
  const parties = policy.parties.map((party) => {
    const { identity, link } = generatePartyKeys();
    return { ...party, identity_key: identity.publicKey, link_key: link.publicKey };
  });
  const { signing, sealing } = generateAnalystKeys();
  const keys = { signing_key: signing.publicKey, sealing_key: sealing.publicKey };
  // An enclave takes policies in their complete form alone, with keys that are points.
  const analysts = [{ name: 'ana', ...keys }];
  return policyOf({ ...policy, parties, analysts, execution });
}

export function freshEnclave(): Enclave {
  const { privateKey: signingKey } = simulator;
  const shout = (): void => undefined;
  return new Enclave({
    attester: simulatedAttester({ measurement: MEASUREMENT, signingKey, shout }),
    rng: systemRng,
    nowMs: () => performance.now(),
    // Time classes have their own test; here nobody waits for them.
    sleep: () => Promise.resolve(),
  });
}

export async function bytesOf(chunks: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const all: Uint8Array[] = [];
  for await (const chunk of chunks) all.push(chunk.slice());
  return concat(all);
}

/** The four calls of an honest host. */
export function callsOf(enclave: Enclave): EnclaveCalls {
  const ask = async <T>(call: object, body: Uint8Array = NONE): Promise<T> =>
    (await enclave.call(structuredClone(call) as EnclaveCall, body)) as T;
  return {
    hello: (call) => ask({ call: 'hello', ...call }),
    loadPolicy: (packet) => ask({ call: 'load_policy', packet }),
    putInput: async (call, bytes, chunks) => {
      const body = await bytesOf(chunks);
      if (body.length !== bytes) throw new Error('the coordinator passes on whole inputs');
      await ask({ call: 'put_input', ...call }, body);
    },
    run: (call) => ask({ call: 'run', ...call }),
    close: () => enclave.end(),
  };
}

/** What a hostile host changes; the rest it carries honestly. */
export type Mischief = (honest: EnclaveCalls, enclave: Enclave) => Partial<EnclaveCalls>;

/** A host whose mischief a test sets, run by run; the number of enclaves it has started. */
export interface TestHost extends EnclaveHost {
  mischief: Mischief;
  started: number;
}

export function testHost(): TestHost {
  const host: TestHost = {
    mischief: () => ({}),
    started: 0,
    inputBytes: sealedInputBytes,
    connect: () => {
      host.started += 1;
      const enclave = freshEnclave();
      const honest = callsOf(enclave);
      return Promise.resolve({ ...honest, ...host.mischief(honest, enclave) });
    },
  };
  return host;
}
