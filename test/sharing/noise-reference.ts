import { unpackBits, type LaplaceLaw } from '../../src/protocols/sharing/index.ts';
import { elementsToBigints } from './support.ts';

// A second way to the thresholds and to the verdict, independent of src/: fixed-point Taylor series
// for the first (privacy.md section 1.4), the regularised incomplete gamma function for the second.

/** floor(2^precision · exp(−num/den)) up to a few units, for num/den ≥ 0. */
function expNegative(num: bigint, den: bigint, precision: bigint): bigint {
  const guard = precision + 64n;
  let halvings = 0n;
  while (2n * num > den << halvings) halvings++;
  const x = (num << guard) / (den << halvings);
  let term = 1n << guard;
  let sum = term;
  for (let k = 1n; term > 0n; k++) {
    term = ((term * x) >> guard) / k;
    sum += k % 2n === 0n ? term : -term;
  }
  for (let i = 0n; i < halvings; i++) sum = (sum * sum) >> guard;
  return sum >> 64n;
}

/** T_j = round(2^bits / (1 + exp(2^j · num/den))), j below `digits`. */
export function thresholdsOf(num: bigint, den: bigint, digits: number, bits = 64): bigint[] {
  const precision = BigInt(bits) + 128n;
  const one = 1n << precision;
  const drop = precision - BigInt(bits);
  return Array.from({ length: digits }, (_, j) => {
    const a = expNegative(num << BigInt(j), den, precision);
    return ((a << precision) / (one + a) + (1n << (drop - 1n))) >> drop;
  });
}

export function lawOf(num: bigint, den: bigint, digits: number, bits = 64): LaplaceLaw {
  return { thresholds: thresholdsOf(num, den, digits, bits), thresholdBits: bits };
}

export function signedDraws(elements: Uint8Array): number[] {
  return elementsToBigints(elements).map((v) => Number(BigInt.asIntN(64, v)));
}

/** Draws from plain coins laid out as digits then sign, for mutants of the sampler. */
export function drawsOfCoins(coins: Uint8Array, rows: number, digits: number): number[] {
  const bits = unpackBits(coins, rows * (digits + 1));
  return Array.from({ length: rows }, (_, row) => {
    const at = row * (digits + 1);
    let k = 0;
    for (let j = 0; j < digits; j++) k += bits[at + j]! * 2 ** j;
    return bits[at + digits] === 1 ? -1 - k : k;
  });
}

/**
 * p-value of a chi-square test of draws against C·a^|x| on [−N, N), a = exp(−rate). Values with
 * fewer than 10 expected draws are pooled into the two tails.
 */
export function laplacePValue(draws: readonly number[], rate: number, digits: number): number {
  const a = Math.exp(-rate);
  const limit = 2 ** digits;
  const c = (1 - a) / ((1 + a) * (1 - a ** limit));
  const n = draws.length;
  let top = 0;
  while (top + 1 < limit && n * c * a ** (top + 1) >= 10) top++;
  const observed = new Map<number, number>();
  for (const x of draws) {
    const bin = Math.max(-top - 1, Math.min(top, x));
    observed.set(bin, (observed.get(bin) ?? 0) + 1);
  }
  const tail = (from: number): number => (c * (a ** from - a ** limit)) / (1 - a);
  const expected = (x: number): number => {
    if (x === top) return tail(top);
    // P[X ≤ −(top + 1)]: the support ends at −N.
    if (x === -top - 1) return tail(top + 1) + c * a ** limit;
    return c * a ** Math.abs(x);
  };
  let statistic = 0;
  for (let x = -top - 1; x <= top; x++) {
    const e = n * expected(x);
    statistic += ((observed.get(x) ?? 0) - e) ** 2 / e;
  }
  return chiSquareTail(statistic, 2 * top + 1);
}

/** P[chi-square with `df` degrees ≥ x] = Q(df/2, x/2), by series or continued fraction. */
export function chiSquareTail(x: number, df: number): number {
  const [s, z] = [df / 2, x / 2];
  if (z <= 0) return 1;
  const scale = Math.exp(s * Math.log(z) - z - logGamma(s));
  if (z < s + 1) {
    let term = 1 / s;
    let sum = term;
    for (let k = 1; term > sum * 1e-16; k++) sum += term *= z / (s + k);
    return 1 - scale * sum;
  }
  // Lentz's method for the continued fraction of the upper incomplete gamma function.
  let b = z + 1 - s;
  let c = 1e300;
  let d = 1 / b;
  let h = d;
  for (let k = 1; k < 10_000; k++) {
    const an = -k * (k - s);
    b += 2;
    d = 1 / (an * d + b);
    c = b + an / c;
    h *= d * c;
    if (Math.abs(d * c - 1) < 1e-15) break;
  }
  return scale * h;
}

/** ln Γ(x) for x ≥ 1/2, by Stirling's series above 20. */
function logGamma(x: number): number {
  let shift = 0;
  let y = x;
  while (y < 20) shift += Math.log(y++);
  const series = 1 / (12 * y) - 1 / (360 * y ** 3) + 1 / (1260 * y ** 5);
  return (y - 0.5) * Math.log(y) - y + 0.5 * Math.log(2 * Math.PI) + series - shift;
}
