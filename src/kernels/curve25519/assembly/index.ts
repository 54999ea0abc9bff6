import { isCanonical, lane, masksOf, readPoint, readWide, vectors, write } from './codec';
import { FE, forget, mul, smallMulSpread, spread, square } from './field';
import { ladder, LADDER } from './ladder';
import { add, constant, copy, select, sub } from './linear';
import { invertMany, legendre } from './power';
import { BLOCK, compress, initial, SCHEDULE } from './sha512';

export {
  addPoints, decodePoints, encodePoints, mapPoints, multiplyEach, pointBytes, pointScratchBytes,
} from './points';

export const heapBase: usize = __heap_base;

/** Montgomery coefficient J of curve25519, K = 1 (RFC 9380, section 6.7.1; RFC 7748, 4.1). */
const J: i32 = 486662;

/** Bytes of scratch that every function below is given. */
export function scratchBytes(): usize {
  return 24 * FE;
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

/** out = x^3 + J x^2 + x, reduced; x is reduced and not out. */
function curveEquation(out: usize, x: usize, j: usize, one: usize): void {
  add(out, x, j);
  mul(out, out, x);
  add(out, out, one);
  mul(out, out, x);
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
  const j = scratch + 6 * FE, minusJ = j + FE, one = minusJ + FE, x1 = one + FE, x2 = x1 + FE;
  const g = x2 + FE, words = g + FE;
  constant(j, J);
  constant(minusJ, -J);
  constant(one, 1);
  for (let i: usize = 0; i < n; i++) readWide(lane(denominators, i), wide + 48 * i, words);
  for (let i: usize = 0; i < groups; i++) {
    const d = denominators + i * FE;
    square(d, d);
    spread(words, d);
    smallMulSpread(d, one, words, 2);
  }
  invertMany(denominators, groups, partial, scratch);
  for (let i: usize = 0; i < groups; i++) {
    mul(x1, denominators + i * FE, minusJ);
    sub(x2, minusJ, x1);
    curveEquation(g, x1, j, one);
    legendre(g, g, scratch);
    masksOf(words, g, 1);
    select(denominators + i * FE, x1, x2, words);
  }
  for (let i: usize = 0; i < n; i++) write(out + 32 * i, lane(denominators, i));
  forget();
}

/**
 * Counts the 32-byte values that are canonical (below p) and the u-coordinate of a point of the
 * curve other than the one of order 2: u^3 + J u^2 + u a non-zero square. A u on the quadratic
 * twist, and 0, are not counted. `elements` is elementBytes(n), zero on entry.
 */
export function countOnCurve(points: usize, n: usize, elements: usize, scratch: usize): usize {
  const groups = vectors(n);
  const j = scratch + 5 * FE, one = j + FE, g = one + FE, words = g + FE;
  constant(j, J);
  constant(one, 1);
  for (let i: usize = 0; i < n; i++) readPoint(lane(elements, i), points + 32 * i, words);
  let good: usize = 0;
  for (let i: usize = 0; i < groups; i++) {
    curveEquation(g, elements + i * FE, j, one);
    legendre(g, g, scratch);
    masksOf(words, g, 1);
    // Lanes past n hold 0, whose symbol is 0.
    for (let k: usize = 4 * i; k < min(n, 4 * i + 4); k++) {
      good += isCanonical(points + 32 * k) & load<u32>(words + ((k & 3) << 2));
    }
  }
  forget();
  return good;
}

/**
 * X25519 of one clamped scalar, 32 bytes, and `n` points of 32 bytes (RFC 7748, section 5). `xs`,
 * `zs` and `partial` are elementBytes(n) each, zero on entry. Returns how many results are zero.
 *
 * Where Z is 0 the RFC's X Z^(p - 2) is 0; so that one inversion can serve all points, those lanes
 * take 0 / 1 instead.
 */
export function multiply(
  out: usize, scalar: usize, points: usize, n: usize,
  xs: usize, zs: usize, partial: usize, scratch: usize,
): usize {
  const groups = vectors(n);
  const pair = scratch + LADDER, one = pair + 2 * FE, nought = one + FE, words = nought + FE;
  constant(one, 1);
  constant(nought, 0);
  for (let i: usize = 0; i < n; i++) readPoint(lane(xs, i), points + 32 * i, words);
  for (let i: usize = 0; i < groups; i++) {
    const x = xs + i * FE, z = zs + i * FE;
    ladder(pair, x, scalar, scratch);
    masksOf(words, pair + FE, 0);
    select(x, nought, pair, words);
    select(z, one, pair + FE, words);
  }
  invertMany(zs, groups, partial, scratch);
  let zeros: usize = 0;
  for (let i: usize = 0; i < groups; i++) mul(xs + i * FE, xs + i * FE, zs + i * FE);
  for (let i: usize = 0; i < n; i++) {
    const at = out + 32 * i;
    write(at, lane(xs, i));
    const any = load<u64>(at) | load<u64>(at, 8) | load<u64>(at, 16) | load<u64>(at, 24);
    zeros += <usize>(any == 0);
  }
  forget();
  return zeros;
}

/**
 * Field operation `op` on `n` pairs of 32-byte elements, for the tests of the arithmetic that
 * everything above stands on: 0 add, 1 sub, 2 mul, 3 square, 4 invert, 5 Legendre symbol,
 * 6 (a + b)(a - b), 7 (a - b)^2, 8 a + 121665 b. `x` and `y` are elementBytes(n) each, zero on
 * entry. To invert, n is a multiple of four and no element of `a` is 0.
 */
export function fieldEach(
  out: usize, op: i32, a: usize, b: usize, n: usize, x: usize, y: usize, scratch: usize,
): void {
  const words = scratch + 6 * FE;
  for (let i: usize = 0; i < n; i++) {
    readPoint(lane(x, i), a + 32 * i, words);
    readPoint(lane(y, i), b + 32 * i, words);
  }
  const groups = vectors(n);
  if (op == 4) invertMany(x, groups, y, scratch);
  for (let i: usize = 0; i < groups; i++) fieldVector(op, x + i * FE, y + i * FE, scratch);
  for (let i: usize = 0; i < n; i++) write(out + 32 * i, lane(x, i));
  forget();
}

function fieldVector(op: i32, p: usize, q: usize, scratch: usize): void {
  const sum = scratch, difference = scratch + FE;
  add(sum, p, q);
  sub(difference, p, q);
  if (op == 0) copy(p, sum);
  else if (op == 1) copy(p, difference);
  else if (op == 2) mul(p, p, q);
  else if (op == 3) square(p, p);
  else if (op == 5) legendre(p, p, scratch);
  else if (op == 6) mul(p, sum, difference);
  else if (op == 7) square(p, difference);
  else if (op == 8) addMultiple(p, q, scratch);
}

function addMultiple(p: usize, q: usize, scratch: usize): void {
  spread(scratch, q);
  smallMulSpread(p, p, scratch, 121665);
}

/**
 * out = a b of four elements given limb by limb, 20 signed 16-bit limbs an element, for tests at
 * the bounds. With `squared`, a^2. The limbs of the result come back in the same form.
 */
export function mulLimbs(out: usize, a: usize, b: usize, squared: bool): void {
  if (squared) square(out, a);
  else mul(out, a, b);
  forget();
}
