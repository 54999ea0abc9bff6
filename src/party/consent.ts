import { toHex } from '../core/bytes.ts';
import { ParleyError } from '../core/errors.ts';
import { formatRational } from '../core/rational.ts';
import type { Receipt, SignedGo } from '../records/index.ts';
import { signGo, suiteOf } from '../records/index.ts';
import { datasetsOfSide, datasetOfSide } from './dataset.ts';
import type { Heads } from './ledger/index.ts';
import type { PartyContext } from './node.ts';
import type { VettedQuery } from './vet.ts';
import { sessionOfGos } from './vet.ts';

/** This party's consent to run a vetted query, or to prepare one, with the ledger as it then is. */
export function signOwnGo(context: PartyContext, query: VettedQuery, heads: Heads): SignedGo {
  const { policy, policyDigest, party, keys, rng, dataset } = context;
  return signGo(
    {
      version: 1,
      room: policy.room,
      policy_digest: policyDigest,
      query_id: query.submission.query_id,
      plan_digest: query.planDigest,
      submission_digest: query.submissionDigest,
      party,
      ledger_before: heads.before,
      ledger_after: heads.after,
      datasets: datasetsOfSide(query.plan.sides[query.side]!, dataset),
      suite: suiteOf(query.submission.backend),
      nonce: toHex(rng(32)),
    },
    keys.identity.privateKey,
  );
}

/**
 * Charges this party's ledger durably for a vetted query, whatever it will run on, and consents.
 * @throws ParleyError BUDGET_EXHAUSTED, QUERY_ID_REUSED, STORAGE_FAILED.
 */
export function reserveAndGo(context: PartyContext, query: VettedQuery): SignedGo {
  const { ledger, policyDigest, dataset, budget } = context;
  const { submission, plan, price, planDigest, side } = query;
  const heads = ledger.reserve(
    {
      queryId: submission.query_id,
      planDigest,
      policyDigest,
      dataset: datasetOfSide(plan.sides[side]!, dataset),
      epsilon: price.epsilon,
      delta: price.delta,
    },
    budget,
  );
  return signOwnGo(context, query, heads);
}

/** What this party's ledger has spent in all, as receipts and authorisations state it. */
export function spentOf({ ledger }: PartyContext): Receipt['spent'] {
  return {
    epsilon: formatRational(ledger.spent.epsilon),
    delta: formatRational(ledger.spent.delta),
  };
}

/** The session of everybody's goes, of which one is this party's own. @throws ParleyError GO_INVALID. */
export function sessionWith(
  { policy }: PartyContext,
  query: VettedQuery,
  gos: readonly SignedGo[],
  own: SignedGo,
): string {
  const session = sessionOfGos(query, policy, gos);
  if (!gos.some((go) => go.signature === own.signature)) {
    throw new ParleyError('GO_INVALID', 'the coordinator passed on another go than ours');
  }
  return session;
}
