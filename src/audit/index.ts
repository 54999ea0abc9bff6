/** Attack games against the engine, and what they prove at least about epsilon; see README.md. */
export { runAudit } from './audit.ts';
export type { AuditOptions } from './audit.ts';
export { clopperPearson } from './binomial.ts';
export { openEngine } from './engine.ts';
export type { Engine } from './engine.ts';
export { GAMES, gameOf } from './games.ts';
export type { Game, GameName } from './games.ts';
export { play } from './play.ts';
export type { PlayOptions, Sabotage } from './play.ts';
export { formatReport, reportDocument, reportHolds } from './report.ts';
export type { AuditReport } from './report.ts';
export { successLimit } from './verdict.ts';
export type { Outcome, Verdict } from './verdict.ts';
