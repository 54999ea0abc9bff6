// Goal: an identical question to an enclave gets the same bytes again, for nothing and without an
// enclave: across restarts, on the word of every party, never from the other backend; and whoever
// keeps the record and swaps any of it is caught by the analyst's client, with a code.
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { formatBundle, parseBundle, verifyBundle, type Answer } from '../../src/client/index.ts';
import { startCoordinator, type Coordinator } from '../../src/coordinator/index.ts';
import type { QueryRecord } from '../../src/records/index.ts';
import { SIMULATION_NOTICE } from '../../src/tee-adapter/simulated.ts';
import { chargesOf, REPLAY_RULES } from '../statistics/replay.ts';
import { testHost, withEnclave } from '../support/enclave-host.ts';
import { liveRoom, type LiveRoom } from '../support/live-room.ts';
import { dice, randomRows } from '../support/random-room.ts';
import { NEAR_MISSES, QUESTION, REWRITES } from '../support/rewrites.ts';
import { roomPolicy } from '../support/room-policy.ts';

const MISS = NEAR_MISSES[0]![1];
const TEE = { backend: 'tee' } as const;
const host = testHost();

/** What a hostile coordinator makes of a finished record; honest unless a test says otherwise. */
let served = (record: QueryRecord): unknown => record;
const hostileFetch: typeof fetch = async (input, init) => {
  const response = await fetch(input, init);
  const body = (await response.json()) as QueryRecord;
  const said = body.state === 'answered' ? served(body) : body;
  return Response.json(said, { status: response.status });
};

let room: LiveRoom;
let first: Answer;
let again: Answer;
/** Of finished queries, as they came. */
const records = new Map<string, QueryRecord>();

beforeAll(async () => {
  const rows = randomRows(dice(10), 60, 2, true);
  const policy = withEnclave(roomPolicy(REPLAY_RULES));
  room = await liveRoom(policy, rows, hostileFetch, true, { enclaveHost: host });
  served = (record) => (records.set(record.query_id, record), record);
  first = await room.client.answer(QUESTION, { ...TEE, queryId: 'query-first-00001' });
  // At once: the answer is there before every party's disk has it.
  again = await room.client.answer(QUESTION, { ...TEE, queryId: 'query-again-00001' });
});
afterAll(() => room.close());
afterEach(() => {
  served = (record) => record;
});

const charges = (): readonly number[] => ['shopgood', 'newsnow'].map((p) => chargesOf(room, p));
/** What the enclave and the parties signed then, and what opened. */
function bytesOf({ bundle }: Answer): string {
  if (bundle.backend !== 'tee') throw new Error('the question is for an enclave');
  const { gos, greeting, authorisations, envelope, opening } = bundle;
  return JSON.stringify([gos, greeting, authorisations, envelope, opening]);
}

async function until(condition: () => Promise<boolean>): Promise<void> {
  for (let i = 0; i < 200; i += 1) {
    if (await condition().catch(() => false)) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error('the room did not come together');
}
const together = () =>
  until(async () => (await room.client.room()).parties.every(({ connected }) => connected));

async function newCoordinator(dataDir: string): Promise<void> {
  const { port } = new URL(room.coordinator.url);
  await room.coordinator.close();
  (room as { coordinator: Coordinator }).coordinator = await startCoordinator({
    ...{ packet: room.packet, host: '127.0.0.1', port: Number(port), enclaveHost: host },
    dataDir: join(room.dir, dataDir),
    log: pino({ level: 'silent' }),
    limits: { drainTimeoutMs: 500 },
  });
  await together();
}

it('costs nothing, starts no enclave, and says whose answer it is', () => {
  expect(first).toMatchObject({ replayOf: null, epsilonSpent: '1/2' });
  expect(again).toMatchObject({
    ...{ replayOf: first.queryId, epsilonSpent: '0', deltaSpent: '0', budgetLeft: null },
    backend: 'tee',
  });
  expect(again.rows).toEqual(first.rows);
  expect(again.labels[0]).toBe(SIMULATION_NOTICE);
  expect(bytesOf(again)).toBe(bytesOf(first));
  expect(charges()).toEqual([1, 1]);
  expect(host.started).toBe(1);
});

it('has a receipt that verifies offline and says that it is an earlier answer', () => {
  const report = verifyBundle(parseBundle(formatBundle(again.bundle)));
  expect(report.error).toBeNull();
  expect(report.queryId).toBe(again.queryId);
  const { says } = report.checks.find(({ name }) => name === 'enclave')!;
  expect(says).toMatch(/gets the answer of query query-first-00001 again/);
  expect(report.checks.map(({ name }) => name)).toContain('answer');
});

describe('gets the same bytes', () => {
  it('written in other ways, laid out as asked', async () => {
    for (const at of [7, 17, 19]) {
      const [what, sql] = REWRITES[at]!;
      const rewritten = await room.client.answer(sql, TEE);
      expect(bytesOf(rewritten), what).toBe(bytesOf(first));
      expect(verifyBundle(rewritten.bundle).error, what).toBeNull();
    }
    expect(charges()).toEqual([1, 1]);
  });

  it('after every node and the coordinator were started again, and under its own id', async () => {
    for (const party of ['shopgood', 'newsnow']) {
      await room.nodes.get(party)!.close(500);
      await room.startNode(party);
    }
    await newCoordinator('coordinator');
    const later = await room.client.answer(QUESTION, TEE);
    expect(later.replayOf).toBe(first.queryId);
    const same = await room.client.answer(QUESTION, { ...TEE, queryId: first.queryId });
    for (const answer of [later, same]) expect(bytesOf(answer)).toBe(bytesOf(first));
    await expect(
      room.client.answer(MISS, { ...TEE, queryId: first.queryId }),
    ).rejects.toMatchObject({ code: 'QUERY_ID_REUSED' });
    expect(charges()).toEqual([1, 1]);
    expect(host.started).toBe(1);
  });
});

describe('a coordinator that swaps the record it keeps is caught', () => {
  let other: QueryRecord;
  beforeAll(async () => {
    served = (record) => (records.set(record.query_id, record), record);
    // Shares are not served by an enclave's answer: this is run, and charged.
    const onShares = await room.client.answer(QUESTION, { backend: 'mpc' });
    expect(onShares.replayOf).toBeNull();
    expect(charges()).toEqual([2, 2]);
    other = records.get(onShares.queryId)!;
  });

  const ofAgain = (): QueryRecord => records.get(again.queryId)!;
  const statements = () => ofAgain().replay!.statements;
  const lies: readonly [string, (record: QueryRecord) => unknown, string][] = [
    [
      'the earlier answer as this one',
      (record) => ({ ...record, replay: undefined }),
      'GO_INVALID',
    ],
    [
      'with the sealed answer changed',
      (record) => {
        const { outcome } = record.enclave!;
        const { ciphertext } = outcome!.sealed;
        const turned = `${ciphertext.startsWith('A') ? 'B' : 'A'}${ciphertext.slice(1)}`;
        const sealed = { ...outcome!.sealed, ciphertext: turned };
        return { ...record, enclave: { ...record.enclave, outcome: { ...outcome, sealed } } };
      },
      'RESULT_INVALID',
    ],
    ['without the answer', (record) => ({ ...record, enclave: undefined }), 'RESULT_INVALID'],
    [
      'with statements on another question',
      (record) => ({ ...record, replay: ofAgain().replay }),
      'RECEIPT_INVALID',
    ],
    [
      'without one party’s word',
      (record) => edit(record, { statements: record.replay!.statements.slice(1) }),
      'RECEIPT_INVALID',
    ],
    ['without any', (record) => edit(record, { statements: [] }), 'RECEIPT_INVALID'],
    [
      'with one party’s word twice',
      (record) => edit(record, { statements: [...record.replay!.statements, statements()[0]] }),
      'RECEIPT_INVALID',
    ],
    [
      'appraised at another time',
      (record) => {
        const [one, two] = record.replay!.statements;
        const { document } = one!;
        const earlier = { ...document.earlier, appraised_at: '2026-01-01T00:00:00.000Z' };
        return edit(record, { statements: [{ ...one, document: { ...document, earlier } }, two] });
      },
      'RECEIPT_INVALID',
    ],
    [
      'of shares',
      (record) => ({
        ...{ ...record, gos: other.gos, answers: other.answers, enclave: undefined },
      }),
      'RESULT_INVALID',
    ],
  ];
  const edit = (record: QueryRecord, change: object): unknown => ({
    ...record,
    replay: { ...record.replay, ...change },
  });

  it.each(lies)('%s', async (_, lie, code) => {
    served = lie;
    await expect(room.client.answer(QUESTION, TEE)).rejects.toMatchObject({ code });
  });
});

it('serves no other backend, and is run or refused when its record or a party’s word is lost', async () => {
  // The budget is spent: what is not given again is refused.
  const refused = { code: 'BUDGET_EXHAUSTED' };
  expect((await room.client.answer(QUESTION, { backend: 'mpc' })).epsilonSpent).toBe('0');
  expect((await room.client.answer(QUESTION, TEE)).epsilonSpent).toBe('0');
  await newCoordinator('another-coordinator');
  await expect(room.client.answer(QUESTION, TEE)).rejects.toMatchObject(refused);
  expect((await room.client.answer(QUESTION, { backend: 'mpc' })).epsilonSpent).toBe('0');
  await newCoordinator('coordinator');
  expect((await room.client.answer(QUESTION, TEE)).replayOf).toBe(first.queryId);
  await room.nodes.get('newsnow')!.close(500);
  rmSync(join(room.dir, 'newsnow-answers'), { recursive: true });
  await room.startNode('newsnow');
  await together();
  await expect(room.client.answer(QUESTION, TEE)).rejects.toMatchObject(refused);
  expect(charges()).toEqual([2, 2]);
});
