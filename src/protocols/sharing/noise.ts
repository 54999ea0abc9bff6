import { expect } from '../../core/errors.ts';
import { bitBytes } from '../ot/types.ts';
import { lessThanPublic } from './circuits.ts';
import { NOISE_ANDS_MAX, THRESHOLD_BITS_MAX, THRESHOLD_BITS_MIN } from './limits.ts';
import { wordFromElements } from './pack.ts';
import type { Sharing, Wire, Word } from './types.ts';

/** A truncated discrete Laplace law on −2^B … 2^B − 1, as thresholds of its B digits. */
export interface LaplaceLaw {
  /** T_0 … T_(B−1), B from 1 to 63: digit j is 1 with probability T_j / 2^thresholdBits. */
  readonly thresholds: readonly bigint[];
  /** λ, from 64 to 128. */
  readonly thresholdBits: number;
}

/**
 * One joint draw of discrete Laplace noise per row, as 64 two's complement wires.
 *
 * B digits b_j ~ Bern(T_j / 2^λ) of a geometric law and one more coin S ~ Bern(T_0 / 2^λ); the draw
 * is b ⊕ (S, …, S), sign S: exactly the discrete Laplace law up to truncation and quantisation
 * (Dwork et al., EUROCRYPT 2006, for the digits; the sign by complement: privacy.md section 1.2).
 * Every coin is a comparison of λ jointly random bits with its threshold, so one honest end makes
 * the draw right and neither end knows it. Semi-honest. No rejection: gates, rounds and messages
 * depend on (laws, lawOfRow, rows) only. Cost per row of a law: (B + 1)·(2λ − 2 − ⌈log2 λ⌉) ANDs;
 * ⌈log2 λ⌉ rounds per slice of about `andsMax` ANDs.
 *
 * @param lawOfRow - an index into `laws` for every row, public.
 * @throws ParleyError the channel's codes.
 */
export async function discreteLaplace(
  ctx: Sharing,
  laws: readonly LaplaceLaw[],
  lawOfRow: Int32Array,
  rows: number,
  andsMax: number = NOISE_ANDS_MAX,
): Promise<Word> {
  expectLaws(laws, lawOfRow, rows);
  const bits = Math.max(THRESHOLD_BITS_MIN, ...laws.map((law) => law.thresholdBits));
  const table = coinTable(laws, bits);
  const coinsMax = Math.floor(andsMax / (2 * bits));
  const elements = new Uint32Array(2 * rows);
  for (let from = 0; from < rows;) {
    const { to, coins } = nextSlice(laws, lawOfRow, from, coinsMax);
    const index = new Int32Array(coins);
    for (let row = from, at = 0; row < to; row++) {
      const law = lawOfRow[row]!;
      const digits = laws[law]!.thresholds.length;
      for (let j = 0; j < digits; j++) index[at++] = table.first[law]! + j;
      index[at++] = table.first[law]!;
    }
    const flips = await bernoulli(ctx, table.thresholds, bits, index);
    for (let row = from, at = 0; row < to; row++) {
      const digits = laws[lawOfRow[row]!]!.thresholds.length;
      writeDraw(elements, row, flips, at, digits);
      at += digits + 1;
    }
    from = to;
  }
  return wordFromElements(new Uint8Array(elements.buffer), rows);
}

/**
 * Joint biased coins: XOR shares of [u_i \< T_i], u_i uniform λ bits nobody knows.
 *
 * A shared random bit is free: each end's own random bit is its share. Cost: 2λ − 2 − ⌈log2 λ⌉
 * ANDs per coin, ⌈log2 λ⌉ rounds for all (privacy.md section 1.5).
 * @param thresholds - 0 ≤ T \< 2^bits. @param bits - λ, from 1 to 128.
 * @param index - which threshold each coin has; public. @returns one wire, coin i at row i.
 */
export function bernoulli(
  ctx: Sharing,
  thresholds: readonly bigint[],
  bits: number,
  index: Int32Array,
): Promise<Wire> {
  const coins = index.length;
  const wireBytes = bitBytes(coins);
  const random = ctx.rng(bits * wireBytes);
  const u = Array.from({ length: bits }, (_, i) =>
    random.subarray(i * wireBytes, (i + 1) * wireBytes),
  );
  return lessThanPublic(ctx, u, thresholdWires(thresholds, bits, index), coins);
}

/** Bit-slices the threshold of every coin: `bits` public wires. */
function thresholdWires(
  thresholds: readonly bigint[],
  bits: number,
  index: Int32Array,
): Uint8Array[] {
  expect(bits >= 1 && bits <= THRESHOLD_BITS_MAX, 'a threshold has 1 to 128 bits');
  for (const t of thresholds) expect(t >= 0n && t >> BigInt(bits) === 0n, 'a threshold fits');
  const wires: Uint8Array[] = [];
  for (let low = 0; low < bits; low += 64) {
    const limbs = thresholds.map((t) => BigInt.asUintN(64, t >> BigInt(low)));
    const halves = Uint32Array.from(
      limbs.flatMap((l) => [Number(l & 0xffff_ffffn), Number(l >> 32n)]),
    );
    const elements = new Uint32Array(2 * index.length);
    for (let i = 0; i < index.length; i++) {
      elements[2 * i] = halves[2 * index[i]!]!;
      elements[2 * i + 1] = halves[2 * index[i]! + 1]!;
    }
    const sliced = wordFromElements(new Uint8Array(elements.buffer), index.length);
    wires.push(...sliced.slice(0, bits - low));
  }
  return wires;
}

/** Thresholds of all laws at one precision; law l's start at `first[l]`. */
function coinTable(
  laws: readonly LaplaceLaw[],
  bits: number,
): { readonly thresholds: readonly bigint[]; readonly first: readonly number[] } {
  const thresholds: bigint[] = [];
  const first: number[] = [];
  for (const law of laws) {
    first.push(thresholds.length);
    // T / 2^λ is the same number with both sides shifted: no coin changes its law.
    for (const t of law.thresholds) thresholds.push(t << BigInt(bits - law.thresholdBits));
  }
  return { thresholds, first };
}

/** As many rows as `coinsMax` coins allow, at least one. */
function nextSlice(
  laws: readonly LaplaceLaw[],
  lawOfRow: Int32Array,
  from: number,
  coinsMax: number,
): { readonly to: number; readonly coins: number } {
  let to = from;
  let coins = 0;
  while (to < lawOfRow.length) {
    const more = laws[lawOfRow[to]!]!.thresholds.length + 1;
    if (to > from && coins + more > coinsMax) break;
    coins += more;
    to++;
  }
  return { to, coins };
}

/** Row's element from its digits at `at` and the sign coin behind them: digits ⊕ sign, then sign. */
function writeDraw(
  elements: Uint32Array,
  row: number,
  flips: Wire,
  at: number,
  digits: number,
): void {
  const coin = (i: number): number => (flips[i >> 3]! >> (i & 7)) & 1;
  let low = 0;
  let high = 0;
  for (let j = 0; j < digits; j++) {
    if (j < 32) low |= coin(at + j) << j;
    else high |= coin(at + j) << (j - 32);
  }
  const sign = -coin(at + digits);
  elements[2 * row] = low ^ sign;
  elements[2 * row + 1] = high ^ sign;
}

function expectLaws(laws: readonly LaplaceLaw[], lawOfRow: Int32Array, rows: number): void {
  expect(lawOfRow.length === rows, 'every row has a law');
  for (const { thresholds, thresholdBits } of laws) {
    const inRange = thresholdBits >= THRESHOLD_BITS_MIN && thresholdBits <= THRESHOLD_BITS_MAX;
    expect(inRange, 'a noise threshold has 64 to 128 bits');
    expect(thresholds.length >= 1 && thresholds.length <= 63, 'a law has 1 to 63 digits');
  }
  for (const law of lawOfRow) expect(law >= 0 && law < laws.length, 'a row has a known law');
}
