// Goal: whoever carries the calls of an enclave, or speaks for the coordinator, gets no answer out of it
// that the parties and the analyst did not ask for: every change ends in a code, at a real node, a real
// enclave or the analyst's client, and no session gets a second consent.
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { generateKeyPair } from '../../src/policy/index.ts';
import {
  signSubmission,
  type EnclaveGreeting,
  type EnclaveOutcome,
} from '../../src/records/index.ts';
import { signSimulated } from '../../src/tee-adapter/simulated.ts';
import { bytesOf, callsOf, freshEnclave, testHost, withEnclave } from '../support/enclave-host.ts';
import { MEASUREMENT } from '../support/enclave-room.ts';
import { hostileRelay, type HostileRelay } from '../support/hostile-relay.ts';
import type { LiveRoom } from '../support/live-room.ts';
import { liveRoom } from '../support/live-room.ts';
import { dice, randomRows } from '../support/random-room.ts';
import { OPEN_RULES, roomPolicy } from '../support/room-policy.ts';

const SQL = `SELECT campaign_id, SUM(items) AS s FROM joined_data WHERE category = 'home'
  GROUP BY campaign_id`;
const WITHOUT_WHERE = 'SELECT campaign_id, SUM(items) AS s FROM joined_data GROUP BY campaign_id';

const host = testHost();
const relays = new Map<string, HostileRelay>();
let room: LiveRoom;

beforeAll(async () => {
  const rows = randomRows(dice(11), 30, 2, true);
  room = await liveRoom(withEnclave(roomPolicy(OPEN_RULES, 2)), rows, undefined, false, {
    enclaveHost: host,
    route: async (party, url) => {
      await relays.get(party)?.close();
      const relay = await hostileRelay(url);
      relays.set(party, relay);
      return relay.url;
    },
  });
});
afterAll(async () => {
  await room.close();
  for (const relay of relays.values()) await relay.close();
});
afterEach(() => {
  host.mischief = () => ({});
  for (const relay of relays.values()) relay.after = () => [];
});

let queries = 0;
const freshId = (): string => `hostile-query-${String((queries += 1)).padStart(4, '0')}`;

/** How the analyst's question ends: a code, or `answered`. */
async function outcomeOf(queryId = freshId()): Promise<string> {
  try {
    await room.client.answer(SQL, { backend: 'tee', queryId });
    return 'answered';
  } catch (error) {
    return (error as { readonly code?: string }).code ?? String(error);
  }
}

/** Reports of one type that a party made about a query. */
function reportsOf(party: string, type: string, queryId: string) {
  const { reports } = relays.get(party)!;
  return reports.filter((report) => report.type === type && report['query_id'] === queryId);
}

const PARTIES = ['shopgood', 'newsnow'] as const;
const authorisations = (queryId: string): number[] =>
  PARTIES.map((party) => reportsOf(party, 'authorise', queryId).length);

it('an honest host: an answer, one consent of each party, and every ledger commits', async () => {
  const queryId = freshId();
  expect(await outcomeOf(queryId)).toBe('answered');
  expect(authorisations(queryId)).toEqual([1, 1]);
  for (const party of PARTIES) expect(reportsOf(party, 'fail', queryId)).toEqual([]);
});

describe('a host that swaps the plan', () => {
  it('in the greeting: no party takes the evidence', async () => {
    host.mischief = ({ hello }) => ({
      hello: (call) => hello({ ...call, plan_digest: 'ab'.repeat(32) }),
    });
    const queryId = freshId();
    expect(await outcomeOf(queryId)).toBe('EVIDENCE_BINDING');
    expect(authorisations(queryId)).toEqual([0, 0]);
  });

  it('at the run, for another question the analyst once signed: the enclave refuses', async () => {
    const submission = signedQuery(WITHOUT_WHERE, freshId());
    host.mischief = ({ run }) => ({ run: (call) => run({ ...call, submission }) });
    expect(await outcomeOf()).toBe('PLAN_MISMATCH');
  });
});

it('a host that drops a WHERE: the analyst’s signature does not fit', async () => {
  host.mischief = ({ run }) => ({
    run: (call) => {
      const { document, signature } = call.submission;
      const submission = { document: { ...document, sql: WITHOUT_WHERE }, signature };
      return run({ ...call, submission });
    },
  });
  expect(await outcomeOf()).toBe('REQUEST_UNSIGNED');
});

it('a host that replays an authorisation of an earlier run', async () => {
  let earlier: Parameters<ReturnType<typeof callsOf>['run']>[0]['authorisations'] = [];
  host.mischief = ({ run }) => ({
    run: (call) => {
      earlier = call.authorisations;
      return run(call);
    },
  });
  expect(await outcomeOf()).toBe('answered');
  expect(earlier).toHaveLength(2);
  host.mischief = ({ run }) => ({ run: (call) => run({ ...call, authorisations: earlier }) });
  expect(await outcomeOf()).toBe('GO_INVALID');
});

describe('a host that restarts the enclave for fresh noise', () => {
  it('during the run: the second enclave gets no consent and no input', async () => {
    const second = callsOf(freshEnclave());
    let greeting: EnclaveGreeting | null = null;
    host.mischief = ({ hello }) => ({
      hello: async (call) => {
        greeting = await second.hello(call);
        return hello(call);
      },
    });
    const relay = relays.get('shopgood')!;
    relay.after = ({ type, query_id }) =>
      type === 'enclave' && greeting !== null ? [{ type, query_id, greeting }] : [];
    const framesBefore = relay.frames;
    const queryId = freshId();
    expect(await outcomeOf(queryId)).toBe('CONSENT_GIVEN');
    expect(reportsOf('shopgood', 'authorise', queryId)).toHaveLength(0);
    expect(relay.frames).toBe(framesBefore);
  });

  it('after the consent, and after the answer: nothing more is handed out', async () => {
    const relay = relays.get('newsnow')!;
    const second = callsOf(freshEnclave());
    let greeting: EnclaveGreeting | null = null;
    host.mischief = ({ hello, run }) => ({
      hello: async (call) => {
        greeting = await second.hello(call);
        return hello(call);
      },
      run: async (call) => {
        const outcome = await run(call);
        relay.say({ type: 'enclave', query_id: call.submission.document.query_id, greeting });
        await until(() => relay.reports.some((r) => r.type === 'fail' && isOf(r, call)));
        return outcome;
      },
    });
    const queryId = freshId();
    const isOf = (r: { [k: string]: unknown }, c: { submission: { document: object } }): boolean =>
      r['query_id'] === (c.submission.document as { query_id: string }).query_id;
    expect(await outcomeOf(queryId)).toBe('CONSENT_GIVEN');
    expect(reportsOf('newsnow', 'authorise', queryId)).toHaveLength(1);
    const frames = relay.frames;
    relay.say({ type: 'enclave', query_id: queryId, greeting });
    await until(() => reportsOf('newsnow', 'fail', queryId).length === 2);
    expect(reportsOf('newsnow', 'fail', queryId)[1]).toMatchObject({
      error: { code: 'QUERY_UNKNOWN' },
    });
    expect(reportsOf('newsnow', 'authorise', queryId)).toHaveLength(1);
    expect(relay.frames).toBe(frames);
  });

  it('after the party’s node was restarted: the id is in its ledger', async () => {
    const queryId = freshId();
    const before = relays.get('shopgood')!;
    expect(await outcomeOf(queryId)).toBe('answered');
    const said = before.orders.filter((order) => order['query_id'] === queryId);
    expect(said.map(({ type }) => type)).toEqual([
      ...['query', 'reserve', 'gos', 'enclave', 'feed', 'envelope', 'over'],
    ]);
    await room.nodes.get('shopgood')!.close(500);
    await room.startNode('shopgood');
    const after = relays.get('shopgood')!;
    for (const order of said) if (order.type !== 'over') after.say(order);
    await until(() => reportsOf('shopgood', 'fail', queryId).length === 3);
    expect(reportsOf('shopgood', 'refuse', queryId)).toMatchObject([
      { error: { code: 'QUERY_ID_REUSED' } },
    ]);
    expect(after.reports.filter(({ type }) => type === 'authorise' || type === 'go')).toEqual([]);
    expect(after.frames).toBe(0);
  });
});

describe('a host that re-orders calls', () => {
  it('the policy before the greeting', async () => {
    host.mischief = ({ hello, loadPolicy }) => ({
      hello: async (call) => {
        await loadPolicy(room.packet);
        return hello(call);
      },
    });
    expect(await outcomeOf()).toBe('PEER_OUT_OF_STEP');
  });

  it('the run before an input', async () => {
    host.mischief = ({ putInput }) => ({
      putInput: async (call, bytes, chunks) => {
        if (call.party === 'shopgood') await bytesOf(chunks);
        else await putInput(call, bytes, chunks);
      },
    });
    expect(await outcomeOf()).toBe('PEER_OUT_OF_STEP');
  });

  it('a second greeting with other nonces', async () => {
    host.mischief = ({ hello }) => ({
      hello: async (call) => {
        const greeting = await hello(call);
        await hello({ ...call, nonces: {} });
        return greeting;
      },
    });
    expect(await outcomeOf()).toBe('PEER_OUT_OF_STEP');
  });
});

describe('a host that feeds another party’s input', () => {
  it('one in the place of the other', async () => {
    const kept = new Map<string, { enc: string; body: Uint8Array }>();
    host.mischief = ({ putInput }) => ({
      putInput: async ({ party, enc }, _, chunks) => {
        kept.set(party, { enc, body: await bytesOf(chunks) });
        if (kept.size < 2) return;
        const other = { shopgood: kept.get('newsnow')!, newsnow: kept.get('shopgood')! };
        for (const [name, { enc: theirs, body }] of Object.entries(other)) {
          await putInput({ party: name, enc: theirs }, body.length, onePiece(body));
        }
      },
    });
    expect(await outcomeOf()).toBe('DATA_BAD_ROWS');
  });

  it('of an earlier run', async () => {
    const kept = new Map<string, { enc: string; body: Uint8Array }>();
    host.mischief = ({ putInput }) => ({
      putInput: async ({ party, enc }, bytes, chunks) => {
        const body = await bytesOf(chunks);
        kept.set(party, { enc, body });
        await putInput({ party, enc }, bytes, onePiece(body));
      },
    });
    expect(await outcomeOf()).toBe('answered');
    host.mischief = ({ putInput }) => ({
      putInput: async ({ party }, bytes, chunks) => {
        await bytesOf(chunks);
        const { enc, body } = kept.get(party)!;
        await putInput({ party, enc }, bytes, onePiece(body));
      },
    });
    expect(await outcomeOf()).toBe('DATA_BAD_ROWS');
  });
});

describe('a host that swaps evidence', () => {
  it('for that of another session', async () => {
    let earlier: EnclaveGreeting | null = null;
    host.mischief = ({ hello }) => ({ hello: async (call) => (earlier = await hello(call)) });
    expect(await outcomeOf()).toBe('answered');
    host.mischief = ({ hello }) => ({
      hello: async (call) => {
        await hello(call);
        return earlier!;
      },
    });
    const queryId = freshId();
    expect(await outcomeOf(queryId)).toBe('EVIDENCE_BINDING');
    expect(authorisations(queryId)).toEqual([0, 0]);
  });

  it('for keys of its own under the genuine evidence', async () => {
    host.mischief = ({ hello }) => ({
      hello: async (call) => ({
        ...(await hello(call)),
        sealing_key: generateKeyPair('x25519').publicKey,
      }),
    });
    expect(await outcomeOf()).toBe('EVIDENCE_BINDING');
  });

  it('for evidence it signed itself', async () => {
    const forger = generateKeyPair('ed25519');
    host.mischief = ({ hello }) => ({
      hello: async (call) => {
        const greeting = await hello(call);
        const bytes = signSimulated(MEASUREMENT, new Uint8Array(64), forger.privateKey);
        const statement = Buffer.from(bytes).toString('base64url');
        return { ...greeting, evidence: { tee: 'simulated', statement } };
      },
    });
    expect(await outcomeOf()).toBe('EVIDENCE_SIGNATURE');
  });
});

describe('a host that replays an earlier envelope', () => {
  it('the parties do not commit it, and the analyst does not open it', async () => {
    let earlier: EnclaveOutcome | null = null;
    host.mischief = ({ run }) => ({ run: async (call) => (earlier = await run(call)) });
    expect(await outcomeOf()).toBe('answered');
    host.mischief = ({ run }) => ({
      run: async (call) => {
        await run(call);
        return earlier!;
      },
    });
    const queryId = freshId();
    expect(await outcomeOf(queryId)).toBe('RECEIPT_INVALID');
    for (const party of PARTIES) {
      await until(() => reportsOf(party, 'fail', queryId).length === 1);
      expect(reportsOf(party, 'fail', queryId)).toMatchObject([
        { error: { code: 'RECEIPT_INVALID' } },
      ]);
    }
  });

  it('with the sealed answer of an earlier run', async () => {
    let earlier: EnclaveOutcome | null = null;
    host.mischief = ({ run }) => ({ run: async (call) => (earlier = await run(call)) });
    expect(await outcomeOf()).toBe('answered');
    host.mischief = ({ run }) => ({
      run: async (call) => ({ ...(await run(call)), sealed: earlier!.sealed }),
    });
    expect(await outcomeOf()).toBe('RESULT_INVALID');
  });
});

describe('a host that cuts or pads an input on its way', () => {
  it.each([
    ['cut', (body: Uint8Array) => body.slice(1)],
    ['longer', (body: Uint8Array) => Uint8Array.from([...body, 0])],
    ['changed', (body: Uint8Array) => body.map((b, i) => (i === 99 ? b ^ 1 : b))],
  ])('%s', async (_, change) => {
    host.mischief = (_honest, enclave) => ({
      putInput: async ({ party, enc }, __, chunks) => {
        const body = change(await bytesOf(chunks));
        await enclave.call({ call: 'put_input', party, enc }, body);
      },
    });
    expect(await outcomeOf()).toBe('DATA_BAD_ROWS');
  });
});

it('a policy that names no simulated enclave: every party refuses it', async () => {
  const nitro = {
    type: 'aws-nitro',
    measurements: [{ '0': '01'.repeat(48), '1': '02'.repeat(48), '2': '03'.repeat(48) }],
    max_age_s: 300,
    not_after: '2099-12-31',
  } as const;
  const policy = withEnclave(roomPolicy(OPEN_RULES, 1));
  const execution = { ...policy.execution, tee: { references: [nitro] } };
  const other = testHost();
  // The enclave itself refuses such a policy; a hostile host does not ask it.
  other.mischief = () => ({ loadPolicy: () => Promise.resolve() });
  const rows = randomRows(dice(12), 10, 1, true);
  const strict = await liveRoom({ ...policy, execution }, rows, undefined, false, {
    enclaveHost: other,
  });
  try {
    await expect(strict.client.answer(SQL, { backend: 'tee' })).rejects.toMatchObject({
      code: 'EVIDENCE_SIMULATED',
    });
  } finally {
    await strict.close();
  }
});

async function* onePiece(body: Uint8Array): AsyncGenerator<Uint8Array, void> {
  yield await Promise.resolve(body);
}

async function until(done: () => boolean): Promise<void> {
  for (let i = 0; i < 500 && !done(); i += 1) await new Promise((go) => setTimeout(go, 10));
  expect(done()).toBe(true);
}

/** A question signed by the analyst, as a host may have kept it. */
function signedQuery(sql: string, query_id: string) {
  const document = {
    version: 1,
    room: room.policy.room,
    policy_digest: room.client.policyDigest,
    query_id,
    analyst: 'ana',
    sql,
    epsilon: null,
    backend: 'tee',
  } as const;
  return signSubmission(document, room.analystKeys.signing.privateKey);
}
