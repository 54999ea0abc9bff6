// privacy 4 and 5: draws of the sampler over shares fit the law, and draws of broken ones do not. Two
// parties of the real sharing in one process; bit triples come from a trusted dealer, the noise bits
// from each party's own AES-CTR stream or the system.
import { systemRng } from '../../src/core/rng.ts';
import { bernoulli, discreteLaplace, elementsFromWord } from '../../src/protocols/sharing/index.ts';
import { drawsOfCoins, signedDraws, thresholdsOf } from '../sharing/noise-reference.ts';
import { makePair, xorBytes } from '../sharing/support.ts';
import { ALARM, chance, type Check } from './check.ts';
import { count, fitPValue, type Counts } from './fit.ts';

export const title = 'The sampler';

/** Rows of one call: a few megabytes of triples. */
const ROWS = 50_000;
const rngs = [systemRng, systemRng] as const;

async function drawn(thresholds: readonly bigint[], draws: number): Promise<Counts> {
  const counts: Counts = new Map();
  for (let done = 0; done < draws; done += ROWS) {
    const rows = Math.min(ROWS, draws - done);
    const pair = makePair({ rngs, seed: `${done}`, record: false });
    const law = { thresholds, thresholdBits: 64 };
    const out = await pair.run((ctx) => discreteLaplace(ctx, [law], new Int32Array(rows), rows));
    const word = out[0].map((wire, i) => xorBytes(wire, out[1][i]!));
    count(counts, signedDraws(elementsFromWord(word, rows)));
  }
  return counts;
}

/** Draws from the same coins with other thresholds: digits, then the sign's own. */
async function mutant(thresholds: readonly bigint[], draws: number): Promise<Counts> {
  const counts: Counts = new Map();
  const coins = thresholds.length;
  for (let done = 0; done < draws; done += ROWS) {
    const rows = Math.min(ROWS, draws - done);
    const index = Int32Array.from({ length: rows * coins }, (_, i) => i % coins);
    const pair = makePair({ rngs, seed: `${done}`, record: false });
    const out = await pair.run((ctx) => bernoulli(ctx, thresholds, 64, index));
    count(counts, drawsOfCoins(xorBytes(out[0], out[1]), rows, coins - 1));
  }
  return counts;
}

const DIGITS = 6;

function mutants(): readonly (readonly [string, readonly bigint[]])[] {
  const good = thresholdsOf(1n, 1n, DIGITS);
  const sign = good[0]!;
  const scaled = (num: bigint, den: bigint): bigint[] => {
    const t = thresholdsOf(num, den, DIGITS);
    return [...t, t[0]!];
  };
  const coarse = thresholdsOf(1n, 1n, DIGITS, 8).map((t) => t << 56n);
  const stuck = (digit: number): bigint[] => [...good.map((t, j) => (j === digit ? 0n : t)), sign];
  return [
    ['scale × 0.95', scaled(100n, 95n)],
    ['scale × 1.05', scaled(100n, 105n)],
    ['sign coin at 1/2', [...good, 1n << 63n]],
    ['bit 0 stuck', stuck(0)],
    ['bit 1 stuck', stuck(1)],
    ['λ = 8', [...coarse, coarse[0]!]],
  ];
}

async function fits(long: boolean): Promise<Check[]> {
  const draws = long ? 1_000_000 : 100_000;
  const checks: Check[] = [];
  for (const [name, den, digits] of [
    ['1', 1n, DIGITS],
    ['1/10', 10n, 9],
    ...(long ? ([['1/100', 100n, 13]] as const) : []),
  ] as const) {
    const counts = await drawn(thresholdsOf(1n, den, digits), draws);
    const p = fitPValue(counts, 1 / Number(den), digits);
    checks.push({
      test: '4',
      what: `chi-square of the circuit's draws at rate ${name}, B ${digits}`,
      n: draws,
      result: `p: ${chance(p)}`,
      pass: p >= ALARM,
    });
  }
  return checks;
}

async function broken(long: boolean): Promise<Check[]> {
  // A scale off by 5% shows at 1e-9 from some 150,000 draws on.
  const draws = long ? 1_000_000 : 250_000;
  const good = thresholdsOf(1n, 1n, DIGITS);
  const p = fitPValue(await mutant([...good, good[0]!], draws), 1, DIGITS);
  const checks: Check[] = [
    {
      test: '5',
      what: 'no mutant: coins as they should be pass test 4',
      n: draws,
      result: `p: ${chance(p)}`,
      pass: p >= ALARM,
    },
  ];
  for (const [name, thresholds] of mutants()) {
    // Digits and signs show at once; a scale and a precision need the numbers.
    const n = long || /scale|λ/.test(name) ? draws : 50_000;
    const found = fitPValue(await mutant(thresholds, n), 1, DIGITS);
    checks.push({
      test: '5',
      what: `mutant ${name}: must fail test 4`,
      n,
      result: `p: ${chance(found)}`,
      pass: found < ALARM,
    });
  }
  return checks;
}

export async function run(long: boolean): Promise<readonly Check[]> {
  return [...(await fits(long)), ...(await broken(long))];
}
