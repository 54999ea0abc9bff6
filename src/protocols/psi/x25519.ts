import { createPrivateKey, createPublicKey, diffieHellman } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { concat, toBase64Url, wipe } from '../../core/bytes.ts';
import { expect } from '../../core/errors.ts';
import type { Rng } from '../../core/rng.ts';

/** Bytes of a scalar and of a u-coordinate (RFC 7748, section 5). */
export const X25519_BYTES = 32;

/** PKCS #8 header of an X25519 private key (RFC 8410, section 7). */
const PKCS8 = Uint8Array.from([
  0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x6e, 0x04, 0x22, 0x04, 0x20,
]);

/** What node:crypto throws, by version, when the shared secret is all zeros. */
const ALL_ZERO_CODES: readonly unknown[] = [
  'ERR_OSSL_FAILED_DURING_DERIVATION',
  'ERR_CRYPTO_OPERATION_FAILED',
];

/** Order of the prime-order subgroup (RFC 7748, section 4.1). */
const ORDER = 2n ** 252n + 27742317777372353535851937790883648493n;

/** Imports a scalar once, so that many points can be multiplied by it. */
export function importScalar(scalar: Uint8Array): KeyObject {
  expect(scalar.length === X25519_BYTES, 'a scalar has 32 bytes');
  const der = concat([PKCS8, scalar]);
  const key = createPrivateKey({ key: Buffer.from(der.buffer), format: 'der', type: 'pkcs8' });
  wipe(der);
  return key;
}

/**
 * X25519 (RFC 7748, section 5) of the platform: clamps the scalar, ignores bit 255 of `u` and takes
 * a non-canonical `u` modulo p; who must refuse those looks first.
 *
 * Cost: measured by `bench/oprf.ts`; importing the point as a JWK is about a fifth of it, where a
 * DER import would more than double it.
 * @returns 32 bytes, or null when the result is all zeros: `u` has low order (section 6.1).
 */
export function x25519(scalar: KeyObject, u: Uint8Array): Uint8Array | null {
  expect(u.length === X25519_BYTES, 'a u-coordinate has 32 bytes');
  const jwk = { kty: 'OKP', crv: 'X25519', x: toBase64Url(u) };
  const publicKey = createPublicKey({ key: jwk, format: 'jwk' });
  try {
    return diffieHellman({ privateKey: scalar, publicKey });
  } catch (error) {
    if (ALL_ZERO_CODES.includes((error as { code?: unknown }).code)) return null;
    throw error;
  }
}

/** A scalar as RFC 7748, section 5 decodes it: 8 s with s uniform in [2^251, 2^252). */
export function randomScalar(rng: Rng): Uint8Array {
  const scalar = rng(X25519_BYTES);
  scalar[0]! &= 0xf8;
  scalar[31] = (scalar[31]! & 0x7f) | 0x40;
  return scalar;
}

/**
 * For a clamped scalar 8 s, the clamped scalar 8 s' with 8 s · 8 s' = ±1 modulo the group order, so
 * that X25519(8 s', X25519(8 s, u)) = u for every u of prime order. X25519 sees points up to sign,
 * so s' may be negated to bring it into [2^251, 2^252), where clamping leaves it alone.
 *
 * Cost: one BigInt inversion, about 0.1 ms; not constant time, see OPRF-ECDH.md.
 * @returns null when neither sign fits, for about one scalar in 2^127.
 */
export function invertScalar(scalar: Uint8Array): Uint8Array | null {
  const s = toBigInt(scalar) >> 3n;
  let inverse = invertModOrder((64n * s) % ORDER);
  if (inverse < 1n << 251n) inverse = ORDER - inverse;
  if (inverse < 1n << 251n || inverse >= 1n << 252n) return null;
  return toBytes(8n * inverse);
}

/** A fresh scalar and the scalar that undoes it. Draws 32 bytes, again in the null case above. */
export function randomBlinding(rng: Rng): {
  readonly blind: KeyObject;
  readonly unblind: KeyObject;
} {
  for (;;) {
    const scalar = randomScalar(rng);
    const inverse = invertScalar(scalar);
    if (inverse === null) continue;
    const keys = { blind: importScalar(scalar), unblind: importScalar(inverse) };
    wipe(scalar, inverse);
    return keys;
  }
}

/** Extended Euclid; `x` is not 0 modulo ORDER. */
function invertModOrder(x: bigint): bigint {
  let [r0, r1, t0, t1] = [ORDER, x, 0n, 1n];
  while (r1 !== 0n) {
    const q = r0 / r1;
    [r0, r1, t0, t1] = [r1, r0 - q * r1, t1, t0 - q * t1];
  }
  return t0 < 0n ? t0 + ORDER : t0;
}

function toBigInt(bytes: Uint8Array): bigint {
  return bytes.reduceRight((n, byte) => (n << 8n) | BigInt(byte), 0n);
}

function toBytes(n: bigint): Uint8Array {
  return Uint8Array.from({ length: X25519_BYTES }, (_, i) => Number((n >> BigInt(8 * i)) & 255n));
}
