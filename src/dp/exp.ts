import { expect } from '../core/errors.ts';
import type { Rational } from '../core/rational.ts';

/** A real number enclosed by two fixed-point integers: `low <= x·2^precision <= high`. */
export interface Enclosure {
  readonly low: bigint;
  readonly high: bigint;
  readonly precision: bigint;
}

/** LOCAL. Working bits below the requested precision; covers the series and the squarings. */
const GUARD_BITS = 96n;

/**
 * e^(-x) for a rational x ≥ 0, enclosed. Integers only: `Math.exp` differs between engines, and two
 * parties with different thresholds would build different circuits (privacy.md §1.7).
 *
 * Argument reduction to r = x/2^s ≤ 1/2, alternating Taylor series, then s squarings. With G working
 * bits each series term and each squaring truncates by at most one unit, and a squaring of a value
 * below 1 at most doubles the error and adds one, so after s squarings it is under (terms+2)·2^(s+1).
 * Cost: O(G/log G) multiplications of G-bit integers.
 */
export function expNegative(x: Rational, precisionBits: number): Enclosure {
  expect(x.num >= 0n, 'expNegative takes a non-negative argument');
  const precision = BigInt(precisionBits);
  let squarings = 0n;
  while (2n * x.num > x.den << squarings) squarings += 1n;
  const working = precision + GUARD_BITS + squarings;
  const one = 1n << working;
  const r = (x.num * one) / (x.den << squarings);
  let term = one;
  let sum = one;
  let terms = 0n;
  while (term !== 0n) {
    terms += 1n;
    term = ((term * r) >> working) / terms;
    sum += terms % 2n === 0n ? term : -term;
  }
  for (let i = 0n; i < squarings; i += 1n) sum = (sum * sum) >> working;
  const error = (terms + 2n) << (squarings + 1n);
  const drop = working - precision;
  const low = (sum - error) >> drop;
  return {
    low: low < 0n ? 0n : low,
    high: ((sum + error) >> drop) + 1n,
    precision,
  };
}
