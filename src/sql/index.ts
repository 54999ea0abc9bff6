/** From SQL text and policy to a plan. Pure; see README.md. */
export { planDigest, planQuery } from './planner.ts';
export type { QueryOptions } from './planner.ts';
export { groupCount, measureCells, releasedMeasures } from './shape.ts';
export { codeLiteral, columnRange, daysOf } from './coding.ts';
export type { CodedRange } from './coding.ts';
export { HARD_RANGE, SQL_BYTES_MAX } from './limits.ts';
export type {
  Comparison,
  GroupKey,
  Literal,
  LocalPredicate,
  Measure,
  OrderKey,
  OutputColumn,
  PairComparison,
  PairOperand,
  PairPredicate,
  Plan,
  PlanJoin,
  PlannedMeasure,
  PlanPrivacy,
  PlanSide,
  Side,
  Term,
} from './plan.ts';
