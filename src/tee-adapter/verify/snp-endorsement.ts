import { equalBytes } from '../../core/bytes.ts';
import { SNP_PRODUCTS, type SnpProduct, type SnpTcb } from '../../policy/index.ts';
import { parseCertificate, type Certificate } from './certificate.ts';
import { expectChain } from './chain.ts';
import { expectNotRevoked } from './crl.ts';
import { asciiOf, readDer, smallNaturalOf } from './der.ts';
import { isZero } from './reader.ts';
import { check, refuse } from './refuse.ts';
import type { SnpReport } from './snp-report.ts';
import type { Context, SnpEndorsements } from './types.ts';

/** A VCEK or VLEK whose chain has been validated. */
export interface SnpEndorser {
  readonly leaf: Certificate;
  readonly kind: 'vcek' | 'vlek';
  readonly product: SnpProduct;
}

/** Extensions of AMD's certificates (KDS specification 57230, table 8), below this arc. */
const ARC = '1.3.6.1.4.1.3704.1';

function extension(leaf: Certificate, arc: string): Uint8Array {
  const found = leaf.extensions.get(`${ARC}.${arc}`);
  if (found === undefined) refuse('ENDORSEMENT_MALFORMED', 'an AMD certificate lacks a field');
  return found;
}

function level(leaf: Certificate, arc: string): number {
  const value = smallNaturalOf(readDer(extension(leaf, arc)));
  check(value <= 0xff, 'ENDORSEMENT_MALFORMED', 'a patch level is beyond a byte');
  return value;
}

/** The TCB version a certificate speaks for. */
export function endorsedTcb({ leaf, product }: SnpEndorser): SnpTcb {
  return {
    bootloader: level(leaf, '3.1'),
    tee: level(leaf, '3.2'),
    snp: level(leaf, '3.3'),
    microcode: level(leaf, '3.8'),
    ...(product === 'turin' ? { fmc: level(leaf, '3.9') } : {}),
  };
}

/**
 * Validates leaf, intermediate and pinned ARK, and AMD's revocation list when there is one. Which
 * product line and which kind of key it is follows from whose name the leaf carries as issuer,
 * which the signatures then prove.
 *
 * @throws ParleyError as `expectChain` and `expectNotRevoked`; ENDORSEMENT_CHAIN for an issuer
 *   that is none of AMD's; CRL_MISSING; ENDORSEMENT_KEY for a leaf key off P-384.
 */
export function expectEndorser(
  endorsements: SnpEndorsements,
  revocation: 'required' | 'if_given',
  { anchors, nowMs }: Context,
): SnpEndorser {
  const leaf = parseCertificate(endorsements.leaf);
  for (const product of SNP_PRODUCTS) {
    const { ark, ask, asvk } = anchors.amd[product];
    for (const [kind, known] of [
      ['vcek', ask],
      ['vlek', asvk],
    ] as const) {
      if (!equalBytes(leaf.issuer, known.subject)) continue;
      const given = endorsements.intermediate;
      const intermediate = given === undefined ? known : parseCertificate(given);
      const rules = { algorithm: 'rsa-pss-sha384', leafUsage: 'absent' } as const;
      expectChain([leaf, intermediate, ark], ark, rules, nowMs);
      check(leaf.shape === 'p384', 'ENDORSEMENT_KEY', 'an endorsement key is not on P-384');
      if (endorsements.crl !== undefined) {
        expectNotRevoked(endorsements.crl, ark, [intermediate], nowMs);
      }
      const missing = revocation === 'required' && endorsements.crl === undefined;
      check(!missing, 'CRL_MISSING', 'the revocation list of the endorsement is missing');
      return { leaf, kind, product };
    }
  }
  return refuse('ENDORSEMENT_CHAIN', 'an endorsement is issued by none of AMD’s authorities');
}

/** The hardware identity a VCEK speaks for: raw bytes, not wrapped in DER. 8 bytes on Turin. */
function hardwareId({ leaf, product }: SnpEndorser): Uint8Array {
  const id = extension(leaf, '4');
  const length = product === 'turin' ? 8 : 64;
  check(id.length === length, 'ENDORSEMENT_MALFORMED', 'a hardware identity has another length');
  return id;
}

/**
 * Expects that a VCEK is the key of the chip that made the report, and that a VLEK is of one of
 * the providers named.
 * @throws ParleyError EVIDENCE_CHIP_ID, ENDORSEMENT_OTHER_CHIP, ENDORSEMENT_OTHER_PROVIDER,
 *   REFERENCE_MISSING.
 */
export function expectSameChip(
  endorser: SnpEndorser,
  report: SnpReport,
  providers: readonly string[],
): void {
  const { chipId, chipMasked } = report;
  if (endorser.kind === 'vlek') {
    check(providers.length > 0, 'REFERENCE_MISSING', 'the policy names no provider of a VLEK');
    const provider = asciiOf(readDer(extension(endorser.leaf, '5')));
    const named = providers.includes(provider);
    check(named, 'ENDORSEMENT_OTHER_PROVIDER', 'a VLEK is of a provider the policy omits');
    return;
  }
  const hidden = chipMasked || isZero(chipId);
  check(!hidden, 'EVIDENCE_CHIP_ID', 'a report hides the chip its endorsement is for');
  const id = hardwareId(endorser);
  const same = equalBytes(chipId.subarray(0, id.length), id) && isZero(chipId.subarray(id.length));
  check(same, 'ENDORSEMENT_OTHER_CHIP', 'an endorsement is for another chip');
}
