/** From SQL text and policy to a plan. Pure; see README.md. */
export { planDigest, planQuery } from './planner.ts';
export type { QueryOptions } from './planner.ts';
export {
  comparisonsIn,
  groupCount,
  guardsOfPlan,
  keysOfSide,
  labelsOfPlan,
  measureCells,
  mixedKeys,
  releasedMeasures,
  tablesOfSides,
} from './shape.ts';
export { evaluatePredicate, evaluateTerm, holds } from './terms.ts';
export { alignPlans, coreDigest } from './core.ts';
export type { Alignment } from './core.ts';
export { boundsRecord } from './bounds-record.ts';
export type { BoundsRecord } from './bounds-record.ts';
export { daysOf, isoOf } from './calendar.ts';
export { codeLiteral, columnRange } from './coding.ts';
export type { CodedRange } from './coding.ts';
export { HARD_RANGE, SQL_BYTES_MAX } from './limits.ts';
export type {
  ColumnTypeName,
  Comparison,
  GroupKey,
  Literal,
  LocalPredicate,
  Measure,
  OrderKey,
  MeasureFactor,
  MeasureTerm,
  MixedKey,
  OutputColumn,
  OutputExpression,
  DatePart,
  DatePeriod,
  PairComparison,
  PairOperand,
  PairPredicate,
  Plan,
  PlanJoin,
  PlannedMeasure,
  PlanPrivacy,
  PlanSide,
  Side,
  SideKey,
  Term,
} from './plan.ts';
