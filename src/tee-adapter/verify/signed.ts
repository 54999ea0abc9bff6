import { constants, createPublicKey, verify, type KeyObject } from 'node:crypto';
import { type Der, bitOctetsOf, contextTag, oidOf, sequenceOf, smallNaturalOf } from './der.ts';
import { expectTag, childrenOf } from './der.ts';
import { check, refuse } from './refuse.ts';

/** The signature algorithms the three vendors use for certificates and revocation lists. */
export type SignatureAlgorithm = 'rsa-pss-sha384' | 'ecdsa-sha256' | 'ecdsa-sha384';

/** A signed structure of RFC 5280: certificate or revocation list. */
export interface Signed {
  /** The exact bytes under the signature. */
  readonly tbs: Uint8Array;
  readonly algorithm: SignatureAlgorithm;
  readonly signature: Uint8Array;
}

const OID = {
  rsaPss: '1.2.840.113549.1.1.10',
  mgf1: '1.2.840.113549.1.1.8',
  sha384: '2.16.840.1.101.3.4.2.2',
  ecdsaSha256: '1.2.840.10045.4.3.2',
  ecdsaSha384: '1.2.840.10045.4.3.3',
} as const;

const SALT_BYTES = 48;

function isSha384(element: Der | undefined): boolean {
  const [oid] = sequenceOf(element);
  return oidOf(oid) === OID.sha384;
}

/** RSASSA-PSS-params of RFC 4055 section 3.1: SHA-384, MGF1 with SHA-384, salt of 48 octets. */
function isPss384(parameters: Der | undefined): boolean {
  const fields = sequenceOf(parameters);
  const field = (n: number): Der | undefined => {
    const found = fields.find(({ tag }) => tag === contextTag(n));
    return found === undefined ? undefined : childrenOf(found)[0];
  };
  const [mgf, mgfHash] = field(1) === undefined ? [] : sequenceOf(field(1));
  return (
    field(0) !== undefined &&
    isSha384(field(0)) &&
    oidOf(mgf) === OID.mgf1 &&
    isSha384(mgfHash) &&
    field(2) !== undefined &&
    smallNaturalOf(field(2)) === SALT_BYTES
  );
}

/** @throws ParleyError ENDORSEMENT_KEY for an algorithm none of the vendors uses. */
export function algorithmOf(element: Der | undefined): SignatureAlgorithm {
  const [oid, parameters] = sequenceOf(element);
  switch (oidOf(oid)) {
    case OID.rsaPss:
      check(isPss384(parameters), 'ENDORSEMENT_KEY', 'a PSS signature has other parameters');
      return 'rsa-pss-sha384';
    case OID.ecdsaSha256:
      return 'ecdsa-sha256';
    case OID.ecdsaSha384:
      return 'ecdsa-sha384';
    default:
      return refuse('ENDORSEMENT_KEY', 'a certificate is signed with an unknown algorithm');
  }
}

/**
 * Splits `SEQUENCE { tbs, algorithm, signature }`.
 * @returns the members of the signed part beside it.
 */
export function signedOf(element: Der): { signed: Signed; members: Der[]; inner: Der[] } {
  const members = sequenceOf(element);
  const [tbs, algorithm, signature] = members;
  if (members.length !== 3) refuse('ENDORSEMENT_MALFORMED', 'a signed structure has other parts');
  const inner = sequenceOf(tbs);
  return {
    signed: {
      tbs: tbs!.whole,
      algorithm: algorithmOf(algorithm),
      signature: bitOctetsOf(signature),
    },
    members,
    inner,
  };
}

/** False for any signature that does not verify, whatever the reason. */
export function isSignedBy({ tbs, algorithm, signature }: Signed, key: KeyObject): boolean {
  try {
    if (algorithm === 'rsa-pss-sha384') {
      const padding = constants.RSA_PKCS1_PSS_PADDING;
      return verify('sha384', tbs, { key, padding, saltLength: SALT_BYTES }, signature);
    }
    return verify(algorithm.slice('ecdsa-'.length), tbs, { key, dsaEncoding: 'der' }, signature);
  } catch {
    return false;
  }
}

/** ECDSA over raw `r ‖ s`, big-endian. */
export function verifyRaw(
  hash: 'sha256' | 'sha384',
  data: Uint8Array,
  key: KeyObject,
  signature: Uint8Array,
): boolean {
  try {
    return verify(hash, data, { key, dsaEncoding: 'ieee-p1363' }, signature);
  } catch {
    return false;
  }
}

/** What a key is for: its curve, or `rsa`. */
export type KeyShape = 'rsa' | 'p256' | 'p384';

const CURVES: Readonly<Record<string, KeyShape>> = { prime256v1: 'p256', secp384r1: 'p384' };

/** @throws ParleyError ENDORSEMENT_KEY for a key of another kind. */
export function keyOf(spki: Der | undefined): { key: KeyObject; shape: KeyShape } {
  const { whole } = expectTag(spki, 0x30);
  let key: KeyObject;
  try {
    key = createPublicKey({ key: Buffer.from(whole), format: 'der', type: 'spki' });
  } catch {
    refuse('ENDORSEMENT_KEY', 'a certificate holds a key that cannot be read');
  }
  const curve = key.asymmetricKeyDetails?.namedCurve ?? '';
  const shape = key.asymmetricKeyType === 'rsa' ? 'rsa' : CURVES[curve];
  if (shape === undefined) refuse('ENDORSEMENT_KEY', 'a certificate holds a key of another kind');
  return { key, shape };
}

/** A P-256 public key from its affine coordinates, as quotes carry it. */
export function p256KeyOf(x: Uint8Array, y: Uint8Array): KeyObject | undefined {
  const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64url');
  try {
    return createPublicKey({
      key: { kty: 'EC', crv: 'P-256', x: text(x), y: text(y) },
      format: 'jwk',
    });
  } catch {
    return undefined;
  }
}
