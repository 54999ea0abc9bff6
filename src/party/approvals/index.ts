/** A data owner's consents to single questions, and their use. */
export { ApprovalBook, writeApproval } from './book.ts';
export type { ApprovalOwner, ApprovalRequest, HeldApproval } from './book.ts';
export { APPROVAL_RUNS_MAX, approvalId, isSignedBy, signApproval } from './record.ts';
export type { Approval, SignedApproval } from './record.ts';
