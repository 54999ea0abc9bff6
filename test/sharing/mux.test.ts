import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  bitToRing,
  groupSums,
  multiplyBit,
  sumRows,
  type MuxTerm,
  type Sharing,
} from '../../src/protocols/sharing/index.ts';
import { seededRng } from '../support/seeded-rng.ts';
import {
  elementsFromBigints,
  makePair,
  openRing,
  shareBits,
  shareRing,
  type Pair,
} from './support.ts';

const u64 = (v: bigint): bigint => BigInt.asUintN(64, v);
const value = fc.oneof(
  fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }),
  fc.constantFrom(0n, 1n, 1n << 63n, (1n << 64n) - 1n),
);
const rowCount = fc.oneof(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 120, max: 300 }));

type Kind = 'one' | 'owned0' | 'owned1' | 'shared';
const kinds = fc.array(fc.constantFrom<Kind>('one', 'owned0', 'owned1', 'shared'), {
  maxLength: 5,
});

/** Plain values of a column and each end's view of it as a term. */
interface Column {
  readonly plain: readonly bigint[];
  readonly terms: readonly [MuxTerm, MuxTerm];
}

function makeColumn(kind: Kind, plain: readonly bigint[], seed: string): Column {
  switch (kind) {
    case 'one':
      return { plain: plain.map(() => 1n), terms: [{ kind: 'one' }, { kind: 'one' }] };
    case 'shared': {
      const [x, y] = shareRing(plain, seededRng(seed));
      return {
        plain,
        terms: [
          { kind, share: x },
          { kind, share: y },
        ],
      };
    }
    default: {
      const owner = kind === 'owned0' ? 0 : 1;
      const term = (party: 0 | 1): MuxTerm => ({
        kind: 'owned',
        owner,
        values: party === owner ? elementsFromBigints(plain) : null,
      });
      return { plain, terms: [term(0), term(1)] };
    }
  }
}

describe('multiplyBit', () => {
  test('bit times value for every mix of terms, one COT per direction at most', async () => {
    const input = fc.tuple(kinds, rowCount).chain(([mix, rows]) =>
      fc.tuple(
        fc.constant(mix),
        fc.array(fc.integer({ min: 0, max: 1 }), { minLength: rows, maxLength: rows }),
        fc.array(fc.array(value, { minLength: rows, maxLength: rows }), {
          minLength: mix.length,
          maxLength: mix.length,
        }),
      ),
    );
    await fc.assert(
      fc.asyncProperty(input, fc.string(), async ([mix, bits, plain], seed) => {
        const rows = bits.length;
        const bit = shareBits(bits, seededRng(seed));
        const cols = mix.map((kind, i) => makeColumn(kind, plain[i]!, `${seed}/${i}`));
        const pair = makePair({ seed });
        const out = await pair.run((ctx) =>
          multiplyBit(
            ctx,
            bit[ctx.party as 0 | 1],
            rows,
            cols.map((c) => c.terms[ctx.party as 0 | 1]),
          ),
        );
        expect(out[0].length).toBe(mix.length);
        cols.forEach((col, i) => {
          const want = col.plain.map((v, r) => (bits[r] === 1 ? v : 0n));
          expect(openRing([out[0][i]!, out[1][i]!])).toEqual(want);
        });
        expect(pair.cots).toEqual(expectedCots(mix, rows));
        expect(pair.gates.rounds).toBe(0);
      }),
      { numRuns: 80 },
    );
  });

  test('bitToRing: one COT of one lane in all', async () => {
    const bits = Array.from(seededRng('b2a')(1000), (b) => b & 1);
    const bit = shareBits(bits, seededRng('b2a/share'));
    const pair = makePair();
    const out = await pair.run((ctx) => bitToRing(ctx, bit[ctx.party as 0 | 1], 1000));
    expect(openRing(out)).toEqual(bits.map(BigInt));
    expect(pair.cots).toEqual(['sender 1000 1']);
  });

  test('no rows: no COT', async () => {
    const pair = makePair();
    const out = await pair.run((ctx) => bitToRing(ctx, new Uint8Array(0), 0));
    expect(out).toEqual([new Uint8Array(0), new Uint8Array(0)]);
    expect(pair.cots).toEqual([]);
  });

  test('inputs of the wrong shape are our own bug', async () => {
    const { ends } = makePair();
    const bad = (term: MuxTerm): Promise<unknown> =>
      multiplyBit(ends[0], new Uint8Array(16), 3, [term]);
    for (const term of [
      { kind: 'owned', owner: 0, values: null },
      { kind: 'owned', owner: 1, values: new Uint8Array(24) },
      { kind: 'shared', share: new Uint8Array(16) },
    ] satisfies MuxTerm[]) {
      await expect(bad(term)).rejects.toMatchObject({ code: 'INTERNAL' });
    }
    await expect(bitToRing(ends[0], new Uint8Array(32), 3)).rejects.toMatchObject({
      code: 'INTERNAL',
    });
  });
});

function expectedCots(mix: readonly Kind[], rows: number): string[] {
  const count = (...of: Kind[]): number => mix.filter((k) => of.includes(k)).length;
  const lanes = [count('owned0', 'shared'), count('owned1', 'shared')];
  const ones = lanes[0] === 0 && lanes[1]! > 0 ? 1 : 0;
  lanes[ones] = lanes[ones]! + count('one');
  return [
    ...(lanes[0]! > 0 ? [`sender ${rows} ${lanes[0]}`] : []),
    ...(lanes[1]! > 0 ? [`receiver ${rows} ${lanes[1]}`] : []),
  ];
}

interface Grouping {
  readonly groups: number;
  readonly groupOfRow: number[];
  readonly lanes: bigint[][];
}

const groupings: fc.Arbitrary<Grouping> = fc
  .tuple(
    fc.integer({ min: 1, max: 7 }),
    fc.oneof(fc.constant(0), rowCount),
    fc.integer({ min: 0, max: 3 }),
  )
  .chain(([groups, rows, count]) =>
    fc.record({
      groups: fc.constant(groups),
      groupOfRow: fc.array(fc.integer({ min: -1, max: groups - 1 }), {
        minLength: rows,
        maxLength: rows,
      }),
      lanes: fc.array(fc.array(value, { minLength: rows, maxLength: rows }), {
        minLength: count,
        maxLength: count,
      }),
    }),
  );

function runGroups(
  pair: Pair,
  g: Grouping,
  seed: string,
  cotsMax?: number,
): Promise<[Uint8Array[], Uint8Array[]]> {
  const shares = g.lanes.map((lane, i) => shareRing(lane, seededRng(`${seed}/${i}`)));
  return pair.run((ctx: Sharing) =>
    groupSums(
      ctx,
      {
        groups: g.groups,
        groupOfRow: ctx.party === 0 ? Int32Array.from(g.groupOfRow) : null,
        rows: g.groupOfRow.length,
        lanes: shares.map((s) => s[ctx.party as 0 | 1]),
      },
      cotsMax,
    ),
  );
}

describe('groupSums', () => {
  test('equals the plain sums, in one slice and in many', async () => {
    await fc.assert(
      fc.asyncProperty(
        groupings,
        fc.constantFrom(1, 256, 600, undefined),
        fc.string(),
        async (g, cotsMax, seed) => {
          const pair = makePair({ seed });
          const out = await runGroups(pair, g, seed, cotsMax);
          expect(out[0].length).toBe(g.lanes.length);
          g.lanes.forEach((lane, i) => {
            const want = Array.from({ length: g.groups }, (_, group) =>
              u64(lane.reduce((sum, v, r) => (g.groupOfRow[r] === group ? sum + v : sum), 0n)),
            );
            expect(openRing([out[0][i]!, out[1][i]!])).toEqual(want);
          });
        },
      ),
      { numRuns: 60 },
    );
  });

  test('one COT per row and group, all lanes in one, whatever the groups', async () => {
    const rows = 300;
    const lanes = [1, 2].map((k) => Array.from({ length: rows }, (_, r) => BigInt(k * r)));
    const shapes: string[][] = [];
    for (const of of [(): number => -1, (): number => 3, (r: number): number => r % 5]) {
      const pair = makePair();
      const groupOfRow = Array.from({ length: rows }, (_, r) => of(r));
      await runGroups(pair, { groups: 5, groupOfRow, lanes }, 'shape', 5 * 128);
      expect(pair.frames).toEqual([]);
      shapes.push(pair.cots);
    }
    expect(shapes[0]).toEqual(['receiver 640 2', 'receiver 640 2', 'receiver 220 2']);
    expect(shapes[1]).toEqual(shapes[0]);
    expect(shapes[2]).toEqual(shapes[0]);
  });

  test('a group out of range or a map at the wrong end is our own bug', async () => {
    const { ends } = makePair();
    const lanes = [new Uint8Array(8)];
    const call = (party: 0 | 1, groupOfRow: Int32Array | null, rows = 1): Promise<unknown> =>
      groupSums(ends[party], { groups: 2, groupOfRow, rows, lanes });
    for (const bad of [
      call(0, Int32Array.of(2)),
      call(0, Int32Array.of(-2)),
      call(0, null),
      call(1, Int32Array.of(0)),
      call(0, Int32Array.of(0, 0)),
      call(1, null, 2),
    ]) {
      await expect(bad).rejects.toMatchObject({ code: 'INTERNAL' });
    }
  });

  test('sumRows of both shares is the plain sum', () => {
    const plain = [3n, u64(-4n), 1n << 63n];
    const [x, y] = shareRing(plain, seededRng('sum'));
    expect(openRing([sumRows(x), sumRows(y)])).toEqual([u64((1n << 63n) - 1n)]);
  });
});
