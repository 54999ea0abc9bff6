import { ParleyError } from '../../core/errors.ts';
import type { Redacted } from '../../core/redacted.ts';
import type { LocalTable } from '../../engine/types.ts';
import type { TeePolicy } from '../../policy/index.ts';
import {
  signAuthorisation,
  type Go,
  type Signed,
  type SignedGo,
  type TeeAuthorisation,
} from '../../records/index.ts';
import type { Plan, PlanSide } from '../../sql/index.ts';
import { evidenceDigest, evidenceFromJson } from '../evidence-json.ts';
import type { HelloReply } from '../enclave/enclave.ts';
import {
  encodeInput,
  sealedInputBytes,
  sealInput,
  type InputContext,
  type SealedInput,
} from '../enclave/input.ts';
import { BODY_BYTES_MAX } from '../enclave/limits.ts';
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

function goOf(gos: readonly SignedGo[], party: string): Go {
  const own = gos.find(({ document }) => document.party === party)?.document;
  if (own === undefined) throw new ParleyError('GO_INVALID', 'there is no go of this party');
  return own;
}

/**
 * A party's, or the analyst's, own look at an enclave: is this one of the policy's, and are its
 * keys bound to this run?
 * @returns what was found; only `accepted` (or `accepted_simulated`) may go on.
 */
export function appraiseEnclave(consent: Consent): AttestationResult {
  const { tee, hello, gos, party, session, nowMs, anchors } = consent;
  const own = goOf(gos, party);
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
export function expectAccepted(
  result: AttestationResult,
): asserts result is Exclude<AttestationResult, { readonly decision: 'rejected' }> {
  if (result.decision === 'rejected') throw new ParleyError(result.code, result.reason);
}

/** @throws ParleyError SQL_TOO_LARGE when an enclave does not take a party's input of this plan. */
export function expectInputsFit({ sides }: Plan): void {
  const large = sides.find((side) => sealedInputBytes(side) > BODY_BYTES_MAX);
  if (large === undefined) return;
  throw new ParleyError('SQL_TOO_LARGE', 'the query needs a larger input than an enclave takes', {
    party: large.party,
    hint: 'use fewer columns of this party, or agree on a smaller max_users or max_rows_per_user',
  });
}

/** What a sealed input is bound to, for this party and this enclave. */
export function inputContextOf({ hello, gos, party, session }: Consent): InputContext {
  const { policy_digest, plan_digest } = goOf(gos, party);
  const evidence_digest = evidenceDigest(hello.evidence);
  return { policy_digest, plan_digest, session, evidence_digest, party };
}

/** What a party says of itself beside its consent. */
export type ConsentStatement = Pick<TeeAuthorisation, 'spent' | 'software'>;

/**
 * A party's one-time consent that this enclave runs this plan.
 * @param consent - of an enclave that {@link expectAccepted} let pass.
 */
export function authorise(
  { hello, gos, party, session }: Consent,
  { spent, software }: ConsentStatement,
  identityKey: Redacted<Uint8Array>,
): Signed<TeeAuthorisation> {
  const go = goOf(gos, party);
  const { room, policy_digest, plan_digest, query_id, submission_digest } = go;
  const { ledger_before, ledger_after, nonce } = go;
  const document: TeeAuthorisation = {
    ...{ version: 1, room, policy_digest, query_id, plan_digest, submission_digest },
    ...{ session, party, ledger_before, ledger_after, nonce },
    evidence_digest: evidenceDigest(hello.evidence),
    signing_key: hello.signing_key,
    sealing_key: hello.sealing_key,
    ...{ spent, software },
  };
  return signAuthorisation(document, identityKey);
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
  statement: ConsentStatement,
  identityKey: Redacted<Uint8Array>,
): Promise<{ readonly input: SealedInput; readonly authorisation: Signed<TeeAuthorisation> }> {
  expectAccepted(appraiseEnclave(consent));
  const plaintext = encodeInput(table, side);
  const input = await sealInput(plaintext, consent.hello.sealing_key, inputContextOf(consent));
  plaintext.fill(0);
  return { input, authorisation: authorise(consent, statement, identityKey) };
}
