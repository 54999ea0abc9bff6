import { createHash } from 'node:crypto';
import { concat, equalBytes, u32be, utf8 } from '../../core/bytes.ts';
import { expect, ParleyError } from '../../core/errors.ts';
import { ELEMENT_BYTES, sha512Each } from '../../kernels/curve25519/index.ts';
import { encodeToCurve } from './hash-to-curve.ts';
import { KEY_BYTES, POINT_BYTES } from './types.ts';

/** AGREEMENT. Points of one message: 32 KiB, some 40 ms of work, so that both ends overlap. */
export const FRAME_POINTS = 1024;

/**
 * SECURITY. Bytes of the session digest inside the DST and the output hash; two labels meet with
 * probability 2^-96. With 24 the first hash of RFC 9380's expander fits one SHA-512 block.
 */
const SESSION_BYTES = 24;

/** Application and version, then the suite identifier (RFC 9380, sections 3.1 and 8.10). */
const DST_PREFIX = utf8('PARLEY-PSI-V1-curve25519_XMD:SHA-512_ELL2_NU_');

const SESSION_DOMAIN = utf8('parley/psi/oprf-ecdh/v1/session');
const OUTPUT_DOMAIN = utf8('parley/psi/oprf-ecdh/v1/output');

/** The two hash functions of one run, both bound to its session. */
export interface SessionHashes {
  /** H_1: n points to n u-coordinates on the curve. */
  readonly toCurve: (points: Uint8Array) => Uint8Array;
  /** H_2: n points and their n group elements to n keys. */
  readonly toKeys: (points: Uint8Array, elements: Uint8Array) => Uint8Array;
}

/** @param label - the caller's session label. @param path - the channel's path. */
export function sessionHashes(label: Uint8Array, path: string): SessionHashes {
  const session = createHash('sha512')
    .update(concat([SESSION_DOMAIN, u32be(label.length), label, utf8(path)]))
    .digest()
    .subarray(0, SESSION_BYTES);
  const dst = concat([DST_PREFIX, session]);
  const prefix = new Uint8Array(128);
  prefix.set(concat([OUTPUT_DOMAIN, session]));
  const items = (points: Uint8Array) => ({ data: points, each: POINT_BYTES });
  return {
    toCurve: (points) => encodeToCurve(points.length / POINT_BYTES, items(points), dst),
    toKeys(points, elements) {
      const b = { data: elements, each: ELEMENT_BYTES };
      return sha512Each(points.length / POINT_BYTES, { prefix, a: items(points), b }, KEY_BYTES);
    },
  };
}

/** The peer sent something that is not an element of the group. */
export function badElement(step: string): ParleyError {
  return new ParleyError('PEER_BAD_ENCODING', 'the peer sent a value that is no group element', {
    step,
  });
}

/** H_1 gives a point of low order with probability 2^-250; then our own hash is broken. */
export function ownLowOrder(): ParleyError {
  return new ParleyError('INTERNAL', 'contract broken: an identifier hashed to a low-order point');
}

/** True when no two of the n points are equal. Linear time, an open-addressing table. */
export function areDistinct(points: Uint8Array): boolean {
  const n = points.length / POINT_BYTES;
  expect(Number.isInteger(n), 'points of POINT_BYTES');
  const mask = 2 ** Math.ceil(Math.log2(2 * n + 2)) - 1;
  const slots = new Uint32Array(mask + 1); // index + 1, 0 when empty
  for (let i = 0; i < n; i++) {
    const point = points.subarray(i * POINT_BYTES, (i + 1) * POINT_BYTES);
    let at = fold(point) & mask;
    for (; slots[at] !== 0; at = (at + 1) & mask) {
      const other = (slots[at]! - 1) * POINT_BYTES;
      if (equalBytes(point, points.subarray(other, other + POINT_BYTES))) return false;
    }
    slots[at] = i + 1;
  }
  return true;
}

/** FNV-1a of the bytes, 32 bits, high half folded in; only spreads our own points over a table. */
function fold(bytes: Uint8Array): number {
  let hash = 0x811c9dc5;
  for (const byte of bytes) hash = Math.imul(hash ^ byte, 0x01000193);
  return (hash ^ (hash >>> 15)) >>> 0;
}
