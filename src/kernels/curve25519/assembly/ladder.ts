import { addSub, constant, copy, FE, mul, select, smallMul, square, sub } from './field';

/** (J - 2) / 4 (RFC 7748, section 5). */
const A24: i32 = 121665;

/** Bytes of scratch that `ladder` needs. */
export const LADDER: usize = 7 * FE + 16;

/**
 * out = X and Z (2 FE) of scalar times the points with u-coordinates `u`, four at once: the ladder
 * of RFC 7748, section 5. `scalar` has 32 bytes and is a clamped one: its lowest three bits are
 * taken as 0, so that the ladder may end with three doublings, and bit 255 is not looked at.
 *
 * The RFC swaps the two points when the bit changes, doubles the first and adds into the second. As
 * DA and CB of the addition only change places with the points, only what is doubled is selected.
 * Doubling and addition take turns, so that a product seldom waits for the one before it.
 */
export function ladder(out: usize, u: usize, scalar: usize, scratch: usize): void {
  const x2 = out, z2 = out + FE, x3 = scratch, z3 = x3 + FE;
  const a = z3 + FE, b = a + FE, c = b + FE, d = c + FE, e = d + FE;
  const same = e + FE;
  constant(x2, 1);
  constant(z2, 0);
  copy(x3, u);
  constant(z3, 1);
  let before: u32 = 0;
  for (let i: i32 = 254; i >= 3; i--) {
    const bit = (<u32>load<u8>(scalar + (i >> 3)) >> (i & 7)) & 1;
    v128.store(same, i32x4.splat((bit ^ before) - 1));
    before = bit;
    addSub(a, b, x2, z2);
    addSub(c, d, x3, z3);
    mul(x3, d, a);
    mul(z3, c, b);
    select(a, a, c, same);
    select(b, b, d, same);
    square(a, a); // AA
    square(b, b); // BB
    addSub(c, d, x3, z3);
    square(x3, c);
    sub(e, a, b);
    smallMul(z2, a, e, A24);
    square(d, d);
    mul(x2, a, b);
    mul(z2, z2, e);
    mul(z3, d, u);
  }
  // The point with the bits so far is the doubled one if the last of them was 0.
  v128.store(same, i32x4.splat(before - 1));
  select(x2, x2, x3, same);
  select(z2, z2, z3, same);
  for (let i = 0; i < 3; i++) {
    addSub(a, b, x2, z2);
    square(a, a);
    square(b, b);
    sub(e, a, b);
    smallMul(z2, a, e, A24);
    mul(x2, a, b);
    mul(z2, z2, e);
  }
}
