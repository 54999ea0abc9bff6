import { equalBytes } from '../../core/bytes.ts';
import { ParleyError } from '../../core/errors.ts';
import type { Redacted } from '../../core/redacted.ts';
import { calibrate, noiseRecord } from '../../dp/index.ts';
import { canonicalJson } from '../../policy/index.ts';
import type { Policy } from '../../policy/types.ts';
import { openShare, sessionOf, shareDigest } from '../../records/index.ts';
import type { Signed, SignedGo } from '../../records/index.ts';
import { planDigest, planQuery } from '../../sql/index.ts';
import { policyDigest } from '../../policy/index.ts';
import type { HelloReply, RunReply } from '../enclave/enclave.ts';
import {
  ENCLAVE_NAME,
  TEE_SUITE,
  expectAuthorised,
  expectEnvelopeSigned,
  teeSubmissionDigest,
  type TeeAuthorisation,
  type TeeEnvelope,
  type TeeSubmission,
} from '../enclave/records.ts';
import { evidenceDigest } from '../evidence-json.ts';
import type { TrustAnchors } from '../verify/index.ts';
import { appraiseEnclave, expectAccepted } from './party.ts';

/** Everything of a run that the host handed over; none of it is believed unchecked. */
export interface TeeRecord {
  readonly gos: readonly SignedGo[];
  readonly authorisations: readonly Signed<TeeAuthorisation>[];
  readonly hello: HelloReply;
  readonly reply: RunReply;
}

/**
 * Checks an enclave's answer from the analyst's own query and policy alone, then opens it:
 * session → every party's authorisation → evidence → keys → envelope → noise → answer.
 *
 * @returns `open ‖ cells` as the plan shapes them; wipe after use.
 * @throws ParleyError GO_INVALID, RECEIPT_INVALID, RESULT_INVALID, or the code of the rejection.
 */
export async function openTeeAnswer(
  record: TeeRecord,
  query: TeeSubmission,
  policy: Policy,
  sealingKey: Redacted<Uint8Array>,
  now: { readonly nowMs: number; readonly anchors?: TrustAnchors },
): Promise<Uint8Array> {
  const { gos, hello, reply, authorisations } = record;
  const { tee } = policy.execution;
  if (tee === null) throw new ParleyError('POLICY_MISMATCH', 'the policy names no enclave');
  const policy_digest = policyDigest(policy);
  const plan = planQuery(policy, policy_digest, query.sql, { epsilon: query.epsilon });
  const plan_digest = planDigest(plan);
  const submission_digest = teeSubmissionDigest(query);
  const { query_id, room } = query;
  const parties = plan.sides.map(({ party }) => party);
  const agreed = { query_id, plan_digest, submission_digest, suite: TEE_SUITE };
  const session = sessionOf(gos, policy, parties, agreed);
  const evidence_digest = evidenceDigest(hello.evidence);
  const run = { room, policy_digest, query_id, plan_digest, submission_digest, session };
  const { signing_key, sealing_key } = hello;
  const expected = gos.map(({ document: { party, ledger_before, ledger_after, nonce } }) => ({
    ...run,
    ...{ party, ledger_before, ledger_after, nonce, evidence_digest, signing_key, sealing_key },
  }));
  expectAuthorised(authorisations, expected, policy);
  // The parties have appraised this evidence; the analyst does it again, in a party's place.
  expectAccepted(appraiseEnclave({ tee, hello, gos, party: parties[0]!, session, ...now }));
  expectEnvelopeSigned(reply.envelope, signing_key);
  const measures = plan.measures.map(({ epsilon, sensitivity }) => ({ epsilon, sensitivity }));
  const rule = { ...plan.privacy, measures };
  const ledgers = Object.fromEntries(
    gos.map(({ document: { party, ledger_before: before, ledger_after: after } }) => [
      party,
      { before, after },
    ]),
  );
  const envelope: TeeEnvelope = {
    version: 1,
    ...run,
    evidence_digest,
    noise: noiseRecord(rule, calibrate(rule)),
    ledgers,
    share_digest: shareDigest(reply.sealed),
    simulated: (hello.evidence as { readonly tee: string }).tee === 'simulated',
  };
  if (!equalBytes(canonicalJson(envelope), canonicalJson(reply.envelope.document))) {
    throw new ParleyError('RECEIPT_INVALID', 'the envelope speaks of another run');
  }
  return openShare(reply.sealed, sealingKey, {
    ...{ room, policy_digest, query_id, plan_digest, session },
    party: ENCLAVE_NAME,
  });
}
