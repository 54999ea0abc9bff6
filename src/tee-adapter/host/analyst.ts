import { expect, ParleyError } from '../../core/errors.ts';
import type { Redacted } from '../../core/redacted.ts';
import { policyDigest } from '../../policy/index.ts';
import type { Policy } from '../../policy/types.ts';
import {
  datasetsOfGos,
  ENCLAVE_NAME,
  expectAuthorised,
  expectCommitted,
  openShare,
  sessionOf,
  shareDigest,
  submissionDigest,
  TEE_SUITE,
  type EnclaveGreeting,
  type SealContext,
  type SealedShare,
  type Signed,
  type SignedGo,
  type Submission,
  type TeeAuthorisation,
  type TeeEnvelope,
} from '../../records/index.ts';
import { planDigest, planQuery, tablesOfSides, type Plan } from '../../sql/index.ts';
import { evidenceDigest } from '../evidence-json.ts';
import type { AttestationResult, TrustAnchors } from '../verify/index.ts';
import { expectEnvelope } from './envelope.ts';
import { appraiseEnclave, expectAccepted } from './party.ts';

/** What parties and enclave said about one run; none of it is believed unchecked. */
export interface TeeRun {
  readonly gos: readonly SignedGo[];
  readonly greeting: EnclaveGreeting;
  readonly authorisations: readonly Signed<TeeAuthorisation>[];
  readonly envelope: Signed<TeeEnvelope>;
}

/** When, and by whose roots, evidence is appraised. */
export interface AppraisalTime {
  /** The present; of an earlier run, every moment a party says it appraised it at. Not empty. */
  readonly atMs: readonly number[];
  readonly anchors?: TrustAnchors;
}

/** A run that passed every check that needs no key. */
export interface VerifiedTeeRun {
  readonly plan: Plan;
  readonly planDigest: string;
  readonly session: string;
  /** `accepted`, or `accepted_simulated`: nobody may show the one as the other. */
  readonly attestation: Exclude<AttestationResult, { readonly decision: 'rejected' }>;
  /** What the sealed answer opens under, and is committed to under. */
  readonly sealedFor: SealContext;
  /** The enclave's commitment to the answer, and the digest of what it sealed. */
  readonly commitment: string;
  readonly shareDigest: string;
}

/**
 * Checks a run in an enclave from the analyst's own query and policy alone:
 * session → every party's authorisation → evidence → keys → envelope → noise.
 *
 * @throws ParleyError GO_INVALID, RECEIPT_INVALID, or the code of the rejection.
 */
export function verifyTeeRun(
  { gos, greeting, authorisations, envelope }: TeeRun,
  query: Submission,
  policy: Policy,
  { atMs, ...anchors }: AppraisalTime,
): VerifiedTeeRun {
  const { tee } = policy.execution;
  if (tee === null) throw new ParleyError('POLICY_MISMATCH', 'the policy names no enclave');
  const policy_digest = policyDigest(policy);
  const plan = planQuery(policy, policy_digest, query.sql, { epsilon: query.epsilon });
  const plan_digest = planDigest(plan);
  const submission_digest = submissionDigest(query);
  const { query_id, room } = query;
  const parties = plan.sides.map(({ party }) => party);
  const agreed = { query_id, plan_digest, submission_digest, suite: TEE_SUITE };
  const session = sessionOf(gos, policy, parties, agreed);
  datasetsOfGos(gos, tablesOfSides(plan));
  const evidence_digest = evidenceDigest(greeting.evidence);
  const run = { room, policy_digest, query_id, plan_digest, session };
  const { signing_key, sealing_key } = greeting;
  const expected = gos.map(({ document: { party, ledger_before, ledger_after, nonce } }) => ({
    ...{ ...run, submission_digest, party, ledger_before, ledger_after, nonce },
    ...{ evidence_digest, signing_key, sealing_key },
  }));
  expectAuthorised(authorisations, expected, policy);
  // The parties have appraised this evidence; the reader does it again, in a party's place.
  const consent = { tee, hello: greeting, gos, party: parties[0]!, session, ...anchors };
  const [attestation] = atMs.map((nowMs) => {
    const result = appraiseEnclave({ ...consent, nowMs });
    expectAccepted(result);
    return result;
  });
  expect(attestation !== undefined, 'evidence is appraised as of some moment');
  const signed = expectEnvelope(envelope, { plan, gos, session, greeting });
  return {
    ...{ plan, planDigest: plan_digest, session, attestation },
    sealedFor: { ...run, party: ENCLAVE_NAME },
    commitment: signed.share_commitment,
    shareDigest: signed.share_digest,
  };
}

/** An answer, opened. */
export interface OpenedTeeAnswer {
  /** Of the commitment. */
  readonly salt: Uint8Array;
  /** `open ‖ cells` as the plan shapes them; wipe after use. */
  readonly answer: Uint8Array;
}

/**
 * Opens the sealed answer that the envelope of a run names.
 * @param run - that passed {@link verifyTeeRun}.
 * @throws ParleyError RESULT_INVALID.
 */
export async function openTeeAnswer(
  run: VerifiedTeeRun,
  sealed: SealedShare,
  sealingKey: Redacted<Uint8Array>,
): Promise<OpenedTeeAnswer> {
  const { sealedFor, commitment, shareDigest: named } = run;
  if (sealed.party !== ENCLAVE_NAME || shareDigest(sealed) !== named) {
    throw new ParleyError('RESULT_INVALID', 'the sealed answer is not the one the envelope names');
  }
  const opening = await openShare(sealed, sealingKey, sealedFor);
  const { salt, share } = expectCommitted(opening, commitment, sealedFor);
  return { salt, answer: share };
}
