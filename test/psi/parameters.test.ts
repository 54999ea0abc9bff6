// Goal: the failure-probability experiments (bench/parameters) hold in short, can fail, and rest on
// arithmetic that is right. The long version is `npm run parameters`; its page is docs/parameters.md.
import { describe, expect, it } from 'vitest';
import { run as cuckoo, failureOfFive, lnHallBound } from '../../bench/parameters/cuckoo.ts';
import { failures, fitLine, run as okvs, type Sample } from '../../bench/parameters/okvs.ts';
import { expectVerdicts } from '../../bench/parameters/report.ts';
import { log2Overflow, run as shards } from '../../bench/parameters/shards.ts';
import { interval, lnChoose, lnFactorial, lnUpperTail } from '../../bench/parameters/stats.ts';
import { run as tags } from '../../bench/parameters/tags.ts';
import { binsFor } from '../../src/protocols/psi/cuckoo.ts';
import { shardCapacity } from '../../src/protocols/psi/shards.ts';
import { seededRng } from '../support/seeded-rng.ts';

const SEED = 'parameters test';

describe('arithmetic', () => {
  it('takes logarithms of factorials and tails as exact integers have them', () => {
    let factorial = 1n;
    for (let n = 1; n <= 170; n++) {
      factorial *= BigInt(n);
      expect(lnFactorial(n)).toBeCloseTo(Math.log(Number(factorial)), 9);
    }
    expect(Math.exp(lnChoose(60, 7))).toBeCloseTo(386_206_920, 0);
    // P[Binomial(40, 1/4) >= 22], in exact fractions.
    let over = 0n;
    for (let k = 22; k <= 40; k++) {
      over += BigInt(Math.round(Math.exp(lnChoose(40, k)))) * 3n ** BigInt(40 - k);
    }
    const exact = Math.log(Number(over)) - 40 * Math.log(4);
    expect(lnUpperTail(40, 0.25, 22)).toBeCloseTo(exact, 7);
  });

  it('makes intervals whose ends have the stated tails', () => {
    const [low, high] = interval(30, 1000, 1e-6);
    expect(Math.exp(lnUpperTail(1000, low, 30))).toBeCloseTo(1e-6, 9);
    expect(Math.exp(lnUpperTail(1000, 1 - high, 970))).toBeCloseTo(1e-6, 9);
    expect(interval(0, 100, 0.05)[0]).toBe(0);
    expect(interval(0, 100, 0.05)[1]).toBeCloseTo(1 - 0.05 ** (1 / 100), 6);
  });

  it('counts five ids without a place as an enumeration does', () => {
    // All triples of five bins: 10^5 cases.
    const triples: number[] = [];
    for (let mask = 0; mask < 32; mask++) if (bits(mask) === 3) triples.push(mask);
    let failed = 0;
    for (let code = 0; code < 10 ** 5; code++) {
      const chosen = [1, 10, 100, 1_000, 10_000].map((d) => triples[Math.floor(code / d) % 10]!);
      if (!hall(chosen)) failed++;
    }
    expect(failureOfFive(5)).toBeCloseTo(failed / 10 ** 5, 12);
  });

  it('recovers a line, and knows a bend from a line', () => {
    const rng = seededRng('line');
    const sample = (band: number, lambda: number): Sample => {
      const trials = 200_000;
      const p = -Math.expm1(-(2 ** -lambda));
      const draws = new Uint32Array(rng(4 * trials).buffer);
      const failed = draws.reduce((sum, x) => sum + (x < p * 2 ** 32 ? 1 : 0), 0);
      return { keys: 3072, slackPercent: 25, band, trials, failed };
    };
    const bands = [24, 28, 32, 36, 40];
    const straight = fitLine(bands.map((w) => sample(w, 0.5 * w - 10)));
    expect(Math.abs(straight.slope - 0.5)).toBeLessThan(5 * straight.slopeError);
    expect(straight.misfit).toBeLessThan(5);
    const bent = fitLine(bands.map((w) => sample(w, 0.5 * w - 10 - (w - 24) ** 2 / 100)));
    expect(bent.misfit).toBeGreaterThan(5);
  });
});

describe('in short', () => {
  it('cuckoo', () => expectVerdicts(cuckoo({ seed: SEED, scale: 0.004 })), 60_000);
  it('okvs', () => expectVerdicts(okvs({ seed: SEED, scale: 0.004 })), 60_000);
  it('shards', () => expectVerdicts(shards({ seed: SEED, scale: 0.01 })), 60_000);
  it('tags', async () => expectVerdicts(await tags({ seed: SEED, scale: 0.05 })), 60_000);
});

describe('controls', () => {
  it('finds parameters that are too small', () => {
    expect(lnHallBound(2 ** 12, Math.ceil(1.2 * 2 ** 12)) / Math.LN2).toBeGreaterThan(-40);
    expect(lnHallBound(2 ** 10, 1_280) / Math.LN2).toBeGreaterThan(-40);
    expect(lnHallBound(2 ** 10, binsFor(2 ** 10)) / Math.LN2).toBeLessThan(-43.5);
    expect(log2Overflow(2 ** 20, 16)).toBeLessThan(-40);
    const room = shardCapacity(2 ** 20, 16);
    const mean = 2 ** 16;
    const less = lnUpperTail(2 ** 20, 1 / 16, mean + Math.round((room - mean) / 2));
    expect(less / Math.LN2).toBeGreaterThan(-40);
  });

  it('sees dependent rows: no slack fails always, a wide band hardly ever', () => {
    expect(failures(600, 0, 16, 20, SEED).failed).toBe(20);
    expect(failures(600, 25, 64, 200, SEED).failed).toBe(0);
  });
});

// --- helpers ---

function bits(mask: number): number {
  return mask === 0 ? 0 : (mask & 1) + bits(mask >> 1);
}

/** Hall's condition by brute force: every set of ids reaches as many bins as it has ids. */
function hall(ids: readonly number[]): boolean {
  for (let set = 1; set < 1 << ids.length; set++) {
    const reached = ids.reduce((mask, id, i) => ((set >> i) & 1 ? mask | id : mask), 0);
    if (bits(reached) < bits(set)) return false;
  }
  return true;
}
