/** Which table leads the join, and how many rows and groups of a user take part. */
import type { DifferentialPrivacy, Policy } from '../policy/types.ts';
import type { ResolvedKey } from './groups.ts';
import { refusal } from './hints.ts';
import {
  BOUNDED_CELLS_MAX,
  BOUNDED_COMBINATIONS_MAX,
  GROUPS_MAX,
  SENDER_GROUPS_MAX,
} from './limits.ts';
import type { BoundTable, TableIndex } from './names.ts';
import type { PlanContributions, PlanSide } from './plan.ts';
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
    .filter((key) => key.kind === 'side' && key.value.table === table)
    .reduce((product, key) => product * key.domain.length, 1);
}

/** Combinations of the labels of the keys over several tables; 1 without such keys. */
export function mixedGroupsOf(keys: readonly ResolvedKey[]): number {
  return product(keys.map((key) => (key.kind === 'mixed' ? key.domain.length : 1)));
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
  const owners = sure.filter((table) =>
    keys.some((key) => key.kind === 'side' && key.value.table === table),
  );
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
  const mixed = mixedGroupsOf(keys);
  const senders = tables.reduce(
    (product, _, table) => (table === pivot ? product : product * groupsOf(keys, table)),
    mixed,
  );
  const names = keys.map((key) => key.fragment).join(', ');
  if (senders > SENDER_GROUPS_MAX) {
    const who = mixed > 1 ? 'All parties but one and keys over several' : 'All parties but one';
    const hint = `${who} may bring ${SENDER_GROUPS_MAX} groups; the fewest here are ${senders}.`;
    throw refusal('DOMAIN_TOO_LARGE', 'the query has too many groups', names, hint);
  }
  if (own * senders > GROUPS_MAX) {
    const hint = `A query has at most ${GROUPS_MAX} groups; this one has ${own * senders}.`;
    throw refusal('DOMAIN_TOO_LARGE', 'the query has too many groups', names, hint);
  }
}

/** Row slots of all sides, pivot first, with the bounds that fill them and those on joined rows. */
export interface SidesBounds {
  readonly slots: readonly number[];
  readonly bounds: readonly PlanSide['bounds'][];
  readonly contributions: PlanContributions | null;
  /** What one user can be in, in the end; null without differential privacy. */
  readonly most: {
    readonly partitions: number;
    readonly rowsPerPartition: number;
    readonly rows: number;
  } | null;
}

const product = (factors: readonly number[]): number => factors.reduce((n, f) => n * f, 1);

/**
 * Splits the bound on joined rows per user and group, C, into rows of each side, pivot first: their
 * product at most C and as large as possible, then all as equal as possible, then the earlier ones
 * the larger.
 */
export function splitContributions(c: number, rows: readonly number[]): readonly number[] {
  let chosen: readonly number[] = rows.map(() => 1);
  const spread = (split: readonly number[]): number => Math.max(...split) - Math.min(...split);
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

/** What the bounds of a query depend on beside the policy's numbers. */
export interface BoundsContext {
  readonly keys: readonly ResolvedKey[];
  readonly pivot: TableIndex;
  /** By table: whether its users need not match. */
  readonly optional: readonly boolean[];
  /** Whether WHERE has a condition on several tables, so that not all joined rows qualify. */
  readonly mixed: boolean;
  /** Quantities per group, each of which costs something per combination of slots. */
  readonly quantities: number;
}

/**
 * Slots per user, by side. Without differential privacy every row up to max_rows_per_user takes
 * part. With it, L0 = max_partitions_contributed and C = max_contributions_per_partition hold for the
 * *joined* rows that qualify (src/engine/PROOFS.md): the owners cut only what no kept row needs, and
 * what the cuts leave above L0 or C the computation cuts on shares. Where that is too dear (see
 * {@link BOUNDED_COMBINATIONS_MAX}), C is split between the sides beforehand instead.
 */
export function boundSides(
  differential: DifferentialPrivacy | null,
  tables: Tables,
  context: BoundsContext,
): SidesBounds {
  const { keys, pivot, optional, quantities } = context;
  const order = tablesBySide(tables.length, pivot);
  const rows = order.map((table) => tables[table]!.maxRows);
  if (differential === null) {
    return { slots: rows, bounds: rows.map(() => null), contributions: null, most: null };
  }
  const groups = order.map((table) => groupsOf(keys, table));
  const labels = mixedGroupsOf(keys);
  const joined = joinedRule(differential, rows, { groups, labels, mixed: context.mixed });
  const { contributions } = joined;
  const onShares = contributions?.partitions != null || contributions?.rowsPerPartition != null;
  const combinations = product(
    joined.slots.map((slots, side) => slots + (optional[order[side]!]! ? 1 : 0)),
  );
  const dear =
    combinations > BOUNDED_COMBINATIONS_MAX || combinations * quantities > BOUNDED_CELLS_MAX;
  if (!onShares || !dear) return joined;
  if (labels === 1) return splitRule(differential, rows, groups);
  const names = keys.flatMap((key) => (key.kind === 'mixed' ? [key.fragment] : [])).join(', ');
  throw refusal('DOMAIN_TOO_LARGE', 'a key over several parties is too dear', names, DEAR_HINT);
}

/** SECURITY. What sides cut beforehand does not bound in how many labels a user's joined rows are. */
const DEAR_HINT =
  `Of a person at most ${BOUNDED_COMBINATIONS_MAX} combinations of rows can be bounded in its groups, ` +
  `${BOUNDED_CELLS_MAX} times the aggregates: ask for fewer aggregates, group by one party’s columns, ` +
  'write one COUNT(*) FILTER (WHERE ...) per case, or agree on a smaller max_rows_per_user.';

/** Into how many groups a user's rows can fall, and by whose say. */
interface GroupsOfRows {
  /** Combinations of each side's own keys. */
  readonly groups: readonly number[];
  /** Combinations of the labels that no side knows. */
  readonly labels: number;
  readonly mixed: boolean;
}

/**
 * Bounds on joined rows. One owner of all keys cuts its users' groups to L0 itself: the first L0 by
 * row key. Where every joined row qualifies, each owner also leaves out the rows beyond C of its own
 * groups, and beyond L0 of those: none of them could be kept. With labels that no owner knows, no
 * owner cuts: rows that are in one of its groups may be in several joined ones.
 */
function joinedRule(
  differential: DifferentialPrivacy,
  rows: readonly number[],
  { groups, labels, mixed }: GroupsOfRows,
): SidesBounds {
  const [l0, c] = limitsOf(differential);
  const owners = groups.filter((own) => own > 1).length;
  const all = labels > 1;
  const bounds = rows.map((r, side) => {
    const own = Math.min(groups[side]!, r);
    return {
      partitions: all || (mixed && owners > 1) ? own : Math.min(own, l0),
      rowsPerPartition: all || mixed ? r : Math.min(r, c),
    };
  });
  const slots = bounds.map(({ partitions, rowsPerPartition }, side) =>
    Math.min(rows[side]!, partitions * rowsPerPartition),
  );
  const owned = product(bounds.map((side) => side.partitions));
  // A joined row has one label of each key.
  const partitions = all ? Math.min(owned * labels, product(slots)) : owned;
  const perPartition = product(bounds.map((side) => side.rowsPerPartition));
  const most = {
    partitions: Math.min(l0, partitions),
    rowsPerPartition: Math.min(c, perPartition),
  };
  return {
    slots,
    bounds,
    contributions: {
      rule: 'joined',
      partitions: partitions > l0 ? l0 : null,
      rowsPerPartition: perPartition > c ? c : null,
    },
    most: { ...most, rows: Math.min(most.partitions * most.rowsPerPartition, product(slots)) },
  };
}

/** C split between the sides; groups of the pivot's keys up to L0, one of every sender's keys. */
function splitRule(
  differential: DifferentialPrivacy,
  rows: readonly number[],
  groups: readonly number[],
): SidesBounds {
  const [l0, c] = limitsOf(differential);
  const partitions = Math.min(l0, groups[0]!, rows[0]!);
  const split = splitContributions(Math.min(c, product(rows)), rows);
  const slots = split.map((a, side) => (side === 0 ? Math.min(rows[0]!, partitions * a) : a));
  const rowsPerPartition = product(split);
  return {
    slots,
    bounds: split.map((a, side) => ({
      partitions: side === 0 ? partitions : 1,
      rowsPerPartition: a,
    })),
    contributions: { rule: 'split', partitions: null, rowsPerPartition: null },
    most: {
      partitions,
      rowsPerPartition,
      rows: Math.min(partitions * rowsPerPartition, product(slots)),
    },
  };
}

/** L0 and C. */
function limitsOf(settings: DifferentialPrivacy): readonly [number, number] {
  return [settings.max_partitions_contributed, settings.max_contributions_per_partition];
}
