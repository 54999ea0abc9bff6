// Goal: processes of a room are killed in the middle of a query of 16 shards, and the query ends with
// the exact answer or its code, in time, everywhere; what was finished before is not done again; one
// query id is charged once and its noise is drawn once.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { newQueryId } from '../../src/client/index.ts';
import {
  cellsOf,
  EXACT,
  PARTIES,
  shardRoom,
  SHARDS,
  SQL,
  type ShardRoom,
} from '../support/shard-room.ts';

let room: ShardRoom;

const runsOf = (party: string): string => join(room.folderOf(party), 'runs');
const runOf = (party: string, queryId: string, file = ''): string =>
  join(runsOf(party), createHash('sha256').update(queryId).digest('hex'), file);
const ledgerOf = (party: string): string => join(room.folderOf(party), 'ledger', 'ledger.jsonl');
const entriesOf = (party: string, queryId: string): string[] =>
  readFileSync(ledgerOf(party), 'utf8')
    .split('\n')
    .filter((line) => line.includes(queryId))
    .map((line) => (JSON.parse(line) as { entry: { kind: string } }).entry.kind);
/** Attempts of one query's shards a party finished, in order. */
const finished = (party: string, queryId: string): { shard: number; attempt: number }[] =>
  room
    .log(party)
    .filter((line) => line.msg === 'shard finished' && line['query_id'] === queryId)
    .map((line) => ({ shard: Number(line['shard']), attempt: Number(line['attempt']) }));

const logged = (party: string, msg: string, queryId: string) =>
  room.log(party).filter((line) => line.msg === msg && line['query_id'] === queryId);
const stockOf = (party: string): string => join(room.folderOf(party), 'stock');
/** Batches a party's journal has as taken, in order. */
const takenBy = (party: string): unknown[] =>
  readFileSync(join(stockOf(party), 'used.jsonl'), 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => (JSON.parse(line) as { entry: { kind: string; batch?: string } }).entry)
    .flatMap(({ kind, batch }) => (kind === 'taken' ? [batch] : []));

async function until(what: string, probe: () => boolean, everyMs = 2): Promise<void> {
  const deadline = performance.now() + 30_000;
  while (!probe()) {
    if (performance.now() > deadline) throw new Error(`waited in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
}

const nothingKept = (): boolean =>
  PARTIES.every((party) => readdirSync(runsOf(party)).length === 0);

/** Asks, and resolves with how it ended. */
async function ask(queryId: string): Promise<{ code: string; cells: number[]; party?: string }> {
  try {
    return { code: 'answered', cells: cellsOf(await room.client.answer(SQL, { queryId })) };
  } catch (error) {
    const { code, detail } = error as { code: string; detail: { party?: string } };
    return { code, cells: [], ...detail };
  }
}

describe('a query of 16 shards', () => {
  // A room of approvals, so that whatever is resumed was approved, and used its approval up once.
  beforeAll(async () => {
    room = await shardRoom({ approved: true });
    expect(await ask(newQueryId())).toMatchObject({ code: 'QUERY_NOT_APPROVED' });
    for (const party of PARTIES) room.approve(party, 100);
  });
  afterAll(() => room.close());

  const usesOf = (party: string): number =>
    readFileSync(join(room.folderOf(party), 'approvals/used.log'), 'utf8')
      .trimEnd()
      .split('\n').length;

  it.each([[[1]], [[0, 1]]])('survives kill -9 of parties %j', async (victims) => {
    const queryId = newQueryId();
    const ending = ask(queryId);
    const killed = victims.map((v) => PARTIES[v]!);
    await until('a few shards', () => PARTIES.every((p) => finished(p, queryId).length >= 5));
    await Promise.all(killed.map((party) => room.kill(party)));
    const before = PARTIES.map((party) => finished(party, queryId).map(({ shard }) => shard));
    const both = before[0]!.filter((shard) => before[1]!.includes(shard));
    await Promise.all(killed.map((party) => room.restart(party)));
    expect(await ending).toMatchObject({ code: 'answered', cells: EXACT });

    for (const party of PARTIES) {
      const all = finished(party, queryId);
      const again = all.filter(({ attempt }) => attempt >= 3).map(({ shard }) => shard);
      // A shard is on disk before it is logged: what both logged before is held by both.
      expect(again.filter((shard) => both.includes(shard))).toEqual([]);
      expect(both.length).toBeGreaterThanOrEqual(4);
      expect(new Set(all.map(({ shard }) => shard)).size).toBe(SHARDS);
      // No attempt of a shard is ever run twice.
      const attempts = all.map(({ shard, attempt }) => `${shard} ${attempt}`);
      expect(new Set(attempts).size).toBe(attempts.length);
      expect(entriesOf(party, queryId)).toEqual(['reserve', 'peer_head', 'commit']);
      expect(usesOf(party)).toBe(victims.length);
    }
    await until('the runs to be removed', nothingKept);
  });

  it('survives kill -9 of a party that had taken stock, and uses no batch twice', async () => {
    const { client } = room;
    await client.prepare(SQL);
    await client.prepare(SQL);
    const queryId = newQueryId();
    const ending = ask(queryId);
    await until('a few shards', () => PARTIES.every((p) => finished(p, queryId).length >= 5));
    await room.kill('newsnow');
    const batch = logged('newsnow', 'stock taken', queryId)[0]!['batch'];
    expect(PARTIES.map(takenBy)).toEqual([[batch], [batch]]);
    await room.restart('newsnow');
    expect(await ending).toMatchObject({ code: 'answered', cells: EXACT });

    for (const party of PARTIES) {
      // The second batch is there, yet the second epoch makes its own correlations.
      expect(logged(party, 'stock taken', queryId)).toHaveLength(1);
      expect(logged(party, 'computed', queryId).at(-1)).toMatchObject({ batch: null });
      const attempts = finished(party, queryId).map(({ attempt }) => attempt);
      expect(attempts).toEqual(expect.arrayContaining([0, 3]));
      expect(entriesOf(party, queryId)).toEqual(['reserve', 'peer_head', 'commit']);
    }
    const next = newQueryId();
    expect(await ask(next)).toMatchObject({ code: 'answered', cells: EXACT });
    const other = PARTIES.map((party) => logged(party, 'computed', next)[0]!['batch']);
    expect(other[0]).toMatch(/^[0-9a-f]{64}$/);
    expect(other[0]).not.toBe(batch);
    expect(PARTIES.map(takenBy)).toEqual([
      [batch, other[1]],
      [batch, other[0]],
    ]);
    await until('the runs to be removed', nothingKept);
  });

  it('what is to be prepared fails at once when a party is killed, and leaves nothing', async () => {
    const queryId = newQueryId();
    const ending = room.client.prepare(SQL, { queryId }).catch((error: unknown) => error);
    const batchesOf = (party: string): string[] =>
      readdirSync(stockOf(party)).filter((name) => name.length === 64);
    await until('a batch in the making', () => PARTIES.every((p) => batchesOf(p).length > 0));
    await room.kill('newsnow');
    expect(await ending).toMatchObject({ code: 'PARTY_AWAY', detail: { party: 'newsnow' } });
    await until('shopgood to erase it', () => batchesOf('shopgood').length === 0);
    await room.restart('newsnow');
    await until('newsnow to erase it', () => batchesOf('newsnow').length === 0);
    for (const party of PARTIES) expect(entriesOf(party, queryId)).toEqual([]);
    expect(nothingKept()).toBe(true);
    expect(await ask(newQueryId())).toMatchObject({ code: 'answered', cells: EXACT });
  });

  it('is answered when a party is killed after the finish, with what it had answered', async () => {
    const queryId = newQueryId();
    const ending = ask(queryId);
    await until('an answer on disk', () => existsSync(runOf('newsnow', queryId, 'answer')), 1);
    await room.kill('newsnow');
    await room.restart('newsnow');
    expect(await ending).toMatchObject({ code: 'answered', cells: EXACT });
    expect(entriesOf('newsnow', queryId)).toEqual(['reserve', 'peer_head', 'commit']);
    await until('the runs to be removed', nothingKept);
  });

  it('fails at everybody when the coordinator is killed, and the room goes on', async () => {
    const queryId = newQueryId();
    const ending = ask(queryId);
    await until('a few shards', () => finished('shopgood', queryId).length >= 3);
    await room.kill('coordinator');
    await room.restart('coordinator', '--resume-grace', '2');
    expect(await ending).toMatchObject({ code: 'COORDINATOR_AWAY' });
    await until('the runs to be removed', nothingKept);
    for (const party of PARTIES)
      expect(entriesOf(party, queryId)).toEqual(['reserve', 'peer_head']);
  });

  it('fails with PARTY_AWAY at everybody when the party stays away', async () => {
    const queryId = newQueryId();
    const ending = ask(queryId);
    await until('a few shards', () => finished('shopgood', queryId).length >= 3);
    await room.kill('newsnow');
    expect(await ending).toMatchObject({ code: 'PARTY_AWAY', party: 'newsnow' });
    const left = (party: string): boolean => existsSync(runOf(party, queryId));
    await until('shopgood to remove the run', () => !left('shopgood'));
    expect(left('newsnow')).toBe(true);
    await room.restart('newsnow');
    await until('newsnow to remove the run', () => !left('newsnow'));
    expect(await ask(queryId)).toMatchObject({ code: 'PARTY_AWAY' });
    expect(entriesOf('shopgood', queryId)).toEqual(['reserve', 'peer_head']);
  });

  const limit = (party: string, bytes: number): void => {
    const args = ['--pid', `${room.pidOf(party)}`, `--fsize=${bytes}`];
    execFileSync('prlimit', args);
  };
  const canLimit = ((): boolean => {
    try {
      return execFileSync('prlimit', ['--version']).length > 0;
    } catch {
      return false;
    }
  })();

  // RLIMIT_FSIZE: every write beyond so many bytes of a file fails, as on a full disk.
  it.skipIf(!canLimit).each<[string, (queryId: string) => number, string[]]>([
    ['a shard', () => 10, ['reserve', 'peer_head']],
    ['the release', () => statSync(ledgerOf('newsnow')).size + 10, ['reserve', 'peer_head']],
  ])('releases nothing when the disk is full for %s', async (_, bytes, entries) => {
    const queryId = newQueryId();
    const ending = ask(queryId);
    await until('a shard', () => finished('newsnow', queryId).length >= 1, 1);
    limit('newsnow', bytes(queryId));
    expect(await ending).toMatchObject({ code: 'STORAGE_FAILED', party: 'newsnow' });
    expect(entriesOf('newsnow', queryId)).toEqual(entries);
    const { answers } = await room.client.wait(queryId);
    expect(answers).toEqual([]);
    await room.kill('newsnow');
    await room.restart('newsnow');
    await until('the runs to be removed', nothingKept);
  });
});

describe('a query whose finish is interrupted', () => {
  beforeAll(async () => {
    room = await shardRoom({ noise: true });
  });
  afterAll(() => room.close());

  it('fails with its code, and no second noise is drawn for its id', async () => {
    const queryId = newQueryId();
    const ending = ask(queryId);
    await until('the finish', () => existsSync(runOf('newsnow', queryId, 'finish')), 1);
    await room.kill('newsnow');
    expect(existsSync(runOf('newsnow', queryId, 'answer'))).toBe(false);
    await room.restart('newsnow');
    expect(await ending).toMatchObject({ code: 'FINISH_INTERRUPTED' });
    await until('the runs to be removed', nothingKept);
    // Asked again under the same id: the same error, no other run, no other charge.
    expect(await ask(queryId)).toMatchObject({ code: 'FINISH_INTERRUPTED' });
    for (const party of PARTIES) {
      expect(entriesOf(party, queryId)).toEqual(['reserve', 'peer_head']);
      expect(room.log(party).filter(({ msg }) => msg === 'resumed')).toEqual([]);
    }
  });
});
