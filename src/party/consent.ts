import { toHex } from '../core/bytes.ts';
import { ParleyError } from '../core/errors.ts';
import { formatRational } from '../core/rational.ts';
import { chargesOfSide, type DatasetTerms } from '../policy/index.ts';
import type { LedgerExtension, Receipt, SignedGo } from '../records/index.ts';
import { signGo, suiteOf } from '../records/index.ts';
import { datasetsOfSide, datasetOfSide } from './dataset.ts';
import type { LedgerTalk } from './heads.ts';
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
      ledger_seq: heads.seq,
      datasets: datasetsOfSide(query.plan.sides[query.side]!, dataset),
      suite: suiteOf(query.submission.backend),
      nonce: toHex(rng(32)),
    },
    keys.identity.privateKey,
  );
}

/** A go, and that the ledger it names continues what others keep of it. */
export interface ReservedGo {
  readonly go: SignedGo;
  readonly extension: LedgerExtension;
}

/**
 * Charges this party's ledger durably for a vetted query, whatever it will run on, and consents.
 * @param talk - the others' statements have been heard.
 * @throws ParleyError BUDGET_EXHAUSTED, QUERY_ID_REUSED, STORAGE_FAILED.
 */
export function reserveAndGo(
  context: PartyContext,
  query: VettedQuery,
  talk: LedgerTalk,
): ReservedGo {
  const { ledger, policyDigest, dataset, budget } = context;
  const { submission, plan, price, planDigest, side, peers } = query;
  const heads = ledger.reserve(
    {
      queryId: submission.query_id,
      planDigest,
      policyDigest,
      peers: peers.map(({ party }) => party),
      dataset: datasetOfSide(plan.sides[side]!, dataset),
      charges: chargesOf(context, query),
      ...price,
    },
    { limits: budget, missing: talk.missing },
  );
  return { go: signOwnGo(context, query, heads), extension: talk.extend() };
}

/**
 * What this party's data in a query has spent in all, dataset by dataset, as receipts and
 * authorisations state it.
 */
export function spentOf(context: PartyContext, query: VettedQuery): Receipt['spent'] {
  return chargesOf(context, query).map((charge) => {
    const { epsilon, delta, rho } = context.ledger.spentOf(charge);
    return {
      dataset: charge.dataset,
      epoch: charge.epoch,
      epsilon: formatRational(epsilon),
      delta: formatRational(delta),
      ...(context.budget?.accounting === 'zcdp' ? { rho: formatRational(rho) } : {}),
    };
  });
}

/** The datasets of this party that a query is charged to. */
export function chargesOf(
  { datasets }: Pick<PartyContext, 'datasets'>,
  { plan, side }: Pick<VettedQuery, 'plan' | 'side'>,
): readonly DatasetTerms[] {
  return chargesOfSide(plan.sides[side]!, datasets);
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
