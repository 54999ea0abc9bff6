// Goal: an enclave answers what the plain engine answers, once, for exactly the run that every party
// consented to; and a host that carries anything else gets a refusal and an enclave that is over.
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { reveal } from '../../src/core/redacted.ts';
import { systemRng } from '../../src/core/rng.ts';
import { discreteLaplace } from '../../src/dp/index.ts';
import { rational } from '../../src/core/rational.ts';
import { aggregatePlain, releasePlain } from '../../src/engine/plain/index.ts';
import type { LocalTable } from '../../src/engine/types.ts';
import type { RulesPolicy } from '../../src/policy/types.ts';
import type { Enclave, HelloReply, RunReply } from '../../src/tee-adapter/enclave/enclave.ts';
import { readFrames } from '../../src/tee-adapter/enclave/frames.ts';
import {
  decodeInput,
  encodeInput,
  inputBytes,
  sealInput,
} from '../../src/tee-adapter/enclave/input.ts';
import { drawLaplace } from '../../src/tee-adapter/enclave/noise.ts';
import {
  connectEnclave,
  enclaveConnection,
  openTeeAnswer,
  verifyTeeRun,
} from '../../src/tee-adapter/host/index.ts';
import { signAuthorisation, signEnvelope } from '../../src/records/index.ts';
import { SIMULATION_NOTICE } from '../../src/tee-adapter/simulated.ts';
import { laplacePValue } from '../sharing/noise-reference.ts';
import { calibrationOf } from '../support/engine.ts';
import {
  IDENTITY,
  MEASUREMENT,
  NOW,
  SEALING,
  agree,
  consentOfAll,
  packetOfAll,
  runAll,
  simulatedEnclave,
  simulator,
  tableOf,
  teePolicy,
  type Agreed,
  type Given,
} from '../support/enclave-room.ts';
import { OPEN_RULES } from '../support/room-policy.ts';

const SQL = `SELECT campaign_id, COUNT(DISTINCT hashed_email) AS u, SUM(total_spent) AS s
  FROM joined_data GROUP BY campaign_id`;
const NONE = new Uint8Array();

function tablesFor({ plan }: Agreed, users = 20): LocalTable[] {
  return plan.sides.map((_, side) => tableOf(plan, side, 5 * side, users));
}

/** What the plain engine opens to without noise. */
function plainAnswer({ plan }: Agreed, tables: readonly LocalTable[]): Uint8Array {
  const draw = (): bigint => 0n;
  const totals = aggregatePlain(plan, tables);
  const { open, cells } = releasePlain(plan, calibrationOf(plan), totals, draw);
  return Uint8Array.from([...open, ...cells]);
}

const codeOf = async (run: () => Promise<unknown>): Promise<string> => {
  try {
    await run();
  } catch (error) {
    const { name, code, message } = error as { name: string; code: string; message: string };
    return name === 'ParleyError' ? code : `UNTYPED ${message}`;
  }
  return 'accepted';
};

describe('one run', () => {
  it('answers as the plain engine does, and the analyst opens it from its own query', async () => {
    const agreed = agree(teePolicy(), SQL);
    const tables = tablesFor(agreed);
    const want = plainAnswer(agreed, tables);
    const { hello, given, reply } = await runAll(simulatedEnclave(), agreed, tables);
    expect(hello.notice).toBe(SIMULATION_NOTICE);
    expect(reply.envelope.document.simulated).toBe(true);
    const { authorisations } = given;
    const answer = await opened({ ...agreed, authorisations, hello, reply });
    expect(answer).toEqual(want);
    expect(want.some((byte) => byte !== 0)).toBe(true);
  });

  it('55 closed groups look the same from outside, whatever is in them', async () => {
    const rules: RulesPolicy = { ...OPEN_RULES, min_privacy_units_per_group: 50 };
    const seen = await Promise.all(
      [0, 1, 20].map(async (users) => {
        const agreed = agree(teePolicy(rules), SQL);
        const slept: number[] = [];
        const made = await runAll(simulatedEnclave(slept), agreed, tablesFor(agreed, users));
        const { authorisations } = made.given;
        const answer = await opened({ ...agreed, ...made, authorisations });
        const sizes = made.given.inputs.map(({ ciphertext }) => ciphertext.length);
        return {
          answer: Buffer.from(answer).toString('hex'),
          sizes,
          sealed: made.reply.sealed.ciphertext.length,
          // 137 ms passed by the test's clock; the rest of the second is waited for.
          slept,
        };
      }),
    );
    expect(seen[1]).toEqual(seen[0]);
    expect(seen[2]).toEqual(seen[0]);
    expect(seen[0]!.slept).toEqual([1000 - 137]);
  });

  it('draws its noise by the thresholds of dp/', () => {
    const law = discreteLaplace(rational(1n, 2n), 1n, 64, 7);
    const draws = Array.from({ length: 20_000 }, () => Number(drawLaplace(law, systemRng)));
    // False alarm once in a million runs.
    expect(laplacePValue(draws, 0.5, law.bits)).toBeGreaterThan(1e-6);
  });

  it('leaves nothing behind: after the run every call is refused', async () => {
    const agreed = agree(teePolicy(), SQL);
    const enclave = simulatedEnclave();
    await runAll(enclave, agreed, tablesFor(agreed));
    expect(enclave.over).toBe(true);
    const again = () => enclave.call({ call: 'hello', ...agreed.hello }, NONE);
    expect(await codeOf(again)).toBe('PEER_OUT_OF_STEP');
  });
});

interface Hands {
  readonly enclave: Enclave;
  readonly agreed: Agreed;
  readonly hello: HelloReply;
  readonly given: Given;
}

/** Everything up to the first input, in honest hands. */
async function upToInputs(agreed: Agreed = agree(teePolicy(), SQL)): Promise<Hands> {
  const enclave = simulatedEnclave();
  const hello = (await enclave.call({ call: 'hello', ...agreed.hello }, NONE)) as HelloReply;
  await enclave.call({ call: 'load_policy', packet: agreed.packet }, NONE);
  const given = await consentOfAll(agreed, hello, tablesFor(agreed));
  return { enclave, agreed, hello, given };
}

async function putAll({ enclave }: Hands, inputs: Given['inputs']): Promise<void> {
  for (const { party, enc, ciphertext } of inputs) {
    await enclave.call({ call: 'put_input', party, enc }, ciphertext);
  }
}

function runWith(
  { enclave, agreed, given }: Hands,
  over: Partial<Pick<Agreed, 'submission' | 'gos'> & Pick<Given, 'authorisations'>> = {},
): Promise<unknown> {
  const { submission, gos } = { ...agreed, ...over };
  const { authorisations } = { ...given, ...over };
  const call = {
    call: 'run',
    submission,
    gos,
    authorisations,
  } as const;
  return enclave.call(call, NONE);
}

describe('48 packets', () => {
  const greeted = async (packet: unknown): Promise<string> => {
    const agreed = agree(teePolicy(), SQL);
    const enclave = simulatedEnclave();
    await enclave.call({ call: 'hello', ...agreed.hello }, NONE);
    const code = await codeOf(() => enclave.call({ call: 'load_policy', packet }, NONE));
    expect(enclave.over).toBe(code !== 'accepted');
    return code;
  };
  const packet = packetOfAll(teePolicy());
  const { shopgood } = packet.signatures;

  it.each([
    ['as it is', packet, 'accepted'],
    ['a signature missing', { ...packet, signatures: { shopgood } }, 'POLICY_UNSIGNED'],
    [
      'a signature of somebody else',
      { ...packet, signatures: { ...packet.signatures, third: shopgood } },
      'POLICY_FOREIGN',
    ],
    [
      'one party’s signature twice',
      { ...packet, signatures: { shopgood, newsnow: shopgood } },
      'POLICY_BAD_SIGNATURE',
    ],
    ['an unknown field', { ...packet, extra: 1 }, 'POLICY_MALFORMED'],
    [
      'another threshold, signed by all',
      packetOfAll(teePolicy({ ...OPEN_RULES, min_privacy_units_per_group: 2 })),
      'POLICY_MISMATCH',
    ],
    ['nothing', null, 'POLICY_MALFORMED'],
  ])('%s', async (_, changed, code) => expect(await greeted(changed)).toBe(code));

  it('a policy that names other enclaves', async () => {
    const tee = {
      references: [
        {
          type: 'aws-nitro',
          measurements: [{ '0': '01'.repeat(48), '1': '02'.repeat(48), '2': '03'.repeat(48) }],
          max_age_s: 300,
          not_after: '2099-12-31',
        },
      ],
    } as const;
    const agreed = agree(teePolicy(OPEN_RULES, tee), SQL);
    const enclave = simulatedEnclave();
    await enclave.call({ call: 'hello', ...agreed.hello }, NONE);
    const load = () => enclave.call({ call: 'load_policy', packet: agreed.packet }, NONE);
    expect(await codeOf(load)).toBe('POLICY_MISMATCH');
  });
});

describe('52 authorisations', () => {
  const refused = async (change: (hands: Hands) => Given['authorisations']): Promise<string> => {
    const hands = await upToInputs();
    await putAll(hands, hands.given.inputs);
    const code = await codeOf(() => runWith(hands, { authorisations: change(hands) }));
    expect(hands.enclave.over).toBe(true);
    return code;
  };
  const edited = (hands: Hands, field: string, value: string): Given['authorisations'] =>
    hands.given.authorisations.map(({ document }) => {
      const changed = document.party === 'shopgood' ? { ...document, [field]: value } : document;
      return signAuthorisation(changed, IDENTITY[document.party]!.privateKey);
    });

  it.each([
    ['one missing', (h: Hands) => h.given.authorisations.slice(1)],
    ['one twice', (h: Hands) => [...h.given.authorisations, h.given.authorisations[0]!]],
    ['none', () => []],
    [
      'a signature of the other party',
      (h: Hands) => {
        const [a, b] = h.given.authorisations as [
          Given['authorisations'][0],
          Given['authorisations'][0],
        ];
        return [{ ...a, signature: b.signature }, b];
      },
    ],
    ['a stale ledger head', (h: Hands) => edited(h, 'ledger_before', '0'.repeat(64))],
    ['another session', (h: Hands) => edited(h, 'session', '0'.repeat(64))],
    ['another enclave', (h: Hands) => edited(h, 'signing_key', IDENTITY['newsnow']!.publicKey)],
    ['other evidence', (h: Hands) => edited(h, 'evidence_digest', '0'.repeat(64))],
    ['another plan', (h: Hands) => edited(h, 'plan_digest', '0'.repeat(64))],
    ['another nonce', (h: Hands) => edited(h, 'nonce', '0'.repeat(64))],
  ])('%s', async (_, change) => expect(await refused(change)).toBe('GO_INVALID'));

  it('of an earlier run', async () => {
    const earlier = await upToInputs();
    expect(await refused(() => earlier.given.authorisations)).toBe('GO_INVALID');
  });

  it('a second enclave of the same session cannot use what was given to the first', async () => {
    const first = await upToInputs();
    const second = await upToInputs(first.agreed);
    await putAll(second, first.given.inputs);
    const { authorisations } = first.given;
    expect(await codeOf(() => runWith(second, { authorisations }))).toBe('GO_INVALID');
    // Nor with consent to itself and inputs that were sealed to the first.
    const third = await upToInputs(first.agreed);
    await putAll(third, first.given.inputs);
    expect(await codeOf(() => runWith(third))).toBe('DATA_BAD_ROWS');
  });
});

describe('47 submissions and goes', () => {
  it.each([
    [
      'another query',
      (h: Hands) => ({
        submission: agree(h.agreed.policy, SQL.replace('SUM(total_spent)', 'COUNT(*)')).submission,
      }),
      'PLAN_MISMATCH',
    ],
    [
      'the same query of another day',
      (h: Hands) => ({ submission: agree(h.agreed.policy, SQL).submission }),
      'GO_INVALID',
    ],
    [
      'unsigned',
      (h: Hands) => ({ submission: { ...h.agreed.submission, signature: 'A'.repeat(86) } }),
      'REQUEST_UNSIGNED',
    ],
    ['goes of another day', (h: Hands) => ({ gos: agree(h.agreed.policy, SQL).gos }), 'GO_INVALID'],
    ['one go', (h: Hands) => ({ gos: h.agreed.gos.slice(1) }), 'GO_INVALID'],
  ])('%s', async (_, change, code) => {
    const hands = await upToInputs();
    await putAll(hands, hands.given.inputs);
    expect(await codeOf(() => runWith(hands, change(hands)))).toBe(code);
    expect(hands.enclave.over).toBe(true);
  });
});

describe('53 calls out of step', () => {
  it('a second hello', async () => {
    const { enclave, agreed } = await upToInputs();
    const code = await codeOf(() => enclave.call({ call: 'hello', ...agreed.hello }, NONE));
    expect(code).toBe('PEER_OUT_OF_STEP');
  });
  it('a second policy', async () => {
    const { enclave, agreed } = await upToInputs();
    const { packet } = agreed;
    const code = await codeOf(() => enclave.call({ call: 'load_policy', packet }, NONE));
    expect(code).toBe('PEER_OUT_OF_STEP');
  });
  it('a policy before the greeting', async () => {
    const { packet } = agree(teePolicy(), SQL);
    const load = () => simulatedEnclave().call({ call: 'load_policy', packet }, NONE);
    expect(await codeOf(load)).toBe('PEER_OUT_OF_STEP');
  });
  it('an input twice', async () => {
    const hands = await upToInputs();
    const twice = [hands.given.inputs[0]!, hands.given.inputs[0]!];
    expect(await codeOf(() => putAll(hands, twice))).toBe('PEER_OUT_OF_STEP');
  });
  it('a run before all inputs', async () => {
    const hands = await upToInputs();
    await putAll(hands, hands.given.inputs.slice(1));
    expect(await codeOf(() => runWith(hands))).toBe('PEER_OUT_OF_STEP');
  });
  it('two calls at once', async () => {
    const hands = await upToInputs();
    await putAll(hands, hands.given.inputs);
    const both = await Promise.allSettled([runWith(hands), runWith(hands)]);
    expect(both.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  });
  it('an input of somebody outside the room', async () => {
    const hands = await upToInputs();
    const [input] = hands.given.inputs;
    const foreign = [{ ...input!, party: 'third' }];
    expect(await codeOf(() => putAll(hands, foreign))).toBe('REQUEST_MALFORMED');
  });
});

describe('54 inputs', () => {
  const swapped = (h: Hands): Given['inputs'] => {
    const [a, b] = h.given.inputs as [Given['inputs'][0], Given['inputs'][0]];
    return [
      { ...a, party: b.party },
      { ...b, party: a.party },
    ];
  };
  it.each([
    ['of each other', swapped],
    ['cut', (h: Hands) => h.given.inputs.map((i) => ({ ...i, ciphertext: i.ciphertext.slice(1) }))],
    [
      'changed',
      (h: Hands) =>
        h.given.inputs.map((i) => ({
          ...i,
          ciphertext: i.ciphertext.map((b, j) => (j === 9 ? b ^ 1 : b)),
        })),
    ],
  ])('%s', async (_, change) => {
    const hands = await upToInputs();
    await putAll(hands, change(hands));
    expect(await codeOf(() => runWith(hands))).toBe('DATA_BAD_ROWS');
  });

  it('sealed for another session', async () => {
    const hands = await upToInputs();
    const { agreed, hello } = hands;
    const { plan } = agreed;
    const inputs = await Promise.all(
      plan.sides.map((side, i) =>
        sealInput(encodeInput(tablesFor(agreed)[i]!, side), hello.sealing_key, {
          ...agreed.hello,
          session: '0'.repeat(64),
          evidence_digest: hands.given.authorisations[0]!.document.evidence_digest,
          party: side.party,
        }),
      ),
    );
    await putAll(hands, inputs);
    expect(await codeOf(() => runWith(hands))).toBe('DATA_BAD_ROWS');
  });

  it('are read back as written, and are as long as the plan says', () => {
    const { plan } = agree(teePolicy(), SQL);
    plan.sides.forEach((side, i) => {
      for (const users of [0, 1, 20, 64]) {
        const table = tableOf(plan, i, 0, users);
        const bytes = encodeInput(table, side);
        expect(bytes).toHaveLength(inputBytes(side));
        expect(decodeInput(bytes, side)).toEqual(table);
      }
    });
  });

  it.each([
    ['more users than the plan has', (b: Uint8Array) => b.fill(0xff, 0, 4)],
    ['a person twice', (b: Uint8Array) => b.copyWithin(4, 36, 68)],
    ['a flag of 2', (b: Uint8Array) => b.fill(2, 4 + 32 * 64, 5 + 32 * 64)],
  ])('with %s', async (_, change) => {
    const { plan } = agree(teePolicy(), SQL);
    const side = plan.sides[0]!;
    const bytes = change(encodeInput(tableOf(plan, 0, 0, 20), side));
    expect(await codeOf(() => Promise.resolve().then(() => decodeInput(bytes, side)))).toBe(
      'DATA_BAD_ROWS',
    );
  });
});

describe('47 what the analyst refuses', () => {
  it.each([
    [
      'an envelope signed by another key',
      'RECEIPT_INVALID',
      (r: Made) => ({
        reply: {
          ...r.reply,
          envelope: signEnvelope(r.reply.envelope.document, IDENTITY['shopgood']!.privateKey),
        },
      }),
    ],
    [
      'another enclave’s greeting',
      'GO_INVALID',
      (_: Made, other: Made) => ({ hello: other.hello }),
    ],
    [
      'the answer of an earlier session',
      'RECEIPT_INVALID',
      (_: Made, other: Made) => ({ reply: other.reply }),
    ],
    ['goes of an earlier session', 'GO_INVALID', (_: Made, other: Made) => ({ gos: other.gos })],
    [
      'a consent missing',
      'GO_INVALID',
      (r: Made) => ({ authorisations: r.authorisations.slice(1) }),
    ],
    [
      'another sealed answer',
      'RESULT_INVALID',
      (r: Made, other: Made) => ({
        reply: { ...r.reply, sealed: other.reply.sealed },
      }),
    ],
  ])('%s', async (_, code, change) => {
    const made = await madeOnce();
    const other = await madeOnce();
    const open = () => opened({ ...made, ...change(made, other) });
    expect(await codeOf(open)).toBe(code);
  });
});

interface Parts {
  readonly gos: Agreed['gos'];
  readonly submission: Agreed['submission'];
  readonly policy: Agreed['policy'];
  readonly authorisations: Given['authorisations'];
  readonly hello: HelloReply;
  readonly reply: RunReply;
}

/** What the analyst opens of the parts it is handed, which a test changes one at a time. */
async function opened({ gos, submission, policy, ...made }: Parts): Promise<Uint8Array> {
  const { authorisations, hello: greeting, reply } = made;
  const run = { gos, greeting, authorisations, envelope: reply.envelope };
  const verified = verifyTeeRun(run, submission.document, policy, { atMs: [NOW] });
  return (await openTeeAnswer(verified, reply.sealed, SEALING.privateKey)).answer;
}

type Made = Awaited<ReturnType<typeof madeOnce>>;
async function madeOnce() {
  const agreed = agree(teePolicy(), SQL);
  const { hello, given, reply } = await runAll(simulatedEnclave(), agreed, tablesFor(agreed));
  const { gos, policy, submission } = agreed;
  return { gos, authorisations: given.authorisations, hello, reply, submission, policy };
}

describe('53 frames', () => {
  const framesOf = async (...chunks: readonly Uint8Array[]): Promise<string> => {
    const stream = new PassThrough();
    for (const chunk of chunks) stream.write(chunk);
    stream.end();
    return codeOf(async () => {
      for await (const frame of readFrames(stream)) expect(frame.header).toEqual({ a: 1 });
    });
  };
  const prefix = (header: number, body: number): Uint8Array => {
    const out = Buffer.alloc(8);
    out.writeUInt32BE(header, 0);
    out.writeUInt32BE(body, 4);
    return out;
  };
  const json = Buffer.from('{"a":1}');
  it.each([
    ['in one piece', [Buffer.concat([prefix(7, 2), json, Buffer.from('xy')])], 'accepted'],
    [
      'byte by byte',
      [...Buffer.concat([prefix(7, 0), json])].map((b) => Buffer.from([b])),
      'accepted',
    ],
    ['too large a header', [prefix(2 ** 21 + 1, 0)], 'FRAME_TOO_LARGE'],
    ['too large a body', [prefix(7, 2 ** 30 + 1)], 'FRAME_TOO_LARGE'],
    ['cut', [prefix(7, 0), json.subarray(0, 3)], 'CHANNEL_CLOSED'],
    ['ended before a body', [prefix(7, 5), json], 'CHANNEL_CLOSED'],
    ['no JSON', [prefix(3, 0), Buffer.from('{a}')], 'FRAME_MALFORMED'],
  ])('%s', async (_, chunks, code) => expect(await framesOf(...chunks)).toBe(code));
});

describe('as a process of its own', () => {
  const ENTRY = fileURLToPath(new URL('../../dist/tee-adapter/enclave/main.js', import.meta.url));

  it('tells its host why it refused, and ends', { timeout: 60_000 }, async () => {
    const { child, stream, exited } = await started();
    const enclave = enclaveConnection(stream);
    const agreed = agree(teePolicy(), SQL);
    await enclave.hello(agreed.hello);
    expect(await codeOf(() => enclave.hello(agreed.hello))).toBe('PEER_OUT_OF_STEP');
    expect(await codeOf(() => enclave.loadPolicy(agreed.packet))).toBe('ENCLAVE_AWAY');
    expect(await exited).toBe(0);
    expect(child.exitCode).toBe(0);
  });

  const started = async () => {
    expect(existsSync(ENTRY), 'run node scripts/build.mjs first').toBe(true);
    const folder = mkdtempSync(join(tmpdir(), 'parley-tee-'));
    const socket = join(folder, 'enclave.sock');
    const keyFile = join(folder, 'key');
    writeFileSync(keyFile, Buffer.from(reveal(simulator.privateKey)).toString('base64url'));
    const child = spawn(process.execPath, [ENTRY, socket, 'simulated', keyFile, MEASUREMENT], {
      env: {},
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    const exited = new Promise<number | null>((resolve) => child.on('exit', resolve));
    const closed = new Promise((resolve) => child.on('close', resolve));
    let said = '';
    await new Promise<void>((resolve, reject) => {
      child.stderr.on('data', (part: Buffer) => {
        said += part.toString();
        if (said.includes('ready')) resolve();
      });
      child.on('exit', () => reject(new Error(said)));
    });
    const stream = await connectEnclave(socket);
    return { child, stream, exited, closed, said: () => said };
  };

  it('over a unix socket: one run, then it ends', { timeout: 60_000 }, async () => {
    const { stream, exited, closed, said } = await started();
    const enclave = enclaveConnection(stream);
    const agreed = agree(teePolicy(), SQL);
    const tables = tablesFor(agreed);
    const want = plainAnswer(agreed, tables);
    const hello = await enclave.hello(agreed.hello);
    await enclave.loadPolicy(agreed.packet);
    const { inputs, authorisations } = await consentOfAll(agreed, hello, tables);
    for (const { party, enc, ciphertext } of inputs) {
      // In pieces, as a coordinator passes them on.
      const pieces = Readable.from([ciphertext.subarray(0, 7), ciphertext.subarray(7)]);
      await enclave.putInput({ party, enc }, ciphertext.length, pieces);
    }
    const { submission, gos } = agreed;
    const reply = await enclave.run({ submission, gos, authorisations });
    const answer = await opened({ ...agreed, authorisations, hello, reply });
    expect(answer).toEqual(want);
    enclave.close();
    expect(await exited).toBe(0);
    await closed;
    // Once at the start, once for the one statement.
    expect(said().split(SIMULATION_NOTICE)).toHaveLength(3);
  });
});
