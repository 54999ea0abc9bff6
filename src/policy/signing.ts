import { sign, verify, type KeyObject } from 'node:crypto';
import { fromBase64Url, toBase64Url } from '../core/bytes.ts';
import type { Redacted } from '../core/redacted.ts';
import { domainSeparated } from './canonical.ts';
import { parsePublicKey, privateKeyObject, publicKeyObject } from './keys.ts';

export const SIGNATURE_BYTES = 64;

/** Ed25519 signature (RFC 8032 section 5.1.6), 64 bytes. */
export function signBytes(privateKey: Redacted<Uint8Array>, message: Uint8Array): Uint8Array {
  return new Uint8Array(sign(null, message, privateKeyObject('ed25519', privateKey)));
}

/** LOCAL. Checked keys kept; a room has at most a few hundred. */
const CHECKED_KEYS_MAX = 512;
// Checking a point costs milliseconds, verifying a signature a tenth of one.
const checkedKeys = new Map<string, KeyObject>();

function checkedKey(publicKey: string): KeyObject {
  const known = checkedKeys.get(publicKey);
  if (known !== undefined) return known;
  const key = publicKeyObject('ed25519', parsePublicKey('ed25519', publicKey));
  if (checkedKeys.size >= CHECKED_KEYS_MAX) checkedKeys.clear();
  checkedKeys.set(publicKey, key);
  return key;
}

/**
 * True when `signature` is `publicKey`'s over `message`. A key that is not sound, a signature of
 * another length and a scalar not below the group order are simply false.
 *
 * Source: RFC 8032 section 5.1.7, cofactorless as OpenSSL checks it.
 *
 * @param publicKey - `ed25519:` text form.
 */
export function verifyBytes(
  publicKey: string,
  message: Uint8Array,
  signature: Uint8Array,
): boolean {
  if (signature.length !== SIGNATURE_BYTES) return false;
  try {
    return verify(null, message, checkedKey(publicKey), signature);
  } catch {
    return false;
  }
}

/**
 * Signs a document: Ed25519 over `utf8(domain) ‖ 0x00 ‖ canonicalJson(document)`.
 * @returns base64url, 86 characters.
 */
export function signDocument(
  domain: string,
  document: unknown,
  privateKey: Redacted<Uint8Array>,
): string {
  return toBase64Url(signBytes(privateKey, domainSeparated(domain, document)));
}

/** True when `signature` (base64url) is `publicKey`'s over the document in this domain. */
export function verifyDocument(
  domain: string,
  document: unknown,
  publicKey: string,
  signature: string,
): boolean {
  let bytes: Uint8Array;
  try {
    bytes = fromBase64Url(signature, SIGNATURE_BYTES);
  } catch {
    return false;
  }
  return verifyBytes(publicKey, domainSeparated(domain, document), bytes);
}
