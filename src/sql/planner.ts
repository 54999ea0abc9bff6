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
import { resolveItems, type Items } from './items.ts';
import { planMeasures, planPrivacy, queryEpsilon } from './measures.ts';
import { bindTables, type TableIndex } from './names.ts';
import { parseSelect } from './parser.ts';
import type { Plan, PlannedMeasure, PlanSide, Side } from './plan.ts';
import { resolveCondition } from './predicates.ts';
import { planPairs, splitCondition, type PairPlan, type SplitCondition } from './rewrite.ts';

/** What the caller of a query chooses beside its text. */
export interface QueryOptions {
  /** Decimal string; null takes the policy's default. */
  readonly epsilon: string | null;
}

/**
 * Plans a query: one SELECT over the join of two parties' tables under a policy.
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
  const split = splitCondition(where);

  const pivot = choosePivot(tables, items.keys);
  expectGroupsFit(items.keys, pivot);
  const differential = differentialOf(policy);
  const bounds = boundSides(differential, tables, items.keys, pivot);
  const pairs = planPairs(split.mixed, pivot);

  const privacy = planPrivacy(policy, queryEpsilon(policy, options.epsilon));
  const users = Math.min(tables[0].policy.max_users, tables[1].policy.max_users);
  const measures = planMeasures(items.wanted, privacy, { pivot, differential, bounds, users });
  const side = (which: Side): PlanSide =>
    planSide({ which, pivot, tables, split, pairs, bounds, items, measures });
  return {
    version: 1,
    room: policy.room,
    policyDigest,
    sides: [side(0), side(1)],
    oprf: policy.rules.join.oprf,
    pair: pairs.pair,
    groups: items.keys.map(({ table, name, policy: column }) => {
      const domain = groupDomain(column);
      expect(domain !== null, 'a group key has a domain');
      return { side: table === pivot ? 0 : 1, column: name, domain, codes: groupCodes(column) };
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
  readonly pivot: TableIndex;
  readonly tables: Tables;
  readonly split: SplitCondition;
  readonly pairs: PairPlan;
  readonly bounds: SidesBounds;
  readonly items: Items;
  readonly measures: readonly PlannedMeasure[];
}

function planSide(parts: SideParts): PlanSide {
  const { which, pivot, tables, split, pairs, bounds, items, measures } = parts;
  const index: TableIndex = which === 0 ? pivot : pivot === 0 ? 1 : 0;
  const { party, name, policy } = tables[index];
  const measured = measures.flatMap(({ measure }) =>
    'column' in measure && measure.side === which ? [measure.column] : [],
  );
  const grouped = items.keys.filter((key) => key.table === index).map((key) => key.name);
  const columns = [...new Set([...pairs.columns[which], ...measured, ...grouped])].sort();
  return {
    party,
    table: name,
    capacity: policy.max_users,
    slots: bounds.slots[which],
    filter: split.filters[index],
    bits: pairs.bits[which],
    columns,
    bounds: bounds.bounds[which],
  };
}

/** AGREEMENT. Separates plan digests from those of other documents. */
const PLAN_DOMAIN = 'parley/plan/v1';

/**
 * SHA-256 over the domain-separated canonical JSON (RFC 8785) of the plan, lower-case hex: what the
 * parties agree on.
 */
export function planDigest(plan: Plan): string {
  return digestOf(PLAN_DOMAIN, plan);
}
