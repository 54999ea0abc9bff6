// Goal: an identical question on identical data and policy gets the same bytes again, for nothing:
// across restarts, only when every party says so of its own data, and never by the coordinator's word.
import { readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { verifyBundle, type Answer, type MpcBundle } from '../../src/client/index.ts';
import { startCoordinator, type Coordinator } from '../../src/coordinator/index.ts';
import { fromHex } from '../../src/core/bytes.ts';
import { importTable } from '../../src/party/index.ts';
import { signReplay, type Replay } from '../../src/records/index.ts';
import { bytesOf, chargesOf, replayRoom, run } from '../statistics/replay.ts';
import type { LiveRoom } from '../support/live-room.ts';
import { NEAR_MISSES, QUESTION, REWRITES } from '../support/rewrites.ts';

const MISS = NEAR_MISSES[0]![1];

it('privacy 10: 50 repetitions and 20 rewrites: the same bytes, charged once', async () => {
  for (const row of await run(false)) expect(row, row.what).toMatchObject({ pass: true });
}, 120_000);

describe('an identical question', () => {
  let room: LiveRoom;
  let first: Answer;
  let again: Answer;
  beforeAll(async () => {
    room = await replayRoom();
    first = await room.client.answer(QUESTION, { queryId: 'query-first-00001' });
    again = await room.client.answer(QUESTION);
  });
  afterAll(() => room.close());

  const charges = (): readonly number[] => ['shopgood', 'newsnow'].map((p) => chargesOf(room, p));
  const restart = async (party: string, change: () => Promise<void> | void = () => undefined) => {
    await room.nodes.get(party)!.close(500);
    await change();
    await room.startNode(party);
    await until(async () => (await room.client.room()).parties.every(({ connected }) => connected));
  };
  const importAgain = async (edit: (csv: string) => string): Promise<void> => {
    const file = join(room.dir, 'exposures.csv');
    const { readFileSync } = await import('node:fs');
    const text = readFileSync(file, 'utf8');
    writeFileSync(file, edit(text));
    const table = room.policy.parties[1]!.tables['exposures']!;
    const salt = fromHex(room.policy.identifier_salt, 32);
    const storePath = join(room.dir, 'newsnow.duckdb');
    await importTable({ file, tableName: 'exposures', table, salt, storePath });
    writeFileSync(file, text);
  };

  it('costs nothing, and says whose answer it is', () => {
    expect(first).toMatchObject({ replayOf: null, epsilonSpent: '1/2' });
    expect(again).toMatchObject({
      replayOf: first.queryId,
      epsilonSpent: '0',
      deltaSpent: '0',
      budgetLeft: null,
    });
    expect(again.rows).toEqual(first.rows);
    expect(bytesOf(again)).toEqual(bytesOf(first));
    expect(again.queryId).not.toBe(first.queryId);
    expect(charges()).toEqual([1, 1]);
  });

  it('has a receipt that says so, and names what is wrong in a tampered one', () => {
    const report = verifyBundle(again.bundle);
    expect(report.error).toBeNull();
    expect(report.queryId).toBe(again.queryId);
    expect(report.checks.find(({ name }) => name === 'run')?.says).toMatch(
      /answer of query query-first-00001 again/,
    );
    const own = again.bundle as MpcBundle;
    const evidence = own.replay!;
    const [one, two] = evidence.statements as [(typeof evidence.statements)[0], never];
    const state = (change: Partial<Replay> | { earlier: object }): unknown => {
      const document = { ...one.document, ...change } as Replay;
      const { privateKey } = room.keys[document.party]!.identity;
      return { ...evidence, statements: [signReplay(document, privateKey), two] };
    };
    const { earlier } = one.document;
    const hash = 'ab'.repeat(32);
    const lies: readonly [string, unknown, string, string | undefined][] = [
      ['no evidence', null, 'GO_INVALID', undefined],
      ['a statement dropped', { ...evidence, statements: [two] }, 'RECEIPT_INVALID', 'replay'],
      ['one twice', { ...evidence, statements: [one, one] }, 'RECEIPT_INVALID', 'replay'],
      [
        'a signature swapped',
        { ...evidence, statements: [{ ...one, signature: (two as typeof one).signature }, two] },
        'RECEIPT_INVALID',
        undefined,
      ],
      [
        'another question',
        state({ query_id: 'query-0000000009' }),
        'RECEIPT_INVALID',
        'replay.query_id',
      ],
      [
        'other SQL',
        state({ submission_digest: hash }),
        'RECEIPT_INVALID',
        'replay.submission_digest',
      ],
      ['another plan', state({ plan_digest: hash }), 'RECEIPT_INVALID', 'replay.plan_digest'],
      ['other data', state({ query_key: hash }), 'RECEIPT_INVALID', 'replay.query_key'],
      [
        'another run',
        state({ earlier: { ...earlier, session: hash } }),
        'RECEIPT_INVALID',
        'replay.earlier.session',
      ],
      [
        'another share',
        state({ earlier: { ...earlier, share_digest: hash } }),
        'RECEIPT_INVALID',
        'replay.earlier.share_digest',
      ],
      [
        'the question of now as the earlier one',
        { ...evidence, submission: own.submission },
        'GO_INVALID',
        undefined,
      ],
    ];
    for (const [what, replay, code, path] of lies) {
      const bundle = { ...own, replay } as MpcBundle;
      const { error } = verifyBundle(bundle);
      expect(error, what).toMatchObject({ code });
      if (path !== undefined) expect(error!.detail.path, what).toBe(path);
    }
  });

  it('gets the same bytes after every node was started again', async () => {
    await restart('shopgood');
    await restart('newsnow');
    const later = await room.client.answer(REWRITES[7]![1]);
    expect(later.replayOf).toBe(first.queryId);
    expect(bytesOf(later)).toEqual(bytesOf(first));
    expect(charges()).toEqual([1, 1]);
  });

  it('under its own id again: the same bytes, also from a coordinator that knows of nothing', async () => {
    const { port } = new URL(room.coordinator.url);
    await room.coordinator.close();
    const fresh = await startCoordinator({
      packet: room.packet,
      host: '127.0.0.1',
      port: Number(port),
      dataDir: join(room.dir, 'another-coordinator'),
      log: pino({ level: 'silent' }),
      limits: { drainTimeoutMs: 500 },
    });
    (room as { coordinator: Coordinator }).coordinator = fresh;
    await until(async () => (await room.client.room()).parties.every(({ connected }) => connected));
    const same = await room.client.answer(QUESTION, { queryId: first.queryId });
    expect(bytesOf(same)).toEqual(bytesOf(first));
    await expect(room.client.answer(MISS, { queryId: first.queryId })).rejects.toMatchObject({
      code: 'QUERY_ID_REUSED',
    });
    expect(charges()).toEqual([1, 1]);
  });

  it('is run and charged again when one party changed one cell of its data', async () => {
    await restart('newsnow', () => importAgain((csv) => csv.replace(/2025-10-0\d/, '2025-10-09')));
    const other = await room.client.answer(QUESTION);
    expect(other.replayOf).toBeNull();
    expect(charges()).toEqual([2, 2]);
    // The budget is spent, and the answer on the new data is still free.
    const free = await room.client.answer(QUESTION);
    expect(free.replayOf).toBe(other.queryId);
    await expect(room.client.answer(MISS)).rejects.toMatchObject({ code: 'BUDGET_EXHAUSTED' });
  });

  it('needs the answer of every party: one that lost its own has nothing to give again', async () => {
    await restart('newsnow', () => {
      for (const name of readdirSync(join(room.dir, 'newsnow-answers'))) {
        rmSync(join(room.dir, 'newsnow-answers', name));
      }
    });
    await expect(room.client.answer(QUESTION)).rejects.toMatchObject({ code: 'BUDGET_EXHAUSTED' });
    expect(charges()).toEqual([2, 2]);
  });
});

it('is run again, and charged, where the policy says so', async () => {
  const room = await replayRoom({ cache_identical_queries: false });
  try {
    const first = await room.client.answer(QUESTION);
    const second = await room.client.answer(QUESTION);
    expect([first.replayOf, second.replayOf]).toEqual([null, null]);
    expect(bytesOf(second)).not.toEqual(bytesOf(first));
    expect(chargesOf(room, 'newsnow')).toBe(2);
  } finally {
    await room.close();
  }
});

async function until(condition: () => Promise<boolean>): Promise<void> {
  for (let i = 0; i < 200; i += 1) {
    if (await condition().catch(() => false)) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error('the room did not come together');
}
