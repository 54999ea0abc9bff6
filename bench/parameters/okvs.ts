// How often random bands are linearly dependent: the shipped row generator and elimination of the
// OKVS kernel at narrow bands, where failures show; a line through them; the line at w = 128.
// A trial is a fresh seed over fixed keys: under the ideal-permutation model of the expansion its
// rows are independent of all others. Values and back-substitution, which cannot fail, are left out.
import { openExpansion, BLOCK_BYTES } from '../../src/kernels/okvs/expand.ts';
import { BAND_BITS, okvsEncode, okvsShape } from '../../src/kernels/okvs/okvs.ts';
import { loadKernel } from '../../src/kernels/load.ts';
import { seededRng } from '../../test/support/seeded-rng.ts';
import {
  count,
  figure,
  table,
  type Budget,
  type Result,
  type Row,
  type Verdict,
} from './report.ts';
import { chiSquareZ, interval } from './stats.ts';

/**
 * Keys of the fits. Fewer would be cheaper and promise too much: near the ends of a table rows fail
 * less, over a length that grows with the band, so lines through rates of 768 keys are too steep.
 */
const KEYS = 3 * 2 ** 12;
const ALPHA = 1e-6;
/** Of a normal law, one side at 10^-6. */
const SIGMAS = 4.753;

interface Exports {
  split(
    inner: number,
    expanded: number,
    n: number,
    stride: number,
    starts: number,
    maskLo: bigint,
    maskHi: bigint,
    startOut: number,
    bandOut: number,
    pads: number,
  ): void;
  eliminate(
    n: number,
    columns: number,
    stride: number,
    starts: number,
    bands: number,
    values: number,
    heads: number,
    order: number,
    pivots: number,
    table: number,
  ): number;
}

const kernel = loadKernel<Exports>('okvs', ['split', 'eliminate']);

export interface Sample {
  readonly keys: number;
  /** Slack of the table in hundredths: rows = keys·(1 + slack/100) + band. */
  readonly slackPercent: number;
  readonly band: number;
  readonly trials: number;
  readonly failed: number;
}

/** Counts seeds under which `keys` random keys have dependent rows. */
export function failures(
  keys: number,
  slackPercent: number,
  band: number,
  trials: number,
  seed: string,
): Sample {
  const rng = seededRng(`${seed} okvs ${keys} ${slackPercent} ${band}`);
  const rows = Math.ceil((keys * (100 + slackPercent)) / 100) + band;
  const material = rng(BLOCK_BYTES * keys);
  const mask = (1n << BigInt(band)) - 1n;
  const failed = kernel.run((arena) => {
    const inner = arena.alloc(BLOCK_BYTES * keys);
    const outer = arena.alloc(2 * BLOCK_BYTES * keys);
    const starts = arena.alloc(4 * keys);
    const bands = arena.alloc(BLOCK_BYTES * keys);
    const order = arena.alloc(4 * keys);
    const heads = arena.alloc(4 * rows);
    const pivots = arena.alloc(BLOCK_BYTES * rows);
    let sum = 0;
    for (let trial = 0; trial < trials; trial++) {
      const expanded = openExpansion(rng(BLOCK_BYTES), 2)(material);
      arena.view(inner, expanded.inner.length).set(expanded.inner);
      arena.view(outer, expanded.outer.length).set(expanded.outer);
      // Values of no bytes: only whether the rows are independent is asked.
      const range = rows - band + 1;
      kernel.fn.split(inner, outer, keys, 0, range, mask, mask >> 64n, starts, bands, 0);
      arena.view(heads, 4 * rows).fill(0);
      arena.view(pivots, BLOCK_BYTES * rows).fill(0);
      sum += 1 - kernel.fn.eliminate(keys, rows, 0, starts, bands, 0, heads, order, pivots, 0);
    }
    return sum;
  });
  return { keys, slackPercent, band, trials, failed };
}

/**
 * The same count through `okvsEncode` itself: it draws one seed of 16 bytes per attempt, and one
 * more after each failure. Slower; it checks the count above.
 */
export function failuresOfEncode(band: number, encodings: number, seed: string): Sample {
  const rng = seededRng(`${seed} okvs encode ${band}`);
  const shape = okvsShape(KEYS, 1, band);
  const [keys, values] = [rng(BLOCK_BYTES * KEYS), rng(KEYS)];
  let trials = 0;
  const counting = (bytes: number): Uint8Array => {
    if (bytes === BLOCK_BYTES) trials++;
    return rng(bytes);
  };
  for (let i = 0; i < encodings; i++) okvsEncode(shape, keys, values, counting);
  return { keys: KEYS, slackPercent: 25, band, trials, failed: trials - encodings };
}

export interface Line {
  /** lambda = slope·w + offset at the sample's number of keys. */
  readonly slope: number;
  readonly offset: number;
  readonly slopeError: number;
  /** Standard error of lambda at a band. */
  errorAt(band: number): number;
  /** Deviance from the line as a z-score; above 5 is not chance. */
  readonly misfit: number;
}

/**
 * Maximum likelihood of P[failure] = 1 − exp(−2^−(slope·w + offset)), which is 2^-lambda where that
 * is small: a binomial law with the complementary log-log link, by Fisher scoring.
 */
export function fitLine(samples: readonly Sample[]): Line {
  let [slope, offset] = [0.57, -10];
  let information = { s0: 0, s1: 0, s2: 0 };
  for (let round = 0; round < 50; round++) {
    let [s0, s1, s2, r0, r1] = [0, 0, 0, 0, 0];
    for (const { band, trials, failed } of samples) {
      const hazard = 2 ** -(slope * band + offset);
      const p = -Math.expm1(-hazard);
      const rate = hazard * Math.exp(-hazard) * Math.LN2; // |dp / dlambda|
      const weight = (trials * rate * rate) / (p * (1 - p));
      const residual = (p - failed / trials) / rate;
      s0 += weight;
      s1 += weight * band;
      s2 += weight * band * band;
      r0 += weight * residual;
      r1 += weight * residual * band;
    }
    const det = s0 * s2 - s1 * s1;
    const step = { slope: (s0 * r1 - s1 * r0) / det, offset: (s2 * r0 - s1 * r1) / det };
    const before = devianceFrom(samples, slope, offset);
    // Halved while it overshoots: far from the line the information is that of another line.
    let part = 1;
    for (; part > 1e-6; part /= 2) {
      const after = devianceFrom(samples, slope + part * step.slope, offset + part * step.offset);
      if (after <= before) break;
    }
    slope += part * step.slope;
    offset += part * step.offset;
    information = { s0, s1, s2 };
  }
  const { s0, s1, s2 } = information;
  const det = s0 * s2 - s1 * s1;
  const deviance = devianceFrom(samples, slope, offset);
  return {
    slope,
    offset,
    slopeError: Math.sqrt(s0 / det),
    errorAt: (band) => Math.sqrt((s2 - 2 * s1 * band + s0 * band * band) / det),
    misfit: samples.length > 2 ? chiSquareZ(deviance, samples.length - 2) : 0,
  };
}

function devianceFrom(samples: readonly Sample[], slope: number, offset: number): number {
  return samples.reduce((sum, sample) => sum + devianceOf(sample, slope, offset), 0);
}

function devianceOf({ band, trials, failed }: Sample, slope: number, offset: number): number {
  const p = -Math.expm1(-(2 ** -(slope * band + offset)));
  const part = (k: number, q: number): number => (k === 0 ? 0 : k * Math.log(k / (trials * q)));
  return 2 * (part(failed, p) + part(trials - failed, 1 - p));
}

/** Trials by band, 218,000 in all at scale 1, a million at scale 5; most where failures are rare. */
const TRIALS: readonly (readonly [number, number])[] = [
  [24, 8_000],
  [28, 20_000],
  [32, 40_000],
  [36, 60_000],
  [40, 60_000],
  [44, 20_000],
  [48, 10_000],
];

/** Of the two other slacks, for which nothing is asserted but that more slack fails less. */
const OTHER_SCALE = 0.05;

export function run({ seed, scale }: Budget): Result {
  const rows: Row[] = [];
  const verdicts: Verdict[] = [];
  const sampleAt = (slack: number, factor: number): Sample[] =>
    TRIALS.map(([band, trials]) =>
      failures(KEYS, slack, band, Math.ceil(trials * scale * factor), seed),
    );
  const main = sampleAt(25, 1);
  const line = fitLine(main);
  const lines = [
    { slack: 20, samples: sampleAt(20, OTHER_SCALE) },
    { slack: 25, samples: main },
    { slack: 30, samples: sampleAt(30, OTHER_SCALE) },
  ].map(({ slack, samples }) => ({ slack, samples, line: fitLine(samples) }));
  for (const { samples } of lines)
    for (const sample of samples) rows.push({ part: 'band', ...sample });
  const { table: scales, excessBits } = scalePart(seed, scale, rows, verdicts);
  const encode = failuresOfEncode(28, Math.ceil(4_000 * scale), seed);
  rows.push({ part: 'encode', ...encode });
  const [low, high] = interval(encode.failed, encode.trials, ALPHA);
  const expected = -Math.expm1(-(2 ** -(line.slope * 28 + line.offset)));
  verdicts.push(
    {
      claim: 'okvsEncode itself fails as often as the line says',
      holds: low < expected && expected < high,
    },
    { claim: 'a line fits the failure rates', holds: line.misfit < 5 },
    { claim: 'the line does not flatten', holds: scale < 1 || flattens(main) < SIGMAS },
    { claim: 'more slack is safer', holds: scale < 1 || rises(lines.map((l) => l.line.slope)) },
  );
  const extrapolated = [KEYS, 3 * 2 ** 16, 3 * 2 ** 20].map((keys) => {
    const lambda = line.slope * BAND_BITS + line.offset - Math.log2(keys / KEYS);
    const worst = lambda - SIGMAS * line.errorAt(BAND_BITS) - excessBits;
    rows.push({ part: 'lambda', keys, band: BAND_BITS, lambda, worst });
    verdicts.push({
      claim: `lambda(128) at ${keys} keys is at least 45`,
      holds: scale < 1 || worst >= 45,
    });
    return [count(keys), lambda.toFixed(1), worst.toFixed(1)];
  });
  const page = [
    `Dependent rows among ${count(KEYS)} keys in a table of 1.25·keys + w rows, ${count(trialsOf(main))} trials (interval of 1 − 10^-6 a side):`,
    table(
      ['band w', 'trials', 'failed', 'rate', 'interval', 'line'],
      main.map((s) => sampleLine(s, line)),
    ),
    'Lines λ = a·w + c through the rates of each slack, by maximum likelihood:',
    table(
      ['slack', 'trials', 'a', 'standard error', 'c', 'deviance (z)'],
      lines.map(({ slack, samples, line: l }) => [
        slack / 100,
        count(trialsOf(samples)),
        l.slope.toFixed(4),
        l.slopeError.toFixed(4),
        l.offset.toFixed(2),
        l.misfit.toFixed(1),
      ]),
    ),
    'Larger tables fail in proportion, small ones less, the more so the wider the band (`log2` of the ratio of hazards against `log2` of the ratio of sizes):',
    table(['band w', 'keys', 'trials', 'failed', 'bits lost', 'by the law'], scales),
    `The line at w = ${BAND_BITS}, slack 0.25. The last column is lower by ${SIGMAS} standard errors and by the ${excessBits.toFixed(2)} bits by which larger tables were seen to fall short of the law:`,
    table(['keys', 'λ', 'λ at least'], extrapolated),
  ].join('\n\n');
  return { name: 'okvs', rows, verdicts, page };
}

function rises(numbers: readonly number[]): boolean {
  return numbers.every((n, i) => i === 0 || n > numbers[i - 1]!);
}

function trialsOf(samples: readonly Sample[]): number {
  return samples.reduce((sum, { trials }) => sum + trials, 0);
}

function sampleLine({ band, trials, failed }: Sample, line: Line): unknown[] {
  const [low, high] = interval(failed, trials, ALPHA);
  const fitted = -Math.expm1(-(2 ** -(line.slope * band + line.offset)));
  const between = `${figure(low)} – ${figure(high)}`;
  return [band, count(trials), count(failed), figure(failed / trials), between, figure(fitted)];
}

/** By how many standard errors the wider bands' slope is below the narrower ones'. */
function flattens(samples: readonly Sample[]): number {
  const [narrow, wide] = [fitLine(samples.slice(0, 3)), fitLine(samples.slice(2))];
  return (narrow.slope - wide.slope) / Math.hypot(narrow.slopeError, wide.slopeError);
}

/** Failure rates at other numbers of keys, against that of the fits' own number. */
function scalePart(
  seed: string,
  scale: number,
  rows: Row[],
  verdicts: Verdict[],
): { table: unknown[][]; excessBits: number } {
  const out: unknown[][] = [];
  let excessBits = 0;
  for (const band of [28, 32]) {
    const samples = [KEYS / 16, KEYS / 4, KEYS, 4 * KEYS].map((keys) =>
      failures(keys, 25, band, Math.ceil((20_000_000 * scale) / keys), `${seed} scale`),
    );
    const first = samples[2]!;
    for (const sample of samples) {
      const lost = Math.log2(hazardOf(sample) / hazardOf(first));
      const law = Math.log2(sample.keys / KEYS);
      rows.push({ part: 'scale', ...sample, law });
      if (sample.keys > KEYS) {
        excessBits = Math.max(excessBits, lost - law);
        // Half a bit is far inside the margin that the assertion on lambda leaves.
        const [least] = bitsBetween(first, sample);
        verdicts.push({
          claim: `${sample.keys} keys at w = ${band} fail no more than in proportion`,
          holds: least < law + 0.5,
        });
      }
      out.push([
        band,
        count(sample.keys),
        count(sample.trials),
        count(sample.failed),
        lost.toFixed(2),
        law.toFixed(2),
      ]);
    }
  }
  return { table: out, excessBits };
}

/** Interval of log2 of the ratio of hazards, from the intervals of both rates. */
function bitsBetween(first: Sample, other: Sample): [number, number] {
  const of = ({ failed, trials }: Sample): [number, number] => {
    const [low, high] = interval(failed, trials, ALPHA);
    return [-Math.log1p(-low), -Math.log1p(-high)];
  };
  const [a, b] = [of(first), of(other)];
  return [Math.log2(b[0] / a[1]), Math.log2(b[1] / a[0])];
}

function hazardOf({ trials, failed }: Sample): number {
  return -Math.log1p(-failed / trials);
}
