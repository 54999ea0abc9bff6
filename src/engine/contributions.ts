/** Which joined rows of a user count under the plan's bounds: what both engines must agree on. */
import type { Plan, PlanContributions, Side } from '../sql/plan.ts';
import { groupSpace } from './groups.ts';
import { slotsOf } from './values.ts';

/**
 * The order in which a user's joined rows are counted. Combinations of slots are numbered by the
 * slots of the sides that own group keys first, then by those of the others, the last side's
 * fastest. Under a mixed key every combination is one of its own: any two may differ in the label.
 * Slots are filled by row key, a hash of the row's own content, so the order depends on that user's
 * rows alone. Public: follows from the plan.
 */
export interface ContributionOrder {
  /** Sides with group keys of their own, then the others. */
  readonly sides: readonly Side[];
  readonly owners: readonly Side[];
  /** Combinations of slots that settle the group: the owners', or all under a mixed key. */
  readonly keyed: number;
  /** Combinations of the other slots, in which rows of one group alone differ. */
  readonly others: number;
  /** Slots by side of combination `key · others + other`. */
  readonly slots: readonly (readonly number[])[];
}

/** Whether anything is left for the computation to cut. Public. */
export function boundsRows({ contributions }: Plan): boolean {
  return contributions?.partitions != null || contributions?.rowsPerPartition != null;
}

export function contributionOrder(plan: Plan): ContributionOrder {
  const space = groupSpace(plan);
  const all = plan.sides.map((_, side) => side);
  const owners = all.filter((side) => space.bySide[side]! > 1);
  const sides = [...owners, ...all.filter((side) => !owners.includes(side))];
  const counts = plan.sides.map(slotsOf);
  const product = (of: readonly Side[]): number => of.reduce((n, side) => n * counts[side]!, 1);
  const total = product(all);
  const keyed = space.labels > 1 ? total : product(owners);
  const slots = Array.from({ length: total }, (_, c) => {
    const at = all.map(() => 0);
    let rest = c;
    for (const side of [...sides].reverse()) {
      at[side] = rest % counts[side]!;
      rest = Math.floor(rest / counts[side]!);
    }
    return at;
  });
  return { sides, owners, keyed, others: total / keyed, slots };
}

/** Indices, ascending, of one user's rows that count, given the group of each in order. */
export type BoundingRule = (
  groups: readonly number[],
  bounds: Omit<PlanContributions, 'rule'>,
) => readonly number[];

/**
 * The bounding rule in clear: of a user's qualifying rows in their order, those of the first
 * `partitions` distinct groups, and of each group the first `rowsPerPartition`. Looks at nothing but
 * its argument, which is one user's rows; bit for bit what engine/mpc/contributions.ts computes on
 * shares.
 *
 * @param groups - the group of each row, in order.
 * @returns indices of the rows that are kept, ascending.
 */
export const keptRows: BoundingRule = (groups, { partitions, rowsPerPartition }) => {
  const rowsOf = new Map<number, number>();
  const kept: number[] = [];
  groups.forEach((group, row) => {
    const before = rowsOf.get(group);
    // A group that came too late stays out: it never gets a count.
    if (before === undefined && partitions !== null && rowsOf.size >= partitions) return;
    rowsOf.set(group, (before ?? 0) + 1);
    if (rowsPerPartition === null || (before ?? 0) < rowsPerPartition) kept.push(row);
  });
  return kept;
};
