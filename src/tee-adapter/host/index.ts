/** Outside the enclave: the host's connection, a party's consent, the analyst's check. */
export { openTeeAnswer } from './analyst.ts';
export type { TeeRecord } from './analyst.ts';
export { enclaveConnection } from './connection.ts';
export type { EnclaveConnection } from './connection.ts';
export { appraiseEnclave, consentTo } from './party.ts';
export type { Consent } from './party.ts';
