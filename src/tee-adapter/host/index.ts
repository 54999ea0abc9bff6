/** Outside the enclave: the host's connection, a party's consent, the analyst's check. */
export { openTeeAnswer, verifyTeeRun } from './analyst.ts';
export type { AppraisalTime, OpenedTeeAnswer, TeeRun, VerifiedTeeRun } from './analyst.ts';
export { currentCollateral } from './collateral.ts';
export type { CollateralTime } from './collateral.ts';
export { enclaveConnection } from './connection.ts';
export type { EnclaveConnection } from './connection.ts';
export { expectEnvelope } from './envelope.ts';
export type { ExpectedRun } from './envelope.ts';
export {
  appraiseEnclave,
  authorise,
  consentTo,
  expectAccepted,
  expectInputsFit,
  inputContextOf,
} from './party.ts';
export { sealedInputBytes } from '../enclave/input.ts';
export type { Consent, ConsentStatement } from './party.ts';
export { connectEnclave, superviseEnclaves } from './supervisor.ts';
export type { Supervisor, SupervisorLog, SupervisorOptions } from './supervisor.ts';
