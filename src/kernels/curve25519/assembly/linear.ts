// What needs no carrying; "reduced" and "sum" as in field.ts.
import { FE, get, put } from './field';

@inline
function addSubAt(m: i32, sum: usize, difference: usize, a: usize, b: usize): void {
  const x = get(a, m), y = get(b, m);
  put(sum, m, i16x8.add(x, y));
  put(difference, m, i16x8.sub(x, y));
}

/** a + b and a - b, sums of reduced elements; either may go where a or b is. */
export function addSub(sum: usize, difference: usize, a: usize, b: usize): void {
  addSubAt(0, sum, difference, a, b); addSubAt(1, sum, difference, a, b);
  addSubAt(2, sum, difference, a, b); addSubAt(3, sum, difference, a, b);
  addSubAt(4, sum, difference, a, b); addSubAt(5, sum, difference, a, b);
  addSubAt(6, sum, difference, a, b); addSubAt(7, sum, difference, a, b);
  addSubAt(8, sum, difference, a, b); addSubAt(9, sum, difference, a, b);
}

/** out = a + b, a sum of reduced elements. */
export function add(out: usize, a: usize, b: usize): void {
  for (let m = 0; m < 10; m++) put(out, m, i16x8.add(get(a, m), get(b, m)));
}

/** out = a - b, a sum of reduced elements. */
export function sub(out: usize, a: usize, b: usize): void {
  for (let m = 0; m < 10; m++) put(out, m, i16x8.sub(get(a, m), get(b, m)));
}

/** The same constant, below 2^25 in absolute value, in all four elements; reduced. */
export function constant(out: usize, value: i32): void {
  const high = (value + 0x1000) >> 13;
  put(out, 0, i32x4.splat(((value - (high << 13)) & 0xffff) | (high << 16)));
  for (let i = 1; i < 10; i++) put(out, i, i32x4.splat(0));
}

/** Lane by lane: where the 32-bit lane at `masks` is all ones a, where it is zero b. */
export function select(out: usize, a: usize, b: usize, masks: usize): void {
  const mask = v128.load(masks);
  for (let m = 0; m < 10; m++) put(out, m, v128.bitselect(get(a, m), get(b, m), mask));
}

@inline
function butterflyAt(
  m: i32, out: usize, x2: usize, z2: usize, x3: usize, z3: usize, mask: v128,
): void {
  const x = get(x2, m), z = get(z2, m), u = get(x3, m), v = get(z3, m);
  const a = i16x8.add(x, z), b = i16x8.sub(x, z), c = i16x8.add(u, v), d = i16x8.sub(u, v);
  put(out, m, a);
  put(out + FE, m, b);
  put(out + 2 * FE, m, c);
  put(out + 3 * FE, m, d);
  put(out + 4 * FE, m, v128.bitselect(a, c, mask));
  put(out + 5 * FE, m, v128.bitselect(b, d, mask));
}

/**
 * out = six sums of the reduced elements of a ladder step: x2 + z2, x2 - z2, x3 + z3, x3 - z3, and
 * of these the first two (where the 32-bit lane at `masks` is all ones) or the others (where zero).
 */
export function butterfly(
  out: usize, x2: usize, z2: usize, x3: usize, z3: usize, masks: usize,
): void {
  const mask = v128.load(masks);
  butterflyAt(0, out, x2, z2, x3, z3, mask); butterflyAt(1, out, x2, z2, x3, z3, mask);
  butterflyAt(2, out, x2, z2, x3, z3, mask); butterflyAt(3, out, x2, z2, x3, z3, mask);
  butterflyAt(4, out, x2, z2, x3, z3, mask); butterflyAt(5, out, x2, z2, x3, z3, mask);
  butterflyAt(6, out, x2, z2, x3, z3, mask); butterflyAt(7, out, x2, z2, x3, z3, mask);
  butterflyAt(8, out, x2, z2, x3, z3, mask); butterflyAt(9, out, x2, z2, x3, z3, mask);
}

export function copy(out: usize, a: usize): void {
  memory.copy(out, a, FE);
}
