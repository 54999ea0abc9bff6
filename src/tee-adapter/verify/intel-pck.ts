import { toHex } from '../../core/bytes.ts';
import type { Certificate } from './certificate.ts';
import { parsePemChain } from './certificate.ts';
import { expectChain, type ChainRules } from './chain.ts';
import { expectNotRevoked } from './crl.ts';
import { octetsOf, oidOf, readDer, sequenceOf, smallNaturalOf, type Der } from './der.ts';
import { check, refuse } from './refuse.ts';
import type { Context, IntelCollateral } from './types.ts';

/** Every chain of Intel's is signed this way. */
export const INTEL_RULES: ChainRules = {
  algorithm: 'ecdsa-sha256',
  leafUsage: 'digital_signature',
};

/** The platform a PCK certificate speaks for. */
export interface PckPlatform {
  readonly certificate: Certificate;
  /** 16 component SVNs. */
  readonly components: readonly number[];
  readonly pcesvn: number;
  /** Lower-case hex. */
  readonly pceid: string;
  readonly fmspc: string;
}

/** Intel's SGX extensions (Intel SGX PCK Certificate and CRL Profile, section 1.3.5). */
const ARC = '1.2.840.113741.1.13.1';
const COMPONENTS = 16;
const PCK_ISSUERS = ['Intel SGX PCK Platform CA', 'Intel SGX PCK Processor CA'];

function fieldsOf(sequence: Der): Map<string, Der> {
  const fields = new Map<string, Der>();
  for (const member of sequenceOf(sequence)) {
    const [oid, value, ...rest] = sequenceOf(member);
    const id = oidOf(oid);
    if (value === undefined || rest.length > 0 || fields.has(id)) {
      refuse('ENDORSEMENT_MALFORMED', 'a PCK extension is not a list of fields');
    }
    fields.set(id, value);
  }
  return fields;
}

function platformOf(certificate: Certificate): PckPlatform {
  const extension = certificate.extensions.get(ARC);
  if (extension === undefined) {
    refuse('ENDORSEMENT_USAGE', 'the leaf of a quote’s chain is not a PCK certificate');
  }
  const fields = fieldsOf(readDer(extension));
  const tcb = fields.get(`${ARC}.2`);
  if (tcb === undefined) refuse('ENDORSEMENT_MALFORMED', 'a PCK certificate lacks its TCB');
  const levels = fieldsOf(tcb);
  const pceid = octetsOf(fields.get(`${ARC}.3`));
  const fmspc = octetsOf(fields.get(`${ARC}.4`));
  const sized = pceid.length === 2 && fmspc.length === 6;
  check(sized, 'ENDORSEMENT_MALFORMED', 'a PCK certificate has a field of another length');
  return {
    certificate,
    components: Array.from({ length: COMPONENTS }, (_, i) =>
      smallNaturalOf(levels.get(`${ARC}.2.${i + 1}`)),
    ),
    pcesvn: smallNaturalOf(levels.get(`${ARC}.2.17`)),
    pceid: toHex(pceid),
    fmspc: toHex(fmspc),
  };
}

/**
 * Validates the chain a quote carries: PCK certificate, Processor or Platform CA, pinned root.
 * @throws ParleyError as `expectChain`; ENDORSEMENT_USAGE when the leaf is not a PCK certificate;
 *   ENDORSEMENT_KEY.
 */
export function expectPck(
  pem: string,
  { anchors, nowMs }: Context,
): { platform: PckPlatform; issuer: Certificate } {
  const chain = parsePemChain(pem);
  const [leaf, issuer] = chain;
  check(chain.length === 3, 'ENDORSEMENT_CHAIN', 'a PCK chain has another length than three');
  expectChain(chain, anchors.intel, INTEL_RULES, nowMs);
  const named = PCK_ISSUERS.includes(issuer!.subjectCommonName);
  check(named, 'ENDORSEMENT_CHAIN', 'a PCK certificate is issued by none of Intel’s PCK CAs');
  check(leaf!.shape === 'p256', 'ENDORSEMENT_KEY', 'a PCK key is not on P-256');
  return { platform: platformOf(leaf!), issuer: issuer! };
}

/**
 * Expects that neither the PCK certificate nor its issuer is on a current revocation list.
 * @throws ParleyError CRL_MISSING; as `expectNotRevoked`.
 */
export function expectPckNotRevoked(
  { platform, issuer }: { platform: PckPlatform; issuer: Certificate },
  { rootCrl, pckCrl }: IntelCollateral,
  { anchors, nowMs }: Context,
): void {
  const both = rootCrl.length > 0 && pckCrl.length > 0;
  check(both, 'CRL_MISSING', 'a revocation list of the PCK chain is missing');
  expectNotRevoked(rootCrl, anchors.intel, [issuer], nowMs);
  expectNotRevoked(pckCrl, issuer, [platform.certificate], nowMs);
}

/** The two certificates above signed collateral. */
export function expectCollateralSigner(
  pem: string,
  rootCrl: Uint8Array,
  { anchors, nowMs }: Context,
): Certificate {
  const chain = parsePemChain(pem);
  const [leaf] = chain;
  check(chain.length === 2, 'ENDORSEMENT_CHAIN', 'a collateral chain has another length than two');
  expectChain(chain, anchors.intel, INTEL_RULES, nowMs);
  // Any other certificate directly below the root is a CA, which expectChain refuses as a leaf.
  const named = leaf!.subjectCommonName === 'Intel SGX TCB Signing';
  check(named, 'ENDORSEMENT_USAGE', 'collateral is signed by a certificate for something else');
  expectNotRevoked(rootCrl, anchors.intel, [leaf!], nowMs);
  return leaf!;
}
