import { ParleyError } from '../core/errors.ts';
import type { Submission } from '../records/index.ts';
import type { Permit } from '../templates/index.ts';
import type { ApprovalBook, ApprovalRequest } from './approvals/index.ts';

/** What a vetted question says of itself. */
interface Permitted {
  readonly permit: Permit;
  readonly planDigest: string;
  readonly submission: Pick<Submission, 'analyst'>;
}

/** This node's approvals, if it keeps any. */
export interface ApprovalContext {
  readonly party: string;
  readonly approvals: ApprovalBook | null;
}

/**
 * Looks without using anything up; a run that was paid for has used its own.
 * @throws ParleyError QUERY_NOT_APPROVED, STORAGE_FAILED.
 */
export function expectPermit(query: Permitted, context: ApprovalContext): void {
  if (query.permit === 'approval') bookOf(query, context).expectApproved(requestOf(query));
}

/** Uses up one run of an approval, durably. @throws ParleyError QUERY_NOT_APPROVED, STORAGE_FAILED. */
export function usePermit(query: Permitted, context: ApprovalContext): void {
  if (query.permit === 'approval') bookOf(query, context).use(requestOf(query));
}

function requestOf({ planDigest: digest, submission }: Permitted): ApprovalRequest {
  return { planDigest: digest, analyst: submission.analyst };
}

function bookOf(query: Permitted, { party, approvals }: ApprovalContext): ApprovalBook {
  if (approvals !== null) return approvals;
  throw new ParleyError('QUERY_NOT_APPROVED', 'this party has not approved the query', {
    party,
    fragment: query.planDigest,
  });
}
