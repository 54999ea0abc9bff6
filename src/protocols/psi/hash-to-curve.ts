import { concat } from '../../core/bytes.ts';
import { expect } from '../../core/errors.ts';
import { mapToCurve, sha512Each, WIDE_BYTES } from '../../kernels/curve25519/index.ts';
import type { Items } from '../../kernels/curve25519/index.ts';

/** Longest domain separation tag that is used as it is (RFC 9380, section 5.3.3). */
const DST_BYTES_MAX = 255;

/** Z_pad: one block of zeros (RFC 9380, section 5.3.1). */
const Z_PAD = new Uint8Array(128);

/** Longest output of one digest: ell is 1 in step 1 of the same section. */
const EXPANDED_BYTES_MAX = 64;

/**
 * expand_message_xmd with SHA-512 to at most one digest, for n messages of one length.
 *
 * Source: RFC 9380, section 5.3.1. @param dst - 1 to 255 bytes. @returns n·`bytes` bytes.
 */
export function expandMessages(
  n: number,
  messages: Items,
  dst: Uint8Array,
  bytes: number,
): Uint8Array {
  expect(dst.length > 0 && dst.length <= DST_BYTES_MAX, 'a DST has 1 to 255 bytes');
  expect(bytes > 0 && bytes <= EXPANDED_BYTES_MAX, 'one digest has 1 to 64 bytes');
  const dstPrime = concat([dst, Uint8Array.of(dst.length)]);
  // l_i_b_str, then I2OSP(0, 1), then DST_prime.
  const afterMessage = concat([Uint8Array.of(0, bytes, 0), dstPrime]);
  const b0 = sha512Each(n, { prefix: Z_PAD, a: messages, suffix: afterMessage }, 64);
  const second = {
    prefix: new Uint8Array(0),
    a: { data: b0, each: 64 },
    suffix: concat([Uint8Array.of(1), dstPrime]),
  };
  return sha512Each(n, second, bytes);
}

/**
 * curve25519_XMD:SHA-512_ELL2_NU_ up to its last step: the u-coordinate of map_to_curve, with the
 * cofactor not yet cleared. A scalar that is a multiple of 8, as every X25519 scalar is, clears it.
 *
 * Source: RFC 9380, sections 5.2, 5.3.1, 6.7.1 and 8.5. Cost: see `bench/hash-to-curve.ts`.
 * Constant time in the messages; their number and length are public.
 *
 * @returns n·32 bytes, canonical u-coordinates of points on the curve.
 */
export function encodeToCurve(n: number, messages: Items, dst: Uint8Array): Uint8Array {
  return mapToCurve(expandMessages(n, messages, dst, WIDE_BYTES));
}
