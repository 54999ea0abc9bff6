import { bitBytes } from '../../protocols/ot/types.ts';
import { joinParameters } from '../../protocols/psi/index.ts';
import { groupCount, releasedMeasures } from '../../sql/index.ts';
import type { Plan } from '../../sql/plan.ts';
import { payloadLayout } from './payload.ts';

/** Sizes of a run that have a ceiling somewhere; public, they follow from the plan alone. */
export interface PlanSizes {
  /** Bytes each of the sender's users carries through the join; at most `PAYLOAD_BYTES_MAX`. */
  readonly payloadBytes: number;
  /** Bytes of the output share: open bits in whole lanes, then 8 per released measure and group. */
  readonly shareBytes: number;
}

export function planSizes(plan: Plan): PlanSizes {
  const { xorBytes, ringLanes } = payloadLayout(plan);
  const groups = groupCount(plan);
  return {
    payloadBytes: xorBytes + 8 * ringLanes,
    shareBytes: bitBytes(groups) + 8 * releasedMeasures(plan).length * groups,
  };
}

/**
 * LOCAL. Most elements of the widest step on pairs of slots, 512 MiB at 8 bytes each: what a node
 * holds in memory until shards bound it.
 */
export const PAIR_CELLS_MAX = 2 ** 26;

/** Elements of that step: padded bins × pairs of slots × measures. Capacities are in range. */
export function pairCells(plan: Plan): number {
  const [pivot, sender] = plan.sides;
  const { bins } = joinParameters(pivot.capacity, sender.capacity);
  return 8 * bitBytes(bins) * pivot.slots * sender.slots * plan.measures.length;
}
