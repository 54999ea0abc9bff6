// Goal: every query reaches one terminal state with the right code, whatever the parties and the
// analyst do; nobody gets in without the key; nobody reaches a party it has no query with.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { toBase64Url } from '../../src/core/bytes.ts';
import { signBytes, verifyDocument } from '../../src/policy/index.ts';
import { connectRelay, decodeRelayFrame, helloBytes } from '../../src/transport/index.ts';
import { encodeRelayHeader } from '../../src/transport/relay-frame.ts';
import { seededRng } from '../support/seeded-rng.ts';
import {
  agree,
  answerOf,
  coordinatorWith,
  fakeParties,
  fakeParty,
  extensionOf,
  goOf,
  over,
  PARTIES,
  post,
  read,
  relayOptions,
  room,
  submission,
  type FakeParty,
  type TestCoordinator,
  sendGo,
  sendReady,
  statementOf,
} from './room.ts';

const rng = seededRng('coordinator');
let coordinator: TestCoordinator;
const parties: FakeParty[] = [];

async function start(...args: Parameters<typeof coordinatorWith>): Promise<TestCoordinator> {
  coordinator = await coordinatorWith(...args);
  return coordinator;
}

async function join2(): Promise<[FakeParty, FakeParty]> {
  const both = await fakeParties(coordinator.url);
  parties.push(...both);
  return both;
}

afterEach(async () => {
  await Promise.all(parties.splice(0).map((p) => p.close()));
  await coordinator.close();
});

describe('the life of a query', () => {
  beforeEach(async () => {
    await start();
  });

  it('goes from submission to an answer', async () => {
    const [a, b] = await join2();
    const signed = submission();
    const id = signed.document.query_id;
    const first = await post(coordinator.url, signed);
    expect(first).toMatchObject({ status: 202, record: { state: 'agreeing', error: null } });
    const [gos] = await Promise.all([agree(a, id), agree(b, id)]);
    expect(gos.map((g) => g.document.party).sort()).toEqual([...PARTIES].sort());
    for (const party of [a, b]) {
      party.relay.sendControl({ type: 'progress', query_id: id, stage: 'join', done: 1, total: 2 });
      party.relay.sendControl({
        type: 'answer',
        query_id: id,
        ...(await answerOf(party.name, gos)),
      });
    }
    const record = await over(coordinator.url, id);
    expect(record).toMatchObject({ state: 'answered', error: null });
    expect(record.plan_digest).toBe(gos[0]!.document.plan_digest);
    expect(record.answers.map((x) => x.sealed.party).sort()).toEqual([...PARTIES].sort());
    expect(record.progress).toContainEqual({ party: a.name, stage: 'join', done: 1, total: 2 });
    // Asked again, with the same bytes: the same record.
    expect((await post(coordinator.url, signed)).record).toEqual(record);
  });

  it('that only prepares ends when all have prepared, with no answers', async () => {
    const [a, b] = await join2();
    const signed = submission({ purpose: 'prepare' });
    const id = signed.document.query_id;
    await post(coordinator.url, signed);
    const order = await Promise.all([agree(a, id), agree(b, id)]);
    expect(order[0]).toHaveLength(2);
    a.relay.sendControl({ type: 'prepared', query_id: id });
    const { record: half } = await read(coordinator.url, id);
    expect(half.state).toBe('running');
    b.relay.sendControl({ type: 'prepared', query_id: id });
    expect(await over(coordinator.url, id)).toMatchObject({
      state: 'prepared',
      answers: [],
      error: null,
    });
  });

  it('that only prepares takes no answer, and a question no word of preparing', async () => {
    const [a, b] = await join2();
    for (const purpose of ['prepare', undefined] as const) {
      const signed = submission(purpose === undefined ? {} : { purpose });
      const id = signed.document.query_id;
      await post(coordinator.url, signed);
      const [gos] = await Promise.all([agree(a, id), agree(b, id)]);
      if (purpose === undefined) a.relay.sendControl({ type: 'prepared', query_id: id });
      else {
        const answer = await answerOf(a.name, gos);
        a.relay.sendControl({ type: 'answer', query_id: id, ...answer });
      }
      expect(await over(coordinator.url, id)).toMatchObject({
        state: 'failed',
        error: { code: purpose === undefined ? 'FRAME_MALFORMED' : 'RECEIPT_INVALID' },
      });
    }
  });

  it('cannot be given or robbed of its purpose by whoever carries it', async () => {
    const asked = submission();
    const prepared = submission({ purpose: 'prepare' });
    const question = { ...prepared.document };
    delete (question as { purpose?: string }).purpose;
    for (const forged of [
      { ...asked, document: { ...asked.document, purpose: 'prepare' } },
      { ...prepared, document: question },
    ]) {
      expect((await post(coordinator.url, forged)).error.code).toBe('REQUEST_UNSIGNED');
    }
    const other = { ...asked, document: { ...asked.document, purpose: 'spend' } };
    expect((await post(coordinator.url, other)).error.code).toBe('REQUEST_MALFORMED');
  });

  it('wakes a waiting analyst at every change', async () => {
    const [a, b] = await join2();
    const signed = submission();
    const id = signed.document.query_id;
    const { record } = await post(coordinator.url, signed);
    const waiting = read(coordinator.url, id, `?wait_ms=20000&seen=${record.revision}`);
    await Promise.all([agree(a, id), agree(b, id)]);
    expect((await waiting).record.revision).toBeGreaterThan(record.revision);
    const soon = await read(coordinator.url, id, '?wait_ms=20');
    expect(soon.record.state).toBe('running');
  });

  it('asks nobody to reserve before everybody has vetted', async () => {
    const [a, b] = await join2();
    const signed = submission();
    const id = signed.document.query_id;
    await post(coordinator.url, signed);
    sendReady(a, id);
    await b.next('query', id);
    b.relay.sendControl({
      type: 'refuse',
      query_id: id,
      error: {
        code: 'BUDGET_EXHAUSTED',
        fault: 'policy',
        message: 'the budget is spent',
        detail: {},
      },
    });
    expect(await over(coordinator.url, id)).toMatchObject({
      state: 'refused',
      error: { code: 'BUDGET_EXHAUSTED', party: b.name },
    });
    expect(await a.next('abort', id)).toMatchObject({ error: { code: 'BUDGET_EXHAUSTED' } });
    expect(a.orders.filter((o) => o.type === 'reserve')).toEqual([]);
  });

  it('refuses what the policy does not admit before any party hears of it', async () => {
    const [a] = await join2();
    const { record, status } = await post(
      coordinator.url,
      submission({ sql: 'SELECT * FROM joined_data' }),
    );
    expect(status).toBe(202);
    expect(record).toMatchObject({ state: 'refused', error: { code: 'SQL_SELECT_STAR' } });
    expect(a.orders).toEqual([]);
  });

  it('fails when a party is away, and names it', async () => {
    parties.push(await fakeParty(coordinator.url, PARTIES[0]));
    const { record } = await post(coordinator.url, submission());
    expect(record).toMatchObject({
      state: 'failed',
      error: { code: 'PARTY_AWAY', fault: 'transport', party: PARTIES[1] },
    });
  });

  it.each([
    ['while agreeing', false],
    ['while running', true],
  ])('fails soon when a party is lost %s', async (_, running) => {
    const [a, b] = await join2();
    const signed = submission();
    const id = signed.document.query_id;
    await post(coordinator.url, signed);
    if (running) await Promise.all([agree(a, id), agree(b, id)]);
    await b.close();
    expect(await over(coordinator.url, id)).toMatchObject({
      state: 'failed',
      error: { code: 'PARTY_AWAY', party: b.name },
    });
    expect(await a.next('abort', id)).toMatchObject({ error: { code: 'PARTY_AWAY' } });
  });

  it('passes a failure on to the analyst and the other party', async () => {
    const [a, b] = await join2();
    const signed = submission();
    const id = signed.document.query_id;
    await post(coordinator.url, signed);
    await Promise.all([agree(a, id), agree(b, id)]);
    const error = {
      code: 'PEER_BAD_LENGTH',
      fault: 'peer',
      message: 'the peer sent a message of another length',
      detail: { step: 'psi/x' },
    } as const;
    a.relay.sendControl({ type: 'fail', query_id: id, error });
    expect(await over(coordinator.url, id)).toMatchObject({
      state: 'failed',
      error: { ...error, party: a.name },
      answers: [],
    });
    expect(await b.next('abort', id)).toMatchObject({ error });
    expect(a.orders).toEqual([]);
  });

  it('forgets nothing of a finished query when it restarts, and ends what was running', async () => {
    const [a, b] = await join2();
    const [done, lost] = [submission(), submission()];
    await post(coordinator.url, done);
    const id = done.document.query_id;
    const [gos] = await Promise.all([agree(a, id), agree(b, id)]);
    for (const party of [a, b]) {
      party.relay.sendControl({
        type: 'answer',
        query_id: id,
        ...(await answerOf(party.name, gos)),
      });
    }
    const answered = await over(coordinator.url, id);
    await post(coordinator.url, lost);
    // A second coordinator over the same directory sees it as after a crash of the first.
    const { dataDir } = coordinator;
    const second = await coordinatorWith({}, dataDir);
    expect((await read(second.url, id)).record).toEqual(answered);
    expect((await post(second.url, done)).record).toEqual(answered);
    expect((await read(second.url, lost.document.query_id)).record).toMatchObject({
      state: 'failed',
      error: { code: 'COORDINATOR_AWAY' },
    });
    const other = submission({ query_id: id, epsilon: '0.5' });
    expect((await post(second.url, other)).error.code).toBe('QUERY_ID_REUSED');
    await second.close();
  });

  it('writes an audit log without anything secret', async () => {
    const [a, b] = await join2();
    const signed = submission();
    const id = signed.document.query_id;
    await post(coordinator.url, signed);
    const [gos] = await Promise.all([agree(a, id), agree(b, id)]);
    const sealed: string[] = [];
    for (const party of [a, b]) {
      const answer = await answerOf(party.name, gos);
      sealed.push((answer.sealed as { ciphertext: string }).ciphertext);
      party.relay.sendControl({ type: 'answer', query_id: id, ...answer });
    }
    await over(coordinator.url, id);
    await coordinator.close();
    const text = await readFile(join(coordinator.dataDir, 'audit.jsonl'), 'utf8');
    const lines = text.trimEnd().split('\n');
    const events = lines
      .map((line) => JSON.parse(line) as { event: string; query_id?: string })
      .filter((e) => e.query_id === id)
      .map((e) => e.event);
    expect(events).toEqual(['submitted', 'agreeing', 'running', 'answered']);
    expect(text).toContain(signed.document.sql.replaceAll('"', '\\"'));
    for (const ciphertext of sealed) expect(text).not.toContain(ciphertext);
    expect(text).not.toContain(signed.signature);
  });
});

describe('a party that lies', () => {
  beforeEach(async () => {
    await start();
  });

  it.each<[string, (id: string, a: FakeParty, b: FakeParty) => Promise<void>, string]>([
    [
      'gives its go before it is asked',
      async (id, a) => {
        const order = await a.next('query', id);
        const go = goOf(a.name, order.submission as never, order.plan_digest);
        sendGo(a, id, go);
      },
      'GO_INVALID',
    ],
    [
      'signs for the other party',
      async (id, a, b) => {
        const order = await ready(id, a, b);
        const go = goOf(b.name, order.submission as never, order.plan_digest);
        sendGo(a, id, go);
      },
      'GO_INVALID',
    ],
    [
      'signs another plan',
      async (id, a, b) => {
        const order = await ready(id, a, b);
        const go = goOf(a.name, order.submission as never, 'ee'.repeat(32));
        sendGo(a, id, go);
      },
      'PLAN_MISMATCH',
    ],
    [
      'runs another suite',
      async (id, a, b) => {
        const order = await ready(id, a, b);
        for (const [party, suite] of [
          [a, 'one'],
          [b, 'two'],
        ] as const) {
          const go = goOf(party.name, order.submission as never, order.plan_digest, { suite });
          sendGo(party, id, go);
        }
      },
      'GO_INVALID',
    ],
    [
      'sends no go at all',
      async (id, a) => {
        sendGo(a, id, { signature: 'x' });
      },
      'GO_INVALID',
    ],
    [
      'receipts another session',
      async (id, a, b) => {
        const [gos] = await Promise.all([agree(a, id), agree(b, id)]);
        const answer = await answerOf(a.name, gos, { session: 'ab'.repeat(32) });
        a.relay.sendControl({ type: 'answer', query_id: id, ...answer });
      },
      'RECEIPT_INVALID',
    ],
    [
      'receipts another share',
      async (id, a, b) => {
        const [gos] = await Promise.all([agree(a, id), agree(b, id)]);
        const answer = await answerOf(a.name, gos, { share_digest: 'ab'.repeat(32) });
        a.relay.sendControl({ type: 'answer', query_id: id, ...answer });
      },
      'RECEIPT_INVALID',
    ],
    [
      'answers twice, and not the same',
      async (id, a, b) => {
        const [gos] = await Promise.all([agree(a, id), agree(b, id)]);
        for (const answer of [await answerOf(a.name, gos), await answerOf(a.name, gos)]) {
          a.relay.sendControl({ type: 'answer', query_id: id, ...answer });
        }
      },
      'RECEIPT_INVALID',
    ],
    [
      'answers before the run',
      async (id, a) => {
        const go = goOf(a.name, submission(), '00'.repeat(32));
        const other = goOf(PARTIES[1], submission(), '00'.repeat(32));
        await answerOf(a.name, [go, other]).catch(() => undefined);
        sendReady(a, id);
        sendReady(a, id);
      },
      'FRAME_MALFORMED',
    ],
  ])('fails the query when it %s', async (_, lie, code) => {
    const [a, b] = await join2();
    const signed = submission();
    const id = signed.document.query_id;
    await post(coordinator.url, signed);
    await lie(id, a, b);
    const record = await over(coordinator.url, id);
    expect(record).toMatchObject({ state: 'failed', error: { code } });
    expect(record.answers).toEqual([]);
  });

  async function ready(id: string, a: FakeParty, b: FakeParty) {
    const order = await a.next('query', id);
    for (const party of [a, b]) sendReady(party, id);
    await a.next('reserve', id);
    return order;
  }

  it('cannot touch a query it has no part in, or one that is over', async () => {
    const [a] = await join2();
    const signed = submission({ sql: 'SELECT * FROM joined_data' });
    const { record } = await post(coordinator.url, signed);
    const id = signed.document.query_id;
    const error = { code: 'INTERNAL', fault: 'bug', message: 'x', detail: {} } as const;
    a.relay.sendControl({ type: 'fail', query_id: id, error });
    a.relay.sendControl({ type: 'fail', query_id: 'x'.repeat(20), error });
    await flush(a);
    expect((await read(coordinator.url, id)).record).toEqual(record);
  });
});

describe('limits', () => {
  it('gives a party a limited time to agree', async () => {
    await start({ agreeTimeoutMs: 1_000 });
    const [a, b] = await join2();
    const signed = submission();
    const id = signed.document.query_id;
    await post(coordinator.url, signed);
    for (const party of [a, b]) sendReady(party, id);
    const order = await a.next('query', id);
    await a.next('reserve', id);
    const go = goOf(a.name, order.submission as never, order.plan_digest);
    sendGo(a, id, go);
    expect(await over(coordinator.url, id)).toMatchObject({
      state: 'failed',
      error: { code: 'TIMEOUT', party: b.name },
    });
    expect(await a.next('abort', id)).toMatchObject({ error: { code: 'TIMEOUT' } });
  });

  it('gives a query a limited time in all', async () => {
    await start({ queryTimeoutMs: 1_000 });
    const [a, b] = await join2();
    const signed = submission();
    const id = signed.document.query_id;
    await post(coordinator.url, signed);
    // Not waited for: on a slow machine the time may be over before.
    void Promise.all([agree(a, id), agree(b, id)]);
    expect(await over(coordinator.url, id)).toMatchObject({ error: { code: 'TIMEOUT' } });
  });

  it.each([
    ['the cause of a failure, told after an echo', true, 'PEER_ABORTED', 'peer'],
    ['the cause of a failure, told after an echo', true, 'CANCELLED', 'transport'],
    ['the cause of a failure, told after an echo', true, 'FINISH_INTERRUPTED', 'transport'],
    ['the echo, when nobody tells a cause in time', false, 'PEER_ABORTED', 'peer'],
  ] as const)('passes on %s', async (_, told, code, fault) => {
    await start({ causeWaitMs: told ? 30_000 : 50 });
    const [a, b] = await join2();
    const signed = submission();
    const id = signed.document.query_id;
    await post(coordinator.url, signed);
    await Promise.all([agree(a, id), agree(b, id)]);
    const echo = { code, fault, message: 'x', detail: {} } as const;
    const cause = { code: 'STOCK_FULL', fault: 'storage', message: 'y', detail: {} } as const;
    a.relay.sendControl({ type: 'fail', query_id: id, error: echo });
    if (told) {
      await flush(a);
      expect((await read(coordinator.url, id)).record.state).toBe('running');
      b.relay.sendControl({ type: 'fail', query_id: id, error: cause });
    }
    const error = told ? { ...cause, party: b.name } : { ...echo, party: a.name };
    expect(await over(coordinator.url, id)).toMatchObject({ state: 'failed', error });
    expect(await (told ? a : b).next('abort', id)).toMatchObject({ error: told ? cause : echo });
  });

  it('tells at once that a finish broke off when a party of it is lost', async () => {
    await start({ causeWaitMs: 60_000, resumeGraceMs: 60_000 });
    const [a, b] = await join2();
    const signed = submission();
    const id = signed.document.query_id;
    await post(coordinator.url, signed);
    await Promise.all([agree(a, id), agree(b, id)]);
    await b.close();
    await a.next('park', id);
    const error = { code: 'FINISH_INTERRUPTED', fault: 'transport', message: 'x', detail: {} };
    a.relay.sendControl({ type: 'fail', query_id: id, error } as never);
    expect(await over(coordinator.url, id)).toMatchObject({ state: 'failed', error });
  });

  it('runs a limited number of queries, and others again when one is over', async () => {
    await start({ queriesInFlightMax: 2 });
    await join2();
    const first = submission();
    for (const signed of [first, submission()]) await post(coordinator.url, signed);
    const third = submission();
    const refused = await post(coordinator.url, third);
    expect(refused).toMatchObject({ status: 429, error: { code: 'TOO_MANY_QUERIES' } });
    const error = { code: 'TIMEOUT', fault: 'transport', message: 'x', detail: {} } as const;
    parties[0]!.relay.sendControl({ type: 'fail', query_id: first.document.query_id, error });
    await over(coordinator.url, first.document.query_id);
    expect((await post(coordinator.url, third)).status).toBe(202);
  });

  it('disconnects a party that floods it with control messages', async () => {
    await start({ controlPerSecondMax: 5 });
    const [a] = await join2();
    let lost = false;
    a.relay.onConnection((connected) => (lost ||= !connected));
    for (let i = 0; i < 600; i += 1) {
      a.relay.sendControl({ type: 'ready', query_id: 'x'.repeat(20) });
    }
    while (!lost) await new Promise((resolve) => setTimeout(resolve, 5));
  });

  it('fails what is still running when it is closed, and says so', async () => {
    await start();
    const [a, b] = await join2();
    const signed = submission();
    const id = signed.document.query_id;
    await post(coordinator.url, signed);
    await Promise.all([agree(a, id), agree(b, id)]);
    const waiting = over(coordinator.url, id);
    // Answered after the first has arrived, which then waits for a change.
    await read(coordinator.url, id);
    await coordinator.close();
    expect(await waiting).toMatchObject({ state: 'failed', error: { code: 'COORDINATOR_AWAY' } });
    await start({}, coordinator.dataDir);
    expect((await read(coordinator.url, id)).record).toMatchObject({ state: 'failed' });
  });
});

describe('analysts', () => {
  beforeEach(async () => {
    await start();
  });

  it.each<[string, () => unknown, number, string]>([
    ['an unknown analyst', () => submission({ analyst: 'bob' }), 403, 'ANALYST_UNKNOWN'],
    [
      'another policy',
      () => submission({ policy_digest: 'ab'.repeat(32) }),
      409,
      'POLICY_MISMATCH',
    ],
    ['another room', () => submission({ room: 'elsewhere' }), 409, 'POLICY_MISMATCH'],
    [
      'a bad signature',
      () => ({ ...submission(), signature: 'A'.repeat(86) }),
      401,
      'REQUEST_UNSIGNED',
    ],
    ['a changed text', () => edited(), 401, 'REQUEST_UNSIGNED'],
    ['an unknown field', () => ({ ...submission(), more: 1 }), 400, 'REQUEST_MALFORMED'],
    ['a short query id', () => submission({ query_id: 'short' }), 400, 'REQUEST_MALFORMED'],
    ['text that is not JSON', () => '{"document"', 400, 'REQUEST_MALFORMED'],
    ['a key twice', () => '{"signature":1,"signature":2}', 400, 'REQUEST_MALFORMED'],
    ['a body above 1 MiB', () => ' '.repeat((1 << 20) + 1), 413, 'INPUT_TOO_LARGE'],
    ['SQL above 64 KiB', () => submission({ sql: ' '.repeat(65_537) }), 400, 'REQUEST_MALFORMED'],
  ])('refuses %s', async (_, body, status, code) => {
    expect(await post(coordinator.url, body())).toMatchObject({ status, error: { code } });
  });

  function edited(): unknown {
    const signed = submission();
    return { ...signed, document: { ...signed.document, sql: 'SELECT 1' } };
  }

  it('takes an id once', async () => {
    await join2();
    const signed = submission();
    const both = await Promise.all([post(coordinator.url, signed), post(coordinator.url, signed)]);
    expect(both.map((r) => r.status)).toEqual([202, 202]);
    expect(parties[0]!.orders.filter((o) => o.type === 'query').length).toBeLessThan(2);
    const other = submission({ query_id: signed.document.query_id, epsilon: '0.5' });
    expect(await post(coordinator.url, other)).toMatchObject({
      status: 409,
      error: { code: 'QUERY_ID_REUSED' },
    });
  });

  it('tells of the room and hands out the signed policy', async () => {
    parties.push(await fakeParty(coordinator.url, PARTIES[0]));
    const told = (await (await fetch(`${coordinator.url}/v1/room`)).json()) as object;
    expect(told).toEqual({
      room: room.policy.room,
      policy_digest: room.digest,
      software: 'parley',
      parties: [
        { name: PARTIES[0], connected: true },
        { name: PARTIES[1], connected: false },
      ],
    });
    expect(await (await fetch(`${coordinator.url}/v1/policy`)).json()).toEqual(room.packet);
  });

  it.each([
    ['/v1/queries/unknownunknown1234', 404, 'QUERY_UNKNOWN'],
    ['/v1/queries/..%2f..%2fetc', 404, 'QUERY_UNKNOWN'],
    ['/v1/queries/unknownunknown1234?wait_ms=25001', 400, 'REQUEST_MALFORMED'],
    ['/v1/queries/unknownunknown1234?seen=-1', 400, 'REQUEST_MALFORMED'],
    ['/elsewhere', 404, 'REQUEST_MALFORMED'],
  ])('answers %s with %i', async (path, status, code) => {
    const response = await fetch(`${coordinator.url}${path}`);
    expect(response.status).toBe(status);
    expect(await response.json()).toMatchObject({ error: { code } });
  });
});

describe('parties', () => {
  it.each<[string, object, string]>([
    ['another key', { sign: (m: Uint8Array) => sign(PARTIES[1], m) }, 'LINK_AUTH_FAILED'],
    ['a name outside the policy', { party: 'mallory' }, 'LINK_AUTH_FAILED'],
    ['another room', { room: 'elsewhere' }, 'POLICY_MISMATCH'],
    ['another policy', { policyDigest: '00'.repeat(32) }, 'POLICY_MISMATCH'],
  ])('are refused with %s', async (_, edit, code) => {
    await start();
    const options = { ...relayOptions(coordinator.url, PARTIES[0]), ...edit };
    await expect(connectRelay(options)).rejects.toMatchObject({ code });
  });

  it('cannot replay the hello of another connection', async () => {
    await start();
    const hello = { room: room.policy.room, policy_digest: room.digest, party: PARTIES[0] };
    const nonce = '77'.repeat(32);
    const signature = toBase64Url(sign(PARTIES[0], helloBytes({ ...hello, nonce })));
    const replies = await speak(
      JSON.stringify({ type: 'hello', version: 1, ...hello, nonce, signature }),
    );
    expect(replies[1]).toMatchObject({ type: 'refused', error: { code: 'LINK_AUTH_FAILED' } });
  });

  it('sign a hello in a domain of its own', () => {
    const hello = { nonce: '00', party: 'p', policy_digest: 'd', room: 'r' };
    const signature = toBase64Url(sign(PARTIES[0], helloBytes(hello)));
    const key = room.parties[PARTIES[0]]!.identity.publicKey;
    expect(verifyDocument('parley/hello/v1', { ...hello, version: 1 }, key, signature)).toBe(true);
  });

  it('that say nothing are sent away', async () => {
    await start({ helloTimeoutMs: 50 });
    expect((await speak(null)).length).toBe(1);
  });

  it('come in while strangers hold every place', async () => {
    await start({ helloTimeoutMs: 600_000, pendingHellosMax: 4 });
    const url = `${coordinator.url.replace('http', 'ws')}/v1/party`;
    const strangers = Array.from({ length: 10 }, () => new WebSocket(url));
    await Promise.all(strangers.map((s) => new Promise((open) => s.once('message', open))));
    parties.push(await fakeParty(coordinator.url, PARTIES[0]));
    // The oldest went; as many as allowed stay.
    const held = () => strangers.filter(({ readyState }) => readyState === WebSocket.OPEN);
    while (held().length > 4) await new Promise((resolve) => setTimeout(resolve, 5));
    expect(held().length).toBeGreaterThanOrEqual(3);
    for (const socket of strangers) socket.terminate();
  });

  it('that say anything else first are refused', async () => {
    await start();
    for (const first of ['{', '{"type":"ready"}', ' '.repeat(5000)]) {
      expect((await speak(first))[1]).toMatchObject({ error: { code: 'FRAME_MALFORMED' } });
    }
  });

  it('are replaced by a newer connection with the same key', async () => {
    await start();
    const older = await fakeParty(coordinator.url, PARTIES[0]);
    const newer = await fakeParty(coordinator.url, PARTIES[0]);
    parties.push(newer);
    expect(await older.relay.closed).toMatchObject({ code: 'CHANNEL_CLOSED' });
    expect(newer.relay.connected).toBe(true);
  });

  it('that no longer answer are taken for gone', async () => {
    await start({ heartbeatMs: 30 });
    const socket = await hello(PARTIES[0]);
    socket.pause();
    let connected = true;
    while (connected) {
      const told = (await (await fetch(`${coordinator.url}/v1/room`)).json()) as {
        parties: { connected: boolean }[];
      };
      connected = told.parties[0]!.connected;
    }
    socket.terminate();
  });

  it('have nothing but /v1/party to upgrade at', async () => {
    await start();
    const socket = new WebSocket(`${coordinator.url.replace('http', 'ws')}/v1/room`);
    await new Promise<void>((resolve) => socket.once('error', () => resolve()));
  });
});

describe('the relay', () => {
  it('passes frames between the two parties of a running query only', async () => {
    await start();
    const [a, b] = await join2();
    const [running, agreeing] = [submission(), submission()];
    for (const signed of [running, agreeing]) await post(coordinator.url, signed);
    const id = running.document.query_id;
    await Promise.all([agree(a, id), agree(b, id)]);
    const heard: string[] = [];
    const listen = (queryId: string): void => {
      b.relay.pipe(queryId, a.name).onMessage((p) => heard.push(`${queryId} ${p.length}`));
    };
    for (const queryId of [id, agreeing.document.query_id]) listen(queryId);
    await a.relay.pipe(agreeing.document.query_id, b.name).send(rng(1));
    await a.relay.pipe('u'.repeat(20), b.name).send(rng(2));
    await a.relay.pipe(id, a.name).send(rng(3));
    await a.relay.pipe(id, 'mallory').send(rng(4));
    await a.relay.pipe(id, b.name).send(rng(5));
    const error = { code: 'TIMEOUT', fault: 'transport', message: 'x', detail: {} } as const;
    while (heard.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    a.relay.sendControl({ type: 'fail', query_id: id, error });
    await b.next('abort', id);
    await a.relay.pipe(id, b.name).send(rng(6));
    await flush(a);
    expect(heard).toEqual([`${id} 5`]);
    await expect
      .poll(() => readFile(join(coordinator.dataDir, 'audit.jsonl'), 'utf8'))
      .toContain(`"relayed_bytes":{"${a.name}":5,"${b.name}":0}`);
  });

  it.each<[string, Uint8Array | string]>([
    ['a frame above 256 KiB', concatFrame(256 * 1024 + 1)],
    ['a frame that does not decode', Uint8Array.of(1, 2, 3)],
    ['a message above 1 MiB', new Uint8Array((1 << 20) + 1)],
    ['a control message that does not decode', '{"type":"go"}'],
    ['a second hello', '{"type":"hello"}'],
  ])('ends the connection that sends %s, and no other', async (_, message) => {
    await start();
    const [, b] = await join2();
    const socket = await hello(PARTIES[0]);
    const closed = new Promise((resolve) => socket.once('close', resolve));
    socket.send(message);
    await closed;
    expect(b.relay.connected).toBe(true);
    expect((await fetch(`${coordinator.url}/v1/room`)).status).toBe(200);
  });

  it('holds a sender back while its receiver takes nothing, and loses nothing', async () => {
    await start();
    const { pipe, raw } = await runningWith();
    const [total, seen]: [number, number[]] = [240, []];
    const done = new Promise<void>((resolve) =>
      raw.on('message', (data, isBinary) => {
        if (!isBinary) return;
        seen.push(decodeRelayFrame(data as Uint8Array).payload[0]!);
        if (seen.length === total) resolve();
      }),
    );
    raw.pause();
    let handedOver = 0;
    const sending = (async () => {
      for (; handedOver < total; handedOver += 1) {
        await pipe.send(new Uint8Array(256 * 1024).fill(handedOver));
      }
    })();
    let before = -1;
    while (handedOver !== before) {
      before = handedOver;
      await new Promise((resolve) => setTimeout(resolve, 150));
    }
    // 60 MB want through; 8 MB wait at the sender, 8 MB at the coordinator, the rest in the kernel.
    expect(handedOver).toBeLessThan(160);
    raw.resume();
    await Promise.all([sending, done]);
    expect(seen).toEqual(seen.map((_, i) => i));
  });

  it('disconnects a receiver that stalls its sender for good', async () => {
    await start({ stallTimeoutMs: 150 });
    const { a, id, pipe, raw } = await runningWith();
    raw.pause();
    const flood = (async () => {
      for (;;) await pipe.send(new Uint8Array(256 * 1024));
    })().catch(() => undefined);
    expect(await over(coordinator.url, id)).toMatchObject({
      state: 'failed',
      error: { code: 'PARTY_AWAY', party: PARTIES[1] },
    });
    raw.terminate();
    await a.close();
    await flood;
  });

  /** A running query whose second party is a bare socket. */
  async function runningWith() {
    const a = await fakeParty(coordinator.url, PARTIES[0]);
    parties.push(a);
    const raw = await hello(PARTIES[1]);
    const signed = submission();
    const id = signed.document.query_id;
    await post(coordinator.url, signed);
    const { plan_digest } = await a.next('query', id);
    sendReady(a, id);
    const ledger = statementOf(PARTIES[1], id);
    raw.send(JSON.stringify({ type: 'ready', query_id: id, ledger }));
    await a.next('reserve', id);
    const [own, other] = PARTIES.map((p) => goOf(p, signed, plan_digest));
    sendGo(a, id, own);
    const extension = extensionOf(PARTIES[1]);
    raw.send(JSON.stringify({ type: 'go', query_id: id, go: other, extension }));
    await a.next('gos', id);
    return { a, id, raw, pipe: a.relay.pipe(id, PARTIES[1]) };
  }
});

// --- helpers ---

function sign(party: string, message: Uint8Array): Uint8Array {
  return signBytes(room.parties[party]!.identity.privateKey, message);
}

function concatFrame(bytes: number): Uint8Array {
  return new Uint8Array([
    ...encodeRelayHeader('newsnow', 'q'.repeat(20)),
    ...new Uint8Array(bytes),
  ]);
}

/** Resolves when the coordinator has handled everything this party said before. */
async function flush(party: FakeParty): Promise<void> {
  const { record } = await post(coordinator.url, submission());
  const order = await party.next('query', record.query_id);
  expect(order.query_id).toBe(record.query_id);
  const error = { code: 'TIMEOUT', fault: 'transport', message: 'flush', detail: {} } as const;
  party.relay.sendControl({ type: 'fail', query_id: record.query_id, error });
  await over(coordinator.url, record.query_id);
}

/** Opens a socket, says one thing, and returns everything heard until it is closed. */
async function speak(first: string | null): Promise<unknown[]> {
  const socket = new WebSocket(`${coordinator.url.replace('http', 'ws')}/v1/party`);
  const heard: unknown[] = [];
  socket.on('message', (data) => {
    heard.push(JSON.parse((data as Buffer).toString()));
    if (heard.length === 1 && first !== null) socket.send(first);
  });
  await new Promise((resolve) => socket.once('close', resolve));
  return heard;
}

/** A welcome socket without a client around it. */
async function hello(party: string): Promise<WebSocket> {
  const socket = new WebSocket(`${coordinator.url.replace('http', 'ws')}/v1/party`);
  await new Promise<void>((resolve) => {
    socket.on('message', (data, isBinary) => {
      if (isBinary) return;
      const message = JSON.parse((data as Buffer).toString()) as { type: string; nonce: string };
      if (message.type === 'welcome') resolve();
      if (message.type !== 'challenge') return;
      const { nonce } = message;
      const own = { room: room.policy.room, policy_digest: room.digest, party, nonce };
      const signature = toBase64Url(sign(party, helloBytes(own)));
      socket.send(JSON.stringify({ type: 'hello', version: 1, ...own, signature }));
    });
  });
  return socket;
}
