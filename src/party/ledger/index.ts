/** The durable, hash-chained budget ledger of one party. */
export { verifyBetween } from './chain.ts';
export { Ledger } from './ledger.ts';
export type { PeerNote, Reservation, Room } from './ledger.ts';
export { LEDGER_FILE } from './owner.ts';
export type { LedgerOwner } from './owner.ts';
export { readLedger } from './read.ts';
export type { LedgerReport, ReadOptions } from './read.ts';
export type { Heads, Reserved } from './state.ts';
export type { DatasetAccount } from './tally.ts';
export type { Entry, Line } from './entry.ts';
