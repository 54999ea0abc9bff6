/** Exact noise thresholds, partition selection, intervals. Integers and rationals only. */
export { calibrate, noiseRecord, opensGroup, releaseRuleOf } from './calibrate.ts';
export type { Calibration, NoiseRecord, ReleaseRule } from './calibrate.ts';
export { promiseOf } from './promise.ts';
export { discreteLaplace, halfWidth, NOISE_BITS_MAX } from './discrete-laplace.ts';
export type { DiscreteLaplace } from './discrete-laplace.ts';
export { calibrateOnce } from './remembered.ts';
export {
  addPrices,
  conversionDelta,
  excessOver,
  FREE,
  guaranteeOf,
  limitsOf,
  mostOf,
  overLimit,
  rhoOf,
  rhoOfMeasures,
  zcdpEpsilon,
} from './accounting.ts';
export type { BudgetFields, Limits, Price } from './accounting.ts';
