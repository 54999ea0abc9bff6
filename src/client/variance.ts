import { compare, rational, sub, ZERO, type Rational } from '../core/rational.ts';

/** What a variance is made of, in coded units. */
export interface VarianceInputs {
  /** Sums of values and of their squares; with `clamp`, of y = 2x − (lower + upper). */
  readonly sum: bigint;
  readonly squares: bigint;
  readonly count: bigint;
  readonly of: 'population' | 'sample';
  /** Bounds of the column for a centred variance; null for a plain one. */
  readonly clamp: { readonly lower: string; readonly upper: string } | null;
}

const clampTo = (x: Rational, most: Rational): Rational =>
  compare(x, ZERO) < 0 ? ZERO : compare(x, most) > 0 ? most : x;

/**
 * The variance as an exact rational: (Σx² − (Σx)²/n) / n, or / (n − 1) for a sample; NULL when that
 * divides by zero. A centred one is a quarter of that of y; under noise the count is floored at 1
 * (2 for a sample) and the result clamped to what bounds allow (privacy.md §2).
 */
export function varianceOf({ sum, squares, count, of, clamp }: VarianceInputs): Rational | null {
  const least = of === 'population' ? 1n : 2n;
  if (clamp === null && count < least) return null;
  const n = count < least ? least : count;
  const divisor = of === 'population' ? n : n - 1n;
  const plain = rational(squares * n - sum * sum, n * divisor);
  if (clamp === null) return plain;
  const spread = BigInt(clamp.upper) - BigInt(clamp.lower);
  // At most a quarter of the squared range, and n/(n − 1) of it for a sample.
  const most = rational(spread * spread * n, 4n * divisor);
  return clampTo(rational(plain.num, 4n * plain.den), most);
}

/**
 * Ends between which the variance lies when sum, squares and count are each within their widths.
 * As a function of the count alone it rises, then falls, so its least value is at an end; the upper
 * bound takes each of its two parts at its own worst count, which is safe and a little wide.
 */
export function varianceInterval(
  inputs: VarianceInputs,
  widths: { readonly sum: bigint; readonly squares: bigint; readonly count: bigint },
): { readonly low: Rational; readonly high: Rational } {
  const { count, of, clamp } = inputs;
  const least = of === 'population' ? 1n : 2n;
  const [few, many] = [count - widths.count, count + widths.count].map((n) =>
    n < least ? least : n,
  ) as [bigint, bigint];
  const distance = inputs.sum < 0n ? -inputs.sum : inputs.sum;
  const positive = (x: bigint): bigint => (x < 0n ? 0n : x);
  const fewest = positive(inputs.squares - widths.squares);
  const most = inputs.squares + widths.squares;
  const lows = [few, many].map(
    (n) => varianceOf({ ...inputs, sum: distance + widths.sum, squares: fewest, count: n }) ?? ZERO,
  );
  const nearest = positive(distance - widths.sum);
  const divisor = (n: bigint): bigint => (of === 'population' ? n : n - 1n);
  const plain = sub(
    rational(positive(most), divisor(few)),
    rational(nearest * nearest, many * divisor(many)),
  );
  const [low] = lows.sort(compare);
  if (clamp === null) return { low: low!, high: plain };
  const spread = BigInt(clamp.upper) - BigInt(clamp.lower);
  const ceiling = rational(spread * spread * few, 4n * divisor(few));
  return { low: low!, high: clampTo(rational(plain.num, 4n * plain.den), ceiling) };
}
