// ristretto255 (RFC 9496, section 4), four elements at once, on the points of edwards.ts. Names are
// the RFC's. Every function has one path: what fails is a mask.
import { readPoint, write } from './codec';
import { FE, mul, square } from './field';
import { add, constant, copy, select, sub } from './linear';
import { power252 } from './power';

/** Bytes of the constants below as element vectors. */
export const CONSTANTS: usize = 7 * FE;

/** D, 2 D, SQRT_M1, INVSQRT_A_MINUS_D, ONE_MINUS_D_SQ, D_MINUS_ONE_SQ, SQRT_AD_MINUS_ONE (4.1). */
const WORDS: usize = memory.data<u64>([
  0x75eb4dca135978a3, 0x00700a4d4141d8ab, 0x8cc740797779e898, 0x52036cee2b6ffe73,
  0xebd69b9426b2f159, 0x00e0149a8283b156, 0x198e80f2eef3d130, 0x2406d9dc56dffce7,
  0xc4ee1b274a0ea0b0, 0x2f431806ad2fe478, 0x2b4d00993dfbd7a7, 0x2b8324804fc1df0b,
  0x99c8fdaa805d40ea, 0x9d2f16175a4172be, 0x16c27b91fe01d840, 0x786c8905cfaffca2,
  0xe27c09c1945fc176, 0x2c81a138cd5e350f, 0x9994abddbe70dfe4, 0x029072a8b2b3e0d7,
  0x31ad5aaa44ed4d20, 0xd29e4a2cb01e1999, 0x4cdcd32f529b4eeb, 0x5968b37af66c2241,
  0x7e97f6a0497b2e1b, 0xaf9d8e0c1b7854bd, 0x0f3cfcc931f5d1fd, 0x376931bf2b8348ac,
]);

/** Lays the constants out at `to`, each in all four lanes. `words` is 40 bytes. */
export function layConstants(to: usize, words: usize): void {
  for (let i: usize = 0; i < 7; i++) {
    for (let k: usize = 0; k < 4; k++) readPoint(to + i * FE + 4 * k, WORDS + 32 * i, words);
  }
}

@inline
function d(constants: usize): usize { return constants; }
@inline
export function twiceD(constants: usize): usize { return constants + FE; }
@inline
function sqrtM1(constants: usize): usize { return constants + 2 * FE; }
@inline
function invSqrtAMinusD(constants: usize): usize { return constants + 3 * FE; }
@inline
function oneMinusDSq(constants: usize): usize { return constants + 4 * FE; }
@inline
function dMinusOneSq(constants: usize): usize { return constants + 5 * FE; }
@inline
function sqrtAdMinusOne(constants: usize): usize { return constants + 6 * FE; }

/** Masks, 16 bytes, of the elements that are 0 (`zero`) and of the negative ones, odd values. */
function look(zero: usize, negative: usize, vector: usize, bytes: usize): void {
  for (let k: usize = 0; k < 16; k += 4) {
    write(bytes, vector + k);
    const low = load<u64>(bytes);
    const any = low | load<u64>(bytes, 8) | load<u64>(bytes, 16) | load<u64>(bytes, 24);
    store<u32>(zero + k, 0 - u32(any == 0));
    store<u32>(negative + k, 0 - u32(low & 1));
  }
}

/** Bytes of scratch for `sqrtRatio`, and for each of the three functions after it. */
export const RATIO: usize = 12 * FE;
export const CODING: usize = RATIO + 12 * FE;

/** x = -x in the lanes of `masks`; x is reduced and stays so. */
function negateWhere(x: usize, masks: usize, scratch: usize): void {
  const minus = scratch, nought = scratch + FE;
  constant(nought, 0);
  sub(minus, nought, x);
  select(x, minus, x, masks);
}

/** x = |x|: the one of x and -x that is not negative. */
function absolute(x: usize, scratch: usize): void {
  const masks = scratch + 2 * FE;
  look(masks, masks + 16, x, masks + 32);
  negateWhere(x, masks + 16, scratch);
}

/**
 * SQRT_RATIO_M1 (section 4.2): r = +sqrt(u / v), or +sqrt(SQRT_M1 u / v) where u / v is no square;
 * `square` gets the masks of the lanes where it is one, or u is 0. u and v are reduced.
 */
function sqrtRatio(
  r: usize, wasSquare: usize, u: usize, v: usize, constants: usize, scratch: usize,
): void {
  const t = scratch, v3 = t + FE, check = v3 + FE, prime = check + FE, power = prime + FE;
  const correct = power + 6 * FE, flipped = correct + 16, flippedI = flipped + 16;
  const unused = flippedI + 16, bytes = unused + 16;
  square(v3, v);
  mul(v3, v3, v);
  square(t, v3);
  mul(t, t, v);
  mul(t, t, u); // u v^7
  power252(t, t, power);
  mul(v3, v3, u);
  mul(r, v3, t); // (u v^3) (u v^7)^((p - 5) / 8)
  square(check, r);
  mul(check, check, v);
  sub(t, check, u);
  look(correct, unused, t, bytes);
  add(t, check, u);
  look(flipped, unused, t, bytes);
  mul(prime, u, sqrtM1(constants));
  add(t, check, prime);
  look(flippedI, unused, t, bytes);
  mul(prime, r, sqrtM1(constants));
  v128.store(flippedI, v128.or(v128.load(flipped), v128.load(flippedI)));
  select(r, prime, r, flippedI);
  v128.store(wasSquare, v128.or(v128.load(correct), v128.load(flipped)));
  absolute(r, power);
}

/**
 * Decode (section 4.3.1): points of four field elements `s`, and at `good` the masks of those lanes
 * that decode. That s is canonical and not negative has been looked at before.
 */
export function decode(
  out: usize, good: usize, s: usize, constants: usize, scratch: usize,
): void {
  const ss = scratch + RATIO, u1 = ss + FE, u2 = u1 + FE, u2Sqr = u2 + FE, v = u2Sqr + FE;
  const inv = v + FE, one = inv + FE, x = out, y = out + FE, t = out + 3 * FE;
  const denX = one + FE, denY = denX + FE, masks = denY + FE;
  constant(one, 1);
  square(ss, s);
  sub(u1, one, ss);
  add(u2, one, ss);
  square(u2Sqr, u2);
  square(v, u1);
  mul(v, v, d(constants));
  constant(inv, 0);
  sub(v, inv, v);
  sub(v, v, u2Sqr); // -(D u1^2) - u2^2
  mul(denX, v, u2Sqr);
  sqrtRatio(inv, masks, one, denX, constants, scratch);
  mul(denX, inv, u2);
  mul(denY, inv, denX);
  mul(denY, denY, v);
  mul(x, s, denX);
  add(x, x, x);
  mul(x, x, one);
  absolute(x, scratch);
  mul(y, u1, denY);
  copy(out + 2 * FE, one);
  mul(t, x, y);
  look(masks + 16, masks + 32, t, masks + 64);
  const negative = v128.load(masks + 32);
  look(masks + 16, masks + 32, y, masks + 64);
  const bad = v128.or(negative, v128.load(masks + 16));
  v128.store(good, v128.andnot(v128.load(masks), bad));
}

/** Encode (section 4.3.2): s of four points, not negative. */
export function encode(s: usize, p: usize, constants: usize, scratch: usize): void {
  const x = p, y = p + FE, z = p + 2 * FE, t = p + 3 * FE;
  const u1 = scratch + RATIO, u2 = u1 + FE, inv = u2 + FE, den1 = inv + FE, den2 = den1 + FE;
  const zInv = den2 + FE, xx = zInv + FE, yy = xx + FE, w = yy + FE, masks = w + FE;
  const rotate = masks + 16, unused = masks, one = masks + FE, bytes = masks + 32;
  constant(one, 1);
  add(u1, z, y);
  sub(u2, z, y);
  mul(u1, u1, u2);
  mul(u2, x, y);
  square(w, u2);
  mul(w, w, u1);
  sqrtRatio(inv, unused, one, w, constants, scratch);
  mul(den1, inv, u1);
  mul(den2, inv, u2);
  mul(zInv, den1, den2);
  mul(zInv, zInv, t);
  mul(w, t, zInv);
  look(unused, rotate, w, bytes);
  mul(xx, y, sqrtM1(constants));
  mul(yy, x, sqrtM1(constants));
  select(xx, xx, x, rotate);
  select(yy, yy, y, rotate);
  mul(den1, den1, invSqrtAMinusD(constants));
  select(den2, den1, den2, rotate);
  mul(w, xx, zInv);
  look(unused, rotate, w, bytes);
  negateWhere(yy, rotate, scratch);
  sub(w, z, yy);
  mul(s, den2, w);
  absolute(s, scratch);
}

/** MAP (section 4.3.4) of four field elements; `out` gets the points. */
export function map(out: usize, input: usize, constants: usize, scratch: usize): void {
  const r = scratch + RATIO, u = r + FE, v = u + FE, s = v + FE, c = s + FE, one = c + FE;
  const sPrime = one + FE, t = sPrime + FE, n = t + FE, minusOne = n + FE, masks = minusOne + FE;
  constant(one, 1);
  constant(minusOne, -1);
  square(t, input);
  mul(r, t, sqrtM1(constants));
  add(u, r, one);
  mul(u, u, oneMinusDSq(constants));
  mul(v, r, d(constants));
  sub(v, minusOne, v);
  add(t, r, d(constants));
  mul(v, v, t); // (-1 - r D) (r + D)
  sqrtRatio(s, masks, u, v, constants, scratch);
  mul(sPrime, s, input);
  absolute(sPrime, scratch);
  constant(t, 0);
  sub(sPrime, t, sPrime);
  select(s, s, sPrime, masks);
  select(c, minusOne, r, masks);
  sub(n, r, one);
  mul(n, n, c);
  mul(n, n, dMinusOneSq(constants));
  sub(n, n, v); // N
  add(t, s, s);
  mul(t, t, v); // w0
  mul(n, n, sqrtAdMinusOne(constants)); // w1
  square(s, s);
  sub(c, one, s); // w2
  add(s, one, s); // w3
  mul(out, t, s);
  mul(out + FE, c, n);
  mul(out + 2 * FE, n, s);
  mul(out + 3 * FE, t, c);
}
