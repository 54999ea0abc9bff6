import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  addRingToWord,
  addWords,
  andTree,
  equalWords,
  lessThan,
  lessThanPublic,
  lessThanTree,
  muxWord,
  orTree,
  publicWord,
  ringToWord,
  selectSentinel,
  signedAtLeastPublic,
  type PublicWord,
  type Sharing,
  type Wire,
  type Word,
} from '../../src/protocols/sharing/index.ts';
import { seededRng } from '../support/seeded-rng.ts';
import {
  makePair,
  openBits,
  openIntegers,
  plainWord,
  shareBits,
  shareIntegers,
  shareRing,
  transcriptDigest,
  transcriptShape,
  type Gates,
} from './support.ts';

/** Integers of `bits` bits, edges often. */
function integers(bits: number): fc.Arbitrary<bigint> {
  const max = (1n << BigInt(bits)) - 1n;
  return fc.oneof(
    fc.bigInt({ min: 0n, max }),
    fc.constantFrom(0n, max, max >> 1n, (max >> 1n) + 1n, 1n & max),
  );
}

interface Columns {
  readonly bits: number;
  readonly x: bigint[];
  readonly y: bigint[];
  readonly flags: number[];
  readonly seed: string;
}

/** Two columns of one width; some rows are equal on purpose. Rows cross the 128-row lane. */
const columns: fc.Arbitrary<Columns> = fc
  .tuple(
    fc.integer({ min: 1, max: 64 }),
    fc.oneof(fc.integer({ min: 1, max: 12 }), fc.integer({ min: 120, max: 140 })),
    fc.string(),
  )
  .chain(([bits, rows, seed]) =>
    fc
      .array(fc.tuple(integers(bits), integers(bits), fc.integer({ min: 0, max: 3 })), {
        minLength: rows,
        maxLength: rows,
      })
      .map((all) => ({
        bits,
        seed,
        x: all.map(([x]) => x),
        y: all.map(([x, y, choice]) => (choice === 0 ? x : y)),
        flags: all.map(([, , choice]) => choice & 1),
      })),
  );

const RUNS = 40;
const mod = (v: bigint, bits: number): bigint => BigInt.asUintN(bits, v);
const log2 = (n: number): number => Math.ceil(Math.log2(n));

/** Runs a circuit on shares of the columns and hands back its opened bit and its gates per row. */
async function evaluate(
  { x, y, bits, seed }: Columns,
  circuit: (ctx: Sharing, x: Word, y: Word, rows: number) => Promise<Wire>,
): Promise<{ out: number[]; gates: Gates }> {
  const rows = x.length;
  const rng = seededRng(seed);
  const [xs, ys] = [shareIntegers(x, bits, rng), shareIntegers(y, bits, rng)];
  const pair = makePair({ seed });
  const out = await pair.run((ctx) =>
    circuit(ctx, xs[ctx.party as 0 | 1], ys[ctx.party as 0 | 1], rows),
  );
  return { out: openBits(out, rows), gates: pair.gates };
}

async function evaluateWord(
  { x, y, bits, seed }: Columns,
  circuit: (ctx: Sharing, x: Word, y: Word, rows: number) => Promise<Word>,
): Promise<{ out: bigint[]; gates: Gates }> {
  const rows = x.length;
  const rng = seededRng(seed);
  const [xs, ys] = [shareIntegers(x, bits, rng), shareIntegers(y, bits, rng)];
  const pair = makePair({ seed });
  const out = await pair.run((ctx) =>
    circuit(ctx, xs[ctx.party as 0 | 1], ys[ctx.party as 0 | 1], rows),
  );
  return { out: openIntegers(out, rows), gates: pair.gates };
}

describe('comparisons against plain integers, widths 1 to 64', () => {
  test('equalWords: l - 1 ANDs in log rounds', async () => {
    await fc.assert(
      fc.asyncProperty(columns, async (input) => {
        const { out, gates } = await evaluate(input, equalWords);
        expect(out).toEqual(input.x.map((v, i) => (v === input.y[i] ? 1 : 0)));
        expect(gates.ands).toBe((input.bits - 1) * input.x.length);
        expect(gates.rounds).toBe(log2(input.bits));
      }),
      { numRuns: RUNS },
    );
  });

  test('lessThan: l ANDs in l rounds', async () => {
    await fc.assert(
      fc.asyncProperty(columns, async (input) => {
        const { out, gates } = await evaluate(input, lessThan);
        expect(out).toEqual(input.x.map((v, i) => (v < input.y[i]! ? 1 : 0)));
        expect(gates).toEqual({ ands: input.bits * input.x.length, rounds: input.bits });
      }),
      { numRuns: RUNS },
    );
  });

  test('lessThanTree: 3l - 2 - log2 l ANDs in log2 l + 1 rounds', async () => {
    await fc.assert(
      fc.asyncProperty(columns, async (input) => {
        const { out, gates } = await evaluate(input, lessThanTree);
        expect(out).toEqual(input.x.map((v, i) => (v < input.y[i]! ? 1 : 0)));
        const { bits } = input;
        const ands = (3 * bits - 2 - log2(bits)) * input.x.length;
        expect(gates).toEqual({ ands, rounds: log2(bits) + 1 });
      }),
      { numRuns: RUNS },
    );
  });

  test('lessThanPublic, a constant per row: 2l - 2 - log2 l ANDs in log2 l rounds', async () => {
    await fc.assert(
      fc.asyncProperty(columns, async (input) => {
        const { bits, y } = input;
        const k = plainWord(y).slice(0, bits);
        const { out, gates } = await evaluate(input, (ctx, x, _, rows) =>
          lessThanPublic(ctx, x, k, rows),
        );
        expect(out).toEqual(input.x.map((v, i) => (v < y[i]! ? 1 : 0)));
        expect(gates.ands).toBe((2 * bits - 2 - log2(bits)) * y.length);
        expect(gates.rounds).toBe(log2(bits));
      }),
      { numRuns: RUNS },
    );
  });

  test('one constant for all rows: no more gates, and fewer for its low zeros', async () => {
    await fc.assert(
      fc.asyncProperty(columns, async (input) => {
        const { bits, x, y } = input;
        const k = y[0]!;
        const { out, gates } = await evaluate(input, (ctx, xs, _, rows) =>
          lessThanPublic(ctx, xs, publicWord(k, bits), rows),
        );
        expect(out).toEqual(x.map((v) => (v < k ? 1 : 0)));
        expect(gates.ands).toBeLessThanOrEqual((2 * bits - 2 - log2(bits)) * x.length);
      }),
      { numRuns: RUNS },
    );
    const zero = await evaluate(
      { bits: 8, x: [0n, 255n], y: [0n, 0n], flags: [], seed: '0' },
      (c, x) => lessThanPublic(c, x, publicWord(0n, 8), 2),
    );
    expect(zero.out).toEqual([0, 0]);
  });

  test('signedAtLeastPublic, one constant and a constant per row', async () => {
    await fc.assert(
      fc.asyncProperty(columns, fc.boolean(), async (input, perRow) => {
        const { bits, x, y } = input;
        const k = (i: number): bigint => (perRow ? y[i]! : y[0]!);
        const bound: PublicWord = perRow ? plainWord(y).slice(0, bits) : publicWord(y[0]!, bits);
        const { out } = await evaluate(input, (ctx, xs, _, rows) =>
          signedAtLeastPublic(ctx, xs, bound, rows),
        );
        const signed = (v: bigint): bigint => BigInt.asIntN(bits, v);
        expect(out).toEqual(x.map((v, i) => (signed(v) >= signed(k(i)) ? 1 : 0)));
      }),
      { numRuns: RUNS },
    );
  });
});

describe('sums and choices against plain integers', () => {
  test('addWords mod 2^l, widths 1 to 64', async () => {
    await fc.assert(
      fc.asyncProperty(columns, async (input) => {
        const { bits } = input;
        const { out, gates } = await evaluateWord(input, addWords);
        expect(out).toEqual(input.x.map((v, i) => mod(v + input.y[i]!, bits)));
        if (bits > 1) expect(gates.rounds).toBe((bits > 2 ? log2(bits - 1) : 0) + 1);
        if (bits === 64) expect(gates.ands).toBe(373 * input.x.length);
      }),
      { numRuns: 2 * RUNS },
    );
  });

  test('ringToWord: 373 ANDs, 7 rounds; addRingToWord: 436 ANDs, 8 rounds', async () => {
    const rows64 = fc.array(fc.tuple(integers(64), integers(64)), { minLength: 1, maxLength: 140 });
    await fc.assert(
      fc.asyncProperty(rows64, fc.string(), async (plain, seed) => {
        const rows = plain.length;
        const rng = seededRng(seed);
        const ring = shareRing(
          plain.map(([v]) => v),
          rng,
        );
        const word = shareIntegers(
          plain.map(([, w]) => w),
          64,
          rng,
        );
        const pair = makePair({ seed });
        const first = await pair.run((ctx) => ringToWord(ctx, ring[ctx.party as 0 | 1], rows));
        expect(pair.gates).toEqual({ ands: 373 * rows, rounds: 7 });
        expect(openIntegers(first, rows)).toEqual(plain.map(([v]) => v));
        const second = await pair.run((ctx) =>
          addRingToWord(ctx, ring[ctx.party as 0 | 1], word[ctx.party as 0 | 1], rows),
        );
        expect(pair.gates).toEqual({ ands: (373 + 436) * rows, rounds: 15 });
        expect(openIntegers(second, rows)).toEqual(plain.map(([v, w]) => mod(v + w, 64)));
      }),
      { numRuns: 25 },
    );
  });

  test('muxWord: l ANDs in one round', async () => {
    await fc.assert(
      fc.asyncProperty(columns, async (input) => {
        const { bits, x, flags, y, seed } = input;
        const bit = shareBits(flags, seededRng(`${seed}/bit`));
        const { out, gates } = await evaluateWord(input, (ctx, xs, _, rows) =>
          muxWord(ctx, bit[ctx.party as 0 | 1], xs, publicWord(y[0]!, bits), rows),
        );
        expect(out).toEqual(x.map((v, i) => (flags[i] === 1 ? v : y[0]!)));
        expect(gates).toEqual({ ands: bits * x.length, rounds: 1 });
      }),
      { numRuns: RUNS },
    );
  });

  test('selectSentinel opens closed cells to -2^63', async () => {
    const rng = seededRng('sentinel');
    const plain = [5n, mod(-7n, 64), 0n, 1n << 63n];
    const x = shareIntegers(plain, 64, rng);
    const open = shareBits([1, 1, 0, 0], rng);
    const pair = makePair();
    const out = await pair.run((ctx) =>
      selectSentinel(ctx, open[ctx.party as 0 | 1], x[ctx.party as 0 | 1], 4),
    );
    expect(openIntegers(out, 4)).toEqual([5n, mod(-7n, 64), 1n << 63n, 1n << 63n]);
  });

  test('andTree and orTree of 1 to 9 wires: n - 1 ANDs in log rounds', async () => {
    const input = fc.tuple(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 140 }));
    await fc.assert(
      fc.asyncProperty(
        input,
        fc.string(),
        fc.integer({ min: 1, max: 6 }),
        async ([n, rows], seed, odds) => {
          const rng = seededRng(seed);
          const plain = Array.from({ length: n }, () =>
            Array.from(rng(rows), (b) => (b % 7 < odds ? 1 : 0)),
          );
          const shares = plain.map((bits) => shareBits(bits, rng));
          for (const [tree, want] of [
            [andTree, (r: number) => plain.every((bits) => bits[r] === 1)],
            [orTree, (r: number) => plain.some((bits) => bits[r] === 1)],
          ] as const) {
            const pair = makePair({ seed });
            const out = await pair.run((ctx) =>
              tree(
                ctx,
                shares.map((s) => s[ctx.party as 0 | 1]),
                rows,
              ),
            );
            expect(openBits(out, rows)).toEqual(plain[0]!.map((_, r) => (want(r) ? 1 : 0)));
            expect(pair.gates).toEqual({ ands: (n - 1) * rows, rounds: log2(n) });
          }
        },
      ),
      { numRuns: 30 },
    );
  });
});

describe('transcripts', () => {
  async function transcript(
    x: readonly bigint[],
    y: readonly bigint[],
    bits: number,
  ): Promise<string[]> {
    const rng = seededRng('shape');
    const rows = x.length;
    const [xs, ys] = [shareIntegers(x, bits, rng), shareIntegers(y, bits, rng)];
    const pair = makePair();
    await pair.run(async (ctx) => {
      const [a, b] = [xs[ctx.party as 0 | 1], ys[ctx.party as 0 | 1]];
      const less = await lessThan(ctx, a, b, rows);
      await equalWords(ctx, a, b, rows);
      await lessThanTree(ctx, a, b, rows);
      const sum = await addWords(ctx, a, b, rows);
      await muxWord(ctx, less, sum, publicWord(3n, bits), rows);
    });
    return transcriptShape(pair.frames);
  }

  test('sizes and number of messages do not depend on the values', async () => {
    const first = await transcript([1n, 2n, 3n], [1n, 2n, 3n], 16);
    expect(await transcript([0n, 65535n, 9n], [7n, 0n, 0n], 16)).toEqual(first);
    expect(await transcript([1n, 2n, 3n], [1n, 2n, 3n], 17)).not.toEqual(first);
  });

  test('pinned bytes of a comparison and of an A2B', async () => {
    const rng = seededRng('pinned');
    const x = shareIntegers([3n, 500n, 77n], 10, rng);
    const ring = shareRing([12n, mod(-9n, 64)], rng);
    const pair = makePair({ seed: 'pinned' });
    await pair.run(async (ctx) => {
      await lessThan(ctx, x[ctx.party as 0 | 1], x[ctx.party as 0 | 1].toReversed(), 3);
      await lessThanPublic(ctx, x[ctx.party as 0 | 1], publicWord(100n, 10), 3);
      await ringToWord(ctx, ring[ctx.party as 0 | 1], 2);
    });
    expect(transcriptDigest(pair.frames)).toBe(PINNED_CIRCUITS);
  });
});

const PINNED_CIRCUITS = 'f1e0713723f5c640e3ad60a78e3505c815b950431b49215d37cd91a007cc5a7b';
