import { createPrivateKey, createPublicKey, diffieHellman, type KeyObject } from 'node:crypto';
import { ed25519 } from '@noble/curves/ed25519.js';
import { concat, fromBase64Url, fromHex, toBase64Url } from '../core/bytes.ts';
import { ParleyError } from '../core/errors.ts';
import { Redacted, reveal } from '../core/redacted.ts';
import { systemRng } from '../core/rng.ts';

/** The curves of our keys, as their text form names them. */
export type KeyKind = 'ed25519' | 'x25519';

/** A public key as it stands in documents, and its private half. */
export interface KeyPair {
  /** `ed25519:` or `x25519:` and base64url of 32 bytes. */
  readonly publicKey: string;
  /** RFC 8032 seed or RFC 7748 scalar, 32 bytes. */
  readonly privateKey: Redacted<Uint8Array>;
}

export const KEY_BYTES = 32;

// RFC 8410 section 4 and 7: the DER around 32 raw bytes of a public and of a private key.
const SPKI_PREFIX: Readonly<Record<KeyKind, Uint8Array>> = {
  ed25519: fromHex('302a300506032b6570032100', 12),
  x25519: fromHex('302a300506032b656e032100', 12),
};
const PKCS8_PREFIX: Readonly<Record<KeyKind, Uint8Array>> = {
  ed25519: fromHex('302e020100300506032b657004220420', 16),
  x25519: fromHex('302e020100300506032b656e04220420', 16),
};

/** Key object of 32 raw private bytes. */
export function privateKeyObject(kind: KeyKind, privateKey: Redacted<Uint8Array>): KeyObject {
  const der = concat([PKCS8_PREFIX[kind], reveal(privateKey)]);
  const key = createPrivateKey({ key: Buffer.from(der.buffer), format: 'der', type: 'pkcs8' });
  der.fill(0);
  return key;
}

/** Key object of 32 raw public bytes; says nothing about the point. */
export function publicKeyObject(kind: KeyKind, raw: Uint8Array): KeyObject {
  const der = concat([SPKI_PREFIX[kind], raw]);
  return createPublicKey({ key: Buffer.from(der.buffer), format: 'der', type: 'spki' });
}

function rawOf(key: KeyObject, part: 'x' | 'd'): Uint8Array {
  const value = key.export({ format: 'jwk' })[part];
  return fromBase64Url(value ?? '', KEY_BYTES);
}

/**
 * A new key pair: 32 bytes of the system CSPRNG, which both curves take as they are (RFC 8032 section
 * 5.1.5, RFC 7748 section 5).
 *
 * Not by `generateKeyPairSync`: Node 20 holds a lock of the new key while its JWK is made, and a
 * garbage collection at that moment waits for the same lock to free the generator, for ever.
 */
export function generateKeyPair(kind: KeyKind): KeyPair {
  return keyPairOf(kind, new Redacted(systemRng(KEY_BYTES)));
}

/** The key pair of 32 private bytes. */
export function keyPairOf(kind: KeyKind, privateKey: Redacted<Uint8Array>): KeyPair {
  const publicKey = rawOf(createPublicKey(privateKeyObject(kind, privateKey)), 'x');
  return { publicKey: formatPublicKey(kind, publicKey), privateKey };
}

/** `ed25519:` or `x25519:` and base64url of 32 bytes. */
export function formatPublicKey(kind: KeyKind, raw: Uint8Array): string {
  return `${kind}:${toBase64Url(raw)}`;
}

/**
 * Reads a public key's text form and refuses every key that weakens what is built on it.
 *
 * Ed25519: the encoding must be canonical (RFC 8032 section 5.1.3) and the point in the subgroup of
 * prime order; a key of small order would verify signatures on messages its owner never saw.
 * X25519: the coordinate must be canonical and of large order (RFC 7748 section 6.1).
 *
 * @returns the 32 raw bytes.
 * @throws ParleyError REQUEST_MALFORMED.
 */
export function parsePublicKey(kind: KeyKind, text: string): Uint8Array {
  const raw = parsePublicKeyText(kind, text);
  const sound = kind === 'ed25519' ? isSoundEd25519(raw) : isSoundX25519(raw);
  if (!sound) throw new ParleyError('REQUEST_MALFORMED', `not a usable ${kind} public key`);
  return raw;
}

function parsePublicKeyText(kind: KeyKind, text: string): Uint8Array {
  if (!text.startsWith(`${kind}:`)) {
    throw new ParleyError('REQUEST_MALFORMED', `expected a public key that starts with ${kind}:`);
  }
  return fromBase64Url(text.slice(kind.length + 1), KEY_BYTES);
}

function isSoundEd25519(raw: Uint8Array): boolean {
  try {
    // Strict decoding (not ZIP 215); torsion-free and not the identity is "of prime order".
    const point = ed25519.Point.fromBytes(raw, false);
    return !point.isSmallOrder() && point.isTorsionFree();
  } catch {
    return false;
  }
}

function isSoundX25519(raw: Uint8Array): boolean {
  // Canonical: the top bit is clear and the value is below p = 2^255 - 19.
  const top = raw[31] ?? 0;
  const middleFull = raw.subarray(1, 31).every((byte) => byte === 0xff);
  if (top > 0x7f || (top === 0x7f && middleFull && (raw[0] ?? 0) >= 0xed)) return false;
  try {
    // A clamped scalar is a multiple of 8, so any scalar sends a small-order point to zero,
    // and OpenSSL refuses that output.
    diffieHellman({ privateKey: PROBE, publicKey: publicKeyObject('x25519', raw) });
    return true;
  } catch {
    return false;
  }
}

/** A throw-away scalar that only probes public keys for small order. */
const PROBE = privateKeyObject('x25519', new Redacted(systemRng(KEY_BYTES)));
