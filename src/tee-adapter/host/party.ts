import { ParleyError } from '../../core/errors.ts';
import type { Redacted } from '../../core/redacted.ts';
import type { LocalTable } from '../../engine/types.ts';
import type { TeePolicy } from '../../policy/index.ts';
import type { Signed, SignedGo } from '../../records/index.ts';
import type { PlanSide } from '../../sql/index.ts';
import { evidenceDigest, evidenceFromJson } from '../evidence-json.ts';
import type { HelloReply } from '../enclave/enclave.ts';
import { encodeInput, sealInput, type SealedInput } from '../enclave/input.ts';
import { signAuthorisation, type TeeAuthorisation } from '../enclave/records.ts';
import { appraise, type AttestationResult, type TrustAnchors } from '../verify/index.ts';

export interface Consent {
  readonly tee: TeePolicy;
  readonly hello: HelloReply;
  /** Goes of all parties of the plan, this party's own among them. */
  readonly gos: readonly SignedGo[];
  readonly party: string;
  readonly session: string;
  readonly nowMs: number;
  readonly anchors?: TrustAnchors;
}

/**
 * A party's, or the analyst's, own look at an enclave: is this one of the policy's, and are its
 * keys bound to this run?
 * @returns what was found; only `accepted` (or `accepted_simulated`) may go on.
 */
export function appraiseEnclave(consent: Consent): AttestationResult {
  const { tee, hello, gos, party, session, nowMs, anchors } = consent;
  const own = gos.find(({ document }) => document.party === party)?.document;
  if (own === undefined) throw new ParleyError('GO_INVALID', 'there is no go of this party');
  const evidence = evidenceFromJson(hello.evidence);
  const claims = {
    tee: evidence.tee,
    signing_key: hello.signing_key,
    sealing_key: hello.sealing_key,
    nonces: Object.fromEntries(gos.map((go) => [go.document.party, go.document.nonce])),
    policy: own.policy_digest,
    plan: own.plan_digest,
    session,
  };
  const nonce = new Uint8Array(Buffer.from(own.nonce, 'hex'));
  const appraisal = { evidence, policy: tee, claims, own: { party, nonce }, nowMs };
  return anchors === undefined ? appraise(appraisal) : appraise(appraisal, anchors);
}

/** Ends with the code of the rejection. */
export function expectAccepted(result: AttestationResult): void {
  if (result.decision === 'rejected') throw new ParleyError(result.code, result.reason);
}

/**
 * What a party hands out once it has accepted an enclave: its input, sealed to it, and its consent.
 * A party does this once per session; a second enclave of the same session gets nothing.
 *
 * @throws ParleyError with the code of the rejection, before anything is sealed or signed.
 */
export async function consentTo(
  consent: Consent,
  table: LocalTable,
  side: PlanSide,
  identityKey: Redacted<Uint8Array>,
): Promise<{ readonly input: SealedInput; readonly authorisation: Signed<TeeAuthorisation> }> {
  expectAccepted(appraiseEnclave(consent));
  const { hello, gos, party, session } = consent;
  const go = gos.find(({ document }) => document.party === party)!.document;
  const { room, policy_digest, plan_digest, query_id, submission_digest } = go;
  const evidence_digest = evidenceDigest(hello.evidence);
  const context = { policy_digest, plan_digest, session, evidence_digest, party };
  const plaintext = encodeInput(table, side);
  const input = await sealInput(plaintext, hello.sealing_key, context);
  plaintext.fill(0);
  const document: TeeAuthorisation = {
    ...{ version: 1, room, policy_digest, query_id, plan_digest, submission_digest },
    ...{ session, party, evidence_digest, nonce: go.nonce },
    ledger_before: go.ledger_before,
    ledger_after: go.ledger_after,
    signing_key: hello.signing_key,
    sealing_key: hello.sealing_key,
  };
  return { input, authorisation: signAuthorisation(document, identityKey) };
}
