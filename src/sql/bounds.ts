/** Which table leads the join, and how many rows and groups of a user take part. */
import { ParleyError } from '../core/errors.ts';
import type { DifferentialPrivacy, Policy } from '../policy/types.ts';
import { groupDomain } from './coding.ts';
import { refusal } from './hints.ts';
import { GROUPS_MAX, SENDER_GROUPS_MAX } from './limits.ts';
import type { BoundTable, ResolvedColumn, TableIndex } from './names.ts';
import type { PlanSide } from './plan.ts';

export type Tables = readonly [BoundTable, BoundTable];

/** The settings of differential privacy, null when the policy turns it off. */
export function differentialOf(policy: Policy): DifferentialPrivacy | null {
  const { differential_privacy: settings } = policy.rules;
  return settings === 'off' ? null : settings;
}

/** Combinations of the group keys of one table. */
export function groupsOf(keys: readonly ResolvedColumn[], table: TableIndex): number {
  return keys
    .filter((key) => key.table === table)
    .reduce((product, key) => product * (groupDomain(key.policy)?.length ?? 1), 1);
}

/**
 * Cost of a join in units of 1/100 scalar multiplications: the pivot of n users blinds and unblinds
 * one point for each of 1.35·n bins and the sender raises them, the sender of m users evaluates 3·m
 * points of its own (protocols.md, sections 1 and 2).
 */
function joinCost(pivotUsers: number, senderUsers: number): number {
  return (2 * 135 + 135) * pivotUsers + 300 * senderUsers;
}

/**
 * The pivot: the owner of the GROUP BY columns; with both owning some, the owner of more groups;
 * with none, the cheaper way round. Ties go to the party that comes first in the policy.
 */
export function choosePivot(tables: Tables, keys: readonly ResolvedColumn[]): TableIndex {
  const [groups0, groups1] = [groupsOf(keys, 0), groupsOf(keys, 1)];
  const owns = (table: TableIndex): boolean => keys.some((key) => key.table === table);
  if (owns(0) !== owns(1)) return owns(0) ? 0 : 1;
  if (owns(0)) return groups0 >= groups1 ? 0 : 1;
  const [users0, users1] = [tables[0].policy.max_users, tables[1].policy.max_users];
  return joinCost(users0, users1) <= joinCost(users1, users0) ? 0 : 1;
}

/** @throws ParleyError DOMAIN_TOO_LARGE when a query has more groups than the protocols carry. */
export function expectGroupsFit(keys: readonly ResolvedColumn[], pivot: TableIndex): void {
  const own = groupsOf(keys, pivot);
  const sender = groupsOf(keys, pivot === 0 ? 1 : 0);
  const names = keys.map((key) => key.name).join(', ');
  if (sender > SENDER_GROUPS_MAX) {
    const hint = `One party may bring ${SENDER_GROUPS_MAX} groups; the fewer here are ${sender}.`;
    throw refusal('DOMAIN_TOO_LARGE', 'the query has too many groups', names, hint);
  }
  if (own * sender > GROUPS_MAX) {
    const hint = `A query has at most ${GROUPS_MAX} groups; this one has ${own * sender}.`;
    throw refusal('DOMAIN_TOO_LARGE', 'the query has too many groups', names, hint);
  }
}

/** Row slots of both sides, pivot first, with the bounds that fill them. */
export interface SidesBounds {
  readonly slots: readonly [number, number];
  readonly bounds: readonly [PlanSide['bounds'], PlanSide['bounds']];
}

/**
 * Splits the bound on joined rows per user and group, C, into rows a of the pivot and b of the
 * sender: a·b at most C and as large as possible, then a and b as equal as possible, then the
 * larger a.
 */
function splitContributions(c: number, rowsPivot: number, rowsSender: number): [number, number] {
  let best: [number, number] = [1, 1];
  for (let a = 1; a <= rowsPivot; a += 1) {
    const b = Math.min(rowsSender, Math.floor(c / a));
    if (b < 1) break;
    const gain = a * b - best[0] * best[1];
    const spread = Math.abs(a - b) - Math.abs(best[0] - best[1]);
    // Later candidates have the larger a, so they win what is left of a tie.
    if (gain > 0 || (gain === 0 && spread <= 0)) best = [a, b];
  }
  return best;
}

/**
 * Slots per user. Without differential privacy every row up to max_rows_per_user takes part. With
 * it, bounds depend on the policy alone and each is enforced by the owner of the rows.
 * @throws ParleyError POLICY_OUT_OF_RANGE when max_contributions_per_partition is more than the two
 *   tables can bring.
 */
export function boundSides(
  differential: DifferentialPrivacy | null,
  tables: Tables,
  keys: readonly ResolvedColumn[],
  pivot: TableIndex,
): SidesBounds {
  const rowsPivot = tables[pivot].policy.max_rows_per_user;
  const rowsSender = tables[pivot === 0 ? 1 : 0].policy.max_rows_per_user;
  if (differential === null) return { slots: [rowsPivot, rowsSender], bounds: [null, null] };
  const c = differential.max_contributions_per_partition;
  if (c > rowsPivot * rowsSender) {
    throw new ParleyError(
      'POLICY_OUT_OF_RANGE',
      'max_contributions_per_partition is more than the product of both max_rows_per_user',
      { path: 'rules.differential_privacy.max_contributions_per_partition' },
    );
  }
  const partitions = Math.min(
    differential.max_partitions_contributed,
    groupsOf(keys, pivot),
    rowsPivot,
  );
  const [a, b] = splitContributions(c, rowsPivot, rowsSender);
  return {
    slots: [Math.min(rowsPivot, partitions * a), b],
    bounds: [
      { partitions, rowsPerPartition: a },
      { partitions: 1, rowsPerPartition: b },
    ],
  };
}
