// Chi-square goodness of fit against the discrete Laplace law; doubles are fine in a test.

/** Pearson's statistic with bins of expected count at least 10, the tails merged. */
export function laplaceChiSquare(
  sample: readonly number[],
  rate: number,
): { statistic: number; degrees: number } {
  const a = Math.exp(-rate);
  const at = (x: number): number => ((1 - a) / (1 + a)) * a ** Math.abs(x);
  const edge = Math.floor(Math.log(10 / (sample.length * at(0))) / -rate);
  const counts = new Map<number, number>();
  for (const x of sample) {
    const bin = Math.max(-edge, Math.min(edge, x));
    counts.set(bin, (counts.get(bin) ?? 0) + 1);
  }
  let statistic = 0;
  for (let x = -edge; x <= edge; x += 1) {
    const tail = Math.abs(x) === edge ? at(x) / (1 - a) : at(x);
    const expected = sample.length * tail;
    statistic += ((counts.get(x) ?? 0) - expected) ** 2 / expected;
  }
  return { statistic, degrees: 2 * edge };
}

/** P[chi-square with `degrees` (even) exceeds `statistic`]: a finite Poisson sum. */
export function chiSquareTail(statistic: number, degrees: number): number {
  let term = Math.exp(-statistic / 2);
  let sum = term;
  for (let i = 1; i < degrees / 2; i += 1) {
    term *= statistic / 2 / i;
    sum += term;
  }
  return Math.min(1, sum);
}
