import { ParleyError } from '../core/errors.ts';
import type { Rational } from '../core/rational.ts';
import { parseRational, ZERO } from '../core/rational.ts';
import type { Calibration, ReleaseRule } from '../dp/index.ts';
import { calibrate } from '../dp/index.ts';
import type { Policy } from '../policy/types.ts';
import type { SignedSubmission, Submission } from '../records/index.ts';
import { submissionDigest, verifySubmission } from '../records/index.ts';
import type { Plan, Side } from '../sql/index.ts';
import { planDigest, planQuery } from '../sql/index.ts';

/** A question this party has vetted on its own: from the signed text and its own signed policy. */
export interface VettedQuery {
  readonly submission: Submission;
  readonly submissionDigest: string;
  readonly plan: Plan;
  readonly planDigest: string;
  readonly side: Side;
  /** The other party of the plan. */
  readonly peer: string;
  readonly calibration: Calibration;
  readonly price: { readonly epsilon: Rational; readonly delta: Rational };
}

/** The part of a plan that noise and threshold follow from. */
export function releaseRuleOf(plan: Plan): ReleaseRule {
  return { ...plan.privacy, measures: plan.measures };
}

/**
 * Derives the plan and its price again; the coordinator's word counts for nothing.
 * @throws ParleyError REQUEST_UNSIGNED, ANALYST_UNKNOWN, POLICY_MISMATCH, every code of `planQuery`,
 *   PLAN_MISMATCH when the coordinator planned something else, BAD_ARGUMENT when the plan does not
 *   involve this party.
 */
export function vetSubmission(
  signed: SignedSubmission,
  claimedDigest: string,
  own: { readonly policy: Policy; readonly policyDigest: string; readonly party: string },
): VettedQuery {
  const submission = verifySubmission(signed, own.policy);
  const plan = planQuery(own.policy, own.policyDigest, submission.sql, {
    epsilon: submission.epsilon,
  });
  const digest = planDigest(plan);
  if (digest !== claimedDigest) {
    throw new ParleyError('PLAN_MISMATCH', 'the coordinator planned another query than this text');
  }
  const index = plan.sides.findIndex((side) => side.party === own.party);
  if (index !== 0 && index !== 1) {
    throw new ParleyError('BAD_ARGUMENT', 'this query does not involve this party');
  }
  const { differential } = plan.privacy;
  return {
    submission,
    submissionDigest: submissionDigest(submission),
    plan,
    planDigest: digest,
    side: index,
    peer: plan.sides[index === 0 ? 1 : 0].party,
    calibration: calibrate(releaseRuleOf(plan)),
    price:
      differential === null
        ? { epsilon: ZERO, delta: ZERO }
        : {
            epsilon: parseRational(differential.epsilon),
            delta: parseRational(differential.delta),
          },
  };
}
