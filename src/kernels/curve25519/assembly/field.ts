// GF(2^255 - 19), four elements side by side.
//
// An element vector is ten v128 values (FE = 160 bytes); 32-bit lane e of value i is limb i of
// element e. Limbs are unsigned in radix 2^25.5: limb i has weight 2^ceil(25.5 i), so even limbs
// hold 26 bits and odd limbs 25. "Reduced" means every limb is below 2^26 + 2^15 (even) or
// 2^25 + 2^15 (odd); every function here takes reduced elements and leaves reduced elements.
// No branch and no address depends on a value.

/** Bytes of a vector of four elements. */
export const FE: usize = 160;

const MASK26: u64 = 0x3ffffff;
const MASK25: u64 = 0x1ffffff;

@inline
export function get(a: usize, i: usize): v128 {
  return v128.load(a + (i << 4));
}

@inline
export function put(a: usize, i: usize, x: v128): void {
  v128.store(a + (i << 4), x);
}

/** 32x32 to 64-bit products of lanes 0, 1 (low) or 2, 3 (high). */
@inline
function mul2(high: bool, x: v128, y: v128): v128 {
  if (high) return i64x2.extmul_high_i32x4_u(x, y);
  return i64x2.extmul_low_i32x4_u(x, y);
}

@inline
function times19(x: v128): v128 {
  return i32x4.mul(x, i32x4.splat(19));
}

@inline
function twice(x: v128): v128 {
  return i32x4.shl(x, 1);
}

/** Sum of ten products: one column of a schoolbook product folded at 2^255 = 19. */
@inline
function dot10(
  h: bool,
  a0: v128, a1: v128, a2: v128, a3: v128, a4: v128,
  a5: v128, a6: v128, a7: v128, a8: v128, a9: v128,
  b0: v128, b1: v128, b2: v128, b3: v128, b4: v128,
  b5: v128, b6: v128, b7: v128, b8: v128, b9: v128,
): v128 {
  const s0 = i64x2.add(mul2(h, a0, b0), mul2(h, a1, b1));
  const s1 = i64x2.add(mul2(h, a2, b2), mul2(h, a3, b3));
  const s2 = i64x2.add(mul2(h, a4, b4), mul2(h, a5, b5));
  const s3 = i64x2.add(mul2(h, a6, b6), mul2(h, a7, b7));
  const s4 = i64x2.add(mul2(h, a8, b8), mul2(h, a9, b9));
  return i64x2.add(i64x2.add(i64x2.add(s0, s1), i64x2.add(s2, s3)), s4);
}

/** Sum of six products, a column of a square. */
@inline
function dot6(
  h: bool,
  a0: v128, a1: v128, a2: v128, a3: v128, a4: v128, a5: v128,
  b0: v128, b1: v128, b2: v128, b3: v128, b4: v128, b5: v128,
): v128 {
  const s0 = i64x2.add(mul2(h, a0, b0), mul2(h, a1, b1));
  const s1 = i64x2.add(mul2(h, a2, b2), mul2(h, a3, b3));
  const s2 = i64x2.add(mul2(h, a4, b4), mul2(h, a5, b5));
  return i64x2.add(i64x2.add(s0, s1), s2);
}

/** Sum of five products, a column of a square. */
@inline
function dot5(
  h: bool,
  a0: v128, a1: v128, a2: v128, a3: v128, a4: v128,
  b0: v128, b1: v128, b2: v128, b3: v128, b4: v128,
): v128 {
  const s0 = i64x2.add(mul2(h, a0, b0), mul2(h, a1, b1));
  const s1 = i64x2.add(mul2(h, a2, b2), mul2(h, a3, b3));
  return i64x2.add(i64x2.add(s0, s1), mul2(h, a4, b4));
}

/** Times 19 in 64-bit lanes. */
@inline
function times19wide(x: v128): v128 {
  return i64x2.add(i64x2.add(i64x2.shl(x, 4), i64x2.shl(x, 1)), x);
}

/**
 * Carries ten 64-bit columns at `c` in place, columns below 2^63. Two chains run side by side
 * (0 to 5 and 5 to 0); the last two carries bring limbs 1 and 6 back below 2^25 + 2^15.
 */
@inline
function carry(c: usize): void {
  const m26 = i64x2.splat(MASK26);
  const m25 = i64x2.splat(MASK25);
  let h0 = get(c, 0), h1 = get(c, 1), h2 = get(c, 2), h3 = get(c, 3), h4 = get(c, 4);
  let h5 = get(c, 5), h6 = get(c, 6), h7 = get(c, 7), h8 = get(c, 8), h9 = get(c, 9);
  h1 = i64x2.add(h1, i64x2.shr_u(h0, 26)); h0 = v128.and(h0, m26);
  h6 = i64x2.add(h6, i64x2.shr_u(h5, 25)); h5 = v128.and(h5, m25);
  h2 = i64x2.add(h2, i64x2.shr_u(h1, 25)); h1 = v128.and(h1, m25);
  h7 = i64x2.add(h7, i64x2.shr_u(h6, 26)); h6 = v128.and(h6, m26);
  h3 = i64x2.add(h3, i64x2.shr_u(h2, 26)); h2 = v128.and(h2, m26);
  h8 = i64x2.add(h8, i64x2.shr_u(h7, 25)); h7 = v128.and(h7, m25);
  h4 = i64x2.add(h4, i64x2.shr_u(h3, 25)); h3 = v128.and(h3, m25);
  h9 = i64x2.add(h9, i64x2.shr_u(h8, 26)); h8 = v128.and(h8, m26);
  h5 = i64x2.add(h5, i64x2.shr_u(h4, 26)); h4 = v128.and(h4, m26);
  h0 = i64x2.add(h0, times19wide(i64x2.shr_u(h9, 25))); h9 = v128.and(h9, m25);
  h6 = i64x2.add(h6, i64x2.shr_u(h5, 25)); h5 = v128.and(h5, m25);
  h1 = i64x2.add(h1, i64x2.shr_u(h0, 26)); h0 = v128.and(h0, m26);
  put(c, 0, h0); put(c, 1, h1); put(c, 2, h2); put(c, 3, h3); put(c, 4, h4);
  put(c, 5, h5); put(c, 6, h6); put(c, 7, h7); put(c, 8, h8); put(c, 9, h9);
}

/** Puts the even 32-bit lanes of both halves of the columns back side by side. */
@inline
function pack(out: usize, c: usize): void {
  for (let i: usize = 0; i < FE; i += 16) {
    const lanes = v128.shuffle<i32>(v128.load(c + i), v128.load(c + FE + i), 0, 2, 4, 6);
    v128.store(out + i, lanes);
  }
}

/**
 * Columns of one half of a product. Even columns take odd-by-odd products twice, because
 * 2 ceil(25.5 i) is one more than the weight of the column for odd i. The largest, column 0, is
 * below 125 * 2^52 * (1 + 2^-10)^2 < 2^59.
 */
@inline
function mulHalf(h: bool, c: usize, a: usize, b: usize): void {
  const f0 = get(a, 0), f1 = get(a, 1), f2 = get(a, 2), f3 = get(a, 3), f4 = get(a, 4);
  const f5 = get(a, 5), f6 = get(a, 6), f7 = get(a, 7), f8 = get(a, 8), f9 = get(a, 9);
  const g0 = get(b, 0), g1 = get(b, 1), g2 = get(b, 2), g3 = get(b, 3), g4 = get(b, 4);
  const g5 = get(b, 5), g6 = get(b, 6), g7 = get(b, 7), g8 = get(b, 8), g9 = get(b, 9);
  const d1 = twice(f1), d3 = twice(f3), d5 = twice(f5), d7 = twice(f7), d9 = twice(f9);
  const n1 = times19(g1), n2 = times19(g2), n3 = times19(g3), n4 = times19(g4);
  const n5 = times19(g5), n6 = times19(g6), n7 = times19(g7), n8 = times19(g8);
  const n9 = times19(g9);
  put(c, 0, dot10(h, f0, d1, f2, d3, f4, d5, f6, d7, f8, d9,
    g0, n9, n8, n7, n6, n5, n4, n3, n2, n1));
  put(c, 1, dot10(h, f0, f1, f2, f3, f4, f5, f6, f7, f8, f9,
    g1, g0, n9, n8, n7, n6, n5, n4, n3, n2));
  put(c, 2, dot10(h, f0, d1, f2, d3, f4, d5, f6, d7, f8, d9,
    g2, g1, g0, n9, n8, n7, n6, n5, n4, n3));
  put(c, 3, dot10(h, f0, f1, f2, f3, f4, f5, f6, f7, f8, f9,
    g3, g2, g1, g0, n9, n8, n7, n6, n5, n4));
  put(c, 4, dot10(h, f0, d1, f2, d3, f4, d5, f6, d7, f8, d9,
    g4, g3, g2, g1, g0, n9, n8, n7, n6, n5));
  put(c, 5, dot10(h, f0, f1, f2, f3, f4, f5, f6, f7, f8, f9,
    g5, g4, g3, g2, g1, g0, n9, n8, n7, n6));
  put(c, 6, dot10(h, f0, d1, f2, d3, f4, d5, f6, d7, f8, d9,
    g6, g5, g4, g3, g2, g1, g0, n9, n8, n7));
  put(c, 7, dot10(h, f0, f1, f2, f3, f4, f5, f6, f7, f8, f9,
    g7, g6, g5, g4, g3, g2, g1, g0, n9, n8));
  put(c, 8, dot10(h, f0, d1, f2, d3, f4, d5, f6, d7, f8, d9,
    g8, g7, g6, g5, g4, g3, g2, g1, g0, n9));
  put(c, 9, dot10(h, f0, f1, f2, f3, f4, f5, f6, f7, f8, f9,
    g9, g8, g7, g6, g5, g4, g3, g2, g1, g0));
}

/** Columns of one half of a square; the same bounds as mulHalf. */
@inline
function squareHalf(h: bool, c: usize, a: usize): void {
  const f0 = get(a, 0), f1 = get(a, 1), f2 = get(a, 2), f3 = get(a, 3), f4 = get(a, 4);
  const f5 = get(a, 5), f6 = get(a, 6), f7 = get(a, 7), f8 = get(a, 8), f9 = get(a, 9);
  const d0 = twice(f0), d1 = twice(f1), d2 = twice(f2), d3 = twice(f3), d4 = twice(f4);
  const d5 = twice(f5), d6 = twice(f6), d7 = twice(f7);
  // Four times an odd limb: once for symmetry and once for odd-by-odd.
  const q1 = twice(d1), q3 = twice(d3), q5 = twice(d5), q7 = twice(d7);
  const n5 = times19(f5), n6 = times19(f6), n7 = times19(f7), n8 = times19(f8);
  const n9 = times19(f9), m5 = twice(n5), m7 = twice(n7), m9 = twice(n9);
  put(c, 0, dot6(h, f0, q1, d2, q3, d4, f5, f0, n9, n8, n7, n6, m5));
  put(c, 1, dot5(h, d0, d2, d3, d4, d5, f1, n9, n8, n7, n6));
  put(c, 2, dot6(h, d0, d1, q3, d4, q5, f6, f2, f1, n9, n8, n7, n6));
  put(c, 3, dot5(h, d0, d1, d4, d5, d6, f3, f2, n9, n8, n7));
  put(c, 4, dot6(h, d0, q1, f2, q5, d6, f7, f4, f3, f2, n9, n8, m7));
  put(c, 5, dot5(h, d0, d1, d2, d6, d7, f5, f4, f3, n9, n8));
  put(c, 6, dot6(h, d0, q1, d2, d3, q7, f8, f6, f5, f4, f3, n9, n8));
  put(c, 7, dot5(h, d0, d1, d2, d3, twice(f8), f7, f6, f5, f4, n9));
  put(c, 8, dot6(h, d0, q1, d2, q3, f4, f9, f8, f7, f6, f5, f4, m9));
  put(c, 9, dot5(h, d0, d1, d2, d3, d4, f9, f8, f7, f6, f5));
}

/** out = a b. `scratch` is 2 FE; out may be a or b. */
export function mul(out: usize, a: usize, b: usize, scratch: usize): void {
  mulHalf(false, scratch, a, b);
  mulHalf(true, scratch + FE, a, b);
  carry(scratch);
  carry(scratch + FE);
  pack(out, scratch);
}

/** out = a^(2^n), n at least 1. `scratch` is 2 FE; out may be a. */
export function squareTimes(out: usize, a: usize, n: i32, scratch: usize): void {
  let from = a;
  for (let i = 0; i < n; i++) {
    squareHalf(false, scratch, from);
    squareHalf(true, scratch + FE, from);
    carry(scratch);
    carry(scratch + FE);
    pack(out, scratch);
    from = out;
  }
}

/** One parallel carry in 32-bit lanes: limbs below 2^28 become reduced. */
@inline
function settle(out: usize): void {
  const m26 = i32x4.splat(<i32>MASK26);
  const m25 = i32x4.splat(<i32>MASK25);
  let over = times19(i32x4.shr_u(get(out, 9), 25));
  for (let i: usize = 0; i < 10; i += 2) {
    const even = get(out, i);
    const odd = get(out, i + 1);
    put(out, i, i32x4.add(v128.and(even, m26), over));
    put(out, i + 1, i32x4.add(v128.and(odd, m25), i32x4.shr_u(even, 26)));
    over = i32x4.shr_u(odd, 25);
  }
}

export function add(out: usize, a: usize, b: usize): void {
  for (let i: usize = 0; i < 10; i++) put(out, i, i32x4.add(get(a, i), get(b, i)));
  settle(out);
}

/** out = a - b, as a + 2p - b limb by limb, which is never negative for a reduced b. */
export function sub(out: usize, a: usize, b: usize): void {
  const even = i32x4.splat(0x7fffffe);
  const odd = i32x4.splat(0x3fffffe);
  put(out, 0, i32x4.sub(i32x4.add(get(a, 0), i32x4.splat(0x7ffffda)), get(b, 0)));
  put(out, 1, i32x4.sub(i32x4.add(get(a, 1), odd), get(b, 1)));
  for (let i: usize = 2; i < 10; i += 2) {
    put(out, i, i32x4.sub(i32x4.add(get(a, i), even), get(b, i)));
    put(out, i + 1, i32x4.sub(i32x4.add(get(a, i + 1), odd), get(b, i + 1)));
  }
  settle(out);
}

/** The same small constant, below 2^26, in all four elements. */
export function constant(out: usize, value: u32): void {
  put(out, 0, i32x4.splat(value));
  for (let i: usize = 1; i < 10; i++) put(out, i, i32x4.splat(0));
}

/** Lane by lane: where the 32-bit lane of `mask` is all ones a, where it is zero b. */
export function select(out: usize, a: usize, b: usize, masks: usize): void {
  const mask = v128.load(masks);
  for (let i: usize = 0; i < 10; i++) put(out, i, v128.bitselect(get(a, i), get(b, i), mask));
}

export function copy(out: usize, a: usize): void {
  memory.copy(out, a, FE);
}
