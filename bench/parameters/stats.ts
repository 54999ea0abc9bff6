// Logarithms of counting numbers, binomial tails and intervals, as the experiments need them.

/** ln n!, Stirling's series (absolute error below 1e-8 up to 10^8), a sum for small n. */
export function lnFactorial(n: number): number {
  if (n < 32) {
    let sum = 0;
    for (let k = 2; k <= n; k++) sum += Math.log(k);
    return sum;
  }
  const s = 1 / (n * n);
  const series = (1 / 12 - s * (1 / 360 - s * (1 / 1260 - s / 1680))) / n;
  return n * Math.log(n) - n + 0.5 * Math.log(2 * Math.PI * n) + series;
}

/** ln of n over k; -Infinity where there is no such choice. */
export function lnChoose(n: number, k: number): number {
  if (k < 0 || k > n) return -Infinity;
  return lnFactorial(n) - lnFactorial(k) - lnFactorial(n - k);
}

/** ln(e^a + e^b). */
export function lnAdd(a: number, b: number): number {
  const high = Math.max(a, b);
  if (high === -Infinity) return high;
  return high + Math.log1p(Math.exp(Math.min(a, b) - high));
}

/** ln P[Binomial(n, p) \>= k] for k above the mean, summed until terms no longer count. */
export function lnUpperTail(n: number, p: number, k: number): number {
  if (k <= 0) return 0;
  if (k > n) return -Infinity;
  const odds = Math.log(p) - Math.log1p(-p);
  let term = lnChoose(n, k) + k * Math.log(p) + (n - k) * Math.log1p(-p);
  let sum = term;
  for (let i = k; i < n; i++) {
    term += Math.log((n - i) / (i + 1)) + odds;
    sum = lnAdd(sum, term);
    if (term < sum - 40 && i > n * p) break;
  }
  return Math.min(0, sum);
}

/** Exact (Clopper and Pearson 1934) interval of a rate; each side errs with probability `alpha`. */
export function interval(hits: number, trials: number, alpha: number): [number, number] {
  const goal = Math.log(alpha);
  // P[X >= hits] grows with p; P[X <= hits] is P[trials - X >= trials - hits] at 1 - p.
  const lower = hits === 0 ? 0 : bisect((p) => lnUpperTail(trials, p, hits) < goal);
  const upper =
    hits === trials ? 1 : 1 - bisect((q) => lnUpperTail(trials, q, trials - hits) < goal);
  return [lower, upper];
}

/** The p in (0, 1) up to which `below` holds. */
function bisect(below: (p: number) => boolean): number {
  let [low, high] = [-80, 0];
  // In ln p towards 0, as rates are small; the last steps are far below any rate's own error.
  for (let step = 0; step < 100; step++) {
    const middle = (low + high) / 2;
    if (below(Math.exp(middle))) low = middle;
    else high = middle;
  }
  return Math.exp(low);
}

/** P[chi-square with `degrees` exceeds `statistic`], Wilson and Hilferty's cube root, as a z-score. */
export function chiSquareZ(statistic: number, degrees: number): number {
  const spread = 2 / (9 * degrees);
  return (Math.cbrt(statistic / degrees) - (1 - spread)) / Math.sqrt(spread);
}
