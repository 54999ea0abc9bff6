/** A plan between two parties on secret shares. */
export { runPlan } from './run.ts';
export type { RunOptions } from './run.ts';
export { openSharing } from './session.ts';
export type { SessionOptions } from './session.ts';
export { PAIR_CELLS_MAX, pairCells, planSizes } from './sizes.ts';
export type { PlanSizes } from './sizes.ts';
export { CAPACITY_MAX, PAYLOAD_BYTES_MAX } from '../../protocols/psi/index.ts';
