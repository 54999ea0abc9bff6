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
import { Attempts, streamOf } from './attempts.ts';
import { agreeParameters, type RunParameters } from './parameters.ts';
import { openPeerPort, openProgressPort, type WorkerPool } from './pool.ts';
import { movedBuffers } from './moved.ts';
import type { PeerPort } from './worker.ts';

/** One party's part in a run, as its session hands it over. */
export interface NodeRun {
  readonly plan: Plan;
  readonly calibration: Calibration;
  readonly side: Side;
  /** Links with every other party, by side; null at this party's own. */
  readonly links: readonly (Link | null)[];
  readonly parameters: RunParameters;
  readonly sessionId: Uint8Array;
  readonly pool: WorkerPool;
  readonly signal: AbortSignal;
  readonly onProgress: OnProgress;
  readonly log: Logger;
}

/** Compares the parameters on every link, before anything else crosses it. */
export async function agreeOnAll({ links, parameters }: NodeRun): Promise<void> {
  await Promise.all(
    links.map(async (link) => {
      if (link !== null) await agreeParameters(link.root.sub('parameters'), parameters);
    }),
  );
}

/** Base OTs with every other party, in worker threads. */
export function setUpAll(run: NodeRun): Promise<readonly (OtSeeds | null)[]> {
  const { links, side, sessionId, plan, pool, signal } = run;
  return Promise.all(
    links.map(async (link, other): Promise<OtSeeds | null> => {
      if (link === null) return null;
      const peer = openPeerPort(link.root.sub('session'));
      const party = side < other ? 0 : 1;
      const k = plan.join.otFieldBits;
      const task = { kind: 'setUp', peer, party, k, sessionId } as const;
      return (await pool.run(task, [peer.port], { signal })) as OtSeeds;
    }),
  );
}

/**
 * Runs this party's part of a plan in worker threads: shards in order, at most `pool.workers` at
 * once, then the finish when every party has finished every shard at the same attempts. All shards
 * or no result; nothing is opened per shard.
 *
 * @throws ParleyError WORKER_LOST when a shard was tried too often, CANCELLED, and what links and
 *   protocols throw.
 */
export async function runShards(
  run: NodeRun,
  seeds: readonly (OtSeeds | null)[],
  table: LocalTable,
): Promise<OutputShare> {
  const { plan, side, sessionId, links } = run;
  const dealt = dealShards(plan, side, table, sessionId);
  const attempts = new Attempts({
    shards: dealt.shards,
    links,
    start: (shard, attempt, signal) => runShardTask(run, seeds, dealt, shard, attempt, signal),
    workers: run.pool.workers,
    signal: run.signal,
    onProgress: run.onProgress,
    log: run.log,
  });
  try {
    const finished = await attempts.finish();
    const zero: Uint8Array = new Uint8Array(totalsBytes(plan));
    const totals = finished.totals.reduce((sum, part) => addTotals(sum, part), zero);
    return await runFinish(run, seeds, totals, finished.attempts);
  } finally {
    attempts.stop();
    for (const own of seeds) if (own !== null) wipeSeeds(own);
  }
}

function peersOn(run: NodeRun, name: string): (PeerPort | null)[] {
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
  const { plan, side, sessionId, pool } = run;
  const peers = peersOn(run, streamOf(shard, attempt));
  const progress = openProgressPort(run.onProgress);
  const table = dealt.table(shard);
  const lane = { plan, side, seeds, sessionId, peers, progress };
  const moved = [...peers.flatMap((peer) => peer?.port ?? []), progress, ...movedBuffers(table)];
  return (await pool.run({ ...lane, kind: 'shard', table }, moved, { signal })) as Uint8Array;
}

async function runFinish(
  run: NodeRun,
  seeds: readonly (OtSeeds | null)[],
  totals: Uint8Array,
  attempts: readonly number[],
): Promise<OutputShare> {
  const { plan, side, sessionId, pool, calibration, signal } = run;
  // Parties that added up other attempts get unrelated keys and fail.
  const digest = createHash('sha256').update(attempts.join()).digest();
  const peers = peersOn(run, `finish.${toHex(digest).slice(0, 16)}`);
  const progress = openProgressPort(run.onProgress);
  const lane = { plan, side, seeds, sessionId, peers, progress };
  const task = { ...lane, kind: 'finish', calibration, totals } as const;
  const moved = [...peers.flatMap((peer) => peer?.port ?? []), progress];
  return (await pool.run(task, moved, { signal })) as OutputShare;
}
