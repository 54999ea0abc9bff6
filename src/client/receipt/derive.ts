import { ParleyError } from '../../core/errors.ts';
import { formatRational } from '../../core/rational.ts';
import { priceOfPlan } from '../../dp/index.ts';
import type { Policy } from '../../policy/types.ts';
import {
  submissionDigest,
  type Backend,
  type Receipt,
  type Submission,
} from '../../records/index.ts';
import {
  boundsRecord,
  planDigest,
  planQuery,
  type BoundsRecord,
  type Plan,
} from '../../sql/index.ts';
import { releaseOf, type Release } from '../release.ts';

/** What policy and question alone say about a run and its receipts. */
export interface Expected {
  readonly policy: Policy;
  readonly policyDigest: string;
  readonly queryId: string;
  readonly backend: Backend;
  readonly submissionDigest: string;
  readonly plan: Plan;
  readonly planDigest: string;
  /** The noise record that follows from the plan. */
  readonly noise: object;
  readonly bounds: BoundsRecord;
  readonly price: Receipt['price'];
}

/** With whom it is for, and what the intervals of the answer follow from. */
export interface Derived extends Expected {
  /** Of the analyst who asked. */
  readonly sealingKey: string;
  readonly widths: Release['widths'];
}

/** What a plan costs, as ledgers and receipts write it. */
export function priceOf(plan: Plan): Receipt['price'] {
  const { epsilon, delta } = priceOfPlan(plan);
  return { epsilon: formatRational(epsilon), delta: formatRational(delta) };
}

/** @throws ParleyError ANALYST_UNKNOWN. */
function sealingKeyOf(policy: Policy, analyst: string): string {
  const known = policy.analysts.find(({ name }) => name === analyst);
  if (known !== undefined) return known.sealing_key;
  throw new ParleyError('ANALYST_UNKNOWN', 'the policy names no such analyst', {
    fragment: analyst,
  });
}

/**
 * Plans a question again and derives everything a receipt of it must state, before looking at
 * anything a party or the coordinator said. For the analyst and for an auditor alike.
 *
 * @throws ParleyError ANALYST_UNKNOWN, of `planQuery` and of the calibration, as the parties would.
 */
export function deriveExpected(
  policy: Policy,
  policyDigest: string,
  submission: Submission,
): Derived {
  const plan = planQuery(policy, policyDigest, submission.sql, { epsilon: submission.epsilon });
  const { noise, widths } = releaseOf(plan);
  return {
    policy,
    policyDigest,
    queryId: submission.query_id,
    backend: submission.backend,
    submissionDigest: submissionDigest(submission),
    plan,
    planDigest: planDigest(plan),
    noise,
    bounds: boundsRecord(plan),
    price: priceOf(plan),
    sealingKey: sealingKeyOf(policy, submission.analyst),
    widths,
  };
}
