import { asParleyError } from '../../core/errors.ts';
import { digestOf, type TeePolicy } from '../../policy/index.ts';
import { bindingOf, expectNonce, type Binding, type BindingClaims } from '../binding.ts';
import { PINNED_ANCHORS, type TrustAnchors } from './anchors.ts';
import { verifyAzureSnp } from './azure.ts';
import { verifyNitro } from './nitro.ts';
import { referenceFor } from './references.ts';
import { check, refuse } from './refuse.ts';
import { earOf, type AttestationResult } from './result.ts';
import { verifySgx } from './sgx.ts';
import { verifySimulated } from './simulated.ts';
import { verifySnp } from './snp.ts';
import { verifyTdx } from './tdx.ts';
import type { Claims, Context, Evidence } from './types.ts';

export interface Appraisal {
  readonly evidence: Evidence;
  /** `execution.tee` of the policy all parties signed. */
  readonly policy: TeePolicy;
  /** What the evidence must be bound to, as this party knows it. */
  readonly claims: BindingClaims;
  readonly own: { readonly party: string; readonly nonce: Uint8Array };
  readonly nowMs: number;
}

function appraiseOne(
  evidence: Evidence,
  policy: TeePolicy,
  binding: Binding,
  context: Context,
): Claims {
  const { nowMs } = context;
  switch (evidence.tee) {
    case 'amd-sev-snp': {
      const reference = referenceFor(policy, evidence.tee, nowMs);
      return verifySnp(evidence.report, evidence.endorsements, reference, binding, context);
    }
    case 'azure-sev-snp-vtpm': {
      const reference = referenceFor(policy, evidence.tee, nowMs);
      return verifyAzureSnp(evidence, reference, binding.nonce, context);
    }
    case 'intel-tdx': {
      const reference = referenceFor(policy, evidence.tee, nowMs);
      return verifyTdx(evidence, evidence.collateral, reference, binding, context);
    }
    case 'intel-sgx': {
      const reference = referenceFor(policy, evidence.tee, nowMs);
      return verifySgx(evidence.quote, evidence.collateral, reference, binding, context);
    }
    case 'aws-nitro': {
      const reference = referenceFor(policy, evidence.tee, nowMs);
      const { reportData: userData, nonce, publicKey } = binding;
      return verifyNitro(evidence.document, reference, { userData, nonce, publicKey }, context);
    }
    case 'simulated': {
      const reference = referenceFor(policy, evidence.tee, nowMs);
      return verifySimulated(evidence.statement, reference, binding);
    }
    default:
      // The type says never; what arrives over a wire may differ.
      return refuse('EVIDENCE_TYPE', 'evidence is of a type this version does not know');
  }
}

/**
 * Appraises evidence for one party: form, signatures, chain, claims against the reference values
 * of the signed policy, and binding to the enclave's keys, the run and the party's own nonce.
 * Every failure, one of our own included, is a rejection with a code. Never throws.
 *
 * @param anchors - the vendors' roots; tests give those of their own PKI.
 */
export function appraise(
  { evidence, policy, claims, own, nowMs }: Appraisal,
  anchors: TrustAnchors = PINNED_ANCHORS,
): AttestationResult {
  const { tee } = evidence;
  const reference = policy.references.find(({ type }) => type === tee) ?? null;
  const policyId = digestOf('parley/tee-reference/v1', reference);
  try {
    check(claims.tee === tee, 'EVIDENCE_BINDING', 'evidence is of another type than was asked for');
    expectNonce(claims, own);
    const found = appraiseOne(evidence, policy, bindingOf(claims), { nowMs, anchors });
    if (tee === 'simulated') {
      const decision = 'accepted_simulated';
      return { decision, tee, ear: earOf(decision, tee, policyId, found, nowMs) };
    }
    return { decision: 'accepted', tee, ear: earOf('accepted', tee, policyId, found, nowMs) };
  } catch (error) {
    const { code, message } = asParleyError(error);
    const ear = earOf('rejected', tee, policyId, {}, nowMs);
    return { decision: 'rejected', tee, code, reason: message, ear };
  }
}
