import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { bitBytes } from '../../src/protocols/ot/types.ts';
import { createSharing } from '../../src/protocols/sharing/index.ts';
import { idealOtPair } from '../support/ideal-ot.ts';
import { seededRng } from '../support/seeded-rng.ts';
import { twoParty } from '../support/two-party.ts';
import {
  dealerTriples,
  makePair,
  openBits,
  otTriples,
  shareBits,
  transcriptDigest,
  transcriptShape,
} from './support.ts';

const flags = (n: number): fc.Arbitrary<number[]> =>
  fc.array(fc.integer({ min: 0, max: 1 }), { minLength: n, maxLength: n });

describe('and', () => {
  test.each(['dealer', 'ot'] as const)('equals plain AND with triples of the %s', async (kind) => {
    const input = fc
      .tuple(fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: kind === 'ot' ? 140 : 300 }))
      .chain(([pairs, rows]) =>
        fc.array(fc.tuple(flags(rows), flags(rows)), { minLength: pairs, maxLength: pairs }),
      );
    await fc.assert(
      fc.asyncProperty(input, fc.string(), async (plain, seed) => {
        const rows = plain[0]![0].length;
        const pair = makePair({ seed, triples: kind });
        const rng = seededRng(seed);
        const xs = plain.map(([x]) => shareBits(x, rng));
        const ys = plain.map(([, y]) => shareBits(y, rng));
        const out = await pair.run((ctx) =>
          ctx.and(
            xs.map((x) => x[ctx.party as 0 | 1]),
            ys.map((y) => y[ctx.party as 0 | 1]),
            rows,
          ),
        );
        plain.forEach(([x, y], i) => {
          const got = openBits([out[0][i]!, out[1][i]!], rows);
          expect(got).toEqual(x.map((bit, r) => bit & y[r]!));
        });
        const bytes = 2 * plain.length * bitBytes(rows);
        expect(transcriptShape(pair.frames)).toEqual([
          `0 test/and ${bytes}`,
          `1 test/and ${bytes}`,
        ]);
      }),
      { numRuns: kind === 'ot' ? 15 : 60 },
    );
  });

  test('no rows or no pairs: no message', async () => {
    const pair = makePair();
    const out = await pair.run(async (ctx) => [
      await ctx.and([], [], 5),
      await ctx.and([new Uint8Array(0)], [new Uint8Array(0)], 0),
    ]);
    expect(out[0]).toEqual([[], [new Uint8Array(0)]]);
    expect(pair.frames).toEqual([]);
  });

  test('pinned bytes, and no share of the product is the product', async () => {
    const pair = makePair({ seed: 'pinned' });
    const rng = seededRng('pinned/input');
    const share = () =>
      shareBits(
        rng(200).map((b) => b & 1),
        rng,
      );
    const [x, y] = [share(), share()];
    const out = await pair.run((ctx) =>
      ctx.and([x[ctx.party as 0 | 1]], [y[ctx.party as 0 | 1]], 200),
    );
    expect(out[0][0]).not.toEqual(out[1][0]);
    expect(transcriptDigest(pair.frames)).toBe(PINNED_AND);
  });

  test('what crosses is masked: same inputs, other triples, unrelated bytes', async () => {
    const zero = new Uint8Array(bitBytes(4096));
    const opened: Uint8Array[] = [];
    for (const seed of ['one', 'two']) {
      const pair = makePair({ seed });
      await pair.run((ctx) => ctx.and([zero], [zero], 4096));
      opened.push(...pair.frames.map((f) => f.bytes));
    }
    for (const [i, x] of opened.entries()) {
      for (const y of opened.slice(i + 1)) {
        const same = x.reduce((n, byte, k) => n + popcount(~(byte ^ y[k]!) & 255), 0);
        // 8192 fair coins: five standard deviations are 226.
        expect(Math.abs(same - 4096)).toBeLessThan(227);
      }
    }
  });

  test.each([
    ['short', (b: Uint8Array) => b.subarray(1), 'PEER_BAD_LENGTH'],
    ['long', (b: Uint8Array) => new Uint8Array([...b, 0]), 'PEER_BAD_LENGTH'],
    ['empty', () => new Uint8Array(0), 'PEER_BAD_LENGTH'],
  ])('a %s message is refused', async (_, edit, code) => {
    const pair = makePair({
      tap: (f) => (f.from === 1 ? { ...f, bytes: edit(f.bytes) } : f),
    });
    const x = new Uint8Array(16);
    await expect(pair.run((ctx) => ctx.and([x], [x], 3))).rejects.toMatchObject({ code });
  });

  test('a message of another step is refused', async () => {
    const pair = makePair({ tap: (f) => (f.from === 0 ? { ...f, step: 'open' } : f) });
    const x = new Uint8Array(16);
    await expect(pair.run((ctx) => ctx.and([x], [x], 3))).rejects.toMatchObject({
      code: 'PEER_OUT_OF_STEP',
    });
  });

  test('a wire of the wrong length or an odd wire out is our own bug', async () => {
    const { ends } = makePair();
    const x = new Uint8Array(16);
    await expect(ends[0].and([x], [new Uint8Array(32)], 3)).rejects.toMatchObject({
      code: 'INTERNAL',
    });
    await expect(ends[0].and([x, x], [x], 3)).rejects.toMatchObject({ code: 'INTERNAL' });
  });

  test('takes exactly the triples of whole lanes, once', async () => {
    const taken: number[] = [];
    const [dealer] = dealerTriples('count');
    const [ot] = idealOtPair(seededRng('count'));
    const sharing = createSharing({
      ...twoParty(
        0,
        {
          path: 'x',
          send: async () => {},
          recv: async (_step, bytes) => new Uint8Array(bytes),
          sub: () => {
            throw new Error('unused');
          },
        },
        ot,
      ),
      rng: seededRng('count'),
      triples: {
        take(n) {
          taken.push(n);
          return dealer.take(n);
        },
      },
    });
    const wire = (rows: number): Uint8Array => new Uint8Array(bitBytes(rows));
    await sharing.and([wire(1), wire(1)], [wire(1), wire(1)], 1);
    await sharing.and([wire(129)], [wire(129)], 129);
    expect(taken).toEqual([256, 256]);
  });
});

test('triples from ideal OT multiply', async () => {
  const ots = idealOtPair(seededRng('ot'));
  const [t0, t1] = await Promise.all([
    otTriples(ots[0], seededRng('t0')).take(500),
    otTriples(ots[1], seededRng('t1')).take(500),
  ]);
  const [a, b, c] = (['a', 'b', 'c'] as const).map((k) => openBits([t0[k], t1[k]], 500));
  expect(c).toEqual(a!.map((bit, i) => bit & b![i]!));
});

function popcount(byte: number): number {
  let n = 0;
  for (let b = byte; b > 0; b >>= 1) n += b & 1;
  return n;
}

const PINNED_AND = '86ad6c5d57813ca37ab11de267ad9de6b7276f5efacdc39b49033279147c5ead';
