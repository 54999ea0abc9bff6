// Cuckoo hashing with three distinct bins and no stash. (1) The Hall-violator bound of every capacity
// class. (2) The production `locate` and `place` at sizes small enough to fail often, against exact
// probabilities and against the bound.
import { binsFor, locate, place } from '../../src/protocols/psi/cuckoo.ts';
import { CAPACITY_MAX, STATISTICAL_BITS } from '../../src/protocols/psi/limits.ts';
import { seededRng } from '../../test/support/seeded-rng.ts';
import {
  count,
  figure,
  log2Figure,
  table,
  type Budget,
  type Result,
  type Row,
  type Verdict,
} from './report.ts';
import { interval, lnAdd, lnChoose, lnFactorial } from './stats.ts';

/** Ids of the trials in which sets of four are counted. */
const FOURS = 64;

/** Each side of an interval errs with this probability; some 60 intervals are looked at. */
const ALPHA = 1e-6;

/**
 * ln of an upper bound on P[n ids have no placement in B bins].
 *
 * By Hall's theorem there is none exactly when some j + 1 ids lie inside j bins, and a minimal such
 * set touches each of its bins at least twice. Expected number of those, j by j: choices of ids and
 * bins, times ways to throw N = 3(j + 1) balls into j bins at least twice each, which are
 * N!·[z^N](e^z − 1 − z)^j ≤ N!·(e^z − 1 − z)^j / z^N for every z \> 0, over (B(B−1)(B−2))^(j+1).
 * Counting distinct triples instead of throws gives (j(j−1)(j−2))^(j+1) ways, fewer for few bins;
 * `tight` takes the lesser of both. Throws alone are not enough below 1,100 ids: 2^-39.4.
 */
export function lnHallBound(n: number, bins: number, tight = true): number {
  let sum = -Infinity;
  let z = 2.5;
  const lnTriples = Math.log(bins) + Math.log(bins - 1) + Math.log(bins - 2);
  for (let j = 3; j < n && j <= bins; j++) {
    const balls = 3 * (j + 1);
    // Towards the minimum: z·(e^z − 1) / (e^z − 1 − z) = N/j. Any z bounds, so a few steps do.
    for (let step = j === 3 ? 60 : 4; step > 0; step--) {
      z = (balls / j) * (1 - z / Math.expm1(z));
    }
    const throws = lnFactorial(balls) + j * Math.log(Math.expm1(z) - z) - balls * Math.log(z);
    const distinct = (j + 1) * (Math.log(j) + Math.log(j - 1) + Math.log(j - 2));
    const ways = tight ? Math.min(throws, distinct) : throws;
    sum = lnAdd(sum, lnChoose(n, j + 1) + lnChoose(bins, j) + ways - (j + 1) * lnTriples);
  }
  return sum;
}

/** Exact P[no placement] of four ids: all four have the same three bins. */
export function failureOfFour(bins: number): number {
  return Math.exp(-3 * lnChoose(bins, 3));
}

/**
 * Exact P[no placement] of five ids: five in at most four bins, or four with the same three bins
 * beside a fifth that leaves them by two bins or more.
 */
export function failureOfFive(bins: number): number {
  const choose = (k: number): number => Math.exp(lnChoose(bins, k));
  const triples = choose(3);
  const inFour = choose(4) * (4 ** 5 - 4) + triples;
  const fourAndOne = 5 * triples * (triples - 1 - 3 * (bins - 3));
  return (inFour + fourAndOne) / triples ** 5;
}

/** Capacities where the bound is largest within a class, and those of the page. */
function capacities(scale: number): number[] {
  const edges = [128, 512, 1_024, 1_037, 1_038, 2 ** 11, 2 ** 12, 2 ** 13, 2 ** 14 - 1, 2 ** 14];
  const large = [2 ** 14 + 1, 2 ** 15, 2 ** 16, 2 ** 17, 2 ** 18, CAPACITY_MAX];
  return scale < 1 ? edges : [...edges, ...large];
}

interface Trial {
  readonly n: number;
  readonly bins: number;
  readonly trials: number;
  readonly failed: number;
  /** Sets of four ids with the same three bins, over all trials. */
  readonly fours: number;
}

function attempt(n: number, bins: number, trials: number, seed: string): Trial {
  const rng = seededRng(`${seed} cuckoo ${n} ${bins}`);
  let failed = 0;
  let fours = 0;
  // Fresh ids for every trial; those of one batch share a seed, under which the PRF of each id is
  // independent of all others.
  const batch = Math.max(1, Math.floor(4_096 / n));
  for (let from = 0; from < trials; from += batch) {
    const here = Math.min(batch, trials - from);
    const all = locate(rng(16), rng(32 * n * here), bins);
    for (let trial = 0; trial < here; trial++) {
      const locations = all.subarray(3 * n * trial, 3 * n * (trial + 1));
      if (place(locations, bins).dropped > 0) failed++;
      if (n === FOURS) fours += sameFours(locations);
    }
  }
  return { n, bins, trials, failed, fours };
}

function sameFours(locations: Int32Array): number {
  const seen = new Map<number, number>();
  for (let at = 0; at < locations.length; at += 3) {
    const [a, b, c] = locations.slice(at, at + 3).sort() as unknown as [number, number, number];
    const key = (a * 4_096 + b) * 4_096 + c;
    seen.set(key, (seen.get(key) ?? 0) + 1);
  }
  let sets = 0;
  for (const m of seen.values()) sets += (m * (m - 1) * (m - 2) * (m - 3)) / 24;
  return sets;
}

export function run({ seed, scale }: Budget): Result {
  const rows: Row[] = [];
  const verdicts: Verdict[] = [];
  const bounds = capacities(scale).map((n) => {
    const bins = binsFor(n);
    const ln = lnHallBound(n, bins, false);
    const tight = lnHallBound(n, bins);
    rows.push({
      part: 'bound',
      n,
      bins,
      log2_bound: ln / Math.LN2,
      log2_tight: tight / Math.LN2,
    });
    verdicts.push({
      claim: `${n} ids in ${bins} bins fail with at most 2^-${STATISTICAL_BITS}`,
      holds: tight / Math.LN2 <= -STATISTICAL_BITS,
    });
    return [count(n), count(bins), (bins / n).toFixed(3), log2Figure(ln), log2Figure(tight)];
  });
  const exact = exactPart(seed, scale, rows, verdicts);
  const fours = foursPart(seed, scale, rows, verdicts);
  const visible = visiblePart(seed, scale, rows, verdicts);
  const page = [
    'Upper bound on the probability that a table of `binsFor(capacity)` bins has no placement (`lnHallBound`, every j summed; balls thrown, or the lesser of throws and distinct triples for every j):',
    table(['ids', 'bins', 'bins per id', 'log2, throws', 'log2, lesser of both'], bounds),
    'Four and five ids, where the probability is known exactly; `locate` and `place` as shipped, interval of 1 − 10^-6 a side:',
    table(['ids', 'bins', 'trials', 'failed', 'rate', 'interval', 'exact'], exact),
    'Sets of four ids in the same three bins, the smallest obstruction: expected C(n,4)·C(B,3)^-3 a trial, about 9·n^4/B^9 for large B:',
    table(['ids', 'bins', 'trials', 'sets found', 'expected', '9·n^4/B^9 would say'], fours),
    'Tables too small to be safe, so that failures show; the bound stays above what is measured:',
    table(['ids', 'bins per id', 'trials', 'failed', 'rate', 'interval', 'bound'], visible),
  ].join('\n\n');
  return { name: 'cuckoo', rows, verdicts, page };
}

function exactPart(seed: string, scale: number, rows: Row[], verdicts: Verdict[]): unknown[][] {
  const cases = [
    [4, 5],
    [4, 6],
    [5, 6],
    [5, 8],
  ] as const;
  return cases.map(([n, bins]) => {
    const t = attempt(n, bins, Math.ceil(100_000 * scale), seed);
    const expected = n === 4 ? failureOfFour(bins) : failureOfFive(bins);
    const [low, high] = interval(t.failed, t.trials, ALPHA);
    rows.push({ part: 'exact', ...t, expected, interval: [low, high] });
    verdicts.push({
      claim: `${n} ids in ${bins} bins fail as often as they must`,
      holds: low <= expected && expected <= high,
    });
    const between = `${figure(low)} – ${figure(high)}`;
    return [
      n,
      bins,
      count(t.trials),
      t.failed,
      figure(t.failed / t.trials),
      between,
      figure(expected),
    ];
  });
}

function foursPart(seed: string, scale: number, rows: Row[], verdicts: Verdict[]): unknown[][] {
  return [12, 16, 20].map((bins) => {
    const n = FOURS;
    const t = attempt(n, bins, Math.ceil(20_000 * scale), seed);
    const expected = t.trials * Math.exp(lnChoose(n, 4) - 3 * lnChoose(bins, 3));
    const asymptotic = (t.trials * 9 * n ** 4) / bins ** 9;
    rows.push({ part: 'fours', ...t, expected });
    // Sets share ids, so they come in clumps: five ids in three bins are five sets. Twice Poisson.
    verdicts.push({
      claim: `four of ${n} ids share three of ${bins} bins as often as they must`,
      holds: Math.abs(t.fours - expected) <= 6 * Math.sqrt(2 * expected) + 6,
    });
    return [n, bins, count(t.trials), t.fours, figure(expected), figure(asymptotic)];
  });
}

function visiblePart(seed: string, scale: number, rows: Row[], verdicts: Verdict[]): unknown[][] {
  const out: unknown[][] = [];
  for (const n of [64, 128, 256, 512, 1_024]) {
    for (const percent of [115, 120, 125, 130, 135]) {
      const bins = Math.ceil((n * percent) / 100);
      const trials = Math.ceil((500_000 * scale) / n);
      const t = attempt(n, bins, trials, seed);
      const [low, high] = interval(t.failed, trials, ALPHA);
      const bound = Math.min(1, Math.exp(lnHallBound(n, bins)));
      rows.push({ part: 'visible', ...t, interval: [low, high], bound });
      verdicts.push({ claim: `the bound holds for ${n} ids in ${bins} bins`, holds: low <= bound });
      const between = `${figure(low)} – ${figure(high)}`;
      const rate = figure(t.failed / trials);
      out.push([n, percent / 100, count(trials), t.failed, rate, between, figure(bound)]);
    }
  }
  return out;
}
