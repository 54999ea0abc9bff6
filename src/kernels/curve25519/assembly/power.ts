import { copy, FE, mul, squareTimes } from './field';

// Fixed addition chains; the exponents are public constants.

/**
 * Leaves z^(2^250 - 1) in `out` and z^11 in `eleven`: 249 squarings and 11 products, the chain
 * everybody uses for this prime. `scratch` is 4 FE.
 */
function chain(out: usize, eleven: usize, z: usize, scratch: usize): void {
  const s = scratch,
    t = scratch + 2 * FE,
    u = scratch + 3 * FE;
  squareTimes(t, z, 1, s); // 2
  squareTimes(u, t, 2, s); // 8
  mul(u, u, z, s); // 9
  mul(eleven, u, t, s); // 11
  squareTimes(t, eleven, 1, s); // 22
  mul(u, t, u, s); // 2^5 - 1
  squareTimes(t, u, 5, s);
  mul(u, t, u, s); // 2^10 - 1
  squareTimes(t, u, 10, s);
  mul(t, t, u, s); // 2^20 - 1
  squareTimes(out, t, 20, s);
  mul(t, out, t, s); // 2^40 - 1
  squareTimes(t, t, 10, s);
  mul(u, t, u, s); // 2^50 - 1
  squareTimes(t, u, 50, s);
  mul(t, t, u, s); // 2^100 - 1
  squareTimes(out, t, 100, s);
  mul(t, out, t, s); // 2^200 - 1
  squareTimes(t, t, 50, s);
  mul(out, t, u, s); // 2^250 - 1
}

/** out = z^(p - 2), the inverse, zero for zero. p - 2 = (2^250 - 1) 2^5 + 11. `scratch` is 6 FE. */
export function invert(out: usize, z: usize, scratch: usize): void {
  const power = scratch + 4 * FE,
    eleven = scratch + 5 * FE;
  chain(power, eleven, z, scratch);
  squareTimes(power, power, 5, scratch);
  mul(out, power, eleven, scratch);
}

/**
 * out = z^((p - 1) / 2): 1 for a non-zero square, p - 1 for a non-square, 0 for 0.
 * (p - 1) / 2 = 2^254 - 10 = (2^250 - 1) 2^4 + 6. `scratch` is 7 FE.
 */
export function legendre(out: usize, z: usize, scratch: usize): void {
  const power = scratch + 4 * FE,
    unused = scratch + 5 * FE,
    six = scratch + 6 * FE;
  squareTimes(six, z, 1, scratch); // 2
  mul(six, six, z, scratch); // 3
  squareTimes(six, six, 1, scratch); // 6
  chain(power, unused, z, scratch);
  squareTimes(power, power, 4, scratch);
  mul(out, power, six, scratch);
}

/**
 * Inverts `n` non-zero element vectors at `a` in place with one inversion (Montgomery's trick:
 * three products an element). `partial` is n FE, `scratch` 8 FE.
 */
export function invertMany(a: usize, n: usize, partial: usize, scratch: usize): void {
  if (n == 0) return;
  const t = scratch + 6 * FE,
    inverse = scratch + 7 * FE;
  copy(partial, a);
  for (let i: usize = 1; i < n; i++) {
    mul(partial + i * FE, partial + (i - 1) * FE, a + i * FE, scratch);
  }
  invert(inverse, partial + (n - 1) * FE, scratch);
  for (let i: usize = n - 1; i > 0; i--) {
    mul(t, inverse, partial + (i - 1) * FE, scratch);
    mul(inverse, inverse, a + i * FE, scratch);
    copy(a + i * FE, t);
  }
  copy(a, inverse);
}
