/** By what right a question runs, as far as everybody can tell from what is signed. */
import { ParleyError } from '../core/errors.ts';
import type { Policy } from '../policy/types.ts';
import type { Submission } from '../records/index.ts';
import { planDigest, planQuery } from '../sql/index.ts';
import { instantiate } from './instantiate.ts';

/** The rules a question is under. */
export interface PermitContext {
  readonly policy: Policy;
  readonly policyDigest: string;
}

/** What a question says of itself beside its text. */
export type Asked = Pick<Submission, 'epsilon' | 'template'>;

const LIST = 'parley template list shows what may be asked';

function templateRequired(message: string, fragment: string): ParleyError {
  return new ParleyError('TEMPLATE_REQUIRED', message, { fragment, hint: LIST });
}

/**
 * True when the submission is an instance of a template of the policy. The text proves nothing: the
 * template of the signed packet is filled in with the submitted values and planned, and the plans are
 * compared.
 *
 * @throws ParleyError TEMPLATE_REQUIRED when it names a template and is not an instance of it;
 *   TEMPLATE_PARAMETER, TEMPLATE_MALFORMED and the codes of `planQuery` when that gives no question.
 */
function isInstance(submission: Asked, digest: string, context: PermitContext): boolean {
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
 * for and used, by each party.
 *
 * @param digest - of the plan derived from the submission's text.
 * @throws ParleyError TEMPLATE_REQUIRED; TEMPLATE_PARAMETER, TEMPLATE_MALFORMED.
 */
export function permitOf(submission: Asked, digest: string, context: PermitContext): Permit {
  const mode = context.policy.rules.queries?.mode ?? 'any';
  if (mode === 'any') return 'any';
  if (isInstance(submission, digest, context)) return 'template';
  if (mode === 'approved') return 'approval';
  throw templateRequired('this room runs templates of its policy, nothing else', digest);
}
