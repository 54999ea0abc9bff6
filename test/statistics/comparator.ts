// privacy 3: the comparator [u < T] of the noise coins, gate by gate.
import { lessThanPublic, packBits, unpackBits } from '../../src/protocols/sharing/index.ts';
import { makePair, plainWord, shareIntegers, xorBytes } from '../sharing/support.ts';
import { seededRng } from '../support/seeded-rng.ts';
import type { Check } from './check.ts';

export const title = 'The comparator';

/** Wrong outputs and ANDs of the circuit on these pairs. */
async function compared(
  u: readonly bigint[],
  t: readonly bigint[],
  bits: number,
): Promise<{ readonly wrong: number; readonly ands: number }> {
  const shares = shareIntegers(u, bits, seededRng(`comparator/${bits}`));
  const k =
    bits <= 64
      ? plainWord(t).slice(0, bits)
      : Array.from({ length: bits }, (_, i) =>
          packBits(t.map((v) => Number((v >> BigInt(i)) & 1n))),
        );
  const pair = makePair({ record: false });
  const out = await pair.run((ctx) => lessThanPublic(ctx, shares[ctx.party as 0 | 1], k, u.length));
  const opened = unpackBits(xorBytes(out[0], out[1]), u.length);
  const wrong = u.filter((v, i) => opened[i] !== (v < t[i]! ? 1 : 0)).length;
  return { wrong, ands: pair.gates.ands };
}

/** ANDs of one comparison (privacy.md section 1.5). */
const andsOf = (bits: number): number => 2 * bits - 2 - Math.ceil(Math.log2(bits));

async function exhaustive(): Promise<Check> {
  const rows = 65_536;
  const u = Array.from({ length: rows }, (_, i) => BigInt(i & 255));
  const t = Array.from({ length: rows }, (_, i) => BigInt(i >> 8));
  const { wrong, ands } = await compared(u, t, 8);
  return {
    test: '3',
    what: 'λ = 8: all pairs (u, T) on shares',
    n: rows,
    result: `${wrong} wrong, ${ands / rows} ANDs each`,
    pass: wrong === 0 && ands === andsOf(8) * rows,
  };
}

async function random(bits: number, rows: number): Promise<Check> {
  const bytes = seededRng(`pairs/${bits}`)(2 * rows * (bits / 8));
  const at = (i: number): bigint =>
    bytes
      .subarray((i * bits) / 8, ((i + 1) * bits) / 8)
      .reduce((v, b) => (v << 8n) | BigInt(b), 0n);
  const max = (1n << BigInt(bits)) - 1n;
  const u: bigint[] = [];
  const t: bigint[] = [];
  for (let i = 0; i < rows; i += 1) {
    const threshold = at(2 * i);
    // Every tenth pair is at an edge.
    const edges = [threshold, threshold - 1n, threshold + 1n, 0n, max];
    const value = i % 10 === 0 ? edges[(i / 10) % 5]! : at(2 * i + 1);
    u.push(value < 0n ? 0n : value > max ? max : value);
    t.push(threshold);
  }
  const { wrong, ands } = await compared(u, t, bits);
  return {
    test: '3',
    what: `λ = ${bits}: random pairs, a tenth at u = T, T±1, 0, max`,
    n: rows,
    result: `${wrong} wrong, ${ands / rows} ANDs each`,
    pass: wrong === 0 && ands === andsOf(bits) * rows,
  };
}

export async function run(long: boolean): Promise<readonly Check[]> {
  return [await exhaustive(), await random(64, long ? 100_000 : 20_000), await random(128, 2000)];
}
