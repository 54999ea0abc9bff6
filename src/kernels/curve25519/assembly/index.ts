import { isCanonical, oneMask, readPoint, readWide, write } from './codec';
import { add, constant, FE, mul, select, squareTimes, sub } from './field';
import { invertMany, legendre } from './power';
import { BLOCK, compress, initial, SCHEDULE } from './sha512';

export const heapBase: usize = __heap_base;

/** Montgomery coefficient J of curve25519, K = 1 (RFC 9380, section 6.7.1; RFC 7748, 4.1). */
const J: u32 = 486662;

/** Bytes of scratch that every function below is given. */
export function scratchBytes(): usize {
  return 20 * FE;
}

/** Bytes of `n` field elements, four to a vector. */
export function elementBytes(n: usize): usize {
  return vectors(n) * FE;
}

/** Writes to `state` the SHA-512 state after the whole blocks at `data`. */
export function absorb(state: usize, data: usize, blocks: usize, scratch: usize): void {
  initial(state);
  for (let i: usize = 0; i < blocks; i++) compress(state, data + i * BLOCK, scratch);
}

/**
 * SHA-512 of `n` messages of one shape. Each starts from `state` and absorbs the `blocks` blocks
 * of `template` (already padded), whose first bytes are replaced by item i of `a`, then of `b`.
 * The first `outBytes` of digest i go to `out`. `template` is overwritten.
 */
export function hashEach(
  out: usize, outBytes: usize, n: usize,
  state: usize, template: usize, blocks: usize,
  a: usize, aBytes: usize, b: usize, bBytes: usize, scratch: usize,
): void {
  const own = scratch + SCHEDULE;
  const digest = own + 64;
  for (let i: usize = 0; i < n; i++) {
    memory.copy(template, a + i * aBytes, aBytes);
    memory.copy(template + aBytes, b + i * bBytes, bBytes);
    memory.copy(own, state, 64);
    for (let k: usize = 0; k < blocks; k++) compress(own, template + k * BLOCK, scratch);
    for (let w: usize = 0; w < 64; w += 8) store<u64>(digest + w, bswap(load<u64>(own + w)));
    memory.copy(out + i * outBytes, digest, outBytes);
  }
}

/** Element vectors that hold `n` elements. */
@inline
function vectors(n: usize): usize {
  return (n + 3) >> 2;
}

/** Address of limb 0 of element i. */
@inline
function lane(a: usize, i: usize): usize {
  return a + (i >> 2) * FE + ((i & 3) << 2);
}

/** Writes to `masks`, 16 bytes, all ones for each element of `fe` that is 1 and zero for others. */
function onesOf(masks: usize, fe: usize, bytes: usize): void {
  for (let k: usize = 0; k < 16; k += 4) store<u32>(masks + k, oneMask(fe + k, bytes));
}

/** out = x^3 + J x^2 + x. `scratch` is 2 FE, out is not x. */
function curveEquation(out: usize, x: usize, j: usize, one: usize, scratch: usize): void {
  add(out, x, j);
  mul(out, out, x, scratch);
  add(out, out, one);
  mul(out, out, x, scratch);
}

/**
 * Elligator 2 (RFC 9380, section 6.7.1, Z = 2), u-coordinate only: reads `n` numbers of 48
 * big-endian bytes and writes 32-byte u-coordinates. `denominators` and `partial` are
 * elementBytes(n) each, zero on entry.
 *
 * No input needs a case of its own: 1 + 2 t^2 is never 0, as -1/2 is not a square mod p, so step 2
 * of the RFC never fires; and g(x1) is never 0, as x1 = -J / (1 + 2 t^2) is not 0 and J^2 - 4 is
 * not a square. t = 0 gives u = 0, as -J is not a square.
 */
export function mapToCurve(
  out: usize, wide: usize, n: usize, denominators: usize, partial: usize, scratch: usize,
): void {
  const groups = vectors(n);
  const j = scratch + 10 * FE, one = j + FE, x1 = one + FE, x2 = x1 + FE, g = x2 + FE;
  const nought = g + FE, words = nought + FE, masks = words + 64;
  constant(j, J);
  constant(one, 1);
  constant(nought, 0);
  for (let i: usize = 0; i < n; i++) readWide(lane(denominators, i), wide + 48 * i, words);
  for (let i: usize = 0; i < groups; i++) {
    const d = denominators + i * FE;
    squareTimes(d, d, 1, scratch);
    add(d, d, d);
    add(d, d, one);
  }
  invertMany(denominators, groups, partial, scratch);
  for (let i: usize = 0; i < groups; i++) {
    mul(x1, denominators + i * FE, j, scratch);
    sub(x2, x1, j); // -x1 - J once x1 is negated
    sub(x1, nought, x1);
    curveEquation(g, x1, j, one, scratch);
    legendre(g, g, scratch);
    onesOf(masks, g, words);
    select(denominators + i * FE, x1, x2, masks);
  }
  for (let i: usize = 0; i < n; i++) write(out + 32 * i, lane(denominators, i));
}

/**
 * Counts the 32-byte values that are canonical (below p) and the u-coordinate of a point of the
 * curve other than the one of order 2: u^3 + J u^2 + u a non-zero square. A u on the quadratic
 * twist, and 0, are not counted. `elements` is elementBytes(n), zero on entry.
 */
export function countOnCurve(points: usize, n: usize, elements: usize, scratch: usize): usize {
  const groups = vectors(n);
  const j = scratch + 10 * FE, one = j + FE, g = one + FE, words = g + FE, masks = words + 64;
  constant(j, J);
  constant(one, 1);
  for (let i: usize = 0; i < n; i++) readPoint(lane(elements, i), points + 32 * i, words);
  let good: usize = 0;
  for (let i: usize = 0; i < groups; i++) {
    curveEquation(g, elements + i * FE, j, one, scratch);
    legendre(g, g, scratch);
    onesOf(masks, g, words);
    // Lanes past n hold 0, whose symbol is 0.
    for (let k: usize = 4 * i; k < min(n, 4 * i + 4); k++) {
      good += isCanonical(points + 32 * k) & load<u32>(masks + ((k & 3) << 2));
    }
  }
  return good;
}

/**
 * Field operation `op` on `n` pairs of 32-byte elements, for the tests of the arithmetic that
 * everything above stands on: 0 add, 1 sub, 2 mul, 3 square, 4 invert, 5 Legendre symbol.
 * `x` and `y` are elementBytes(n) each, zero on entry. To invert, n is a multiple of four and no
 * element of `a` is 0.
 */
export function fieldEach(
  out: usize, op: i32, a: usize, b: usize, n: usize, x: usize, y: usize, scratch: usize,
): void {
  const words = scratch + 10 * FE;
  for (let i: usize = 0; i < n; i++) {
    readPoint(lane(x, i), a + 32 * i, words);
    readPoint(lane(y, i), b + 32 * i, words);
  }
  const groups = vectors(n);
  if (op == 4) invertMany(x, groups, y, scratch);
  for (let i: usize = 0; i < groups; i++) {
    const p = x + i * FE, q = y + i * FE;
    if (op == 0) add(p, p, q);
    else if (op == 1) sub(p, p, q);
    else if (op == 2) mul(p, p, q, scratch);
    else if (op == 3) squareTimes(p, p, 1, scratch);
    else if (op == 5) legendre(p, p, scratch);
  }
  for (let i: usize = 0; i < n; i++) write(out + 32 * i, lane(x, i));
}
