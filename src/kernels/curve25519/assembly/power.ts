import { FE, mul, square, squareTimes } from './field';
import { copy } from './linear';

// Fixed addition chains; the exponents are public constants.

/**
 * Leaves z^(2^250 - 1) in `out` and z^11 in `eleven`: 249 squarings and 11 products, the chain
 * everybody uses for this prime. `scratch` is 2 FE.
 */
function chain(out: usize, eleven: usize, z: usize, scratch: usize): void {
  const t = scratch, u = scratch + FE;
  square(t, z); // 2
  squareTimes(u, t, 2); // 8
  mul(u, u, z); // 9
  mul(eleven, u, t); // 11
  square(t, eleven); // 22
  mul(u, t, u); // 2^5 - 1
  squareTimes(t, u, 5);
  mul(u, t, u); // 2^10 - 1
  squareTimes(t, u, 10);
  mul(t, t, u); // 2^20 - 1
  squareTimes(out, t, 20);
  mul(t, out, t); // 2^40 - 1
  squareTimes(t, t, 10);
  mul(u, t, u); // 2^50 - 1
  squareTimes(t, u, 50);
  mul(t, t, u); // 2^100 - 1
  squareTimes(out, t, 100);
  mul(t, out, t); // 2^200 - 1
  squareTimes(t, t, 50);
  mul(out, t, u); // 2^250 - 1
}

/** out = z^(p - 2), the inverse, zero for zero. p - 2 = (2^250 - 1) 2^5 + 11. `scratch` is 4 FE. */
export function invert(out: usize, z: usize, scratch: usize): void {
  const power = scratch + 2 * FE, eleven = scratch + 3 * FE;
  chain(power, eleven, z, scratch);
  squareTimes(power, power, 5);
  mul(out, power, eleven);
}

/**
 * out = z^((p - 1) / 2): 1 for a non-zero square, p - 1 for a non-square, 0 for 0.
 * (p - 1) / 2 = 2^254 - 10 = (2^250 - 1) 2^4 + 6. `scratch` is 5 FE.
 */
export function legendre(out: usize, z: usize, scratch: usize): void {
  const power = scratch + 2 * FE, unused = scratch + 3 * FE, six = scratch + 4 * FE;
  square(six, z); // 2
  mul(six, six, z); // 3
  square(six, six); // 6
  chain(power, unused, z, scratch);
  squareTimes(power, power, 4);
  mul(out, power, six);
}

/** out = z^((p - 5) / 8) = z^(2^252 - 3) = z^((2^250 - 1) 4 + 1). `scratch` is 4 FE. */
export function power252(out: usize, z: usize, scratch: usize): void {
  const power = scratch + 2 * FE, unused = scratch + 3 * FE;
  chain(power, unused, z, scratch);
  squareTimes(power, power, 2);
  mul(out, power, z);
}

/**
 * Inverts `n` non-zero element vectors at `a` in place with one inversion (Montgomery's trick:
 * three products an element). `partial` is n FE, `scratch` 6 FE.
 */
export function invertMany(a: usize, n: usize, partial: usize, scratch: usize): void {
  if (n == 0) return;
  const t = scratch + 4 * FE, inverse = scratch + 5 * FE;
  copy(partial, a);
  for (let i: usize = 1; i < n; i++) {
    mul(partial + i * FE, partial + (i - 1) * FE, a + i * FE);
  }
  invert(inverse, partial + (n - 1) * FE, scratch);
  for (let i: usize = n - 1; i > 0; i--) {
    mul(t, inverse, partial + (i - 1) * FE);
    mul(inverse, inverse, a + i * FE);
    copy(a + i * FE, t);
  }
  copy(a, inverse);
}
