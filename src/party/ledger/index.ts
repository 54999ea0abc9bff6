/** The durable, hash-chained budget ledger of one party. */
export { Ledger } from './ledger.ts';
export type { Budget, Heads, Reservation, Reserved } from './ledger.ts';
