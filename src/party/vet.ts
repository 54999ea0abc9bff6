import { ParleyError } from '../core/errors.ts';
import type { Calibration, Price } from '../dp/index.ts';
import { calibrateOnce, FREE, noiseRecord, priceOfPlan, releaseRuleOf } from '../dp/index.ts';
import {
  CAPACITY_MAX,
  PAIR_CELLS_MAX,
  pairCells,
  PAYLOAD_BYTES_MAX,
  planSizes,
  shardCapacities,
} from '../engine/mpc/index.ts';
import { canonicalJson } from '../policy/index.ts';
import type { Policy } from '../policy/types.ts';
import type { Backend, SignedGo, SignedSubmission, Submission } from '../records/index.ts';
import {
  BOUNDS_BYTES_MAX,
  datasetsOfGos,
  NOISE_BYTES_MAX,
  sessionOf,
  SHARE_BYTES_MAX,
  submissionDigest,
  suiteOf,
  verifySubmission,
} from '../records/index.ts';
import type { Plan, Side } from '../sql/index.ts';
import { boundsRecord, planDigest, planQuery, tablesOfSides } from '../sql/index.ts';
import { expectInputsFit } from '../tee-adapter/host/index.ts';
import { permitOf, type Permit, type PermitContext } from '../templates/index.ts';

/** A question this party has vetted on its own: from the signed text and its own signed policy. */
export interface VettedQuery {
  readonly submission: Submission;
  /** As the analyst signed it. */
  readonly signed: SignedSubmission;
  readonly submissionDigest: string;
  readonly plan: Plan;
  readonly planDigest: string;
  readonly side: Side;
  /** The other parties of the plan. */
  readonly peers: readonly { readonly party: string; readonly side: Side }[];
  readonly calibration: Calibration;
  readonly price: Price;
  /** By what it may run: `rules.queries` of the policy. */
  readonly permit: Permit;
}

/** Refuses a join that is larger than one on shares can be. */
function expectJoinable(plan: Plan): void {
  shardCapacities(plan).forEach((users, side) => {
    if (users <= CAPACITY_MAX) return;
    const { party, table } = plan.sides[side]!;
    throw new ParleyError(
      'POLICY_OUT_OF_RANGE',
      'a table declares more users than the shards of a join take',
      {
        party,
        path: `tables.${table}.max_users`,
        hint: `agree on a smaller shard_users: a shard takes ${CAPACITY_MAX} users of each party`,
      },
    );
  });
  const { payloadBytes } = planSizes(plan);
  const wide = payloadBytes.findIndex((bytes) => bytes > PAYLOAD_BYTES_MAX);
  if (wide >= 0) {
    throw new ParleyError(
      'SQL_TOO_LARGE',
      'the query needs more of each user than a join carries',
      {
        party: plan.sides[wide]!.party,
        hint: 'use fewer columns of this party, or agree on a smaller max_rows_per_user',
      },
    );
  }
  if (pairCells(plan) > PAIR_CELLS_MAX) {
    throw new ParleyError(
      'SQL_TOO_LARGE',
      'the query compares more combinations of rows than one shard holds',
      { hint: 'ask for fewer aggregates, or agree on a smaller shard_users or max_rows_per_user' },
    );
  }
}

/**
 * Refuses what would fail in the middle of a run, after all parties have paid for it.
 * @throws ParleyError POLICY_OUT_OF_RANGE, SQL_TOO_LARGE, DOMAIN_TOO_LARGE.
 */
function expectRunnable(plan: Plan, backend: Backend): void {
  if (backend === 'tee') expectInputsFit(plan);
  else expectJoinable(plan);
  if (planSizes(plan).shareBytes > SHARE_BYTES_MAX) {
    throw new ParleyError('DOMAIN_TOO_LARGE', 'the answer has more cells than a share carries', {
      hint: 'select fewer aggregates or group by fewer columns',
    });
  }
}

/** A receipt states noise and clamps of every measure. @throws ParleyError SQL_TOO_LARGE. */
function expectReceiptFits(plan: Plan, calibration: Calibration): void {
  const noise = noiseRecord(releaseRuleOf(plan), calibration);
  const bounds = canonicalJson(boundsRecord(plan)).length <= BOUNDS_BYTES_MAX;
  if (bounds && canonicalJson(noise).length <= NOISE_BYTES_MAX) return;
  throw new ParleyError('SQL_TOO_LARGE', 'the query has more aggregates than a receipt states', {
    hint: 'ask for fewer aggregates at once',
  });
}

/**
 * Derives the plan and its price again; the coordinator's word counts for nothing.
 * @throws ParleyError REQUEST_UNSIGNED, ANALYST_UNKNOWN, POLICY_MISMATCH, every code of `planQuery`,
 *   PLAN_MISMATCH when the coordinator planned something else, BAD_ARGUMENT when the plan does not
 *   involve this party, TEMPLATE_REQUIRED of `permitOf`,
 *   POLICY_OUT_OF_RANGE, SQL_TOO_LARGE and DOMAIN_TOO_LARGE when the plan is
 *   larger than a run can be.
 */
export function vetSubmission(
  signed: SignedSubmission,
  claimedDigest: string,
  own: PermitContext & { readonly party: string },
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
  if (index < 0) {
    throw new ParleyError('BAD_ARGUMENT', 'this query does not involve this party');
  }
  const permit = permitOf(submission, digest, own);
  expectRunnable(plan, submission.backend);
  const calibration = calibrateOnce(releaseRuleOf(plan));
  expectReceiptFits(plan, calibration);
  return {
    submission,
    signed,
    submissionDigest: submissionDigest(submission),
    plan,
    planDigest: digest,
    side: index,
    peers: plan.sides.flatMap(({ party }, side) => (side === index ? [] : [{ party, side }])),
    calibration,
    permit,
    price: submission.purpose === 'prepare' ? FREE : priceOfPlan(plan),
  };
}

/** The session that goes name for a vetted query. @throws ParleyError GO_INVALID. */
export function sessionOfGos(query: VettedQuery, policy: Policy, gos: readonly SignedGo[]): string {
  const parties = query.plan.sides.map((side) => side.party);
  const session = sessionOf(gos, policy, parties, {
    query_id: query.submission.query_id,
    plan_digest: query.planDigest,
    submission_digest: query.submissionDigest,
    suite: suiteOf(query.submission.backend),
  });
  datasetsOfGos(gos, tablesOfSides(query.plan));
  return session;
}
