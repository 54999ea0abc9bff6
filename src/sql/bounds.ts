/** Which table leads the join, and how many rows and groups of a user take part. */
import type { DifferentialPrivacy, Policy } from '../policy/types.ts';
import type { ResolvedKey } from './groups.ts';
import { refusal } from './hints.ts';
import { GROUPS_MAX, SENDER_GROUPS_MAX } from './limits.ts';
import type { BoundTable, TableIndex } from './names.ts';
import type { PlanSide } from './plan.ts';
import { tablesBySide } from './rewrite.ts';

export type Tables = readonly BoundTable[];

/** The settings of differential privacy, null when the policy turns it off. */
export function differentialOf(policy: Policy): DifferentialPrivacy | null {
  const { differential_privacy: settings } = policy.rules;
  return settings === 'off' ? null : settings;
}

/** Combinations of the group keys of one table. */
export function groupsOf(keys: readonly ResolvedKey[], table: TableIndex): number {
  return keys
    .filter((key) => key.value.table === table)
    .reduce((product, key) => product * key.domain.length, 1);
}

/**
 * Cost of the star join around a pivot in units of 1/100 scalar multiplications, per sender: the
 * pivot of n users blinds and unblinds n points and the sender raises them, the sender of m users
 * evaluates 3·m points of its own (protocols.md, sections 1 and 2). By KKRT the ratio is alike.
 */
function joinCost(pivot: TableIndex, tables: Tables): number {
  const users = (table: TableIndex): number => tables[table]!.maxUsers;
  return tables.reduce(
    (sum, _, table) => (table === pivot ? sum : sum + 300 * users(pivot) + 300 * users(table)),
    0,
  );
}

/** The first of `candidates` with the largest score. */
function best(candidates: readonly TableIndex[], score: (table: TableIndex) => number): TableIndex {
  return candidates.reduce((a, b) => (score(b) > score(a) ? b : a));
}

/**
 * The pivot: the owner of the GROUP BY columns; with several owning some, the owner of most groups;
 * with none, the cheapest way round. Ties go to the party that comes first in the policy. All users
 * of the pivot take part, so a table whose users need not match is never the pivot.
 */
export function choosePivot(
  tables: Tables,
  keys: readonly ResolvedKey[],
  optional: readonly boolean[],
): TableIndex {
  const sure = tables.map((_, table) => table).filter((table) => !optional[table]!);
  const owners = sure.filter((table) => keys.some((key) => key.value.table === table));
  if (owners.length > 0) return best(owners, (table) => groupsOf(keys, table));
  return best(sure, (table) => -joinCost(table, tables));
}

/** @throws ParleyError DOMAIN_TOO_LARGE when a query has more groups than the protocols carry. */
export function expectGroupsFit(
  keys: readonly ResolvedKey[],
  pivot: TableIndex,
  tables: Tables,
): void {
  const own = groupsOf(keys, pivot);
  const senders = tables.reduce(
    (product, _, table) => (table === pivot ? product : product * groupsOf(keys, table)),
    1,
  );
  const names = keys.map((key) => key.fragment).join(', ');
  if (senders > SENDER_GROUPS_MAX) {
    const hint = `All parties but one may bring ${SENDER_GROUPS_MAX} groups; the fewest here are ${senders}.`;
    throw refusal('DOMAIN_TOO_LARGE', 'the query has too many groups', names, hint);
  }
  if (own * senders > GROUPS_MAX) {
    const hint = `A query has at most ${GROUPS_MAX} groups; this one has ${own * senders}.`;
    throw refusal('DOMAIN_TOO_LARGE', 'the query has too many groups', names, hint);
  }
}

/** Row slots of all sides, pivot first, with the bounds that fill them. */
export interface SidesBounds {
  readonly slots: readonly number[];
  readonly bounds: readonly PlanSide['bounds'][];
}

/**
 * Splits the bound on joined rows per user and group, C, into rows of each side, pivot first: their
 * product at most C and as large as possible, then all as equal as possible, then the earlier ones
 * the larger.
 */
export function splitContributions(c: number, rows: readonly number[]): readonly number[] {
  let chosen: readonly number[] = rows.map(() => 1);
  const spread = (split: readonly number[]): number => Math.max(...split) - Math.min(...split);
  const product = (split: readonly number[]): number => split.reduce((n, a) => n * a, 1);
  const extend = (split: readonly number[], used: number): void => {
    const limit = Math.min(rows[split.length]!, Math.floor(c / used));
    if (split.length === rows.length - 1) {
      const whole = [...split, limit];
      const gain = product(whole) - product(chosen);
      // Later candidates have the larger earlier parts, so they win what is left of a tie.
      if (gain > 0 || (gain === 0 && spread(whole) <= spread(chosen))) chosen = whole;
      return;
    }
    for (let a = 1; a <= limit; a += 1) extend([...split, a], used * a);
  };
  extend([], 1);
  return chosen;
}

/**
 * Slots per user, by side. Without differential privacy every row up to max_rows_per_user takes
 * part. With it, bounds depend on the policy alone and each is enforced by the owner of the rows;
 * max_contributions_per_partition counts for no more than the tables of the query can bring.
 */
export function boundSides(
  differential: DifferentialPrivacy | null,
  tables: Tables,
  keys: readonly ResolvedKey[],
  pivot: TableIndex,
): SidesBounds {
  const order = tablesBySide(tables.length, pivot);
  const rows = order.map((table) => tables[table]!.maxRows);
  if (differential === null) return { slots: rows, bounds: rows.map(() => null) };
  const most = rows.reduce((n, r) => n * r, 1);
  const c = Math.min(differential.max_contributions_per_partition, most);
  const partitions = Math.min(
    differential.max_partitions_contributed,
    groupsOf(keys, pivot),
    rows[0]!,
  );
  const split = splitContributions(c, rows);
  return {
    slots: split.map((a, side) => (side === 0 ? Math.min(rows[0]!, partitions * a) : a)),
    bounds: split.map((a, side) => ({
      partitions: side === 0 ? partitions : 1,
      rowsPerPartition: a,
    })),
  };
}
