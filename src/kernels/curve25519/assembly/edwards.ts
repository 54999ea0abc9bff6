// Points of the twisted Edwards curve -x^2 + y^2 = 1 + d x^2 y^2, d = -121665/121666, four side by
// side, in the extended coordinates of Hisil, Wong, Carter, Dawson (ASIACRYPT 2008): x = X/Z,
// y = Y/Z, T = XY/Z. The additions are complete on this curve, so no point needs a case of its own.
// "Reduced" and "sum" as in field.ts. No branch and no address depends on a point or a scalar.
import { FE, get, mul, put, smallMulSpread, SPREAD, spread, square } from './field';
import { add, addSub, constant, copy, sub } from './linear';

/** Bytes of a vector of four points: X, Y, Z, T, reduced. */
export const POINT: usize = 4 * FE;

/** Bytes of scratch for one addition or doubling. */
export const STEP: usize = 8 * FE + SPREAD;

/** Bits of a scalar that one addition of `multiplyLanes` takes. */
const WINDOW: i32 = 4;
const ENTRIES: i32 = 1 << WINDOW;

/** Bytes of scratch for `multiplyLanes`: table, entry, point, masks. */
export const MULTIPLY: usize = STEP + <usize>(ENTRIES + 2) * POINT + 16 * <usize>(ENTRIES + 1);

/** Scalars of 32 bytes are taken below 2^256. */
const WINDOWS: i32 = 256 / WINDOW;

/** The neutral point (0, 1). */
function neutral(out: usize): void {
  constant(out, 0);
  constant(out + FE, 1);
  constant(out + 2 * FE, 1);
  constant(out + 3 * FE, 0);
}

/** out = (Y - X, Y + X, 2 Z, 2 d T) of p, what an addition wants of its second point. */
export function prepare(out: usize, p: usize, twiceD: usize): void {
  sub(out, p + FE, p);
  add(out + FE, p + FE, p);
  add(out + 2 * FE, p + 2 * FE, p + 2 * FE);
  mul(out + 3 * FE, p + 3 * FE, twiceD);
}

/**
 * out = p + q, or p - q if `minus`, with a q that `prepare` has made; out may be p. Section 3.1 of
 * the paper for a = -1. -q is q with its first two changed round and the last negated.
 */
export function addPrepared(out: usize, p: usize, q: usize, minus: bool, scratch: usize): void {
  const a = scratch, b = a + FE, c = b + FE, d = c + FE;
  const e = d + FE, f = e + FE, g = f + FE, h = g + FE;
  addSub(f, e, p + FE, p);
  mul(a, e, minus ? q + FE : q);
  mul(b, f, minus ? q : q + FE);
  mul(c, p + 3 * FE, q + 3 * FE);
  mul(d, p + 2 * FE, q + 2 * FE);
  addSub(h, e, b, a);
  if (minus) addSub(f, g, d, c);
  else addSub(g, f, d, c);
  mul(out, e, f);
  mul(out + FE, g, h);
  mul(out + 2 * FE, f, g);
  mul(out + 3 * FE, e, h);
}

/**
 * out = 2 p; out may be p. Section 3.3 of the paper, with X (2 Y) for (X + Y)^2 - X^2 - Y^2, and
 * with F and H, so all four coordinates, negated, which is the same point.
 */
function double(out: usize, p: usize, scratch: usize): void {
  const a = scratch, b = a + FE, c = b + FE, e = c + FE;
  const f = e + FE, g = f + FE, h = g + FE, minusG = h + FE, laid = minusG + FE;
  add(b, p + FE, p + FE);
  mul(e, p, b);
  square(a, p);
  square(b, p + FE);
  square(c, p + 2 * FE);
  addSub(h, g, b, a);
  sub(minusG, a, b);
  spread(laid, c);
  smallMulSpread(f, minusG, laid, 2);
  mul(out, e, f);
  mul(out + FE, g, h);
  mul(out + 2 * FE, f, g);
  mul(out + 3 * FE, e, h);
}

/** out = lane by lane the entry whose number is in that lane of `digits`. Reads all entries. */
function lookUp(out: usize, table: usize, digits: v128, masks: usize): void {
  for (let j = 0; j < ENTRIES; j++) put(masks, j, i32x4.eq(digits, i32x4.splat(j)));
  for (let m = 0; m < 40; m++) {
    let x = i32x4.splat(0);
    for (let j = 0; j < ENTRIES; j++) {
      x = v128.or(x, v128.and(get(table + <usize>j * POINT, m), get(masks, j)));
    }
    put(out, m, x);
  }
}

/**
 * out = scalar times point in each of four lanes; out may be `p`. `scalars` are four of 32 bytes,
 * little-endian. Fixed windows from the top: four doublings and one addition for every four bits.
 */
export function multiplyLanes(
  out: usize, p: usize, scalars: usize, twiceD: usize, scratch: usize,
): void {
  const table = scratch + STEP, entry = table + <usize>ENTRIES * POINT, sum = entry + POINT;
  const masks = sum + POINT, digits = masks + 16 * <usize>ENTRIES;
  neutral(sum);
  for (let j = 0; j < ENTRIES; j++) {
    prepare(table + <usize>j * POINT, sum, twiceD);
    if (j == 0) {
      memory.copy(sum, p, POINT);
    } else {
      addPrepared(sum, sum, table + POINT, false, scratch);
    }
  }
  neutral(sum);
  for (let w = WINDOWS - 1; w >= 0; w--) {
    for (let i = 0; i < WINDOW; i++) double(sum, sum, scratch);
    for (let k: usize = 0; k < 4; k++) {
      const byte = <u32>load<u8>(scalars + 32 * k + <usize>(w >> 1));
      store<u32>(digits + 4 * k, (byte >> (WINDOW * (w & 1))) & (ENTRIES - 1));
    }
    lookUp(entry, table, v128.load(digits), masks);
    addPrepared(sum, sum, entry, false, scratch);
  }
  copy(out, sum);
  copy(out + FE, sum + FE);
  copy(out + 2 * FE, sum + 2 * FE);
  copy(out + 3 * FE, sum + 3 * FE);
}
