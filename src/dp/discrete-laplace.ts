import { expect, ParleyError } from '../core/errors.ts';
import type { Rational } from '../core/rational.ts';
import { compare, div, mul, rational } from '../core/rational.ts';
import { expNegative } from './exp.ts';

/**
 * The discrete Laplace law with scale t = sensitivity/epsilon as the two's-complement sampler draws
 * it (privacy.md §1.2): B biased coins for the binary digits of a geometric variable, and a sign coin
 * with digit 0's threshold; x_j = b_j xor S. Truncated law, exact: P[x] = C·a^|x| on [-N, N-1].
 */
export interface DiscreteLaplace {
  /** Epsilon per unit of output, eps' = epsilon / sensitivity. */
  readonly rate: Rational;
  /** B: digits of the geometric part; N = 2^B. */
  readonly bits: number;
  /** lambda: bits of a coin's uniform and of its threshold. */
  readonly thresholdBits: number;
  /** T_j = round(2^lambda · 1/(1+exp(rate·2^j))), j = 0..B-1. The sign coin uses T_0. */
  readonly thresholds: readonly bigint[];
}

/** SECURITY. Target of the truncation part of delta: 2^-64 per cell (privacy.md §1.4). */
const TRUNCATION_BITS = 64n;

/** LOCAL. Decimal digits of an upper bound on ln 2. */
const LN2_UP: Rational = rational(6_931_471_806n, 10_000_000_000n);

/** SECURITY. Widest noise: value + noise must stay inside a signed 64-bit word. */
const NOISE_BITS_MAX = 60;

/**
 * Smallest B whose truncation part of delta is at most 2^-64 for neighbours `shift` apart.
 * `delta_trunc = a^(N-D)(1-a^D)/((1+a)(1-a^N)) <= a^(N-D)`, so `rate·(N-D) >= 64 ln 2` suffices.
 * @throws ParleyError OVERFLOW_POSSIBLE when no B up to NOISE_BITS_MAX does.
 */
export function noiseBits(rate: Rational, shift: bigint): number {
  const need = mul(rational(TRUNCATION_BITS), LN2_UP);
  for (let bits = 1; bits <= NOISE_BITS_MAX; bits += 1) {
    const distance = (1n << BigInt(bits)) - shift;
    if (distance > 0n && compare(mul(rate, rational(distance)), need) >= 0) return bits;
  }
  throw new ParleyError('OVERFLOW_POSSIBLE', 'the noise of this query would not fit 64 bits', {
    hint: 'raise epsilon or narrow the declared bounds of the column',
  });
}

/**
 * round(2^lambda · p) with p = 1/(1+exp(rate·2^j)), decided by an enclosure: the precision grows until both
 * ends round alike, so the result is the correctly rounded integer (Ziv's strategy).
 */
function threshold(rate: Rational, digit: number, lambda: number): bigint {
  const x = mul(rate, rational(1n << BigInt(digit)));
  for (let precision = lambda + 128; precision <= lambda + 4096; precision *= 2) {
    const a = expNegative(x, precision);
    const one = 1n << a.precision;
    const half = 1n << (a.precision - BigInt(lambda) - 1n);
    const round = (e: bigint, slack: bigint): bigint =>
      ((e << a.precision) / (one + e) + slack + half) >> (a.precision - BigInt(lambda));
    const low = round(a.low, 0n);
    if (low === round(a.high, 1n)) return low;
  }
  throw new ParleyError('INTERNAL', 'a noise threshold could not be rounded');
}

/** The law for one measure. Cost: B enclosures of about 200 bits. */
export function discreteLaplace(
  epsilon: Rational,
  sensitivity: bigint,
  thresholdBits: number,
  bitsMin = 1,
): DiscreteLaplace {
  expect(epsilon.num > 0n && sensitivity > 0n, 'epsilon and sensitivity are positive');
  expect(thresholdBits >= 64 && thresholdBits <= 128, 'threshold bits are 64 to 128');
  const rate = div(epsilon, rational(sensitivity));
  const bits = [noiseBits(rate, sensitivity), bitsMin].reduce((a, b) => (a > b ? a : b));
  const thresholds = Array.from({ length: bits }, (_, j) => threshold(rate, j, thresholdBits));
  return { rate, bits, thresholdBits, thresholds };
}

/**
 * Safe upper bound on the quantisation part of delta per cell: (1+e^eps)(B+1)·2^-(lambda+1)
 * (privacy.md §1.4). e^eps is bounded by 3^ceil(eps).
 */
export function quantisationDelta(law: DiscreteLaplace, epsilon: Rational): Rational {
  const power = (epsilon.num + epsilon.den - 1n) / epsilon.den;
  const factor = 1n + 3n ** power;
  return rational(factor * BigInt(law.bits + 1), 1n << BigInt(law.thresholdBits + 1));
}

/** Upper bound on the truncation part of delta per cell, guaranteed by {@link noiseBits}. */
export const TRUNCATION_DELTA: Rational = rational(1n, 1n << TRUNCATION_BITS);

/**
 * Upper bound on `P[X >= m]` for m at least 1 and at most N, from an enclosure rounded up:
 * `(a^m - a^N)/((1+a)(1-a^N)) <= a^m/(1+a)`.
 */
export function upperTail(rate: Rational, m: bigint): Rational {
  const precision = 256;
  const am = expNegative(mul(rate, rational(m)), precision);
  const a = expNegative(rate, precision);
  return rational(am.high, (1n << a.precision) + a.low);
}

/** Smallest integer m in [0, limit] with `holds(m)`, for a predicate monotone in m; else null. */
export function smallest(limit: bigint, holds: (m: bigint) => boolean): bigint | null {
  if (!holds(limit)) return null;
  let low = -1n;
  let high = limit;
  while (high - low > 1n) {
    const middle = (low + high) / 2n;
    if (holds(middle)) high = middle;
    else low = middle;
  }
  return high;
}

/**
 * Half-width h of the interval value ± h: smallest h with `P[|X| > h] = 2a^(h+1)/(1+a)` at most
 * 1 - level. Exact up to the enclosure, rounded so that coverage never falls below the level.
 */
export function halfWidth(law: DiscreteLaplace, level: Rational): bigint {
  const miss = rational(level.den - level.num, level.den);
  const limit = 1n << BigInt(law.bits);
  const found = smallest(
    limit,
    (h) => compare(mul(rational(2n), upperTail(law.rate, h + 1n)), miss) <= 0,
  );
  return found ?? limit;
}
