// privacy 1: the law that the sampler's code draws, coin outcome by coin outcome, in exact numbers.
import { rational, compare, mul, add, type Rational, ZERO } from '../../src/core/rational.ts';
import { calibrate, discreteLaplace as lawOf, type DiscreteLaplace } from '../../src/dp/index.ts';
import { quantisationDelta, TRUNCATION_DELTA } from '../../src/dp/discrete-laplace.ts';
import { bitBytes } from '../../src/protocols/ot/types.ts';
import { discreteLaplace, elementsFromWord, packBits } from '../../src/protocols/sharing/index.ts';
import { signedDraws, thresholdsOf } from '../sharing/noise-reference.ts';
import { makePair, xorBytes } from '../sharing/support.ts';
import type { Check } from './check.ts';

export const title = 'The exact law';

const ALPHAS: readonly (readonly [bigint, bigint])[] = [
  [1n, 5n],
  [1n, 2n],
  [2n, 3n],
  [9n, 10n],
  [99n, 100n],
];

/**
 * What the circuit draws when coin i of row r falls as `heads(r, i)` says: party 0's "random" bits
 * put each uniform just below its coin's threshold or right at it, party 1's are zeros.
 */
async function drawsOf(
  thresholds: readonly bigint[],
  heads: (row: number, coin: number) => boolean,
  rows: number,
): Promise<number[]> {
  const coins = thresholds.length + 1;
  const uniform = (i: number): bigint => {
    const [row, coin] = [Math.floor(i / coins), i % coins];
    const t = thresholds[coin === thresholds.length ? 0 : coin]!;
    return heads(row, coin) ? t - 1n : t;
  };
  const wires = Array.from({ length: 64 }, (_, bit) =>
    packBits(
      Array.from({ length: rows * coins }, (__, i) => Number((uniform(i) >> BigInt(bit)) & 1n)),
    ),
  );
  const bytes = 64 * bitBytes(rows * coins);
  const first = new Uint8Array(bytes);
  wires.forEach((wire, bit) => first.set(wire, (bit * bytes) / 64));
  const pair = makePair({ rngs: [() => first.slice(), (n) => new Uint8Array(n)], record: false });
  const law = { thresholds, thresholdBits: 64 };
  const out = await pair.run((ctx) => discreteLaplace(ctx, [law], new Int32Array(rows), rows));
  const word = out[0].map((wire, i) => xorBytes(wire, out[1][i]!));
  return signedDraws(elementsFromWord(word, rows));
}

/** The law of the code's draws when coin j is Bern(a^(2^j)/(1+a^(2^j))), the sign as coin 0. */
async function exactLaw(a: readonly [bigint, bigint], digits: number): Promise<bigint[]> {
  const rows = 2 ** (digits + 1);
  const draws = await drawsOf(
    thresholdsOf(1n, 10n, digits),
    (row, coin) => ((row >> coin) & 1) === 1,
    rows,
  );
  const weights = Array<bigint>(2 ** (digits + 1)).fill(0n);
  draws.forEach((x, row) => {
    let weight = 1n;
    for (let coin = 0; coin <= digits; coin += 1) {
      const power = coin === digits ? 1n : 1n << BigInt(coin);
      weight *= a[(row >> coin) & 1 ? 0 : 1] ** power;
    }
    const at = x + 2 ** digits;
    if (at < 0 || at >= rows) throw new Error(`a draw of ${x} is outside the support`);
    weights[at]! += weight;
  });
  return weights;
}

/** Whether weight(x)·d^|x| = weight(0)·n^|x| for every x of [-N, N). */
function isLaplace(weights: readonly bigint[], [n, d]: readonly [bigint, bigint]): boolean {
  const middle = weights.length / 2;
  return weights.every((weight, i) => {
    const m = BigInt(Math.abs(i - middle));
    return weight > 0n && weight * d ** m === weights[middle]! * n ** m;
  });
}

type Outputs = ReadonlyMap<string, bigint>;

/** Hockey-stick divergence of two laws with one total at e^epsilon = e, larger direction. */
function hockeyStick(p: Outputs, q: Outputs, total: bigint, e: Rational): Rational {
  const one = (x: Outputs, y: Outputs): bigint => {
    let sum = 0n;
    for (const [output, weight] of x) {
      const excess = weight * e.den - e.num * (y.get(output) ?? 0n);
      if (excess > 0n) sum += excess;
    }
    return sum;
  };
  const [there, back] = [one(p, q), one(q, p)];
  return rational(there > back ? there : back, total * e.den);
}

const shifted = (weights: readonly bigint[], by: number): Outputs =>
  new Map(weights.map((w, i) => [`${i + by}`, w]));

/** What a pre-threshold gate releases of n people (privacy.md section 3). */
function gated(weights: readonly bigint[], n: number, k: number, tau: number): Outputs {
  const total = weights.reduce((a, b) => a + b, 0n);
  if (n < k) return new Map([['closed', total]]);
  const out = new Map<string, bigint>();
  weights.forEach((weight, i) => {
    const y = n + i - weights.length / 2;
    const key = y - (k - 1) >= tau ? `${y}` : 'closed';
    out.set(key, (out.get(key) ?? 0n) + weight);
  });
  return out;
}

const sum = (weights: readonly bigint[]): bigint => weights.reduce((a, b) => a + b, 0n);
const power = ([n, d]: readonly [bigint, bigint], m: number): Rational =>
  rational(n ** BigInt(m), d ** BigInt(m));
const minus = (x: Rational, y: Rational): Rational => add(x, rational(-y.num, y.den));
const over = (x: Rational, y: Rational): Rational => mul(x, rational(y.den, y.num));
const ONE = rational(1n);

/** a^(N-D)(1-a^D) / ((1+a)(1-a^N)). */
function truncation(a: readonly [bigint, bigint], digits: number, shift: number): Rational {
  const n = 2 ** digits;
  const bottom = mul(add(ONE, power(a, 1)), minus(ONE, power(a, n)));
  return over(mul(power(a, n - shift), minus(ONE, power(a, shift))), bottom);
}

async function pmf(): Promise<Check[]> {
  let laws = 0;
  let equal = 0;
  let truncations = 0;
  for (const a of ALPHAS) {
    for (let digits = 1; digits <= 5; digits += 1) {
      const weights = await exactLaw(a, digits);
      laws += 1;
      if (isLaplace(weights, a)) equal += 1;
      for (let shift = 1; shift <= Math.min(4, 2 ** digits); shift += 1) {
        const e = power([a[1], a[0]], shift);
        const delta = hockeyStick(shifted(weights, 0), shifted(weights, shift), sum(weights), e);
        if (compare(delta, truncation(a, digits, shift)) !== 0) truncations += 1;
      }
    }
  }
  return [
    {
      test: '1',
      what: 'P[x] = C·a^|x| over all outcomes of all coins of the circuit, 5 a × B 1..5',
      n: laws,
      result: `${equal} of ${laws} equal, no tolerance`,
      pass: equal === laws && laws === 25,
    },
    {
      test: '1',
      what: 'delta of truncation by brute force equals its formula, shifts 1..4',
      n: laws,
      result: `${truncations} differ`,
      pass: truncations === 0,
    },
  ];
}

/** Every coin is Bern(T/2^64) of its own T: just below it falls 1, at it 0; the top coin too. */
async function ownThresholds(): Promise<Check> {
  const law = lawOf(rational(1n), 1n, 64);
  const { bits, thresholds } = law;
  const rows = 2 * (bits + 1);
  const heads = (row: number, coin: number): boolean =>
    row < bits + 1 === (row % (bits + 1) === coin);
  const draws = await drawsOf(thresholds, heads, rows);
  const wanted = Array.from({ length: rows }, (_, row) => {
    const coins = Array.from({ length: bits + 1 }, (__, coin) => (heads(row, coin) ? 1 : 0));
    const g = coins.slice(0, bits).reduce<number>((x, bit, j) => x + bit * 2 ** j, 0);
    return coins[bits] === 1 ? -1 - g : g;
  });
  const wrong = draws.filter((x, row) => x !== wanted[row]).length;
  return {
    test: '1',
    what: 'each coin alone, at its threshold and one below, top coin and sign included (eps 1)',
    n: rows,
    result: `${wrong} wrong`,
    pass: wrong === 0,
  };
}

/** Weights over [-N, N) of the integer law that thresholds draw, and their total. */
function implementedLaw({ thresholds, thresholdBits }: DiscreteLaplace): bigint[] {
  const whole = 1n << BigInt(thresholdBits);
  const magnitudes = thresholds.reduce<bigint[]>(
    (w, t) => [...w.map((x) => x * (whole - t)), ...w.map((x) => x * t)],
    [1n],
  );
  const sign = thresholds[0]!;
  return [
    ...magnitudes.map((x) => x * sign).reverse(),
    ...magnitudes.map((x) => x * (whole - sign)),
  ];
}

/** A rational just below e^(num/den), by the plain series of e^x in 400-bit integers. */
function justBelowExp({ num, den }: Rational): Rational {
  const one = 1n << 400n;
  let term = one;
  let total = 0n;
  for (let k = 1n; term > 0n; k += 1n) {
    total += term;
    term = (term * num) / (den * k);
  }
  return rational(total - 2000n > 0n ? total - 2000n : 0n, one);
}

const log2 = (x: Rational): number => {
  if (x.num === 0n) return -Infinity;
  const digits = (v: bigint): number => v.toString(2).length;
  const cut = (v: bigint): number => Number(v >> BigInt(Math.max(0, digits(v) - 60)));
  const rest = (v: bigint): number => Math.max(0, digits(v) - 60);
  return Math.log2(cut(x.num) / cut(x.den)) + rest(x.num) - rest(x.den);
};

/** privacy.md section 1.4's table: the implemented integers at nominal epsilon. */
function implementedDelta(): Check[] {
  const cases: readonly (readonly [bigint, bigint, bigint])[] = [
    [1n, 1n, 1n],
    [1n, 10n, 1n],
    [1n, 1n, 10n],
    [1n, 2n, 3n],
  ];
  return cases.map(([num, den, shift]) => {
    const epsilon = rational(num, den);
    const law = lawOf(epsilon, shift, 64);
    const weights = implementedLaw(law);
    const exact = hockeyStick(
      shifted(weights, 0),
      shifted(weights, Number(shift)),
      sum(weights),
      justBelowExp(epsilon),
    );
    const stated = add(TRUNCATION_DELTA, quantisationDelta(law, epsilon));
    return {
      test: '1',
      what: `exact delta of the integers drawn, epsilon ${num}/${den}, shift ${shift}, B ${law.bits}`,
      n: weights.length,
      result: `2^${log2(exact).toFixed(1)}, stated 2^${log2(stated).toFixed(1)}`,
      pass: compare(exact, stated) <= 0 && exact.num > 0n,
    };
  });
}

function gates(): Check[] {
  const cases: readonly (readonly [readonly [bigint, bigint], number, number, number])[] = [
    [[2n, 3n], 4, 5, 8],
    [[2n, 3n], 4, 1, 8],
    [[1n, 2n], 4, 10, 6],
    [[1n, 2n], 3, 3, 7],
  ];
  const wrong = cases.filter(([a, digits, k, tau]) => {
    const n = 2 ** digits;
    const weights = Array.from({ length: 2 * n }, (_, i) => {
      const m = Math.abs(i - n);
      return a[0] ** BigInt(m) * a[1] ** BigInt(n - m);
    });
    const selection = rational(sum(weights.slice(n + tau - 1)), sum(weights));
    const edge = truncation(a, digits, 1);
    const bound = compare(selection, edge) > 0 ? selection : edge;
    return compare(worstGate(weights, k, tau, power([a[1], a[0]], 1)), bound) !== 0;
  });
  const first: Check = {
    test: '1',
    what: 'delta of the gate by brute force over n is max(P[X >= tau-1], truncation)',
    n: cases.length,
    result: `${wrong.length} differ`,
    pass: wrong.length === 0,
  };
  return [first, calibratedGate()];
}

/** Largest hockey stick between n and n+1 people, n from 0 to k+60. */
function worstGate(weights: readonly bigint[], k: number, tau: number, e: Rational): Rational {
  let worst = ZERO;
  for (let n = 0; n < k + 60; n += 1) {
    const [p, q] = [gated(weights, n, k, tau), gated(weights, n + 1, k, tau)];
    const delta = hockeyStick(p, q, sum(weights), e);
    if (compare(delta, worst) > 0) worst = delta;
  }
  return worst;
}

/** The gate that calibration makes, with the integers it draws. */
function calibratedGate(): Check {
  const c = calibrate({
    selection: 'pre_threshold',
    minUsers: 5,
    differential: { epsilon: '1', delta: '1/1000000', maxPartitions: 1, thresholdBits: 64 },
    confidenceLevel: '0.95',
    measures: [{ epsilon: '1', sensitivity: '1' }],
  });
  const weights = implementedLaw(c.laws[0]!);
  const exact = worstGate(weights, 5, Number(c.tau), justBelowExp(ONE));
  const stated = add(add(c.delta.selection, c.delta.truncation), c.delta.quantisation);
  const claimed = rational(1n, 1_000_000n);
  // One tau less must cost more than what is claimed, or tau is larger than it need be.
  const less = worstGate(weights, 5, Number(c.tau) - 1, justBelowExp(ONE));
  return {
    test: '1',
    what: 'exact delta of the calibrated gate at epsilon 1, k 5, delta 1e-6; tau is the smallest',
    n: weights.length,
    result: `2^${log2(exact).toFixed(3)}, stated 2^${log2(stated).toFixed(3)}, tau ${c.tau}`,
    pass:
      compare(exact, stated) <= 0 && compare(stated, claimed) <= 0 && compare(less, claimed) > 0,
  };
}

export async function run(): Promise<readonly Check[]> {
  return [...(await pmf()), await ownThresholds(), ...implementedDelta(), ...gates()];
}
