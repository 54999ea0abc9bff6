import type { Channel } from '../../core/channel.ts';
import { expect } from '../../core/errors.ts';
import type { OnProgress } from '../../core/progress.ts';
import type { Rng } from '../../core/rng.ts';
import type { Calibration } from '../../dp/index.ts';
import type { OtSeeds } from '../../protocols/ot/index.ts';
import type { Plan, Side } from '../../sql/plan.ts';
import type { LocalTable, OutputShare } from '../types.ts';
import { vetAnswer } from './finish.ts';
import { openMesh } from './mesh.ts';
import type { Mesh } from './mesh.ts';
import { addTotals, runShard, totalsBytes } from './shard.ts';
import { dealShards } from './shards.ts';
import type { LaneStock } from './stock.ts';

export interface FinishOptions {
  readonly plan: Plan;
  readonly calibration: Calibration;
  readonly side: Side;
  /** A lane of the finish alone. */
  readonly mesh: Mesh;
  /** Streams of the finish alone, by side; null at this party's own. */
  readonly channels: readonly (Channel | null)[];
  /** This party's share of all shards' totals together. */
  readonly totals: Uint8Array;
  readonly onProgress: OnProgress;
}

/**
 * From shares of the totals to this party's share of the vetted answer: joint noise, threshold and
 * sentinel. Ends when every party has ended, so that nobody leaves while its last message is on
 * its way. Model, source and cost: `vetAnswer`.
 */
export async function finishRun(options: FinishOptions): Promise<OutputShare> {
  const { plan, calibration, side, mesh, channels, totals, onProgress } = options;
  expect(totals.length === totalsBytes(plan), 'one total per measure and group');
  const bytes = totals.length / plan.measures.length;
  const perMeasure = plan.measures.map((_, m) => totals.subarray(m * bytes, (m + 1) * bytes));
  const share = await vetAnswer(mesh.sharing, plan, calibration, perMeasure);
  await Promise.all(
    channels.map(async (channel, peer) => {
      if (channel === null || peer === side) return;
      const done = channel.sub('done');
      await Promise.all([done.send('done', new Uint8Array([side])), done.recv('done', 1)]);
    }),
  );
  onProgress({ stage: 'vet', done: 1, total: 1 });
  return share;
}

/** What one party hands to a run. */
export interface RunOptions {
  readonly plan: Plan;
  readonly calibration: Calibration;
  /** 0 runs the pivot's part. */
  readonly side: Side;
  readonly table: LocalTable;
  /** Base OTs with every other party, by side; see `setUpOts`. */
  readonly seeds: readonly (OtSeeds | null)[];
  /** Streams of this run's own with every other party, by side. */
  readonly channels: readonly (Channel | null)[];
  /** 32 bytes all parties agree on and never use again; labels every derived key. */
  readonly sessionId: Uint8Array;
  readonly rng: Rng;
  readonly onProgress: OnProgress;
  /** Correlations made ahead by all parties for this run alone. Consumed. */
  readonly stock?: RunStock;
}

/** One party's correlations for a whole run. */
export interface RunStock {
  readonly shards: readonly LaneStock[];
  readonly finish: LaneStock;
}

/**
 * Runs one party's part of a whole plan on the calling thread, shard after shard: join, predicate,
 * aggregation, noise and threshold, all on shares. Learns nothing but its own share of the vetted
 * answer. A node runs the same steps in worker threads.
 *
 * Model: semi-honest, all parties but one may collude.
 * @throws ParleyError of the channels and of the protocols (fault `peer` or `transport`).
 */
export async function runPlan(options: RunOptions): Promise<OutputShare> {
  const { plan, side, seeds, sessionId, rng, onProgress } = options;
  const lane = (
    name: string,
    stock: LaneStock | null = null,
  ): { mesh: Mesh; channels: readonly (Channel | null)[] } => {
    const channels = options.channels.map((channel) => channel?.sub(name) ?? null);
    const parties = plan.sides.length;
    return { channels, mesh: openMesh({ side, parties, channels, seeds, sessionId, rng }, stock) };
  };
  const dealt = dealShards(plan, side, options.table, sessionId);
  let totals: Uint8Array = new Uint8Array(totalsBytes(plan));
  for (let shard = 0; shard < dealt.shards; shard += 1) {
    const table = dealt.table(shard);
    const opened = lane(`s${shard}.a0`, options.stock?.shards[shard]);
    const part = { plan, side, table, sessionId, rng, onProgress, ...opened };
    totals = addTotals(totals, await runShard(part));
    onProgress({ stage: 'shards', done: shard + 1, total: dealt.shards });
  }
  const { calibration } = options;
  const opened = lane('finish', options.stock?.finish);
  return finishRun({ plan, calibration, side, totals, onProgress, ...opened });
}
