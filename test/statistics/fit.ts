// How well draws fit the discrete Laplace law: Pearson's chi-square over bins fixed by the law alone.
import { chiSquareTail } from '../sharing/noise-reference.ts';

/** Counts of draws by value. */
export type Counts = Map<number, number>;

export function count(counts: Counts, draws: Iterable<number>): void {
  for (const x of draws) counts.set(x, (counts.get(x) ?? 0) + 1);
}

/** LOCAL. Bins of a wide law (privacy.md section 7, test 4), least expected count of a narrow one. */
const WIDE_BINS = 64;
const EXPECTED_MIN = 10;
const WIDE_SCALE = 10;

/** C·a^|x| on [-N, N), N = 2^digits, in order from -N. */
function massesOf(rate: number, digits: number): readonly (readonly [number, number])[] {
  const n = 2 ** digits;
  const a = Math.exp(-rate);
  const c = (1 - a) / ((1 + a) * (1 - a ** n));
  return Array.from({ length: 2 * n }, (_, i) => [i - n, c * a ** Math.abs(i - n)]);
}

/** Neighbouring values together until a bin is heavy enough; the last takes what is left. */
function binsOf(rate: number, digits: number, draws: number): { last: number; mass: number }[] {
  const wide = 1 / rate >= WIDE_SCALE;
  const enough = wide ? 1 / WIDE_BINS : EXPECTED_MIN / draws;
  const bins: { last: number; mass: number }[] = [];
  let mass = 0;
  for (const [x, p] of massesOf(rate, digits)) {
    mass += p;
    if (mass < enough) continue;
    bins.push({ last: x, mass });
    mass = 0;
  }
  bins.at(-1)!.mass += mass;
  bins.at(-1)!.last = 2 ** digits - 1;
  return bins;
}

/** p-value of the draws under the law of `rate`, as drawn by `digits` digits and a sign. */
export function fitPValue(counts: Counts, rate: number, digits: number): number {
  const draws = [...counts.values()].reduce((a, b) => a + b, 0);
  const bins = binsOf(rate, digits, draws);
  const seen = bins.map(() => 0);
  for (const [x, times] of counts) {
    const bin = bins.findIndex(({ last }) => x <= last);
    if (bin < 0 || x < -(2 ** digits)) return 0;
    seen[bin]! += times;
  }
  const statistic = bins.reduce((sum, { mass }, b) => {
    const expected = mass * draws;
    return sum + (seen[b]! - expected) ** 2 / expected;
  }, 0);
  return chiSquareTail(statistic, bins.length - 1);
}
