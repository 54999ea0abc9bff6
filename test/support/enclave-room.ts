// A room of two parties and an analyst with real keys around an enclave, everything but the enclave
// in the test's own hands: what the host carries can be changed at any point.
import { createHash } from 'node:crypto';
import { systemRng } from '../../src/core/rng.ts';
import type { LocalTable } from '../../src/engine/types.ts';
import {
  generateKeyPair,
  policyDigest,
  policyOf,
  signPolicy,
  type KeyPair,
  type TeePolicy,
} from '../../src/policy/index.ts';
import type { Policy, PolicyPacket, RulesPolicy } from '../../src/policy/types.ts';
import {
  sessionOf,
  signGo,
  signSubmission,
  submissionDigest,
  TEE_SUITE,
  type Go,
  type Signed,
  type SignedGo,
  type Submission,
  type TeeAuthorisation,
} from '../../src/records/index.ts';
import {
  keysOfSide,
  planDigest,
  planQuery,
  type Plan,
  type PlanSide,
} from '../../src/sql/index.ts';
import { simulatedAttester } from '../../src/tee-adapter/attest/index.ts';
import { Enclave, type HelloReply, type RunReply } from '../../src/tee-adapter/enclave/enclave.ts';
import type { SealedInput } from '../../src/tee-adapter/enclave/input.ts';
import { consentTo, type ConsentStatement } from '../../src/tee-adapter/host/index.ts';
import { OPEN_RULES, roomPolicy } from './room-policy.ts';

export const NOW = Date.parse('2026-06-01T00:00:00Z');
export const MEASUREMENT = '5a'.repeat(32);
export const simulator = generateKeyPair('ed25519');

const keys = {
  shopgood: generateKeyPair('ed25519'),
  newsnow: generateKeyPair('ed25519'),
  signing: generateKeyPair('ed25519'),
  sealing: generateKeyPair('x25519'),
};
export const IDENTITY: Readonly<Record<string, KeyPair>> = keys;
export const SEALING = keys.sealing;

export const SIMULATED: TeePolicy = {
  references: [
    {
      type: 'simulated',
      signing_key: simulator.publicKey,
      measurements: [MEASUREMENT],
      not_after: '2099-12-31',
    },
  ],
};

export function teePolicy(rules: RulesPolicy = OPEN_RULES, tee: TeePolicy = SIMULATED): Policy {
  const base = roomPolicy(rules);
  return policyOf({
    ...base,
    parties: base.parties.map((p) => ({ ...p, identity_key: IDENTITY[p.name]!.publicKey })),
    analysts: [
      { name: 'ana', signing_key: keys.signing.publicKey, sealing_key: keys.sealing.publicKey },
    ],
    execution: { backends: ['mpc', 'tee'], tee },
  });
}

export function packetOfAll(policy: Policy): PolicyPacket {
  const signatures = Object.fromEntries(
    policy.parties.map(({ name }) => [name, signPolicy(policy, name, IDENTITY[name]!.privateKey)]),
  );
  return { policy, signatures };
}

const hex32 = (text: string): string => createHash('sha256').update(text).digest('hex');

/** One query with everything the parties agree on before an enclave is asked. */
export interface Agreed {
  readonly policy: Policy;
  readonly packet: PolicyPacket;
  readonly submission: Signed<Submission>;
  readonly plan: Plan;
  readonly gos: readonly SignedGo[];
  readonly session: string;
  readonly hello: {
    readonly nonces: Readonly<Record<string, string>>;
    readonly policy_digest: string;
    readonly plan_digest: string;
    readonly session: string;
  };
}

let queries = 0;

export function agree(policy: Policy, sql: string): Agreed {
  const policy_digest = policyDigest(policy);
  const document: Submission = {
    version: 1,
    room: policy.room,
    policy_digest,
    query_id: `query-${String((queries += 1)).padStart(12, '0')}`,
    analyst: 'ana',
    sql,
    epsilon: null,
    backend: 'tee',
  };
  const plan = planQuery(policy, policy_digest, sql, { epsilon: null });
  const plan_digest = planDigest(plan);
  const submission_digest = submissionDigest(document);
  const { query_id, room } = document;
  const gos = policy.parties.map(({ name: party }) => {
    const go: Go = {
      ...{ version: 1, room, policy_digest, query_id, plan_digest, submission_digest, party },
      ledger_before: hex32(`${query_id} ${party} before`),
      ledger_after: hex32(`${query_id} ${party} after`),
      datasets: plan.sides
        .filter((side) => side.party === party)
        .map(({ table }) => ({ table, commitment: hex32(`${party} ${table}`) })),
      ledger_seq: 2,
      suite: TEE_SUITE,
      nonce: Buffer.from(systemRng(32)).toString('hex'),
    };
    return signGo(go, IDENTITY[party]!.privateKey);
  });
  const parties = plan.sides.map(({ party }) => party);
  const agreed = { query_id, plan_digest, submission_digest, suite: TEE_SUITE };
  const session = sessionOf(gos, policy, parties, agreed);
  const nonces = Object.fromEntries(gos.map((go) => [go.document.party, go.document.nonce]));
  return {
    policy,
    packet: packetOfAll(policy),
    submission: signSubmission(document, keys.signing.privateKey),
    plan,
    gos,
    session,
    hello: { nonces, policy_digest, plan_digest, session },
  };
}

/** A table of `users` people `from` onwards, one full row each, all values at `value`. */
export function tableOf(plan: Plan, side: number, from: number, users: number): LocalTable {
  const { slots, columns, bits } = plan.sides[side]!;
  const ids = new Uint8Array(32 * users);
  for (let u = 0; u < users; u += 1) {
    ids.set(
      createHash('sha256')
        .update(`user ${from + u}`)
        .digest(),
      32 * u,
    );
  }
  const cells = slots * users;
  const first = Uint8Array.from({ length: cells }, (_, i) => (i < users ? 1 : 0));
  const domain = new Map(keysOfSide(plan, side).map((key) => [key.column, key.domain.length - 1]));
  const valueOf = (name: string, u: number): number => u % (domain.get(name) ?? 10);
  return {
    users,
    ids,
    slots,
    valid: first,
    values: Object.fromEntries(
      columns.map((name) => [
        name,
        Float64Array.from(first, (flag, i) => (flag === 1 ? valueOf(name, i) : 0)),
      ]),
    ),
    present: Object.fromEntries(columns.map((name) => [name, first.slice()])),
    bits: bits.map(() => first.slice()),
  };
}

export function simulatedEnclave(slept: number[] = []): Enclave {
  let clock = 0;
  return new Enclave({
    attester: simulatedAttester({
      measurement: MEASUREMENT,
      signingKey: simulator.privateKey,
      shout: () => undefined,
    }),
    rng: systemRng,
    nowMs: () => (clock += 137),
    sleep: (ms) => {
      slept.push(ms);
      return Promise.resolve();
    },
  });
}

export interface Given {
  readonly inputs: readonly SealedInput[];
  readonly authorisations: readonly Signed<TeeAuthorisation>[];
}

const statementOf = ({ party, table }: Pick<PlanSide, 'party' | 'table'>): ConsentStatement => ({
  spent: [{ dataset: `${party}/${table}`, epoch: '0', epsilon: '0', delta: '0' }],
  software: 'parley/test',
});

/** Every party looks at the evidence, seals its table and signs. */
export async function consentOfAll(
  { policy, plan, gos, session }: Agreed,
  hello: HelloReply,
  tables: readonly LocalTable[],
): Promise<Given> {
  const tee = policy.execution.tee!;
  const given = await Promise.all(
    plan.sides.map((side, i) => {
      const { party } = side;
      const consent = { tee, hello, gos, party, session, nowMs: NOW };
      return consentTo(consent, tables[i]!, side, statementOf(side), IDENTITY[party]!.privateKey);
    }),
  );
  return {
    inputs: given.map(({ input }) => input),
    authorisations: given.map(({ authorisation }) => authorisation),
  };
}

/** The calls of an honest host, with the enclave in the same process. */
export async function runAll(
  enclave: Enclave,
  agreed: Agreed,
  tables: readonly LocalTable[],
): Promise<{ readonly hello: HelloReply; readonly given: Given; readonly reply: RunReply }> {
  const none = new Uint8Array();
  const hello = (await enclave.call({ call: 'hello', ...agreed.hello }, none)) as HelloReply;
  await enclave.call({ call: 'load_policy', packet: agreed.packet }, none);
  const given = await consentOfAll(agreed, hello, tables);
  for (const { party, enc, ciphertext } of given.inputs) {
    await enclave.call({ call: 'put_input', party, enc }, ciphertext);
  }
  const { submission, gos } = agreed;
  const { authorisations } = given;
  const call = {
    call: 'run',
    submission,
    gos: [...gos],
    authorisations: [...authorisations],
  } as const;
  const reply = (await enclave.call(call, none)) as RunReply;
  return { hello, given, reply };
}
