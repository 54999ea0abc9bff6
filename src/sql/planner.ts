import { expect } from '../core/errors.ts';
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
import { groupCodes, groupDomain } from './coding.ts';
import { refusal } from './hints.ts';
import { resolveItems, type Items } from './items.ts';
import { SHARDS_MAX } from './limits.ts';
import { planMeasures, planPrivacy, queryEpsilon } from './measures.ts';
import { bindTables, type TableIndex } from './names.ts';
import { parseSelect } from './parser.ts';
import type { Plan, PlanJoin, PlannedMeasure, PlanSide, Side } from './plan.ts';
import { resolveCondition } from './predicates.ts';
import {
  planPairs,
  sideOfTable,
  splitCondition,
  tablesBySide,
  type PairPlan,
  type SplitCondition,
} from './rewrite.ts';

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
  const select = parseSelect(sql);
  const scope = bindTables(policy, sql, select);
  const { tables } = scope;
  const items = resolveItems(scope, policy, select);
  const where = select.where === null ? null : resolveCondition(scope, select.where);
  const split = splitCondition(where, tables.length);

  const pivot = choosePivot(tables, items.keys);
  expectGroupsFit(items.keys, pivot, tables);
  const differential = differentialOf(policy);
  const bounds = boundSides(differential, tables, items.keys, pivot);
  const pairs = planPairs(split.mixed, pivot, tables.length);

  const privacy = planPrivacy(policy, queryEpsilon(policy, options.epsilon));
  const users = Math.min(...tables.map((table) => table.policy.max_users));
  const measures = planMeasures(items.wanted, privacy, { pivot, differential, bounds, users });
  const parts = { tables, split, pairs, bounds, items, measures };
  const sides = tablesBySide(tables.length, pivot).map((table, which) =>
    planSide({ ...parts, which, table }),
  );
  return {
    version: 2,
    room: policy.room,
    policyDigest,
    sides,
    join: planJoin(policy, sides),
    pair: pairs.pair,
    groups: items.keys.map(({ table, name, policy: column }) => {
      const domain = groupDomain(column);
      expect(domain !== null, 'a group key has a domain');
      const side = sideOfTable(table, pivot);
      return { side, column: name, domain, codes: groupCodes(column) };
    }),
    measures,
    output: items.output,
    orderBy: items.orderBy,
    limit: select.limit,
    privacy,
  };
}

interface SideParts {
  readonly which: Side;
  readonly table: TableIndex;
  readonly tables: Tables;
  readonly split: SplitCondition;
  readonly pairs: PairPlan;
  readonly bounds: SidesBounds;
  readonly items: Items;
  readonly measures: readonly PlannedMeasure[];
}

function planSide(parts: SideParts): PlanSide {
  const { which, table: index, tables, split, pairs, bounds, items, measures } = parts;
  const { party, name, policy } = tables[index]!;
  const measured = measures.flatMap(({ measure }) =>
    'column' in measure && measure.side === which ? [measure.column] : [],
  );
  const grouped = items.keys.filter((key) => key.table === index).map((key) => key.name);
  const columns = [...new Set([...pairs.columns[which]!, ...measured, ...grouped])].sort();
  return {
    party,
    table: name,
    capacity: policy.max_users,
    slots: bounds.slots[which]!,
    filter: split.filters[index]!,
    bits: pairs.bits[which]!,
    columns,
    bounds: bounds.bounds[which]!,
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
const PLAN_DOMAIN = 'parley/plan/v2';

/**
 * SHA-256 over the domain-separated canonical JSON (RFC 8785) of the plan, lower-case hex: what the
 * parties agree on.
 */
export function planDigest(plan: Plan): string {
  return digestOf(PLAN_DOMAIN, plan);
}
