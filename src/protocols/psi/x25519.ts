import { Redacted, reveal } from '../../core/redacted.ts';
import type { Rng } from '../../core/rng.ts';
import { ELEMENT_BYTES, multiplyPoints } from '../../kernels/curve25519/index.ts';
import type { Products } from '../../kernels/curve25519/index.ts';

/** Order of the prime-order subgroup (RFC 7748, section 4.1). */
const ORDER = 2n ** 252n + 27742317777372353535851937790883648493n;

/**
 * Multiplies n u-coordinates by one scalar of {@link randomScalar} or {@link randomBlinding}: X25519
 * (RFC 7748, section 5), which ignores bit 255 of a u-coordinate and takes a non-canonical one modulo
 * p; who must refuse those looks first. A zero among the results is a point of low order (section
 * 6.1), and is counted.
 *
 * Cost: measured by `bench/hash-to-curve.ts`; least per point for a multiple of four.
 */
export function x25519Each(scalar: Redacted<Uint8Array>, us: Uint8Array): Products {
  return multiplyPoints(reveal(scalar), us);
}

/** A scalar as RFC 7748, section 5 decodes it: 8 s with s uniform in [2^251, 2^252). */
export function randomScalar(rng: Rng): Redacted<Uint8Array> {
  return new Redacted(clamped(rng));
}

function clamped(rng: Rng): Uint8Array {
  const scalar = rng(ELEMENT_BYTES);
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
  readonly blind: Redacted<Uint8Array>;
  readonly unblind: Redacted<Uint8Array>;
} {
  for (;;) {
    const scalar = clamped(rng);
    const inverse = invertScalar(scalar);
    if (inverse === null) continue;
    return { blind: new Redacted(scalar), unblind: new Redacted(inverse) };
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
  return Uint8Array.from({ length: ELEMENT_BYTES }, (_, i) => Number((n >> BigInt(8 * i)) & 255n));
}
