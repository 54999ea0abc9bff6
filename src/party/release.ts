import { concat, wipe } from '../core/bytes.ts';
import { expect } from '../core/errors.ts';
import { formatRational } from '../core/rational.ts';
import { noiseRecord, releaseRuleOf } from '../dp/index.ts';
import type { OutputShare } from '../engine/types.ts';
import type { Json, Receipt, SealContext, SignedGo, SignedReceipt } from '../records/index.ts';
import type { SealedShare } from '../records/index.ts';
import {
  datasetsOfGos,
  openingOf,
  sealShare,
  shareCommitment,
  shareDigest,
  signReceipt,
  SUITE,
} from '../records/index.ts';
import { boundsRecord, tablesOfSides } from '../sql/index.ts';
import { spentOf } from './consent.ts';
import type { PartyContext } from './node.ts';
import type { VettedQuery } from './vet.ts';

export const SOFTWARE = 'parley/0.1.0';

/** The run that a share is the end of. */
export interface ReleasedRun {
  readonly session: string;
  readonly gos: readonly SignedGo[];
  /** This party's own, of these. */
  readonly go: SignedGo;
}

/** What a receipt states that follows from the plan alone. */
export function statedOf(query: VettedQuery): Pick<Receipt, 'noise' | 'bounds' | 'price'> {
  const { plan, calibration, price } = query;
  const noise = noiseRecord(releaseRuleOf(plan), calibration);
  return {
    noise: noise as unknown as Record<string, Json>,
    bounds: boundsRecord(plan) as unknown as Record<string, Json>,
    price: { epsilon: formatRational(price.epsilon), delta: formatRational(price.delta) },
  };
}

/**
 * Seals this party's output share to the analyst with the salt of its commitment, notes the release
 * in the ledger, and signs the receipt. The share is wiped.
 *
 * @throws ParleyError STORAGE_FAILED.
 */
export async function releaseShare(
  context: PartyContext,
  query: VettedQuery,
  { session, gos, go }: ReleasedRun,
  share: OutputShare,
): Promise<{ readonly receipt: SignedReceipt; readonly sealed: SealedShare }> {
  const { policy, policyDigest, party, keys, ledger, rng } = context;
  const { submission, plan, planDigest } = query;
  const analyst = policy.analysts.find((a) => a.name === submission.analyst);
  expect(analyst !== undefined, 'the submission was verified');
  const names: SealContext = {
    room: policy.room,
    policy_digest: policyDigest,
    query_id: submission.query_id,
    plan_digest: planDigest,
    session,
    party,
  };
  const bytes = concat([share.open, share.cells]);
  const opening = openingOf(bytes, rng);
  const share_commitment = shareCommitment(opening, names);
  const sealed = await sealShare(opening, analyst.sealing_key, names);
  wipe(bytes, opening, share.cells);
  const digest = shareDigest(sealed);
  ledger.commit(submission.query_id, digest);
  const receipt = signReceipt(
    {
      version: 1,
      backend: 'mpc',
      ...names,
      submission_digest: query.submissionDigest,
      suite: SUITE,
      datasets: datasetsOfGos(gos, tablesOfSides(plan)),
      ledger_before: go.document.ledger_before,
      ledger_after: go.document.ledger_after,
      ...statedOf(query),
      share_digest: digest,
      share_commitment,
      spent: spentOf(context, query),
      software: SOFTWARE,
    },
    keys.identity.privateKey,
  );
  return { receipt, sealed };
}
