import {
  FE, mul, mulSpread, smallMulSpread, SPREAD, spread, spreadDifference, square,
} from './field';
import { addSub, butterfly, constant, copy, select } from './linear';

/** (J - 2) / 4 (RFC 7748, section 5). */
const A24: i32 = 121665;

/** Bytes of scratch that `ladder` needs. */
export const LADDER: usize = 9 * FE + 2 * SPREAD + 16;

/**
 * out = X and Z (2 FE) of scalar times the points with u-coordinates `u`, four at once: the ladder
 * of RFC 7748, section 5. `scalar` has 32 bytes and is a clamped one: its lowest three bits are
 * taken as 0, so that the ladder may end with three doublings, and bit 255 is not looked at.
 *
 * The RFC swaps the two points when the bit changes, doubles the first and adds into the second. As
 * DA and CB of the addition only change places with the points, only what is doubled is selected.
 */
export function ladder(out: usize, u: usize, scalar: usize, scratch: usize): void {
  const x2 = out, z2 = out + FE, x3 = scratch, z3 = x3 + FE, t = z3 + FE;
  const a = t + FE, b = a + FE, c = b + FE, d = c + FE, p = d + FE, q = p + FE;
  const e = q + FE, uSpread = e + SPREAD, same = uSpread + SPREAD;
  spread(uSpread, u);
  constant(x2, 1);
  constant(z2, 0);
  copy(x3, u);
  constant(z3, 1);
  let before: u32 = 0;
  for (let i: i32 = 254; i >= 3; i--) {
    const bit = (<u32>load<u8>(scalar + (i >> 3)) >> (i & 7)) & 1;
    v128.store(same, i32x4.splat((bit ^ before) - 1));
    before = bit;
    butterfly(a, x2, z2, x3, z3, same); // p, q: a, b of the point to double
    mul(x3, d, a); // DA
    mul(z3, c, b); // CB
    square(p, p); // AA
    square(q, q); // BB
    addSub(c, d, x3, z3);
    square(x3, c);
    square(d, d);
    mulSpread(z3, d, uSpread);
    spreadDifference(e, p, q);
    mul(x2, p, q);
    smallMulSpread(t, p, e, A24);
    mulSpread(z2, t, e);
  }
  // The point with the bits so far is the doubled one if the last of them was 0.
  v128.store(same, i32x4.splat(before - 1));
  select(x2, x2, x3, same);
  select(z2, z2, z3, same);
  for (let i = 0; i < 3; i++) {
    addSub(p, q, x2, z2);
    square(p, p);
    square(q, q);
    spreadDifference(e, p, q);
    mul(x2, p, q);
    smallMulSpread(t, p, e, A24);
    mulSpread(z2, t, e);
  }
}
