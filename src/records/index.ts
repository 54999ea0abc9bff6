/** The signed records of a query: submission, go, receipt, sealed share, query record. */
export { expectCommitted, openingOf, parseOpening, shareCommitment } from './commitment.ts';
export type { ShareOpening } from './commitment.ts';
export {
  commitmentOf,
  HASH_BYTES,
  leafHasher,
  nodeHasher,
  TREE_HEIGHT,
  verifyRowOpening,
} from './dataset.ts';
export type { RowOpening } from './dataset.ts';
export {
  BOUNDS_BYTES_MAX,
  HEADS_MAX,
  NOISE_BYTES_MAX,
  OPENING_BYTES_MAX,
  PROOF_STEPS_MAX,
  QUERY_RECORD_BYTES_MAX,
  SALT_BYTES,
  SHARE_BYTES_MAX,
  SQL_BYTES_MAX,
} from './limits.ts';
export {
  ENCLAVE_NAME,
  expectAuthorised,
  expectEnvelopeSigned,
  greetingSchema,
  outcomeSchema,
  signAuthorisation,
  signedAuthorisationSchema,
  signedEnvelopeSchema,
  signEnvelope,
} from './enclave.ts';
export type {
  EnclaveGreeting,
  EnclaveOutcome,
  EnclaveRecord,
  ExpectedAuthorisation,
  TeeAuthorisation,
  TeeEnvelope,
} from './enclave.ts';
export {
  expectHeadOf,
  isSignedHead,
  ledgerExtensionSchema,
  signedHeadSchema,
  signedStatementSchema,
  signHead,
  signStatement,
  verifyStatement,
} from './heads.ts';
export type {
  Amounts,
  ChainProof,
  LedgerExtension,
  LedgerHead,
  LedgerStatement,
  PeerMemory,
  SignedHead,
  SignedStatement,
} from './heads.ts';
export {
  datasetsOfGos,
  expectBackend,
  sessionOf,
  signGo,
  signReceipt,
  signReplay,
  signSubmission,
  submissionDigest,
  verifyGo,
  verifyReceipt,
  verifyReplay,
  verifySubmission,
} from './records.ts';
export type { ExpectedGo } from './records.ts';
export { queryRecordSchema } from './query-record.ts';
export {
  errorDocumentSchema,
  instant,
  parseRecord,
  QUERY_ID,
  replayEvidenceSchema,
  roomSchema,
  rowProofSchema,
  sealedShareSchema,
  signedGoSchema,
  signedReceiptSchema,
  signedReplaySchema,
  signedSubmissionSchema,
} from './schemas.ts';
export { backendMark, queryKeyOf } from './replay.ts';
export type { QueryKeyParts } from './replay.ts';
export { SUITE, suiteOf, TEE_SUITE } from './suite.ts';
export { openShare, sealShare, shareDigest } from './seal.ts';
export type { SealContext } from './seal.ts';
export type {
  Backend,
  DatasetCommitment,
  DatasetSpent,
  Go,
  Json,
  QueryAnswer,
  QueryError,
  QueryProgress,
  QueryRecord,
  QueryState,
  Receipt,
  Replay,
  ReplayEvidence,
  RoomDocument,
  SealedShare,
  Signed,
  SignedGo,
  SignedReceipt,
  SignedReplay,
  SignedSubmission,
  Submission,
  TemplateCall,
} from './types.ts';
