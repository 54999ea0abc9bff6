import { describe, expect, test } from 'vitest';
import type { Rng } from '../../src/core/rng.ts';
import { bitBytes } from '../../src/protocols/ot/types.ts';
import {
  bernoulli,
  discreteLaplace,
  elementsFromWord,
  lessThanPublic,
  packBits,
  publicWord,
  type LaplaceLaw,
  type Word,
} from '../../src/protocols/sharing/index.ts';
import { seededRng } from '../support/seeded-rng.ts';
import {
  chiSquareTail,
  drawsOfCoins,
  laplacePValue,
  lawOf,
  signedDraws,
  thresholdsOf,
} from './noise-reference.ts';
import {
  makePair,
  openBits,
  plainWord,
  shareIntegers,
  transcriptDigest,
  transcriptShape,
  xorBytes,
  type PairOptions,
} from './support.ts';

const ALARM = 1e-9;
const DRAWS = 102_400;

async function draw(law: LaplaceLaw, rows: number, options: PairOptions = {}): Promise<number[]> {
  const pair = makePair({ record: false, ...options });
  const index = new Int32Array(rows);
  const out = await pair.run((ctx) => discreteLaplace(ctx, [law], index, rows));
  return openDraws(out, rows);
}

function openDraws(shares: readonly [Word, Word], rows: number): number[] {
  const word = shares[0].map((wire, i) => xorBytes(wire, shares[1][i]!));
  return signedDraws(elementsFromWord(word, rows));
}

const stuck =
  (byte: number): Rng =>
  (bytes) =>
    new Uint8Array(bytes).fill(byte);

describe('references', () => {
  test('golden thresholds of privacy.md section 1.4', () => {
    expect(thresholdsOf(1n, 1n, 2)).toEqual([0x44d9585152ea1936n, 0x1e84152bac31aeaan]);
    expect(thresholdsOf(1n, 10n, 1)).toEqual([0x799af6c6b28241e8n]);
    expect(thresholdsOf(1n, 1000n, 1)).toEqual([0x7fef9db243f665ben]);
    expect(thresholdsOf(1n, 3n, 1)).toEqual([0x6adcadcf9ed1eb35n]);
  });

  test('chi-square tails of tables', () => {
    expect(chiSquareTail(3.841458820694124, 1)).toBeCloseTo(0.05, 10);
    expect(chiSquareTail(18.307038053275146, 10)).toBeCloseTo(0.05, 10);
    expect(chiSquareTail(0.7107230213973241, 4)).toBeCloseTo(0.95, 10);
    expect(chiSquareTail(29.58829844507442, 10)).toBeCloseTo(0.001, 10);
  });
});

describe('the comparator [u < T]', () => {
  test('8 bits: all 65,536 pairs through the real circuit, a threshold per row', async () => {
    const rows = 65_536;
    const u = Array.from({ length: rows }, (_, i) => BigInt(i & 255));
    const t = Array.from({ length: rows }, (_, i) => BigInt(i >> 8));
    const shares = shareIntegers(u, 8, seededRng('exhaustive'));
    const k = plainWord(t).slice(0, 8);
    const pair = makePair();
    const out = await pair.run((ctx) => lessThanPublic(ctx, shares[ctx.party as 0 | 1], k, rows));
    expect(openBits(out, rows)).toEqual(u.map((v, i) => (v < t[i]! ? 1 : 0)));
    expect(pair.gates).toEqual({ ands: 11 * rows, rounds: 3 });
  });

  test('8 bits: all 65,536 pairs, one threshold for all rows', async () => {
    const u = Array.from({ length: 256 }, (_, i) => BigInt(i));
    const shares = shareIntegers(u, 8, seededRng('exhaustive'));
    const pair = makePair();
    for (let t = 0n; t < 256n; t++) {
      const k = publicWord(t, 8);
      const out = await pair.run((ctx) => lessThanPublic(ctx, shares[ctx.party as 0 | 1], k, 256));
      expect(openBits(out, 256)).toEqual(u.map((v) => (v < t ? 1 : 0)));
    }
  });

  test.each([
    [64, 1000],
    [80, 200],
    [128, 200],
  ])('%i bits: random, T - 1, T, T + 1, 0 and the maximum', async (bits, rounds) => {
    const rng = seededRng(`edges/${bits}`);
    const max = (1n << BigInt(bits)) - 1n;
    const random = (): bigint => rng(16).reduce((v, b) => (v << 8n) | BigInt(b), 0n) & max;
    const u: bigint[] = [];
    const t: bigint[] = [];
    for (let i = 0; i < rounds; i++) {
      const threshold =
        i % 10 === 0 ? [0n, 1n, max, max - 1n, 1n << BigInt(bits - 1)][i % 5]! : random();
      for (const v of [random(), threshold, threshold - 1n, threshold + 1n, 0n, max]) {
        if (v < 0n || v > max) continue;
        u.push(v);
        t.push(threshold);
      }
    }
    const shares = shareIntegers(u, bits, rng);
    const k = Array.from({ length: bits }, (_, i) =>
      packBits(t.map((v) => Number((v >> BigInt(i)) & 1n))),
    );
    const pair = makePair({ record: false });
    const out = await pair.run((ctx) =>
      lessThanPublic(ctx, shares[ctx.party as 0 | 1], k, u.length),
    );
    expect(openBits(out, u.length)).toEqual(u.map((v, i) => (v < t[i]! ? 1 : 0)));
    const depth = Math.ceil(Math.log2(bits));
    expect(pair.gates).toEqual({ ands: (2 * bits - 2 - depth) * u.length, rounds: depth });
  });

  test('bernoulli compares the joint random bits with the threshold of each coin', async () => {
    // With these sources u is what end 0 says: the bytes of a fixed word list, bit-sliced.
    const u = Array.from(seededRng('u')(300), (b) => BigInt(b) * 0x0101010101010101n);
    const source = plainWord(u);
    const bytes = source.flatMap((wire) => [...wire]);
    const pair = makePair({ rngs: [() => Uint8Array.from(bytes), stuck(0)] });
    const thresholds = [0n, 1n << 63n, (1n << 64n) - 1n, u[7]!, u[7]! + 1n];
    const index = Int32Array.from({ length: 300 }, (_, i) => i % 5);
    const out = await pair.run((ctx) => bernoulli(ctx, thresholds, 64, index));
    expect(openBits(out, 300)).toEqual(u.map((v, i) => (v < thresholds[i % 5]! ? 1 : 0)));
  });
});

describe('the law of the draws', () => {
  test.each([
    ['1', 1n, 1n, 6],
    ['1/10', 1n, 10n, 9],
  ])('rate %s: chi-square of 102,400 draws', async (name, num, den, digits) => {
    const draws = await draw(lawOf(num, den, digits), DRAWS, { seed: `law/${name}` });
    expect(laplacePValue(draws, Number(num) / Number(den), digits)).toBeGreaterThan(ALARM);
  });

  test.each([
    ['end 0, bits stuck at 0', [stuck(0), seededRng('honest/a')]],
    ['end 0, bits stuck at 1', [stuck(255), seededRng('honest/b')]],
    ['end 1, bits stuck at 0', [seededRng('honest/c'), stuck(0)]],
    ['end 1, bits stuck at 1', [seededRng('honest/d'), stuck(255)]],
  ] as const)('one honest end is enough: %s', async (_, rngs) => {
    const draws = await draw(lawOf(1n, 1n, 6), 20_000, { rngs });
    expect(laplacePValue(draws, 1, 6)).toBeGreaterThan(ALARM);
  });

  test('the test has power: wrong scale', async () => {
    for (const [num, den] of [
      [10n, 9n],
      [10n, 11n],
    ] as const) {
      const draws = await draw(lawOf(num, den, 6), 20_000, { seed: `scale/${num}/${den}` });
      expect(laplacePValue(draws, 1, 6)).toBeLessThan(ALARM);
    }
  });

  test("the test has power: one end's bits stuck and the other's left out", async () => {
    const draws = await draw(lawOf(1n, 1n, 6), 20_000, { rngs: [stuck(0), stuck(0)] });
    expect(laplacePValue(draws, 1, 6)).toBeLessThan(ALARM);
  });

  test.each([
    ['as it should be', null, null, true],
    ['sign coin at 1/2', 6, 1n << 63n, false],
    ['digit 0 stuck', 0, 0n, false],
    ['digit 1 stuck', 1, 0n, false],
  ])('mutants built from the same coins: %s', async (name, coin, threshold, passes) => {
    const rows = 20_000;
    const digits = 6;
    const good = thresholdsOf(1n, 1n, digits);
    const thresholds = [...good, good[0]!];
    if (coin !== null) thresholds[coin] = threshold;
    const index = Int32Array.from({ length: rows * (digits + 1) }, (_, i) => i % (digits + 1));
    const pair = makePair({ seed: `mutant/${name}`, record: false });
    const out = await pair.run((ctx) => bernoulli(ctx, thresholds, 64, index));
    const p = laplacePValue(drawsOfCoins(xorBytes(out[0], out[1]), rows, digits), 1, digits);
    if (passes) expect(p).toBeGreaterThan(ALARM);
    else expect(p).toBeLessThan(ALARM);
  });
});

describe('discreteLaplace', () => {
  const laws = [
    lawOf(1n, 1n, 6),
    lawOf(1n, 10n, 9, 80),
    // Digits that are surely 0 and a sign that is surely 0: every draw is 0.
    { thresholds: [0n, 0n, 0n], thresholdBits: 64 },
    { thresholds: Array<bigint>(63).fill(1n << 63n), thresholdBits: 64 },
  ];

  test('laws of different widths and precisions in one call; a sure law is sure', async () => {
    const rows = 4000;
    const lawOfRow = Int32Array.from({ length: rows }, (_, r) => (r * 7) % 4);
    const pair = makePair({ record: false });
    const out = await pair.run((ctx) => discreteLaplace(ctx, laws, lawOfRow, rows));
    const draws = openDraws(out, rows);
    const of = (law: number): number[] => draws.filter((_, r) => lawOfRow[r] === law);
    expect(laplacePValue(of(0), 1, 6)).toBeGreaterThan(ALARM);
    expect(laplacePValue(of(1), 0.1, 9)).toBeGreaterThan(ALARM);
    expect(of(2)).toEqual(Array(rows / 4).fill(0));
    const wide = of(3).map(Math.abs);
    expect(wide.filter((x) => x > 2 ** 62).length).toBeGreaterThan(400);
    expect(wide.filter((x) => x < 2 ** 62).length).toBeGreaterThan(400);
  });

  test('equals the plain sampler on the joint random bits, row by row', async () => {
    const lawOfRow = Int32Array.from({ length: 200 }, (_, r) => (r * 3) % 2);
    const pair = makePair({ seed: 'plain' });
    const out = await pair.run((ctx) => discreteLaplace(ctx, laws.slice(0, 2), lawOfRow, 200));
    // λ is 80 for both laws; coins lie row by row, digits then sign.
    const coins = lawOfRow.reduce((n, law) => n + laws[law]!.thresholds.length + 1, 0);
    const wireBytes = bitBytes(coins);
    const joint = xorBytes(
      seededRng('plain/0')(80 * wireBytes),
      seededRng('plain/1')(80 * wireBytes),
    );
    const u = (coin: number): bigint => {
      let value = 0n;
      for (let k = 0; k < 80; k++) {
        const byte = joint[k * wireBytes + (coin >> 3)]!;
        value |= BigInt((byte >> (coin & 7)) & 1) << BigInt(k);
      }
      return value;
    };
    let at = 0;
    const want = Array.from(lawOfRow, (law) => {
      const { thresholds, thresholdBits } = laws[law]!;
      const shift = BigInt(80 - thresholdBits);
      const digits = thresholds.map((t) => (u(at++) < t << shift ? 1 : 0));
      const k = digits.reduce((sum: number, bit, j) => sum + bit * 2 ** j, 0);
      return u(at++) < thresholds[0]! << shift ? -1 - k : k;
    });
    expect(openDraws(out, 200)).toEqual(want);
  });

  test('gates: (B + 1)(2l - 2 - log2 l) per row, log2 l rounds per slice', async () => {
    const rows = 130;
    const pair = makePair({ record: false });
    const index = new Int32Array(rows);
    await pair.run((ctx) => discreteLaplace(ctx, [laws[0]!], index, rows));
    expect(pair.gates).toEqual({ ands: rows * 7 * 120, rounds: 6 });
    // 7 coins of 128 bits each at 2·64 ANDs: two rows a slice.
    await pair.run((ctx) => discreteLaplace(ctx, [laws[0]!], index, rows, 14 * 128));
    expect(pair.gates).toEqual({ ands: 2 * rows * 7 * 120, rounds: 6 + 6 * 65 });
  });

  test('slices change no law and one row may be larger than a slice', async () => {
    const rows = 3000;
    const pair = makePair({ seed: 'slices', record: false });
    const index = new Int32Array(rows);
    for (const andsMax of [128 * 7 * 50, 128 * 7 * 333]) {
      const out = await pair.run((ctx) => discreteLaplace(ctx, [laws[0]!], index, rows, andsMax));
      expect(laplacePValue(openDraws(out, rows), 1, 6)).toBeGreaterThan(ALARM);
    }
    const out = await pair.run((ctx) =>
      discreteLaplace(ctx, [laws[2]!], index.subarray(0, 3), 3, 1),
    );
    expect(openDraws(out, 3)).toEqual([0, 0, 0]);
  });

  test('no rows: no message', async () => {
    const pair = makePair();
    const out = await pair.run((ctx) => discreteLaplace(ctx, laws, new Int32Array(0), 0));
    expect(out[0].length).toBe(64);
    expect(pair.frames).toEqual([]);
  });

  test('messages depend on the laws of the rows only, not on the randomness', async () => {
    const shapes: string[][] = [];
    for (const seed of ['a', 'b']) {
      const pair = makePair({ seed });
      await pair.run((ctx) => discreteLaplace(ctx, laws, Int32Array.of(0, 1, 2, 3, 0), 5));
      shapes.push(transcriptShape(pair.frames));
    }
    expect(shapes[1]).toEqual(shapes[0]);
  });

  test('pinned bytes and draws', async () => {
    const pair = makePair({ seed: 'pinned' });
    const out = await pair.run((ctx) => discreteLaplace(ctx, [laws[1]!], new Int32Array(8), 8));
    expect(transcriptDigest(pair.frames)).toBe(PINNED_NOISE);
    expect(openDraws(out, 8)).toEqual(PINNED_DRAWS);
  });

  test('a message of another length is refused', async () => {
    const pair = makePair({
      tap: (f) => (f.from === 0 ? { ...f, bytes: f.bytes.subarray(16) } : f),
    });
    await expect(
      pair.run((ctx) => discreteLaplace(ctx, laws, Int32Array.of(0), 1)),
    ).rejects.toMatchObject({ code: 'PEER_BAD_LENGTH' });
  });

  test('a law or a threshold out of range is our own bug', async () => {
    const { ends } = makePair();
    const call = (law: LaplaceLaw, lawOfRow = Int32Array.of(0)): Promise<unknown> =>
      discreteLaplace(ends[0], [law], lawOfRow, 1);
    const bad = [
      { thresholds: [], thresholdBits: 64 },
      { thresholds: Array<bigint>(64).fill(1n), thresholdBits: 64 },
      { thresholds: [1n], thresholdBits: 63 },
      { thresholds: [1n], thresholdBits: 129 },
      { thresholds: [1n << 64n], thresholdBits: 64 },
      { thresholds: [-1n], thresholdBits: 64 },
    ];
    for (const law of bad) await expect(call(law)).rejects.toMatchObject({ code: 'INTERNAL' });
    for (const row of [1, -1]) {
      const wrong = call(laws[0]!, Int32Array.of(row));
      await expect(wrong).rejects.toMatchObject({ code: 'INTERNAL' });
    }
    await expect(call(laws[0]!, new Int32Array(2))).rejects.toMatchObject({ code: 'INTERNAL' });
  });
});

const PINNED_NOISE = '0ce38c1ae3a23f86a0449c8eaa30fb371de7f16eae2197deb7f6f1f08cc6a7e2';
const PINNED_DRAWS = [-4, -21, 35, 1, -9, 1, 10, 6];
