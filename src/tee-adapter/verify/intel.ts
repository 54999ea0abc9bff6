import { createHash } from 'node:crypto';
import { equalBytes } from '../../core/bytes.ts';
import { isZero } from './reader.ts';
import { parseIntelQuote, parseSgxReport, type IntelQuote, type SgxReport } from './intel-quote.ts';
import { expectPck, type PckPlatform } from './intel-pck.ts';
import type { Certificate } from './certificate.ts';
import { check } from './refuse.ts';
import { p256KeyOf, verifyRaw } from './signed.ts';
import type { Context } from './types.ts';

/** A quote that Intel's chain proves genuine; revocation and TCB have not been looked at yet. */
export interface GenuineQuote {
  readonly quote: IntelQuote;
  readonly qe: SgxReport;
  readonly pck: { readonly platform: PckPlatform; readonly issuer: Certificate };
}

/**
 * Proves that a quote was signed by a quoting enclave on the platform its PCK certificate names:
 * root → CA → PCK → QE report → attestation key → quote.
 *
 * @throws ParleyError as `parseIntelQuote` and `expectPck`; EVIDENCE_QE_BINDING when the QE does
 *   not vouch for the key; EVIDENCE_SIGNATURE for either signature.
 */
export function authenticateQuote(bytes: Uint8Array, context: Context): GenuineQuote {
  const quote = parseIntelQuote(bytes);
  const pck = expectPck(quote.pckChain, context);
  const { key } = pck.platform.certificate;
  const vouched = verifyRaw('sha256', quote.qeReport, key, quote.qeSignature);
  check(vouched, 'EVIDENCE_SIGNATURE', 'the signature of a QE report does not verify');
  const qe = parseSgxReport(quote.qeReport);
  const { attestationKey, qeAuthentication } = quote;
  const hash = createHash('sha256').update(attestationKey).update(qeAuthentication).digest();
  const bound = equalBytes(qe.reportData.subarray(0, 32), hash) && isZero(qe.reportData.slice(32));
  check(bound, 'EVIDENCE_QE_BINDING', 'the quoting enclave vouches for another key');
  const attestation = p256KeyOf(attestationKey.subarray(0, 32), attestationKey.subarray(32));
  const signed =
    attestation !== undefined && verifyRaw('sha256', quote.signed, attestation, quote.signature);
  check(signed, 'EVIDENCE_SIGNATURE', 'the signature of a quote does not verify');
  return { quote, qe, pck };
}
