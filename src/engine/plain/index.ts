/** A plan in clear: the oracle of the multi-party engine and the body of an enclave. */
export { aggregatePlain } from './plain.ts';
export type { Totals } from './plain.ts';
export { releasePlain } from './release.ts';
export type { Draw } from './release.ts';
