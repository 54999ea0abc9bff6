import { bitBytes } from '../../protocols/ot/types.ts';
import { groupCount, releasedMeasures } from '../../sql/index.ts';
import type { Plan } from '../../sql/plan.ts';
import { payloadLayout } from './payload.ts';
import { shardJoin } from './shards.ts';
import { factorsOf, slotsOf } from '../values.ts';

/** Sizes of a run that have a ceiling somewhere; public, they follow from the plan alone. */
export interface PlanSizes {
  /** Bytes each user of a side carries through the join, by side; 0 for the pivot. */
  readonly payloadBytes: readonly number[];
  /** Bytes of the output share: open bits in whole lanes, then 8 per released measure and group. */
  readonly shareBytes: number;
}

export function planSizes(plan: Plan): PlanSizes {
  const groups = groupCount(plan);
  return {
    payloadBytes: plan.sides.map((_, side) => {
      if (side === 0) return 0;
      const { xorBytes, ringLanes } = payloadLayout(plan, side);
      return xorBytes + 8 * ringLanes;
    }),
    shareBytes: bitBytes(groups) + 8 * releasedMeasures(plan).length * groups,
  };
}

/**
 * LOCAL. Most elements of the widest step of one shard, 512 MiB at 8 bytes each; what a node
 * holds in memory is a small multiple of it per shard in flight.
 */
export const PAIR_CELLS_MAX = 2 ** 26;

/** Elements of that step: padded bins × combinations of slots × measures. Capacities fit. */
export function pairCells(plan: Plan): number {
  const { bins } = shardJoin(plan, 1);
  const combinations = plan.sides.reduce((n, planned) => n * slotsOf(planned), 1);
  const products = Math.max(plan.measures.length, factorsOf(plan).length);
  return 8 * bitBytes(bins) * combinations * products;
}
