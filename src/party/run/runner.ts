import { createHash } from 'node:crypto';
import type { Logger } from 'pino';
import { toHex } from '../../core/bytes.ts';
import type { Channel } from '../../core/channel.ts';
import type { OnProgress } from '../../core/progress.ts';
import type { Calibration } from '../../dp/index.ts';
import { addTotals, dealShards, totalsBytes, wipeSeeds } from '../../engine/mpc/index.ts';
import type { DealtTable, OtSeeds } from '../../engine/mpc/index.ts';
import type { LocalTable, OutputShare } from '../../engine/types.ts';
import type { Plan, Side } from '../../sql/index.ts';
import type { Link } from '../../transport/index.ts';
import type { HeldShard } from '../checkpoints/index.ts';
import { Attempts, streamOf } from './attempts.ts';
import { agreeHeld } from './held.ts';
import { agreeParameters, type RunParameters } from './parameters.ts';
import { openPeerPort, openProgressPort, type WorkerPool } from './pool.ts';
import { movedBuffers } from './moved.ts';
import { FINISH, laneOf } from '../stock/meta.ts';
import { laneFileOf } from '../stock/use.ts';
import type { TakenBatch } from '../stock/stock.ts';
import type { PeerPort } from './worker.ts';

/** What a run leaves behind at its party, so that a later epoch need not repeat it. */
export interface RunKeep {
  /** Finished shards of former epochs. */
  readonly shards: ReadonlyMap<number, HeldShard>;
  /** Durable when it resolves. */
  saveShard(shard: number, attempt: number, totals: Uint8Array): Promise<void>;
  /** Resolves when it is on record that the finish begins; the run is not repeated after. */
  beginFinish(): Promise<void>;
}

/** What one epoch takes place in, at one party: of a run, or of what prepares one. */
export interface RunSetting {
  readonly plan: Plan;
  readonly calibration: Calibration;
  readonly side: Side;
  /** Links with every other party, by side; null at this party's own. */
  readonly links: readonly (Link | null)[];
  readonly parameters: RunParameters;
  /** Of the goes: deals users into shards, alike in every epoch. */
  readonly sessionId: Uint8Array;
  /** Of this epoch of the session: labels every key. */
  readonly epochId: Uint8Array;
  readonly epoch: number;
  readonly pool: WorkerPool;
  readonly signal: AbortSignal;
  readonly onProgress: OnProgress;
  readonly log: Logger;
}

/** One party's part in a run, as its session hands it over. */
export interface NodeRun extends RunSetting {
  readonly keep: RunKeep;
  /**
   * Correlations made ahead for this run, which all parties have taken for it alone; null when they
   * are made in the run. Used by first attempts of the first epoch only.
   */
  readonly batch: TakenBatch | null;
}

/** Compares the parameters on every link, before anything else crosses it. */
export async function agreeOnAll({ links, parameters }: RunSetting): Promise<void> {
  await Promise.all(
    links.map(async (link) => {
      if (link !== null) await agreeParameters(link.root.sub('parameters'), parameters);
    }),
  );
}

/** Base OTs with every other party, in worker threads. */
export function setUpAll(run: RunSetting): Promise<readonly (OtSeeds | null)[]> {
  const { links, side, epochId, plan, pool, signal } = run;
  return Promise.all(
    links.map(async (link, other): Promise<OtSeeds | null> => {
      if (link === null) return null;
      const peer = openPeerPort(link.root.sub('session'));
      const party = side < other ? 0 : 1;
      const k = plan.join.otFieldBits;
      const task = { kind: 'setUp', peer, party, k, sessionId: epochId } as const;
      return (await pool.run(task, [peer.port], { signal })) as OtSeeds;
    }),
  );
}

/**
 * Runs this party's part of a plan in worker threads: shards in order, at most `pool.workers` at
 * once, then the finish when every party has finished every shard at the same attempts. Shards that
 * all parties still hold from a former epoch are taken as they are. All shards or no result;
 * nothing is opened per shard.
 *
 * @throws ParleyError WORKER_LOST when a shard was tried too often, STORAGE_FAILED when a shard
 *   cannot be kept, CANCELLED, and what links and protocols throw.
 */
export async function runShards(
  run: NodeRun,
  seeds: readonly (OtSeeds | null)[],
  table: LocalTable,
): Promise<OutputShare> {
  let attempts: Attempts | null = null;
  try {
    const dealt = dealShards(run.plan, run.side, table, run.sessionId);
    attempts = await attemptsOf(run, seeds, dealt);
    const finished = await attempts.finish();
    const zero: Uint8Array = new Uint8Array(totalsBytes(run.plan));
    const totals = finished.totals.reduce((sum, part) => addTotals(sum, part), zero);
    await run.keep.beginFinish();
    return await runFinish(run, seeds, totals, finished.attempts);
  } finally {
    attempts?.stop();
    for (const own of seeds) if (own !== null) wipeSeeds(own);
  }
}

async function attemptsOf(
  run: NodeRun,
  seeds: readonly (OtSeeds | null)[],
  dealt: DealtTable,
): Promise<Attempts> {
  const { links, epoch, keep } = run;
  const held = await agreeHeld(links, { shards: dealt.shards, epoch, own: keep.shards });
  if (epoch > 0) run.log.info({ epoch, shards: dealt.shards, held: held.size }, 'resumed');
  return new Attempts({
    shards: dealt.shards,
    epoch,
    held,
    links,
    start: async (shard, attempt, signal) => {
      const totals = await runShardTask(run, seeds, dealt, shard, attempt, signal);
      await keep.saveShard(shard, attempt, totals);
      run.log.debug({ shard, attempt }, 'shard finished');
      return totals;
    },
    workers: run.pool.workers,
    signal: run.signal,
    onProgress: run.onProgress,
    log: run.log,
  });
}

/** Ways to all other parties below a stream of that name. */
export function peersOn(run: RunSetting, name: string): (PeerPort | null)[] {
  return run.links.map((link) => {
    const channel: Channel | undefined = link?.root.sub(name);
    return channel === undefined ? null : openPeerPort(channel);
  });
}

async function runShardTask(
  run: NodeRun,
  seeds: readonly (OtSeeds | null)[],
  dealt: DealtTable,
  shard: number,
  attempt: number,
  signal: AbortSignal,
): Promise<Uint8Array> {
  const { plan, side, epochId, pool, batch } = run;
  const peers = peersOn(run, streamOf(shard, attempt));
  const first = run.epoch === 0 && attempt === 0;
  const stock = batch === null || !first ? null : laneFileOf(batch, laneOf(shard));
  const progress = openProgressPort(run.onProgress);
  const table = dealt.table(shard);
  const lane = { plan, side, seeds, sessionId: epochId, peers, progress };
  const moved = [...peers.flatMap((peer) => peer?.port ?? []), progress, ...movedBuffers(table)];
  const helpers = helpersPerShard(pool.workers, dealt.shards);
  const task = { ...lane, kind: 'shard', table, stock, helpers } as const;
  return (await pool.run(task, moved, { signal })) as Uint8Array;
}

/** Threads left for each shard in flight, when there are fewer shards than workers. */
function helpersPerShard(workers: number, shards: number): number {
  return Math.floor(workers / Math.min(workers, shards)) - 1;
}

async function runFinish(
  run: NodeRun,
  seeds: readonly (OtSeeds | null)[],
  totals: Uint8Array,
  attempts: readonly number[],
): Promise<OutputShare> {
  const { plan, side, epochId, pool, calibration, signal, batch } = run;
  // Parties that added up other attempts get unrelated keys and fail.
  const digest = createHash('sha256').update(attempts.join()).digest();
  const peers = peersOn(run, `finish.${toHex(digest).slice(0, 16)}`);
  const progress = openProgressPort(run.onProgress);
  const lane = { plan, side, seeds, sessionId: epochId, peers, progress };
  // Of a later epoch all shards may be held, none of them made in it.
  const first = run.epoch === 0 && attempts.every((attempt) => attempt === 0);
  const stock = batch === null || !first ? null : laneFileOf(batch, FINISH);
  const task = { ...lane, kind: 'finish', calibration, totals, stock } as const;
  const moved = [...peers.flatMap((peer) => peer?.port ?? []), progress];
  return (await pool.run(task, moved, { signal })) as OutputShare;
}
