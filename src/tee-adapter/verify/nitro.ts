import { equalBytes, toHex } from '../../core/bytes.ts';
import type { NitroReference } from '../../policy/index.ts';
import { parseCertificate } from './certificate.ts';
import { expectChain } from './chain.ts';
import { CLOCK_SKEW_MS } from './limits.ts';
import { parseNitroDocument, type NitroDocument } from './nitro-document.ts';
import { isZero } from './reader.ts';
import { expectSome } from './references.ts';
import { check } from './refuse.ts';
import { verifyRaw } from './signed.ts';
import type { Claims, Context, NitroBinding } from './types.ts';

/** PCRs that say which code runs: image, kernel and bootstrap, application. */
const CODE_PCRS = [0, 1, 2] as const;

/**
 * Proves that a document comes from a Nitro Secure Module: its certificate chains to the pinned
 * root and its key signed these bytes. The document's own first certificate is never the anchor.
 *
 * @throws ParleyError as `parseNitroDocument` and `expectChain`; ENDORSEMENT_KEY for a leaf off
 *   P-384; EVIDENCE_SIGNATURE.
 */
export function authenticateNitro(bytes: Uint8Array, { anchors, nowMs }: Context): NitroDocument {
  const document = parseNitroDocument(bytes);
  const leaf = parseCertificate(document.certificate);
  const issuers = document.cabundle.map(parseCertificate).reverse();
  const rules = { algorithm: 'ecdsa-sha384', leafUsage: 'digital_signature' } as const;
  expectChain([leaf, ...issuers], anchors.aws, rules, nowMs);
  check(leaf.shape === 'p384', 'ENDORSEMENT_KEY', 'a Nitro key is not on P-384');
  const signed = verifyRaw('sha384', document.signed, leaf.key, document.signature);
  check(signed, 'EVIDENCE_SIGNATURE', 'the signature of a Nitro document does not verify');
  return document;
}

function pcrOf(document: NitroDocument, index: number): Uint8Array {
  const value = document.pcrs.get(index);
  check(value !== undefined, 'EVIDENCE_PCR_MISSING', 'a Nitro document lacks a PCR');
  return value;
}

function expectMeasured(document: NitroDocument, { measurements }: NitroReference): void {
  // Debug mode leaves all three at zero, and no image hashes to zero.
  const debug = CODE_PCRS.some((index) => isZero(pcrOf(document, index)));
  check(!debug, 'EVIDENCE_DEBUG', 'the enclave runs in debug mode');
  expectSome(measurements);
  for (const pcrs of measurements) {
    const named = CODE_PCRS.every((index) => pcrs[index] !== undefined);
    check(named, 'REFERENCE_MISSING', 'a reference value lacks PCR 0, 1 or 2');
    const zeros = Object.values(pcrs).some((value) => /^0*$/.test(value));
    check(!zeros, 'REFERENCE_INVALID', 'a reference value is the measurement of a debug mode');
  }
  const matches = measurements.some((pcrs) =>
    Object.entries(pcrs).every(([i, value]) => toHex(pcrOf(document, Number(i))) === value),
  );
  check(matches, 'EVIDENCE_MEASUREMENT', 'the PCRs are none of the reference values');
}

function same(actual: Uint8Array | null, expected: Uint8Array | null): boolean {
  if (actual === null || expected === null) return actual === expected;
  return equalBytes(actual, expected);
}

/**
 * Appraises an AWS Nitro Enclaves attestation document.
 *
 * Model: the Nitro hypervisor and AWS's certificate authority are honest; the parent instance is
 * not. Source: AWS Nitro Enclaves documentation, "Validating attestation documents"; RFC 9052.
 * Chains live about three hours, so a document is appraised when it is made. Cost: six signature
 * checks.
 *
 * @throws ParleyError with a code per cause; see verify/README.md.
 */
export function verifyNitro(
  evidence: Uint8Array,
  reference: NitroReference,
  binding: NitroBinding,
  context: Context,
): Claims {
  const document = authenticateNitro(evidence, context);
  const { timestampMs, userData, nonce, publicKey } = document;
  const ageMs = context.nowMs - timestampMs;
  check(ageMs >= -CLOCK_SKEW_MS, 'EVIDENCE_FROM_FUTURE', 'a Nitro document is from the future');
  const fresh = ageMs <= reference.max_age_s * 1000;
  check(fresh, 'EVIDENCE_STALE', 'a Nitro document is older than the policy allows');
  expectMeasured(document, reference);
  check(same(nonce, binding.nonce), 'EVIDENCE_NONCE', 'a Nitro document has another nonce');
  const bound = same(userData, binding.userData) && same(publicKey, binding.publicKey);
  check(bound, 'EVIDENCE_BINDING', 'evidence is bound to something else');
  return {
    module_id: document.moduleId,
    timestamp: new Date(timestampMs).toISOString(),
    pcrs: [...document.pcrs].map(([index, value]) => `${index}=${toHex(value)}`),
    user_data: userData === null ? '' : toHex(userData),
    nonce: nonce === null ? '' : toHex(nonce),
    public_key: publicKey === null ? '' : toHex(publicKey),
  };
}
