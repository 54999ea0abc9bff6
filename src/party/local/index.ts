/** The local stage: what a party computes on its own rows before it meets the other. */
export { runLocalStage } from './stage.ts';
export type { LocalStage } from './stage.ts';
