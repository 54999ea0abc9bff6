import { expect } from '../../core/errors.ts';
import { loadKernel } from '../load.ts';

/** Bytes of a u-coordinate or a field element, little-endian. */
export const ELEMENT_BYTES = 32;

/** Bytes of one number that is reduced modulo p: L of RFC 9380, section 8.5, big-endian. */
export const WIDE_BYTES = 48;

/** Bytes of a SHA-512 block and digest (FIPS 180-4, section 1). */
const BLOCK_BYTES = 128;
const DIGEST_BYTES = 64;

/** Bytes of the length field that ends the padding (FIPS 180-4, section 5.1.2). */
const LENGTH_BYTES = 16;

interface Exports {
  scratchBytes(): number;
  elementBytes(n: number): number;
  absorb(state: number, data: number, blocks: number, scratch: number): void;
  hashEach(
    ...addresses: [
      out: number,
      outBytes: number,
      n: number,
      state: number,
      template: number,
      blocks: number,
      a: number,
      aBytes: number,
      b: number,
      bBytes: number,
      scratch: number,
    ]
  ): void;
  mapToCurve(
    out: number,
    wide: number,
    n: number,
    denominators: number,
    partial: number,
    scratch: number,
  ): void;
  countOnCurve(points: number, n: number, elements: number, scratch: number): number;
  multiply(
    ...addresses: [
      out: number,
      scalar: number,
      points: number,
      n: number,
      xs: number,
      zs: number,
      partial: number,
      scratch: number,
    ]
  ): number;
  mulLimbs(out: number, a: number, b: number, squared: number): void;
  fieldEach(
    ...addresses: [
      out: number,
      op: number,
      a: number,
      b: number,
      n: number,
      x: number,
      y: number,
      scratch: number,
    ]
  ): void;
}

const kernel = loadKernel<Exports>('curve25519', [
  'scratchBytes',
  'elementBytes',
  'absorb',
  'hashEach',
  'mapToCurve',
  'countOnCurve',
  'multiply',
  'fieldEach',
  'mulLimbs',
]);

/** Items of one length, side by side. */
export interface Items {
  readonly data: Uint8Array;
  /** Bytes of one item. */
  readonly each: number;
}

/** `n` messages `prefix | a[i] | b[i] | suffix`, all of one length. */
export interface Messages {
  /** Whole blocks only, absorbed once for all messages. */
  readonly prefix: Uint8Array;
  readonly a: Items;
  readonly b?: Items;
  readonly suffix?: Uint8Array;
}

const NOTHING: Items = { data: new Uint8Array(0), each: 0 };

/**
 * SHA-512 (FIPS 180-4) of every message. @returns the first `outBytes` of each digest, in order.
 *
 * Model: constant time in the bytes. Cost: one compression per 128 bytes after the prefix.
 */
export function sha512Each(n: number, messages: Messages, outBytes: number): Uint8Array {
  const { prefix, a, b = NOTHING, suffix = NOTHING.data } = messages;
  expect(prefix.length % BLOCK_BYTES === 0, 'a SHA-512 prefix is whole blocks');
  expect(a.data.length === n * a.each && b.data.length === n * b.each, 'n items to hash');
  expect(outBytes > 0 && outBytes <= DIGEST_BYTES, 'a SHA-512 digest has 64 bytes');
  const items = a.each + b.each;
  const end = items + suffix.length;
  const blocks = Math.ceil((end + 1 + LENGTH_BYTES) / BLOCK_BYTES);
  const template = new Uint8Array(blocks * BLOCK_BYTES);
  template.set(suffix, items);
  template[end] = 0x80;
  new DataView(template.buffer).setUint32(template.length - 4, 8 * (prefix.length + end));
  return kernel.run((arena) => {
    const scratch = arena.alloc(kernel.fn.scratchBytes());
    const state = arena.alloc(DIGEST_BYTES);
    const shape = arena.put(template);
    const left = arena.put(a.data);
    const right = arena.put(b.data);
    const out = arena.alloc(n * outBytes);
    kernel.fn.absorb(state, arena.put(prefix), prefix.length / BLOCK_BYTES, scratch);
    // prettier-ignore
    kernel.fn.hashEach(
      out, outBytes, n, state, shape, blocks, left, a.each, right, b.each, scratch,
    );
    return arena.get(out, n * outBytes);
  });
}

/**
 * The map of RFC 9380, section 6.7.1 (curve25519, Elligator 2, Z = 2), u-coordinates only and
 * without clearing the cofactor.
 *
 * Constant shape: no branch and no address depends on a value. Zero maps to u = 0, the point of
 * order 2, and some few inputs to points of order 4 and 8, as in the RFC.
 *
 * @param wide - n numbers of WIDE_BYTES, big-endian, reduced modulo p here.
 * @returns n u-coordinates of ELEMENT_BYTES, canonical.
 */
export function mapToCurve(wide: Uint8Array): Uint8Array {
  const n = wide.length / WIDE_BYTES;
  expect(Number.isInteger(n), 'numbers of 48 bytes');
  return kernel.run((arena) => {
    const scratch = arena.alloc(kernel.fn.scratchBytes());
    const denominators = arena.alloc(kernel.fn.elementBytes(n));
    const partial = arena.alloc(kernel.fn.elementBytes(n));
    const out = arena.alloc(n * ELEMENT_BYTES);
    kernel.fn.mapToCurve(out, arena.put(wide), n, denominators, partial, scratch);
    return arena.get(out, n * ELEMENT_BYTES);
  });
}

/**
 * How many of `points` are canonical u-coordinates (below p, bit 255 clear) of points of
 * curve25519 other than u = 0. Points of the quadratic twist are not counted. Points of order 4
 * and 8 are: X25519 turns those to zero, and its caller must look for that.
 */
export function countOnCurve(points: Uint8Array): number {
  const n = points.length / ELEMENT_BYTES;
  expect(Number.isInteger(n), 'points of 32 bytes');
  return kernel.run((arena) => {
    const scratch = arena.alloc(kernel.fn.scratchBytes());
    const elements = arena.alloc(kernel.fn.elementBytes(n));
    return kernel.fn.countOnCurve(arena.put(points), n, elements, scratch);
  });
}

/** What {@link multiplyPoints} returns. */
export interface Products {
  /** u-coordinates of ELEMENT_BYTES, canonical, in the order of the points. */
  readonly us: Uint8Array;
  /** How many of them are zero: their points have low order. */
  readonly zeros: number;
}

/**
 * X25519 (RFC 7748, section 5) of one scalar and n points: ignores bit 255 of a u-coordinate, takes
 * a non-canonical one modulo p and computes on the twist, too.
 *
 * Constant shape: no branch and no address depends on the scalar or on a point.
 * Cost: about one ladder for every four points, and one inversion for all.
 *
 * @param scalar - ELEMENT_BYTES, clamped.
 */
export function multiplyPoints(scalar: Uint8Array, points: Uint8Array): Products {
  const n = points.length / ELEMENT_BYTES;
  expect(Number.isInteger(n) && scalar.length === ELEMENT_BYTES, 'a scalar and points of 32 bytes');
  expect((scalar[0]! & 7) === 0 && scalar[31]! >> 6 === 1, 'the scalar is clamped');
  return kernel.run((arena) => {
    const scratch = arena.alloc(kernel.fn.scratchBytes());
    const elements = kernel.fn.elementBytes(n);
    const [xs, zs, partial] = [arena.alloc(elements), arena.alloc(elements), arena.alloc(elements)];
    const out = arena.alloc(points.length);
    const [key, us] = [arena.put(scalar), arena.put(points)];
    const zeros = kernel.fn.multiply(out, key, us, n, xs, zs, partial, scratch);
    return { us: arena.get(out, points.length), zeros };
  });
}

const FIELD_OPS = {
  add: 0,
  sub: 1,
  mul: 2,
  square: 3,
  invert: 4,
  legendre: 5,
  sumTimesDifference: 6,
  squareOfDifference: 7,
  addMultiple: 8,
} as const;

/** An operation of {@link fieldEach}. */
export type FieldOp = keyof typeof FIELD_OPS;

/**
 * One operation of GF(2^255 - 19) on n pairs of elements; bit 255 of an input is ignored. Single
 * operand operations ignore `b`. To invert, n is a multiple of four and no element is 0.
 * @returns n canonical elements.
 */
export function fieldEach(op: FieldOp, a: Uint8Array, b: Uint8Array = a): Uint8Array {
  const n = a.length / ELEMENT_BYTES;
  expect(Number.isInteger(n) && b.length === a.length, 'pairs of elements');
  return kernel.run((arena) => {
    const scratch = arena.alloc(kernel.fn.scratchBytes());
    const x = arena.alloc(kernel.fn.elementBytes(n));
    const y = arena.alloc(kernel.fn.elementBytes(n));
    const out = arena.alloc(a.length);
    const left = arena.put(a);
    kernel.fn.fieldEach(out, FIELD_OPS[op], left, arena.put(b), n, x, y, scratch);
    return arena.get(out, a.length);
  });
}

/** Limbs of an element inside the kernel, and elements side by side. */
export const LIMBS = 20;
export const LANES = 4;

/**
 * a b, or a^2 without `b`, of LANES elements given limb by limb as the kernel holds them: limb i of
 * element e at 8 floor(i / 2) + 2 e + i mod 2. For the tests of the bounds in assembly/field.ts.
 */
export function mulLimbs(a: Int16Array, b?: Int16Array): Int16Array {
  expect(a.length === LIMBS * LANES && (b ?? a).length === a.length, 'four elements of 20 limbs');
  const bytes = (limbs: Int16Array) => new Uint8Array(limbs.buffer, limbs.byteOffset, 2 * a.length);
  return kernel.run((arena) => {
    const out = arena.alloc(2 * a.length);
    const left = arena.put(bytes(a));
    kernel.fn.mulLimbs(out, left, arena.put(bytes(b ?? a)), b === undefined ? 1 : 0);
    return new Int16Array(arena.get(out, 2 * a.length).buffer);
  });
}
