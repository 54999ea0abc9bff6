// GF(p), p = 2^255 - 19, four elements side by side, on 16-bit multipliers.
//
// An element is 20 signed limbs of radix 2^13; 2^260 = 608 modulo p folds the upper half of a
// product.
// A vector of four elements is ten v128 values (FE = 160 bytes): 32-bit lane e of value m holds
// limbs 2m (low half) and 2m + 1 (high half) of element e, so that one i32x4.dot_i16x8_s adds two
// products in each of the four lanes.
//
// Bounds. "Reduced": no limb is above 4865 in absolute value; what mul, square, smallMul and the
// readers of codec.ts leave. "Sum": none is above 9730; what add and sub make of reduced elements.
// mul and square take sums. With M = 9730^2 the product of two limbs, column k of a product is at
// most (k + 1) M for k < 20, column k + 20 at most (19 - k) M, and column k with its fold (`keep`)
// at most (k + 1) M + 608 2^15 + 4864 ((20 - k) M / 2^16 + 2) < 1.922e9. The carries of `settle`
// add at most 2^18, and 608 2^18 to column 0, which is the smallest: all stay below 2^31.
// No branch and no address depends on a value.

/** Bytes of a vector of four elements. */
export const FE: usize = 160;

/** 2^260 modulo p. */
const WRAP: i32 = 608;
/** The low 13 bits. */
const LOW: i32 = 0x1fff;
/**
 * What each column is given before carrying and each limb gives back after it: about half of 2^13,
 * so that limbs come out on both sides of 0, and a multiple that `keep` has for nothing.
 */
const BIAS: i32 = 8 * WRAP;

/** Bytes of a second operand laid out: (b_0, 0), (b_1, b_0), … (b_19, b_18), (0, b_19). */
export const SPREAD: usize = 16 * 21;
const B: usize = memory.data(16 * 21, 16);
/** Columns 0 to 38 of a product. */
const C: usize = memory.data(16 * 39, 16);

/** Forgets the last product. */
export function forget(): void {
  memory.fill(B, 0, SPREAD);
  memory.fill(C, 0, 16 * 39);
}

@inline
export function get(a: usize, i: i32): v128 {
  return v128.load(a + (<usize>i << 4));
}

@inline
export function put(a: usize, i: i32, x: v128): void {
  v128.store(a + (<usize>i << 4), x);
}

@inline
function plus(x: v128, y: v128): v128 {
  return i32x4.add(x, y);
}

@inline
function dot(x: v128, y: v128): v128 {
  return i32x4.dot_i16x8_s(x, y);
}

/** Low halves of `even`, high halves of `odd`. */
@inline
function halves(even: v128, odd: v128): v128 {
  return v128.shuffle<i16>(even, odd, 0, 9, 2, 11, 4, 13, 6, 15);
}

/** Halves changed round. */
@inline
function turned(x: v128): v128 {
  return v128.swizzle(x, i8x16(2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13));
}

/** Lays out `x`, value m; `before` is value m - 1. Returns x. */
@inline
function lay(m: i32, to: usize, x: v128, before: v128): v128 {
  put(to, 2 * m, halves(x, before));
  put(to, 2 * m + 1, turned(x));
  return x;
}

/** Lays `b` out at `to`, SPREAD bytes, as the second operand of `mulSpread`. */
@inline
export function spread(to: usize, b: usize): void {
  const nought = i32x4.splat(0);
  let x = lay(0, to, get(b, 0), nought);
  x = lay(1, to, get(b, 1), x);
  x = lay(2, to, get(b, 2), x);
  x = lay(3, to, get(b, 3), x);
  x = lay(4, to, get(b, 4), x);
  x = lay(5, to, get(b, 5), x);
  x = lay(6, to, get(b, 6), x);
  x = lay(7, to, get(b, 7), x);
  x = lay(8, to, get(b, 8), x);
  x = lay(9, to, get(b, 9), x);
  put(to, 20, halves(nought, x));
}

/** Lays a - b out at `to`, as `spread` does. */
export function spreadDifference(to: usize, a: usize, b: usize): void {
  const nought = i32x4.splat(0);
  let x = layDifference(0, to, a, b, nought);
  x = layDifference(1, to, a, b, x);
  x = layDifference(2, to, a, b, x);
  x = layDifference(3, to, a, b, x);
  x = layDifference(4, to, a, b, x);
  x = layDifference(5, to, a, b, x);
  x = layDifference(6, to, a, b, x);
  x = layDifference(7, to, a, b, x);
  x = layDifference(8, to, a, b, x);
  x = layDifference(9, to, a, b, x);
  put(to, 20, halves(nought, x));
}

@inline
function layDifference(m: i32, to: usize, a: usize, b: usize, before: v128): v128 {
  return lay(m, to, i16x8.sub(get(a, m), get(b, m)), before);
}

/** c + d · b_t, b laid out. There is no b_t past 20. */
@inline
function term(b: usize, c: v128, d: v128, t: i32): v128 {
  if (t > 20) return c;
  return plus(c, dot(d, get(b, t)));
}

/**
 * Stores column k. Upper columns are stored as they are, and before the lower ones. A lower one
 * gets the upper one of k + 20 folded in 608-fold, in 16-bit halves: the low half of column k + 20,
 * signed, times 608, and the high half of k + 19 times 608 2^(16 - 13). Of the 0x18000 added to
 * that, 0x8000 rounds to the nearest high half and 0x10000 is the bias.
 */
@inline
function keep(k: i32, c: v128): void {
  if (k == 0) {
    const lower = v128.and(get(C, 20), i32x4.splat(0xffff));
    c = plus(plus(c, i32x4.splat(BIAS)), dot(lower, i32x4.splat(WRAP)));
  } else if (k < 20) {
    const lower = k < 19 ? get(C, k + 20) : i32x4.splat(0);
    const upper = plus(get(C, k + 19), i32x4.splat(0x18000));
    c = plus(c, dot(halves(lower, upper), i32x4.splat(WRAP | (BIAS << 16))));
  }
  put(C, k, c);
}

@inline
function low(x: v128): v128 {
  return v128.and(x, i32x4.splat(LOW));
}

@inline
function over(x: v128): v128 {
  return i32x4.shr_s(x, 13);
}

/** Puts limbs 2m and 2m + 1 back side by side; 13 bits each and BIAS too large. */
@inline
function pack(out: usize, m: i32, even: v128, odd: v128): void {
  const both = halves(even, i32x4.shl(odd, 16));
  put(out, m, i16x8.sub(v128.and(both, i16x8.splat(<i16>LOW)), i16x8.splat(<i16>BIAS)));
}

/** As `pack`, where the odd limb has had its carries and may be one past 13 bits either way. */
@inline
function packLast(out: usize, m: i32, even: v128, odd: v128): void {
  const both = halves(low(even), i32x4.shl(odd, 16));
  put(out, m, i16x8.sub(both, i16x8.splat(<i16>BIAS)));
}

/**
 * Carries columns 0 to 19 to a reduced element, in two chains side by side: 17 to 19, then 0 to 9,
 * and 7 to 9, then 10 to 19. When a chain comes to limbs that were carried before, those hold 13
 * bits: the carry out of the first is below 2^6, out of the second at most 1, and the third keeps
 * it.
 */
@inline
function settle(out: usize): void {
  let a = get(C, 17), b = get(C, 7);
  const c17 = low(a), c7 = low(b);
  a = plus(get(C, 18), over(a)); b = plus(get(C, 8), over(b));
  const c18 = low(a), c8 = low(b);
  a = plus(get(C, 19), over(a)); b = plus(get(C, 9), over(b));
  const c19 = low(a), c9 = low(b);
  a = plus(get(C, 0), i32x4.mul(over(a), i32x4.splat(WRAP))); b = plus(get(C, 10), over(b));
  let c = plus(get(C, 1), over(a)), d = plus(get(C, 11), over(b));
  pack(out, 0, a, c); pack(out, 5, b, d);
  a = plus(get(C, 2), over(c)); b = plus(get(C, 12), over(d));
  c = plus(get(C, 3), over(a)); d = plus(get(C, 13), over(b));
  pack(out, 1, a, c); pack(out, 6, b, d);
  a = plus(get(C, 4), over(c)); b = plus(get(C, 14), over(d));
  c = plus(get(C, 5), over(a)); d = plus(get(C, 15), over(b));
  pack(out, 2, a, c); pack(out, 7, b, d);
  a = plus(get(C, 6), over(c)); b = plus(get(C, 16), over(d));
  c = plus(c7, over(a)); d = plus(c17, over(b));
  pack(out, 3, a, c); pack(out, 8, b, d);
  a = plus(c8, over(c)); b = plus(c18, over(d));
  packLast(out, 4, a, plus(c9, over(a))); packLast(out, 9, b, plus(c19, over(b)));
}

/** Column k of a times b: the sum of (a_2m, a_2m+1) · b_(k - 2m), b laid out; `am` is value m. */
@inline
function column(
  k: i32, b: usize,
  a0: v128, a1: v128, a2: v128, a3: v128, a4: v128,
  a5: v128, a6: v128, a7: v128, a8: v128, a9: v128,
): void {
  let c = a0;
  if (k < 20) {
    c = dot(a0, get(b, k));
    if (k >= 2) c = term(b, c, a1, k - 2);
    if (k >= 4) c = term(b, c, a2, k - 4);
    if (k >= 6) c = term(b, c, a3, k - 6);
    if (k >= 8) c = term(b, c, a4, k - 8);
    if (k >= 10) c = term(b, c, a5, k - 10);
    if (k >= 12) c = term(b, c, a6, k - 12);
    if (k >= 14) c = term(b, c, a7, k - 14);
    if (k >= 16) c = term(b, c, a8, k - 16);
    if (k >= 18) c = term(b, c, a9, k - 18);
  } else {
    c = dot(a9, get(b, k - 18));
    c = term(b, c, a8, k - 16);
    c = term(b, c, a7, k - 14);
    c = term(b, c, a6, k - 12);
    c = term(b, c, a5, k - 10);
    c = term(b, c, a4, k - 8);
    c = term(b, c, a3, k - 6);
    c = term(b, c, a2, k - 4);
    c = term(b, c, a1, k - 2);
    c = term(b, c, a0, k);
  }
  keep(k, c);
}

/** Columns k, k + 1, k + 2, k + 3. */
@inline
function columns(
  k: i32, b: usize,
  a0: v128, a1: v128, a2: v128, a3: v128, a4: v128,
  a5: v128, a6: v128, a7: v128, a8: v128, a9: v128,
): void {
  column(k, b, a0, a1, a2, a3, a4, a5, a6, a7, a8, a9);
  column(k + 1, b, a0, a1, a2, a3, a4, a5, a6, a7, a8, a9);
  column(k + 2, b, a0, a1, a2, a3, a4, a5, a6, a7, a8, a9);
  if (k < 36) column(k + 3, b, a0, a1, a2, a3, a4, a5, a6, a7, a8, a9);
}

/** out = a b, reduced; a and b may be sums, out may be either. */
export function mul(out: usize, a: usize, b: usize): void {
  spread(B, b);
  product(out, a, B);
}

/** As `mul`, with a b that `spread` has laid out. */
export function mulSpread(out: usize, a: usize, b: usize): void {
  product(out, a, b);
}

/** Inlined twice, as addresses that are constants are faster. */
@inline
function product(out: usize, a: usize, b: usize): void {
  const a0 = get(a, 0), a1 = get(a, 1), a2 = get(a, 2), a3 = get(a, 3), a4 = get(a, 4);
  const a5 = get(a, 5), a6 = get(a, 6), a7 = get(a, 7), a8 = get(a, 8), a9 = get(a, 9);
  columns(20, b, a0, a1, a2, a3, a4, a5, a6, a7, a8, a9);
  columns(24, b, a0, a1, a2, a3, a4, a5, a6, a7, a8, a9);
  columns(28, b, a0, a1, a2, a3, a4, a5, a6, a7, a8, a9);
  columns(32, b, a0, a1, a2, a3, a4, a5, a6, a7, a8, a9);
  columns(36, b, a0, a1, a2, a3, a4, a5, a6, a7, a8, a9);
  // The columns that `settle` begins with come first.
  columns(16, b, a0, a1, a2, a3, a4, a5, a6, a7, a8, a9);
  columns(8, b, a0, a1, a2, a3, a4, a5, a6, a7, a8, a9);
  columns(0, b, a0, a1, a2, a3, a4, a5, a6, a7, a8, a9);
  columns(4, b, a0, a1, a2, a3, a4, a5, a6, a7, a8, a9);
  columns(12, b, a0, a1, a2, a3, a4, a5, a6, a7, a8, a9);
  settle(out);
}

/**
 * Columns 4j to 4j + 3 of a square. Limbs i and k - i with i below k / 2 meet twice: the values m
 * below j, doubled (`dm`), hold those i in pairs; `own` is the product with value j that is left.
 */
@inline
function square4(
  j: i32, a: usize,
  d0: v128, d1: v128, d2: v128, d3: v128, d4: v128, d5: v128, d6: v128, d7: v128, d8: v128,
): void {
  const x = get(a, j);
  const k = 4 * j;
  // a_2j^2
  squareColumn(j, k, dot(v128.and(x, i32x4.splat(0xffff)), get(B, 2 * j)),
    d0, d1, d2, d3, d4, d5, d6, d7, d8);
  // 2 a_2j a_2j+1
  squareColumn(j, k + 1, dot(x, get(B, 2 * j + 1)), d0, d1, d2, d3, d4, d5, d6, d7, d8);
  // 2 a_2j a_2j+2 + a_2j+1^2
  squareColumn(j, k + 2, dot(halves(i16x8.add(x, x), x), get(B, 2 * j + 2)),
    d0, d1, d2, d3, d4, d5, d6, d7, d8);
  // 2 a_2j a_2j+3 + 2 a_2j+1 a_2j+2
  if (j < 9) {
    squareColumn(j, k + 3, dot(i16x8.add(x, x), get(B, 2 * j + 3)),
      d0, d1, d2, d3, d4, d5, d6, d7, d8);
  }
}

@inline
function squareColumn(
  j: i32, k: i32, own: v128,
  d0: v128, d1: v128, d2: v128, d3: v128, d4: v128, d5: v128, d6: v128, d7: v128, d8: v128,
): void {
  let c = own;
  if (j > 0) c = term(B, c, d0, k);
  if (j > 1) c = term(B, c, d1, k - 2);
  if (j > 2) c = term(B, c, d2, k - 4);
  if (j > 3) c = term(B, c, d3, k - 6);
  if (j > 4) c = term(B, c, d4, k - 8);
  if (j > 5) c = term(B, c, d5, k - 10);
  if (j > 6) c = term(B, c, d6, k - 12);
  if (j > 7) c = term(B, c, d7, k - 14);
  if (j > 8) c = term(B, c, d8, k - 16);
  keep(k, c);
}

@inline
function twice(a: usize, m: i32): v128 {
  const x = get(a, m);
  return i16x8.add(x, x);
}

/** out = a^2, reduced; a may be a sum, out may be a. */
export function square(out: usize, a: usize): void {
  spread(B, a);
  const d0 = twice(a, 0), d1 = twice(a, 1), d2 = twice(a, 2), d3 = twice(a, 3), d4 = twice(a, 4);
  const d5 = twice(a, 5), d6 = twice(a, 6), d7 = twice(a, 7), d8 = twice(a, 8);
  square4(5, a, d0, d1, d2, d3, d4, d5, d6, d7, d8);
  square4(6, a, d0, d1, d2, d3, d4, d5, d6, d7, d8);
  square4(7, a, d0, d1, d2, d3, d4, d5, d6, d7, d8);
  square4(8, a, d0, d1, d2, d3, d4, d5, d6, d7, d8);
  square4(9, a, d0, d1, d2, d3, d4, d5, d6, d7, d8);
  square4(4, a, d0, d1, d2, d3, d4, d5, d6, d7, d8);
  square4(2, a, d0, d1, d2, d3, d4, d5, d6, d7, d8);
  square4(0, a, d0, d1, d2, d3, d4, d5, d6, d7, d8);
  square4(1, a, d0, d1, d2, d3, d4, d5, d6, d7, d8);
  square4(3, a, d0, d1, d2, d3, d4, d5, d6, d7, d8);
  settle(out);
}

/** out = a^(2^n), n at least 1; out may be a. */
export function squareTimes(out: usize, a: usize, n: i32): void {
  square(out, a);
  for (let i = 1; i < n; i++) square(out, out);
}

/** Column k of a + factor b, b laid out; `factor` is (low, high) of 13 bits. */
@inline
function smallColumn(k: i32, a: usize, b: usize, factor: v128): void {
  const place = i32x4.splat(k & 1 ? 0x10000 : 1);
  const c = plus(dot(get(b, k), factor), dot(get(a, k >> 1), place));
  put(C, k, plus(c, i32x4.splat(BIAS)));
}

/**
 * out = a + factor b, reduced, with a b that `spread` has laid out; a and b may be sums; 0 <=
 * factor < 2^17, a constant. No column reaches 9730 (2^13 + 2^4) + 2^14, and column 0
 * with the last folded in 2^28.
 */
export function smallMulSpread(out: usize, a: usize, b: usize, factor: i32): void {
  const f = i32x4.splat((factor & LOW) | ((factor >> 13) << 16));
  smallColumn(0, a, b, f); smallColumn(1, a, b, f); smallColumn(2, a, b, f);
  smallColumn(3, a, b, f); smallColumn(4, a, b, f); smallColumn(5, a, b, f);
  smallColumn(6, a, b, f); smallColumn(7, a, b, f); smallColumn(8, a, b, f);
  smallColumn(9, a, b, f); smallColumn(10, a, b, f); smallColumn(11, a, b, f);
  smallColumn(12, a, b, f); smallColumn(13, a, b, f); smallColumn(14, a, b, f);
  smallColumn(15, a, b, f); smallColumn(16, a, b, f); smallColumn(17, a, b, f);
  smallColumn(18, a, b, f); smallColumn(19, a, b, f);
  put(C, 0, plus(get(C, 0), i32x4.mul(dot(get(b, 20), f), i32x4.splat(WRAP))));
  settle(out);
}
