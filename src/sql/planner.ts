import { digestOf } from '../policy/index.ts';
import type { Policy } from '../policy/types.ts';
import {
  boundSides,
  choosePivot,
  differentialOf,
  expectGroupsFit,
  type SidesBounds,
  type Tables,
} from './bounds.ts';
import { eagerOf, type Eager } from './eager.ts';
import { columnName, nameDerived, termOfColumn } from './columns.ts';
import type { ResolvedKey } from './groups.ts';
import { refusal } from './hints.ts';
import { resolveItems, type Items } from './items.ts';
import { SHARDS_MAX } from './limits.ts';
import { guardsOf, measureOf, planMeasures, planPrivacy, queryEpsilon } from './measures.ts';
import { bindTables } from './joins.ts';
import { type Scope, type TableIndex } from './names.ts';
import { parseSelect } from './parser.ts';
import type {
  GroupKey,
  PairPredicate,
  Plan,
  PlanJoin,
  PlannedMeasure,
  PlanSide,
  Side,
} from './plan.ts';
import { resolveCondition } from './predicates.ts';
import {
  planPairs,
  sideOfTable,
  splitCondition,
  tablesBySide,
  type Normal,
  type PairPlan,
  type SplitCondition,
} from './rewrite.ts';
import type { SelectSyntax } from './syntax.ts';
import { evaluatePredicate, evaluateTerm } from './terms.ts';

/** What the caller of a query chooses beside its text. */
export interface QueryOptions {
  /** Decimal string; null takes the policy's default. */
  readonly epsilon: string | null;
}

/**
 * Plans a query: one SELECT over the join of 2 to 4 parties' tables under a policy.
 *
 * Pure: the plan follows from the arguments, and from what the query means rather than how it is
 * written: white space, comments, aliases of tables, letter case, the order of the join and the
 * order of conjuncts do not matter. Semantics are PostgreSQL's.
 *
 * @param policy - A validated policy; see `verifyPacket`.
 * @param policyDigest - Its digest, lower-case hex.
 * @param sql - At most 64 KiB.
 * @throws ParleyError with an SQL_* code for what is not supported, and AGGREGATE_NOT_ALLOWED,
 *   COLUMN_UNBOUNDED, DOMAIN_TOO_LARGE, EPSILON_INVALID, EPSILON_OVER_LIMIT, OVERFLOW_POSSIBLE or
 *   POLICY_OUT_OF_RANGE for what the policy does not admit.
 */
export function planQuery(
  policy: Policy,
  policyDigest: string,
  sql: string,
  options: QueryOptions,
): Plan {
  const resolved = resolveQuery(policy, parseSelect(sql), sql);
  return nameDerived(layOut(policy, policyDigest, resolved, options));
}

/** A query with its names, types and values resolved; what it means, before how it runs. */
export interface ResolvedQuery {
  readonly select: SelectSyntax;
  readonly scope: Scope;
  readonly items: Items;
  readonly split: SplitCondition;
}

/** Resolves and validates a query, and splits its conditions between the tables. Pure. */
export function resolveQuery(policy: Policy, select: SelectSyntax, sql: string): ResolvedQuery {
  const scope = bindTables(policy, sql, select);
  const { tables } = scope;
  const items = resolveItems(scope, policy, select);
  const reading = { scope, clamp: false };
  const where = scope.where.map((condition) => resolveCondition(reading, condition));
  const onRight = tables.map((_, table) =>
    scope.onRight
      .filter((on) => on.table === table)
      .map(({ condition }) => resolveCondition(reading, condition)),
  );
  const split = splitCondition(
    where,
    onRight,
    tables.map(({ optional }) => optional),
  );
  return { select, scope, items, split };
}

/** Chooses pivot, slots and widths, prices the measures and lays the plan out. Pure. */
function layOut(
  policy: Policy,
  policyDigest: string,
  { select, scope, items, split }: ResolvedQuery,
  options: QueryOptions,
): Plan {
  const { tables } = scope;
  const { optional } = split;
  const pivot = choosePivot(tables, items.keys, optional);
  expectGroupsFit(items.keys, pivot, tables);
  const differential = differentialOf(policy);
  const bounds = boundSides(differential, tables, {
    keys: items.keys,
    pivot,
    optional,
    mixed: split.mixed !== null,
    quantities: items.wanted.length,
  });
  const guards = guardsOf(items.wanted);
  const conditions = [split.mixed, ...guards, ...labelsOf(items.keys)];
  const pairs = planPairs(conditions, pivot, tables.length);
  const guard = (condition: Normal) => pairs.pairs[conditions.indexOf(condition, 1)]!;

  const privacy = planPrivacy(policy, queryEpsilon(policy, options.epsilon));
  const sure = tables.filter((_, table) => !optional[table]!);
  const users = Math.min(...sure.map(({ maxUsers }) => maxUsers));
  const context = { pivot, differential, bounds, users, guard };
  const eager = eagerOf(items.wanted, { ...context, tables, keys: items.keys, split });
  const measures = planMeasures(items.wanted, privacy, context).map((planned, i) => {
    const quantity = eager?.quantities[i] ?? null;
    return quantity === null ? planned : { ...planned, measure: measureOf(quantity, context) };
  });
  const parts = { tables, split, pairs, bounds, eager, items, measures };
  const sides = tablesBySide(tables.length, pivot).map((table, which) =>
    planSide({ ...parts, which, table }),
  );
  return {
    version: 5,
    room: policy.room,
    policyDigest,
    sides,
    join: planJoin(policy, sides),
    pair: pairs.pairs[0]!,
    contributions: bounds.contributions,
    groups: items.keys.map((key) => planKey(key, pivot, guard)),
    measures,
    output: items.output,
    hidden: items.hidden,
    having: items.having,
    orderBy: items.orderBy,
    limit: select.limit,
    offset: select.offset,
    privacy,
  };
}

/** Conditions that tell the labels of keys over several tables. */
function labelsOf(keys: readonly ResolvedKey[]): readonly Normal[] {
  return keys.flatMap((key) =>
    key.kind === 'mixed' ? key.labels.filter((label) => label !== null) : [],
  );
}

function planKey(
  key: ResolvedKey,
  pivot: TableIndex,
  planned: (condition: Normal) => PairPredicate,
): GroupKey {
  const { domain } = key;
  const type = key.value.type.name;
  if (key.kind === 'mixed') {
    const labels = key.labels.map((label) => (label === null ? null : planned(label)));
    return { side: null, domain, labels, type };
  }
  const { value, codes } = key;
  const side = sideOfTable(value.table, pivot);
  return { side, column: columnName(value.term), domain, codes, type };
}

interface SideParts {
  readonly which: Side;
  readonly table: TableIndex;
  readonly tables: Tables;
  readonly split: SplitCondition;
  readonly pairs: PairPlan;
  readonly bounds: SidesBounds;
  readonly eager: Eager | null;
  readonly items: Items;
  readonly measures: readonly PlannedMeasure[];
}

/** Columns of a side that a measure reads. */
function measuredColumns({ measure }: PlannedMeasure, side: Side): readonly string[] {
  if (measure.kind === 'terms') {
    const factors = measure.terms.flatMap((term) => term.factors);
    return factors.filter((factor) => factor.side === side).map(({ column }) => column);
  }
  return 'column' in measure && measure.side === side ? [measure.column] : [];
}

function planSide(parts: SideParts): PlanSide {
  const { which, table: index, tables, split, pairs, bounds, eager, items, measures } = parts;
  const { party, parts: own, maxUsers } = tables[index]!;
  const measured = measures.flatMap((planned) => measuredColumns(planned, which));
  const grouped = items.keys.flatMap((key) =>
    key.kind === 'side' && key.value.table === index ? [columnName(key.value.term)] : [],
  );
  const columns = [...new Set([...pairs.columns[which]!, ...measured, ...grouped])].sort();
  const bits = pairs.bits[which]!;
  const [first, ...rest] = own.map(({ name }) => name);
  return {
    party,
    table: first!,
    joined: rest,
    capacity: maxUsers,
    slots: (eager ?? bounds).slots[which]!,
    eagerRows: eager?.rows[which] ?? null,
    filter: split.filters[index]!,
    bits,
    columns,
    derived: [],
    absent: split.optional[index]! ? absentRow(columns, bits) : null,
    bounds: bounds.bounds[which]!,
  };
}

/** What the row of NULLs has in each column and bit. */
function absentRow(columns: readonly string[], bits: PlanSide['bits']): PlanSide['absent'] {
  const noColumn = (): null => null;
  return {
    values: columns.map((column) => {
      const value = evaluateTerm(termOfColumn(column), noColumn, false);
      return value === null ? null : Number(value);
    }),
    bits: bits.map((bit) => evaluatePredicate(bit, noColumn, false) === true),
  };
}

/** How the join runs: shards of at most `shard_users` declared users of any side, by the mean. */
function planJoin({ rules }: Policy, sides: readonly PlanSide[]): PlanJoin {
  const { oprf, ot_field_bits, shard_users } = rules.join;
  const most = Math.max(...sides.map(({ capacity }) => capacity));
  const shards = Math.ceil(most / shard_users);
  if (shards > SHARDS_MAX) {
    const hint = `Agree on a larger shard_users: a query runs as at most ${SHARDS_MAX} shards.`;
    throw refusal('POLICY_OUT_OF_RANGE', 'the tables need too many shards', undefined, hint);
  }
  return { oprf, otFieldBits: ot_field_bits, shards };
}

/** AGREEMENT. Separates plan digests from those of other documents. */
const PLAN_DOMAIN = 'parley/plan/v5';

/**
 * SHA-256 over the domain-separated canonical JSON (RFC 8785) of the plan, lower-case hex: what the
 * parties agree on.
 */
export function planDigest(plan: Plan): string {
  return digestOf(PLAN_DOMAIN, plan);
}
