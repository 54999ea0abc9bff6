/** The coordinator: analysts' HTTP API, parties' relay, query records, audit log. */
export type { EnclaveCalls, EnclaveHost } from './enclave.ts';
export { COORDINATOR_LIMITS } from './limits.ts';
export type { CoordinatorLimits } from './limits.ts';
export type { Log } from './log.ts';
export { startCoordinator } from './start.ts';
export type { Coordinator, CoordinatorOptions } from './start.ts';
