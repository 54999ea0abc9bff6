import type { KeyObject } from 'node:crypto';
import { equalBytes, toHex } from '../../core/bytes.ts';
import { CERTIFICATE_BYTES_MAX, CHAIN_CERTIFICATES_MAX } from './limits.ts';
import {
  TAG,
  asciiOf,
  booleanOf,
  childrenOf,
  contextTag,
  expectTag,
  namedBitsOf,
  naturalOf,
  octetsOf,
  oidOf,
  readDer,
  sequenceOf,
  smallNaturalOf,
  timeOf,
  type Der,
} from './der.ts';
import { check, refuse } from './refuse.ts';
import { keyOf, signedOf, type KeyShape, type Signed } from './signed.ts';

/** The fields of an X.509 v3 certificate (RFC 5280) that appraisal looks at. */
export interface Certificate extends Signed {
  readonly der: Uint8Array;
  /** Lower-case hex without leading zero octets. */
  readonly serial: string;
  /** Raw DER of the names; names are equal when these bytes are. */
  readonly issuer: Uint8Array;
  readonly subject: Uint8Array;
  readonly subjectCommonName: string;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  readonly key: KeyObject;
  readonly shape: KeyShape;
  /** Extension values by object identifier. */
  readonly extensions: ReadonlyMap<string, Uint8Array>;
  readonly isCa: boolean;
  readonly pathLength: number | null;
  /** Bits of keyUsage, RFC 5280 section 4.2.1.3; null when absent. */
  readonly keyUsage: number | null;
}

export const KEY_USAGE = {
  digitalSignature: 1 << 0,
  keyCertSign: 1 << 5,
  crlSign: 1 << 6,
} as const;

const OID_BASIC_CONSTRAINTS = '2.5.29.19';
const OID_KEY_USAGE = '2.5.29.15';
const OID_COMMON_NAME = '2.5.4.3';

function commonNameOf(name: Der | undefined): string {
  for (const rdn of sequenceOf(name)) {
    for (const attribute of childrenOf(expectTag(rdn, TAG.set))) {
      const [type, value] = sequenceOf(attribute);
      if (oidOf(type) === OID_COMMON_NAME) return asciiOf(value);
    }
  }
  return '';
}

function extensionsOf(field: Der | undefined): Map<string, Uint8Array> {
  const found = new Map<string, Uint8Array>();
  if (field === undefined) return found;
  for (const extension of sequenceOf(childrenOf(field)[0])) {
    const [oid, second, third, ...rest] = sequenceOf(extension);
    const id = oidOf(oid);
    const critical = second?.tag === TAG.boolean && booleanOf(second);
    const value = octetsOf(second?.tag === TAG.boolean ? third : second);
    if (rest.length > 0 || found.has(id)) refuse('ENDORSEMENT_MALFORMED', 'an extension repeats');
    // RFC 5280 section 4.2: a critical extension that is not understood MUST reject.
    const known = id === OID_BASIC_CONSTRAINTS || id === OID_KEY_USAGE;
    check(!critical || known, 'ENDORSEMENT_USAGE', 'a certificate has an unknown critical part');
    found.set(id, value);
  }
  return found;
}

function basicConstraintsOf(
  value: Uint8Array | undefined,
): Pick<Certificate, 'isCa' | 'pathLength'> {
  if (value === undefined) return { isCa: false, pathLength: null };
  const members = sequenceOf(readDer(value));
  const isCa = members[0]?.tag === TAG.boolean && booleanOf(members[0]);
  const length = members[isCa ? 1 : members.length];
  return { isCa, pathLength: length === undefined ? null : smallNaturalOf(length) };
}

/**
 * Reads one DER certificate, strictly.
 * @throws ParleyError ENDORSEMENT_MALFORMED; ENDORSEMENT_KEY for an unknown algorithm or key;
 *   ENDORSEMENT_USAGE for an unknown critical extension.
 */
export function parseCertificate(der: Uint8Array): Certificate {
  if (der.length > CERTIFICATE_BYTES_MAX) refuse('ENDORSEMENT_MALFORMED', 'a certificate is long');
  const { signed, members, inner } = signedOf(readDer(der));
  const [version, serial, algorithm, issuer, validity, subject, spki, ...rest] = inner;
  // Version [0] EXPLICIT INTEGER 2, which is v3.
  const [v3] = childrenOf(expectTag(version, contextTag(0)));
  if (smallNaturalOf(v3) !== 2) refuse('ENDORSEMENT_MALFORMED', 'a certificate is not version 3');
  // RFC 5280 section 4.1.1.2: both algorithm fields MUST be the same.
  const same = equalBytes(algorithm?.whole ?? new Uint8Array(), members[1]!.whole);
  check(same, 'ENDORSEMENT_MALFORMED', 'a certificate names two signature algorithms');
  const [notBefore, notAfter] = sequenceOf(validity);
  const extensions = extensionsOf(rest.find(({ tag }) => tag === contextTag(3)));
  const usage = extensions.get(OID_KEY_USAGE);
  return {
    ...signed,
    der,
    serial: toHex(naturalOf(serial)),
    issuer: expectTag(issuer, TAG.sequence).whole,
    subject: expectTag(subject, TAG.sequence).whole,
    subjectCommonName: commonNameOf(subject),
    notBeforeMs: timeOf(notBefore),
    notAfterMs: timeOf(notAfter),
    ...keyOf(spki),
    extensions,
    ...basicConstraintsOf(extensions.get(OID_BASIC_CONSTRAINTS)),
    keyUsage: usage === undefined ? null : namedBitsOf(readDer(usage)),
  };
}

const PEM_BLOCK = /-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]*)-----END CERTIFICATE-----\s*/y;

/**
 * Certificates of a PEM chain, in order; nothing but blocks and white space is allowed.
 * @throws ParleyError ENDORSEMENT_MALFORMED when there are none, too many, or anything else.
 */
export function parsePemChain(pem: string): Certificate[] {
  const text = pem.trim();
  const chain: Certificate[] = [];
  PEM_BLOCK.lastIndex = 0;
  for (let at = 0; at < text.length; at = PEM_BLOCK.lastIndex) {
    const found = PEM_BLOCK.exec(text);
    if (found === null || chain.length === CHAIN_CERTIFICATES_MAX) {
      refuse('ENDORSEMENT_MALFORMED', 'a certificate chain is not a short list of PEM blocks');
    }
    chain.push(parseCertificate(new Uint8Array(Buffer.from(found[1]!, 'base64'))));
  }
  if (chain.length === 0) refuse('ENDORSEMENT_MALFORMED', 'a certificate chain is empty');
  return chain;
}
