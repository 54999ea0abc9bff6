/** The signed records of a query: submission, go, receipt, sealed share, query record. */
export {
  NOISE_BYTES_MAX,
  QUERY_RECORD_BYTES_MAX,
  SHARE_BYTES_MAX,
  SQL_BYTES_MAX,
} from './limits.ts';
export {
  sessionOf,
  signGo,
  signReceipt,
  signSubmission,
  submissionDigest,
  verifyGo,
  verifyReceipt,
  verifySubmission,
} from './records.ts';
export type { ExpectedGo } from './records.ts';
export {
  errorDocumentSchema,
  parseRecord,
  QUERY_ID,
  queryRecordSchema,
  roomSchema,
  sealedShareSchema,
  signedGoSchema,
  signedReceiptSchema,
  signedSubmissionSchema,
} from './schemas.ts';
export { SUITE } from './suite.ts';
export { openShare, sealShare, shareDigest } from './seal.ts';
export type { SealContext } from './seal.ts';
export type {
  Go,
  Json,
  QueryAnswer,
  QueryError,
  QueryProgress,
  QueryRecord,
  QueryState,
  Receipt,
  RoomDocument,
  SealedShare,
  Signed,
  SignedGo,
  SignedReceipt,
  SignedSubmission,
  Submission,
  TemplateCall,
} from './types.ts';
