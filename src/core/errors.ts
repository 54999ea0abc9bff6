/**
 * The one error class that crosses folders. A code is stable and documented; its fault says who is
 * told and which exit code the CLI gives. A message is one sentence and never holds an identifier,
 * a hash, a literal of a query, a row count, a path or a stack.
 */

/** Who can mend it. `caller` and `policy` are refusals (exit code 2); the rest are faults (3). */
export type Fault = 'caller' | 'policy' | 'peer' | 'transport' | 'storage' | 'bug';

// A table, so that a new code does not compile until someone has decided whose fault it is.
const FAULT_BY_CODE = {
  // arguments and inputs
  BAD_ARGUMENT: 'caller',
  BAD_CONFIG: 'caller',
  INPUT_TOO_LARGE: 'caller',
  FILE_NOT_FOUND: 'caller',
  DATA_BAD_ROWS: 'caller',
  DATA_BAD_FILE: 'caller',
  REQUEST_MALFORMED: 'caller',
  REQUEST_UNSIGNED: 'caller',
  QUERY_ID_REUSED: 'caller',
  QUERY_UNKNOWN: 'caller',
  ANALYST_UNKNOWN: 'caller',
  TOO_MANY_QUERIES: 'caller',
  // policy packet
  POLICY_MALFORMED: 'policy',
  POLICY_OUT_OF_RANGE: 'policy',
  POLICY_UNSIGNED: 'policy',
  POLICY_BAD_SIGNATURE: 'policy',
  POLICY_FOREIGN: 'policy',
  POLICY_MISMATCH: 'policy',
  // SQL
  SQL_SYNTAX: 'caller',
  SQL_TOO_LARGE: 'caller',
  SQL_TOO_DEEP: 'caller',
  SQL_MULTIPLE_STATEMENTS: 'caller',
  SQL_NOT_SELECT: 'caller',
  SQL_SELECT_STAR: 'caller',
  SQL_UNSUPPORTED: 'caller',
  SQL_UNKNOWN_TABLE: 'caller',
  SQL_UNKNOWN_COLUMN: 'caller',
  SQL_AMBIGUOUS_COLUMN: 'caller',
  SQL_UNKNOWN_FUNCTION: 'caller',
  SQL_BARE_COLUMN: 'caller',
  SQL_PRIVACY_UNIT: 'caller',
  SQL_BAD_JOIN: 'caller',
  SQL_TYPE_MISMATCH: 'caller',
  SQL_BAD_LITERAL: 'caller',
  SQL_NO_AGGREGATE: 'caller',
  SQL_NO_DOMAIN: 'caller',
  SQL_DUPLICATE_COLUMN: 'caller',
  SQL_LIST_TOO_LONG: 'caller',
  // templates and approvals
  TEMPLATE_MALFORMED: 'caller',
  TEMPLATE_UNKNOWN: 'caller',
  TEMPLATE_PARAMETER: 'caller',
  TEMPLATE_REQUIRED: 'policy',
  QUERY_NOT_APPROVED: 'policy',
  // privacy
  AGGREGATE_NOT_ALLOWED: 'policy',
  COLUMN_UNBOUNDED: 'policy',
  EPSILON_INVALID: 'caller',
  EPSILON_OVER_LIMIT: 'policy',
  BUDGET_EXHAUSTED: 'policy',
  OVERFLOW_POSSIBLE: 'policy',
  DOMAIN_TOO_LARGE: 'policy',
  STOCK_OFF: 'policy',
  BACKEND_NOT_ALLOWED: 'policy',
  // agreement between the roles
  PLAN_MISMATCH: 'peer',
  GO_INVALID: 'peer',
  LEDGER_FORKED: 'peer',
  RECEIPT_INVALID: 'peer',
  RESULT_INVALID: 'peer',
  CONSENT_GIVEN: 'peer',
  // attestation: the form and the signature of evidence
  EVIDENCE_MALFORMED: 'peer',
  EVIDENCE_TRAILING_BYTES: 'peer',
  EVIDENCE_DUPLICATE_KEY: 'peer',
  EVIDENCE_VERSION: 'peer',
  EVIDENCE_TYPE: 'peer',
  EVIDENCE_ALGORITHM: 'peer',
  EVIDENCE_RESERVED_BITS: 'peer',
  EVIDENCE_VENDOR: 'peer',
  EVIDENCE_SIGNATURE: 'peer',
  EVIDENCE_PRODUCT: 'peer',
  // attestation: what evidence claims
  EVIDENCE_SIMULATED: 'peer',
  EVIDENCE_DEBUG: 'peer',
  EVIDENCE_MIGRATABLE: 'peer',
  EVIDENCE_GUEST_POLICY: 'peer',
  EVIDENCE_VMPL: 'peer',
  EVIDENCE_CHIP_ID: 'peer',
  EVIDENCE_FIRMWARE_PROVISIONAL: 'peer',
  EVIDENCE_FIRMWARE_ROLLED_BACK: 'peer',
  EVIDENCE_TCB_STALE: 'peer',
  EVIDENCE_LAUNCH_TCB_STALE: 'peer',
  EVIDENCE_TCB_NO_LEVEL: 'peer',
  EVIDENCE_TCB_UNKNOWN: 'peer',
  EVIDENCE_TCB_STATUS: 'peer',
  EVIDENCE_TCB_REVOKED: 'peer',
  EVIDENCE_ADVISORY: 'peer',
  EVIDENCE_TD_ATTRIBUTES: 'peer',
  EVIDENCE_SEAM: 'peer',
  EVIDENCE_MODULE: 'peer',
  EVIDENCE_SERVICE_TD: 'peer',
  EVIDENCE_QE_BINDING: 'peer',
  EVIDENCE_QE_IDENTITY: 'peer',
  EVIDENCE_QE_DEBUG: 'peer',
  EVIDENCE_PCR_MISSING: 'peer',
  EVIDENCE_EVENT_LOG: 'peer',
  EVIDENCE_VTPM: 'peer',
  EVIDENCE_MEASUREMENT: 'peer',
  EVIDENCE_CONFIGURATION: 'peer',
  EVIDENCE_BINDING: 'peer',
  EVIDENCE_NONCE: 'peer',
  EVIDENCE_STALE: 'peer',
  EVIDENCE_FROM_FUTURE: 'peer',
  // attestation: certificates, revocation lists, signed collateral
  ENDORSEMENT_MALFORMED: 'peer',
  ENDORSEMENT_CHAIN: 'peer',
  ENDORSEMENT_ROOT: 'peer',
  ENDORSEMENT_SIGNATURE: 'peer',
  ENDORSEMENT_EXPIRED: 'peer',
  ENDORSEMENT_NOT_YET_VALID: 'peer',
  ENDORSEMENT_USAGE: 'peer',
  ENDORSEMENT_PATH_LENGTH: 'peer',
  ENDORSEMENT_KEY: 'peer',
  ENDORSEMENT_KEY_KIND: 'peer',
  ENDORSEMENT_OTHER_CHIP: 'peer',
  ENDORSEMENT_OTHER_TCB: 'peer',
  ENDORSEMENT_OTHER_PROVIDER: 'peer',
  ENDORSEMENT_REVOKED: 'peer',
  CRL_MISSING: 'peer',
  CRL_MALFORMED: 'peer',
  CRL_ISSUER: 'peer',
  CRL_SIGNATURE: 'peer',
  CRL_STALE: 'peer',
  CRL_FROM_FUTURE: 'peer',
  COLLATERAL_MISSING: 'peer',
  COLLATERAL_MALFORMED: 'peer',
  COLLATERAL_SIGNATURE: 'peer',
  COLLATERAL_STALE: 'peer',
  COLLATERAL_FROM_FUTURE: 'peer',
  COLLATERAL_SUPERSEDED: 'peer',
  COLLATERAL_ID: 'peer',
  COLLATERAL_OTHER_PLATFORM: 'peer',
  // attestation: what the policy says an enclave must be
  REFERENCE_MISSING: 'policy',
  REFERENCE_INVALID: 'policy',
  REFERENCE_EXPIRED: 'policy',
  // attestation: making evidence on this machine
  ATTESTER_UNAVAILABLE: 'storage',
  ATTESTER_INTERFERED: 'storage',
  // protocol
  PEER_OUT_OF_STEP: 'peer',
  PEER_BAD_LENGTH: 'peer',
  PEER_BAD_ENCODING: 'peer',
  PEER_ABORTED: 'peer',
  PARAMETERS_DIFFER: 'peer',
  // links and frames
  FRAME_TOO_LARGE: 'transport',
  FRAME_MALFORMED: 'transport',
  LINK_AUTH_FAILED: 'transport',
  LINK_TAMPERED: 'transport',
  CHANNEL_CLOSED: 'transport',
  PARTY_AWAY: 'transport',
  COORDINATOR_AWAY: 'transport',
  ENCLAVE_AWAY: 'transport',
  FINISH_INTERRUPTED: 'transport',
  TIMEOUT: 'transport',
  CANCELLED: 'transport',
  // disk
  LEDGER_CORRUPT: 'storage',
  LEDGER_LOCKED: 'storage',
  LEDGER_FOREIGN: 'storage',
  LEDGER_ROLLED_BACK: 'storage',
  STORAGE_FAILED: 'storage',
  CHECKPOINT_CORRUPT: 'storage',
  STORE_MISMATCH: 'storage',
  STOCK_CORRUPT: 'storage',
  STOCK_USED: 'storage',
  STOCK_FULL: 'storage',
  // ours
  WORKER_LOST: 'bug',
  INTERNAL: 'bug',
} as const satisfies Record<string, Fault>;

/** A stable error code. Renaming one is a breaking change. */
export type ErrorCode = keyof typeof FAULT_BY_CODE;

/** What an error may carry beside its sentence; every field is safe to show to the caller. */
export interface ErrorDetail {
  /** The offending fragment of the caller's own input, cut to 80 characters. */
  readonly fragment?: string;
  /** What to do about it, one sentence. */
  readonly hint?: string;
  /** Protocol step path, such as `psi.oprf/blinded`. */
  readonly step?: string;
  /** Dotted path of a field in the caller's document, such as `parties.0.tables`. */
  readonly path?: string;
  /** The party an error is about. */
  readonly party?: string;
}

/** The form an error takes in JSON output and on the wire. */
export interface ErrorDocument {
  readonly code: ErrorCode;
  readonly fault: Fault;
  readonly message: string;
  readonly detail: ErrorDetail;
}

export class ParleyError extends Error {
  override readonly name = 'ParleyError';
  readonly code: ErrorCode;
  readonly fault: Fault;
  readonly detail: ErrorDetail;

  constructor(code: ErrorCode, message: string, detail: ErrorDetail = {}, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
    this.fault = FAULT_BY_CODE[code];
    this.detail =
      detail.fragment === undefined
        ? detail
        : { ...detail, fragment: detail.fragment.slice(0, FRAGMENT_CHARS_MAX) };
  }

  toJSON(): ErrorDocument {
    return { code: this.code, fault: this.fault, message: this.message, detail: this.detail };
  }
}

/** The error a document was made of, on the same machine. */
export function errorOf({ code, message, detail }: ErrorDocument): ParleyError {
  return new ParleyError(code, message, detail);
}

/** LOCAL. Longest fragment of the caller's input an error repeats. */
const FRAGMENT_CHARS_MAX = 80;

/** True for a string that names a code of the table. */
export function isErrorCode(code: unknown): code is ErrorCode {
  return typeof code === 'string' && Object.hasOwn(FAULT_BY_CODE, code);
}

/** Wraps anything thrown; a foreign error becomes INTERNAL and keeps its text only as `cause`. */
export function asParleyError(error: unknown): ParleyError {
  if (error instanceof ParleyError) return error;
  return new ParleyError('INTERNAL', 'an unexpected error inside parley', {}, error);
}

/**
 * A contract of our own code, on in production. Peer or caller input is never checked with it.
 * @throws ParleyError INTERNAL when `condition` is false.
 */
export function expect(condition: boolean, contract: string): asserts condition {
  if (!condition) throw new ParleyError('INTERNAL', `contract broken: ${contract}`);
}

/** CLI exit code of an error: 2 refused, 3 failed. Wrong usage (64) is the CLI's own. */
export function exitCodeOf(error: ParleyError): 2 | 3 {
  return error.fault === 'caller' || error.fault === 'policy' ? 2 : 3;
}
