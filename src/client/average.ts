import { expect } from '../core/errors.ts';
import { compare, rational, sub, type Rational } from '../core/rational.ts';

/** What an average is made of, in coded units. */
export interface AverageInputs {
  /** The sum, or with `clamp` the centred sum of `2x - (lower + upper)`. */
  readonly sum: bigint;
  readonly count: bigint;
  /** Bounds of the column for a centred average; null for a plain one. */
  readonly clamp: { readonly lower: string; readonly upper: string } | null;
}

const minimum = (a: Rational, b: Rational): Rational => (compare(a, b) <= 0 ? a : b);
const maximum = (a: Rational, b: Rational): Rational => (compare(a, b) >= 0 ? a : b);

function centred(sum: bigint, count: bigint, lower: bigint, upper: bigint): Rational {
  // sum / 2 / count + (lower + upper) / 2
  const mean = rational(sum + (lower + upper) * count, 2n * count);
  return minimum(maximum(mean, rational(lower)), rational(upper));
}

/**
 * The average as an exact rational. A centred one floors the noisy count at 1 and clamps to the
 * bounds (privacy.md section 2: Google's BoundedMean on integers).
 */
export function averageOf({ sum, count, clamp }: AverageInputs): Rational {
  if (clamp === null) {
    expect(count > 0n, 'a plain average has values');
    return rational(sum, count);
  }
  return centred(sum, count > 1n ? count : 1n, BigInt(clamp.lower), BigInt(clamp.upper));
}

/**
 * Ends between which the average of the unnoised sum and count lies when both are within their
 * half-widths. Monotone in each argument apart, so the corners decide.
 */
export function averageInterval(
  inputs: AverageInputs,
  sumWidth: bigint,
  countWidth: bigint,
): { readonly low: Rational; readonly high: Rational; readonly halfWidth: Rational } {
  const atLeastOne = (n: bigint): bigint => (n > 1n ? n : 1n);
  const corners = [inputs.sum - sumWidth, inputs.sum + sumWidth].flatMap((sum) =>
    [inputs.count - countWidth, inputs.count + countWidth].map((count) =>
      averageOf({ ...inputs, sum, count: atLeastOne(count) }),
    ),
  );
  const value = averageOf({ ...inputs, count: atLeastOne(inputs.count) });
  const low = corners.reduce(minimum);
  const high = corners.reduce(maximum);
  return { low, high, halfWidth: maximum(sub(value, low), sub(high, value)) };
}
