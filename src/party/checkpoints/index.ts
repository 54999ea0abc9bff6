/** What a party keeps of a run until it ends, sealed, so that a restarted node resumes. */
export { RunFolder } from './run-folder.ts';
export type { HeldShard, Owner } from './run-folder.ts';
export type { AnswerReport, RunRecord } from './run-record.ts';
export { openShelf, removeLeft } from './shelf.ts';
export type { Shelf } from './shelf.ts';
