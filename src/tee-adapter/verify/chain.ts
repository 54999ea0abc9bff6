import { equalBytes } from '../../core/bytes.ts';
import { expect } from '../../core/errors.ts';
import { KEY_USAGE, type Certificate } from './certificate.ts';
import { check } from './refuse.ts';
import { isSignedBy, type SignatureAlgorithm } from './signed.ts';

export interface ChainRules {
  /** The one algorithm every certificate of the chain is signed with. */
  readonly algorithm: SignatureAlgorithm;
  /** AMD's leaves carry neither basicConstraints nor keyUsage; the others must say they sign. */
  readonly leafUsage: 'absent' | 'digital_signature';
}

function expectCa(certificate: Certificate, below: number): void {
  const { isCa, pathLength, keyUsage } = certificate;
  const signs = keyUsage !== null && (keyUsage & KEY_USAGE.keyCertSign) !== 0;
  check(isCa && signs, 'ENDORSEMENT_USAGE', 'an issuer is not a certificate authority');
  // RFC 5280 section 4.2.1.9: intermediates that may follow, the leaf not counted.
  const within = pathLength === null || below <= pathLength;
  check(within, 'ENDORSEMENT_PATH_LENGTH', 'a chain is longer than an issuer allows');
}

function expectLeaf({ isCa, pathLength, keyUsage }: Certificate, rules: ChainRules): void {
  check(!isCa && pathLength === null, 'ENDORSEMENT_USAGE', 'a leaf is a certificate authority');
  const signs = keyUsage !== null && (keyUsage & KEY_USAGE.digitalSignature) !== 0;
  const certifies = keyUsage !== null && (keyUsage & KEY_USAGE.keyCertSign) !== 0;
  const right = rules.leafUsage === 'absent' ? keyUsage === null || signs : signs;
  check(right && !certifies, 'ENDORSEMENT_USAGE', 'a leaf key is not for signatures');
}

/**
 * Path validation of RFC 5280 section 6.1 for a fixed list of certificates and one pinned root.
 *
 * @param chain - leaf first, the root last; at least two.
 * @param root - the pinned trust anchor; a root that merely carries its name does not pass.
 * @throws ParleyError ENDORSEMENT_ROOT, ENDORSEMENT_CHAIN (names), ENDORSEMENT_SIGNATURE,
 *   ENDORSEMENT_USAGE, ENDORSEMENT_PATH_LENGTH, ENDORSEMENT_KEY, ENDORSEMENT_NOT_YET_VALID,
 *   ENDORSEMENT_EXPIRED.
 */
export function expectChain(
  chain: readonly Certificate[],
  root: Certificate,
  rules: ChainRules,
  nowMs: number,
): void {
  expect(chain.length >= 2, 'a certificate chain is a leaf and its issuers');
  const pinned = equalBytes(chain[chain.length - 1]!.der, root.der);
  check(pinned, 'ENDORSEMENT_ROOT', 'a certificate chain does not end in the pinned root');
  chain.forEach((certificate, i) => {
    const issuer = chain[i + 1] ?? root;
    const named = equalBytes(certificate.issuer, issuer.subject);
    check(named, 'ENDORSEMENT_CHAIN', 'a certificate names another issuer');
    const { algorithm } = certificate;
    check(algorithm === rules.algorithm, 'ENDORSEMENT_KEY', 'a certificate has another algorithm');
    const signed = isSignedBy(certificate, issuer.key);
    check(signed, 'ENDORSEMENT_SIGNATURE', 'the signature of a certificate does not verify');
    if (i === 0) expectLeaf(certificate, rules);
    else expectCa(certificate, i - 1);
  });
  for (const { notBeforeMs, notAfterMs } of chain) {
    check(notBeforeMs <= nowMs, 'ENDORSEMENT_NOT_YET_VALID', 'a certificate is not valid yet');
    check(nowMs <= notAfterMs, 'ENDORSEMENT_EXPIRED', 'a certificate has expired');
  }
}
