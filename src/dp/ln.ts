import { expect } from '../core/errors.ts';
import type { Rational } from '../core/rational.ts';
import type { Enclosure } from './exp.ts';

/** LOCAL. Working bits below the requested precision; covers the series and the multiples of ln 2. */
const GUARD_BITS = 64n;

/**
 * atanh(num/den) for num/den from 0 to 1/3, enclosed: z + z³/3 + z⁵/5 + …
 *
 * Everything is truncated downwards, so the sum is a lower bound. A power is short by less than 3
 * units (each step adds at most two and keeps a ninth of what was), a term therefore by less than 4;
 * what is left out after the last power fell below one unit is less than 2.
 */
function atanh(num: bigint, den: bigint, working: bigint): Enclosure {
  const z = (num << working) / den;
  const square = (z * z) >> working;
  let power = z;
  let low = 0n;
  let terms = 0n;
  while (power !== 0n) {
    low += power / (2n * terms + 1n);
    power = (power * square) >> working;
    terms += 1n;
  }
  return { low, high: low + 4n * terms + 4n, precision: working };
}

/**
 * ln x for a positive rational x, enclosed; integers only, as everything that decides about privacy.
 *
 * x = m·2^k with m in (2/3, 4/3], then ln m = ±2·atanh(|m-1|/(m+1)) and ln 2 = 2·atanh(1/3).
 * Cost: about a third as many terms as working bits.
 */
export function ln(x: Rational, precisionBits: number): Enclosure {
  expect(x.num > 0n, 'ln takes a positive argument');
  const precision = BigInt(precisionBits);
  const working = precision + GUARD_BITS;
  let { num, den } = x;
  let k = 0n;
  while (3n * num > 4n * den) {
    den *= 2n;
    k += 1n;
  }
  while (3n * num <= 2n * den) {
    num *= 2n;
    k -= 1n;
  }
  const distance = num >= den ? num - den : den - num;
  const part = atanh(distance, num + den, working);
  const two = atanh(1n, 3n, working);
  const of = (up: boolean): bigint => {
    const own = num >= den ? (up ? part.high : part.low) : -(up ? part.low : part.high);
    const whole = k * (k >= 0n === up ? two.high : two.low);
    return 2n * (own + whole);
  };
  // An arithmetic shift rounds down; the upper end needs one more.
  return { low: of(false) >> GUARD_BITS, high: (of(true) >> GUARD_BITS) + 1n, precision };
}
