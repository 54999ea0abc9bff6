/** A plan between two parties on secret shares. */
export { runPlan } from './run.ts';
export type { RunOptions } from './run.ts';
export { openSharing } from './session.ts';
export type { SessionOptions } from './session.ts';
