import { ParleyError } from '../core/errors.ts';
import type { Policy } from '../policy/types.ts';
import type { Submission } from '../records/index.ts';
import { planDigest, planQuery } from '../sql/index.ts';
import { instantiate } from '../templates/index.ts';
import type { ApprovalBook, ApprovalRequest } from './approvals/index.ts';

/** Who asks whether a question may run here. */
export interface PermitContext {
  readonly policy: Policy;
  readonly policyDigest: string;
  readonly party: string;
}

const LIST = 'parley template list shows what may be asked; nothing was spent';

function templateRequired(message: string, fragment: string): ParleyError {
  return new ParleyError('TEMPLATE_REQUIRED', message, { fragment, hint: LIST });
}

/**
 * True when the submission is an instance of a template of the policy. The text proves nothing: the
 * template of this node's own signed packet is filled in with the submitted values and planned, and
 * the plans are compared.
 *
 * @throws ParleyError TEMPLATE_REQUIRED when it names a template and is not an instance of it;
 *   TEMPLATE_PARAMETER, TEMPLATE_MALFORMED and the codes of `planQuery` when that gives no question.
 */
function isInstance(submission: Submission, digest: string, context: PermitContext): boolean {
  const { policy, policyDigest } = context;
  const call = submission.template;
  if (call === undefined) return false;
  const template = policy.rules.queries?.templates.find(({ name }) => name === call.name);
  if (template === undefined) {
    throw templateRequired('the policy pins no such template', call.name);
  }
  const sql = instantiate(template, call.parameters, policy);
  const plan = planQuery(policy, policyDigest, sql, { epsilon: submission.epsilon });
  if (planDigest(plan) === digest) return true;
  throw templateRequired('the query asks something else than its template', call.name);
}

/** How a question came to be permitted. */
export type Permit = 'any' | 'template' | 'approval';

/**
 * By what the policy lets this question run, by `rules.queries`. An approval is still to be looked
 * for and used: {@link expectPermit}, {@link usePermit}. A run that was paid for has used its own.
 *
 * @param digest - of the plan derived from the submission's text.
 * @throws ParleyError TEMPLATE_REQUIRED; TEMPLATE_PARAMETER, TEMPLATE_MALFORMED.
 */
export function permitOf(submission: Submission, digest: string, context: PermitContext): Permit {
  const mode = context.policy.rules.queries?.mode ?? 'any';
  if (mode === 'any') return 'any';
  if (isInstance(submission, digest, context)) return 'template';
  if (mode === 'approved') return 'approval';
  throw templateRequired('this room runs templates of its policy, nothing else', digest);
}

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

/** Looks without using anything up. @throws ParleyError QUERY_NOT_APPROVED, STORAGE_FAILED. */
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
