import { equalBytes, toHex } from '../../core/bytes.ts';
import type { Certificate } from './certificate.ts';
import { CRL_BYTES_MAX } from './limits.ts';
import {
  TAG,
  booleanOf,
  childrenOf,
  contextTag,
  expectTag,
  naturalOf,
  octetsOf,
  oidOf,
  readDer,
  sequenceOf,
  smallNaturalOf,
  timeOf,
  type Der,
} from './der.ts';
import { check, refuse, relabelled } from './refuse.ts';
import { isSignedBy, signedOf, type Signed } from './signed.ts';

/** A certificate revocation list, RFC 5280 section 5. */
export interface Crl extends Signed {
  readonly issuer: Uint8Array;
  readonly thisUpdateMs: number;
  readonly nextUpdateMs: number;
  /** Serial numbers, as `Certificate.serial` writes them. */
  readonly revoked: ReadonlySet<string>;
}

/** Non-critical parts that do not change which certificates a list covers. */
const OID_KNOWN = new Set(['2.5.29.20', '2.5.29.35']);

function expectNoCritical(field: Der | undefined): void {
  if (field === undefined) return;
  for (const extension of sequenceOf(childrenOf(field)[0])) {
    const [oid, second, third] = sequenceOf(extension);
    const critical = second?.tag === TAG.boolean && booleanOf(second);
    octetsOf(second?.tag === TAG.boolean ? third : second);
    // A delta list or an issuing distribution point would make this a partial list.
    if (critical && !OID_KNOWN.has(oidOf(oid))) refuse('CRL_MALFORMED', 'a CRL is a partial list');
  }
}

function decode(der: Uint8Array): Crl {
  const { signed, members, inner } = signedOf(readDer(der));
  const [version, algorithm, issuer, thisUpdate, nextUpdate, ...rest] = inner;
  // RFC 5280 section 5.1.1.2: both algorithm fields MUST be the same.
  const same = equalBytes(algorithm?.whole ?? new Uint8Array(), members[1]!.whole);
  check(same, 'CRL_MALFORMED', 'a CRL names two signature algorithms');
  if (smallNaturalOf(version) !== 1) refuse('CRL_MALFORMED', 'a CRL is not version 2');
  const entries = rest[0]?.tag === TAG.sequence ? sequenceOf(rest[0]) : [];
  expectNoCritical(rest.find(({ tag }) => tag === contextTag(0)));
  return {
    ...signed,
    issuer: expectTag(issuer, TAG.sequence).whole,
    thisUpdateMs: timeOf(thisUpdate),
    nextUpdateMs: timeOf(nextUpdate),
    revoked: new Set(entries.map((entry) => toHex(naturalOf(sequenceOf(entry)[0])))),
  };
}

/** @throws ParleyError CRL_MALFORMED; ENDORSEMENT_KEY for an unknown signature algorithm. */
export function parseCrl(der: Uint8Array): Crl {
  if (der.length > CRL_BYTES_MAX) refuse('CRL_MALFORMED', 'a CRL is too long');
  return relabelled('ENDORSEMENT_MALFORMED', 'CRL_MALFORMED', () => decode(der));
}

/**
 * Expects that `issuer` has not revoked `subjects` in a current list of its own.
 * @throws ParleyError CRL_MALFORMED, CRL_ISSUER, CRL_SIGNATURE, CRL_FROM_FUTURE, CRL_STALE;
 *   ENDORSEMENT_REVOKED.
 */
export function expectNotRevoked(
  der: Uint8Array,
  issuer: Certificate,
  subjects: readonly Certificate[],
  nowMs: number,
): void {
  const crl = parseCrl(der);
  check(equalBytes(crl.issuer, issuer.subject), 'CRL_ISSUER', 'a CRL is of another issuer');
  check(isSignedBy(crl, issuer.key), 'CRL_SIGNATURE', 'the signature of a CRL does not verify');
  check(crl.thisUpdateMs <= nowMs, 'CRL_FROM_FUTURE', 'a CRL is from the future');
  check(nowMs < crl.nextUpdateMs, 'CRL_STALE', 'a CRL has expired');
  for (const subject of subjects) {
    check(!crl.revoked.has(subject.serial), 'ENDORSEMENT_REVOKED', 'a certificate is revoked');
  }
}
