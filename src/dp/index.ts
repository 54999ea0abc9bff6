/** Exact noise thresholds, partition selection, intervals. Integers and rationals only. */
export { calibrate, noiseRecord, opensGroup, releaseRuleOf } from './calibrate.ts';
export type { Calibration, NoiseRecord, ReleaseRule } from './calibrate.ts';
export { promiseOf } from './promise.ts';
export { discreteLaplace, halfWidth } from './discrete-laplace.ts';
export type { DiscreteLaplace } from './discrete-laplace.ts';
export { calibrateOnce } from './remembered.ts';
export {
  addPrices,
  conversionDelta,
  excessOver,
  FREE,
  guaranteeOf,
  limitedAmounts,
  limitsOf,
  mostOf,
  overLimit,
  rhoOf,
  zcdpEpsilon,
} from './accounting.ts';
export type { Amount, BudgetFields, Limits, Price } from './accounting.ts';
export { fitOf, leftOf, priceOfPlan } from './price.ts';
export type { Fit, Priced } from './price.ts';
