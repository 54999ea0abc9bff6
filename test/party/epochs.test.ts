// Goal: a run that is broken off and resumed gives the plain answer, runs no shard again that all had
// finished, and uses no correlation twice: over all epochs and attempts no base OTs, no label of a
// lane and no masked message repeats. Buffers between threads move.
import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { pino } from 'pino';
import { afterAll, describe, expect, it } from 'vitest';
import type { Channel } from '../../src/core/channel.ts';
import { toHex } from '../../src/core/bytes.ts';
import { ParleyError } from '../../src/core/errors.ts';
import { aggregatePlain, releasePlain } from '../../src/engine/plain/index.ts';
import type { OutputShare } from '../../src/engine/types.ts';
import type { OtSeeds } from '../../src/engine/mpc/index.ts';
import type { HeldShard } from '../../src/party/checkpoints/index.ts';
import { Attempts, ATTEMPTS_MAX, firstAttemptOf } from '../../src/party/run/attempts.ts';
import { agreeHeld, epochIdOf } from '../../src/party/run/held.ts';
import { parametersOf } from '../../src/party/run/parameters.ts';
import { openPool, type WorkerPool } from '../../src/party/run/pool.ts';
import { agreeOnAll, runShards, setUpAll } from '../../src/party/run/runner.ts';
import { planDigest, planQuery, type Plan } from '../../src/sql/index.ts';
import type { Link } from '../../src/transport/index.ts';
import { calibrationOf, combine } from '../support/engine.ts';
import { linkMesh } from '../support/link-mesh.ts';
import { OPEN_RULES, roomPolicy } from '../support/room-policy.ts';
import { sameUsers } from '../support/tables.ts';

const log = pino({ level: 'silent' });
const SESSION = new Uint8Array(32).fill(9);

/** Everything single-use that a test saw, as text; adding one twice is the defect looked for. */
class UseLedger {
  readonly #seen = new Set<string>();
  readonly repeats: string[] = [];

  add(use: string): void {
    if (this.#seen.has(use)) this.repeats.push(use);
    this.#seen.add(use);
  }

  get size(): number {
    return this.#seen.size;
  }
}

const digest = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** The link, with every message that can hold a mask entered in the ledger, and moves counted. */
function watched(link: Link, way: string, uses: UseLedger, copies: string[]): Link {
  const wrap = (channel: Channel): Channel => ({
    path: channel.path,
    send(step, bytes) {
      // Shorter ones (lengths, control messages, seeds' indices) may be alike.
      if (bytes.length >= 16) uses.add(`message ${way}: ${digest(bytes)}`);
      return channel.send(step, bytes);
    },
    async recv(step, length) {
      const bytes = await channel.recv(step, length);
      if (bytes.byteLength !== bytes.buffer.byteLength) copies.push(`${channel.path}/${step}`);
      return bytes;
    },
    sub: (name) => wrap(channel.sub(name)),
  });
  return {
    root: wrap(link.root),
    get stats() {
      return link.stats;
    },
    closed: link.closed,
    drop: (name) => link.drop(name),
    close: () => link.close(),
    abort: (code) => link.abort(code),
  };
}

/** Notes under which labels lanes are opened and which base OTs they grow from. */
function watchedPool(
  inner: WorkerPool,
  party: number,
  uses: UseLedger,
  copies: string[],
): WorkerPool {
  let setUps = 0;
  return {
    ...inner,
    async run(task, moved, options) {
      if (task.kind === 'demand' || task.kind === 'sealInput')
        return inner.run(task, moved, options);
      // One set-up with every other party, in their order; a lane names all of them.
      const setUp = task.kind === 'setUp' ? setUps++ : 0;
      const peers = task.kind === 'setUp' ? [task.peer] : task.peers;
      peers.forEach((peer, other) => {
        if (peer === null) return;
        uses.add(`lane of ${party} with ${setUp + other}: ${toHex(task.sessionId)} ${peer.path}`);
      });
      const value = await inner.run(task, moved, options);
      if (task.kind === 'shard') {
        const { ids, valid, values } = task.table;
        for (const array of [ids, valid, ...Object.values(values)]) {
          if (array.byteLength > 0) copies.push('a table');
        }
      }
      if (task.kind === 'setUp') {
        const { delta, senderLeaves, receiverLeaves } = value as OtSeeds;
        for (const secret of [delta, senderLeaves, receiverLeaves]) {
          uses.add(`base OTs at ${party}: ${digest(secret)}`);
        }
      }
      return value;
    },
  };
}

function planOf(parties: number, shards: number): Plan {
  const join = { oprf: 'kkrt', ot_field_bits: 4, shard_users: 64 / shards } as const;
  const policy = roomPolicy({ ...OPEN_RULES, join }, 1, parties);
  const sql = 'SELECT COUNT(DISTINCT hashed_email) AS u, SUM(items) AS i FROM joined_data';
  return planQuery(policy, 'd'.repeat(64), sql, { epsilon: null });
}

interface Party {
  readonly shards: Map<number, HeldShard>;
  readonly pool: WorkerPool;
  /** Attempts finished, in order. */
  readonly finished: string[];
}

/** One epoch at all parties; stopped once each of them has so many shards. */
async function epochOf(
  plan: Plan,
  parties: readonly Party[],
  epoch: number,
  uses: UseLedger,
  copies: string[],
  stopAfter = Infinity,
): Promise<PromiseSettledResult<OutputShare>[]> {
  const links = await linkMesh(parties.length, `q/e${epoch}`);
  const stop = new AbortController();
  const local = sameUsers(plan, 50);
  const runs = parties.map(async ({ shards, pool, finished }, side) => {
    const run = {
      plan,
      calibration: calibrationOf(plan),
      side,
      links: links[side]!.map((link, other) =>
        link === null ? null : watched(link, `${side} to ${other}`, uses, copies),
      ),
      parameters: parametersOf(plan, planDigest(plan), 'ab'.repeat(32), epoch),
      sessionId: SESSION,
      epochId: epochIdOf(SESSION, epoch),
      epoch,
      keep: {
        shards,
        async saveShard(shard: number, attempt: number, totals: Uint8Array) {
          finished.push(`${shard}.${attempt}`);
          shards.set(shard, { attempt, totals });
          if (parties.every((party) => party.shards.size >= stopAfter)) stop.abort();
        },
        beginFinish: () => Promise.resolve(),
      },
      pool: watchedPool(pool, side, uses, copies),
      signal: stop.signal,
      onProgress: () => undefined,
      log,
      batch: null,
    };
    await agreeOnAll(run);
    return runShards(run, await setUpAll(run), local[side]!);
  });
  const settled = await Promise.allSettled(runs);
  for (const link of links.flat()) link?.abort('CANCELLED');
  return settled;
}

describe('a resumed run', () => {
  const pools: WorkerPool[] = [];
  afterAll(() => Promise.all(pools.map((pool) => pool.close())));
  const partiesOf = (n: number): Party[] =>
    Array.from({ length: n }, () => {
      const pool = openPool(1, 2);
      pools.push(pool);
      return { shards: new Map(), pool, finished: [] };
    });

  it.each([
    [2, 8],
    [3, 4],
  ])(
    'of %i parties and %i shards gives the plain answer and uses nothing twice',
    async (n, shards) => {
      const plan = planOf(n, shards);
      const parties = partiesOf(n);
      const [uses, copies] = [new UseLedger(), [] as string[]];
      const first = await epochOf(plan, parties, 0, uses, copies, Math.ceil(shards / 3));
      for (const result of first) expect(result).toMatchObject({ reason: { code: 'CANCELLED' } });
      // One of them has lost everything it finished but one shard.
      for (const shard of [...parties[1]!.shards.keys()].slice(1)) parties[1]!.shards.delete(shard);
      const second = await epochOf(plan, parties, 1, uses, copies, shards - 1);
      for (const result of second) expect(result).toMatchObject({ status: 'rejected' });
      const held = [...parties[0]!.shards].filter(([shard, { attempt }]) =>
        parties.every((party) => party.shards.get(shard)?.attempt === attempt),
      );
      expect(held.length).toBeGreaterThan(0);
      const before = parties.map(({ finished }) => finished.length);
      const third = await epochOf(plan, parties, 2, uses, copies);

      const shares = third.map((result) => {
        if (result.status === 'rejected') throw result.reason;
        return result.value;
      });
      const totals = aggregatePlain(plan, sameUsers(plan, 50));
      expect(combine(shares)).toEqual(releasePlain(plan, calibrationOf(plan), totals, () => 0n));
      for (const [i, { finished }] of parties.entries()) {
        const again = finished.slice(before[i]).map((name) => Number(name.split('.')[0]));
        expect(new Set(again).size).toBe(shards - held.length);
        expect(again.filter((shard) => held.some(([s]) => s === shard))).toEqual([]);
        expect(new Set(finished).size).toBe(finished.length);
      }
      expect(uses.size).toBeGreaterThan(100);
      expect(uses.repeats).toEqual([]);
      expect(copies).toEqual([]);
    },
    180_000,
  );

  it('that entered an epoch twice would be seen', async () => {
    const plan = planOf(2, 4);
    const parties = partiesOf(2);
    const uses = new UseLedger();
    await epochOf(plan, parties, 0, uses, [], 2);
    await epochOf(plan, partiesOf(2), 0, uses, []);
    const lanes = uses.repeats.filter((use) => use.startsWith('lane'));
    expect(lanes.length).toBeGreaterThan(4);
  }, 180_000);
});

describe('shards held', () => {
  it('count when all parties hold the same attempt, and only then', () =>
    fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 2, max: 4 }),
        fc.integer({ min: 1, max: 2 }),
        fc.array(fc.array(fc.option(fc.nat(2)), { minLength: 6, maxLength: 6 }), {
          minLength: 4,
          maxLength: 4,
        }),
        async (parties, epoch, lists) => {
          const links = await linkMesh(parties);
          const own = lists.map(
            (list) =>
              new Map(
                list.flatMap((attempt, shard) =>
                  attempt === null ? [] : [[shard, { attempt, totals: Uint8Array.of(attempt) }]],
                ),
              ),
          );
          const agreed = await Promise.all(
            links.map((to, i) => agreeHeld(to, { shards: 6, epoch, own: own[i]! })),
          );
          const expected = [0, 1, 2, 3, 4, 5].filter(
            (shard) =>
              lists[0]![shard] !== null &&
              lists.slice(0, parties).every((list) => list[shard] === lists[0]![shard]),
          );
          for (const map of agreed) expect([...map.keys()].sort()).toEqual(expected);
          for (const link of links.flat()) await link?.close();
        },
      ),
      { numRuns: 30 },
    ));

  it('of an epoch that has not been are refused, and attempts of one that is past too', async () => {
    const [own, peer] = await linkMesh(2);
    await peer![0]!.root.sub('held').send('attempts', Uint8Array.of(0, ATTEMPTS_MAX + 1));
    const claimed = agreeHeld(own!, { shards: 2, epoch: 1, own: new Map() });
    await expect(claimed).rejects.toMatchObject({ code: 'PEER_BAD_ENCODING' });

    const retry = new Uint8Array(9);
    retry[0] = 1;
    new DataView(retry.buffer).setUint32(5, firstAttemptOf(1));
    await peer![0]!.root.sub('control').send('control', retry);
    const attempts = new Attempts({
      shards: 1,
      epoch: 1,
      held: new Map(),
      links: own!,
      start: () => new Promise(() => undefined),
      workers: 1,
      signal: new AbortController().signal,
      onProgress: () => undefined,
      log,
    });
    await expect(attempts.finish()).rejects.toMatchObject({ code: 'PEER_BAD_ENCODING' });
    for (const link of [...own!, ...peer!]) link?.abort('CANCELLED');
  });

  it('are not started again, and workers that die start above every former attempt', async () => {
    const links = await linkMesh(2);
    const held = new Map([[1, { attempt: 2, totals: Uint8Array.of(77) }]]);
    const started: string[][] = [[], []];
    const runs = links.map((to, party) => {
      const attempts = new Attempts({
        shards: 3,
        epoch: 1,
        held,
        links: to,
        workers: 2,
        signal: new AbortController().signal,
        onProgress: () => undefined,
        log,
        async start(shard, attempt) {
          started[party]!.push(`${shard}.${attempt}`);
          await new Promise((resolve) => setTimeout(resolve, 5));
          if (party === 1 && shard === 2 && attempt === 3) throw new ParleyError('WORKER_LOST', '');
          return Uint8Array.of(shard, attempt);
        },
      });
      return attempts.finish();
    });
    for (const finished of await Promise.all(runs)) expect(finished.attempts).toEqual([3, 2, 4]);
    for (const names of started) expect(names.sort()).toEqual(['0.3', '2.3', '2.4']);
    for (const link of links.flat()) await link?.close();
  });
});
