import { expect, ParleyError } from '../../core/errors.ts';
import {
  decodePoints,
  encodePoints,
  MAP_BYTES,
  mapToPoints,
  multiplyEach,
  POINT_BYTES,
  type Points,
} from '../../kernels/curve25519/ristretto.ts';

/** Elements of ristretto255 (RFC 9496), many at a time. */
export type Elements = Points;

export { addPoints, subtractPoints } from '../../kernels/curve25519/ristretto.ts';

/** Bytes of an encoded element. */
export const ELEMENT_BYTES = POINT_BYTES;

/** Bytes of a scalar, little-endian. */
export const SCALAR_BYTES = 32;

/** Uniform bytes that give one scalar or one element with no measurable bias. */
export const WIDE_BYTES = MAP_BYTES;

/** Order of the group (RFC 9496, section 4). */
const ORDER = 2n ** 252n + 27742317777372353535851937790883648493n;

/** The canonical generator (RFC 9496, appendix A.1: B[1]). */
const GENERATOR = new Uint8Array(
  Buffer.from('e2f2ae0a6abc4e71a884a961c500515f58e30b6aa582dd8db6a65945e08d2d76', 'hex'),
);

/**
 * Decodes strictly (RFC 9496 section 4.3.1) and refuses the identity.
 * @throws ParleyError PEER_BAD_ENCODING, naming `step`.
 */
export function decodeElements(bytes: Uint8Array, step: string): Elements {
  const { points, good } = decodePoints(bytes);
  if (good !== points.n) {
    throw new ParleyError('PEER_BAD_ENCODING', 'the peer sent bytes that are no group element', {
      step,
    });
  }
  return points;
}

/** The canonical encodings, ELEMENT_BYTES each. */
export function encodeElements(elements: Elements): Uint8Array {
  return encodePoints(elements);
}

/** Every 64 uniform bytes modulo the group order; zero, a 2^-252 event, is refused. */
export function scalarsOf(wide: Uint8Array): Uint8Array {
  expect(wide.length % WIDE_BYTES === 0, 'a scalar is reduced from 64 bytes');
  const scalars = new Uint8Array((wide.length / WIDE_BYTES) * SCALAR_BYTES);
  for (let i = 0; i < wide.length / WIDE_BYTES; i++) {
    const bytes = wide.slice(i * WIDE_BYTES, (i + 1) * WIDE_BYTES).reverse();
    const scalar = BigInt(`0x${Buffer.from(bytes).toString('hex')}`) % ORDER;
    expect(scalar !== 0n, 'a random scalar is not zero');
    const view = new DataView(scalars.buffer, i * SCALAR_BYTES, SCALAR_BYTES);
    for (let at = 0; at < SCALAR_BYTES; at += 8) {
      view.setBigUint64(at, BigInt.asUintN(64, scalar >> BigInt(8 * at)), true);
    }
  }
  return scalars;
}

/** Elements whose discrete logarithms nobody knows (RFC 9496 section 4.3.4), 64 bytes each. */
export function elementsOf(wide: Uint8Array): Elements {
  return mapToPoints(wide);
}

/** scalar·G for every scalar. */
export function generateEach(scalars: Uint8Array): Elements {
  const n = scalars.length / SCALAR_BYTES;
  return multiplyEach(decodeElements(copies(GENERATOR, n), 'generator'), scalars);
}

/** scalar·P for every scalar and one encoded P. @throws ParleyError as {@link decodeElements}. */
export function multiplyOne(bytes: Uint8Array, scalars: Uint8Array, step: string): Elements {
  const n = scalars.length / SCALAR_BYTES;
  return multiplyEach(decodeElements(copies(bytes, n), step), scalars);
}

/** scalar·P for every P and one scalar. */
export function multiplyAll(elements: Elements, scalar: Uint8Array): Elements {
  return multiplyEach(elements, copies(scalar, elements.n));
}

function copies(bytes: Uint8Array, n: number): Uint8Array {
  const all = new Uint8Array(n * bytes.length);
  for (let i = 0; i < n; i++) all.set(bytes, i * bytes.length);
  return all;
}
