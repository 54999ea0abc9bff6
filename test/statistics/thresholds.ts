// privacy 2: thresholds against another implementation's.
import { readFileSync } from 'node:fs';
import { rational } from '../../src/core/rational.ts';
import { discreteLaplace } from '../../src/dp/index.ts';
import type { Check } from './check.ts';

export const title = 'Thresholds';

/** Numerator, denominator, λ, digits j, and T_j in hex. */
type Row = readonly [string, string, number, readonly number[], readonly string[]];

const GOLDEN: readonly (readonly [bigint, bigint, readonly bigint[]])[] = [
  [1n, 1n, [0x44d9585152ea1936n, 0x1e84152bac31aeaan]],
  [1n, 10n, [0x799af6c6b28241e8n]],
  [1n, 1000n, [0x7fef9db243f665ben]],
  [1n, 3n, [0x6adcadcf9ed1eb35n]],
];

function matches(
  num: bigint,
  den: bigint,
  bits: number,
  wanted: ReadonlyMap<number, bigint>,
): boolean {
  const digits = Math.max(...wanted.keys()) + 1;
  const { thresholds } = discreteLaplace(rational(num, den), 1n, bits, digits);
  return [...wanted].every(([j, t]) => thresholds[j] === t);
}

export async function run(): Promise<readonly Check[]> {
  const file = new URL('../vectors/laplace/thresholds.json', import.meta.url);
  const { rows } = JSON.parse(readFileSync(file, 'utf8')) as { readonly rows: readonly Row[] };
  const golden = GOLDEN.filter(([num, den, values]) =>
    matches(num, den, 64, new Map(values.map((t, j) => [j, t]))),
  ).length;
  const equal = rows.filter(([num, den, bits, digits, values]) =>
    matches(BigInt(num), BigInt(den), bits, new Map(digits.map((j, i) => [j, BigInt(values[i]!)]))),
  ).length;
  return [
    {
      test: '2',
      what: 'golden thresholds of privacy.md section 1.4',
      n: GOLDEN.length,
      result: `${golden} equal`,
      pass: golden === GOLDEN.length,
    },
    {
      test: '2',
      what: `rates whose thresholds at 64 to 128 bits equal mpmath's, node ${process.version}`,
      n: rows.length,
      result: `${equal} equal`,
      pass: equal === rows.length && rows.length >= 505,
    },
  ];
}
