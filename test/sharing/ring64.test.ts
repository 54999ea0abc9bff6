import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  addRing,
  beaver,
  elementsToWires,
  flipLanes,
  joinLanes,
  maskWires,
  negateRing,
  splitLanes,
  subRing,
  sumByIndex,
  sumRing,
  sumSegments,
  wiresToElements,
} from '../../src/kernels/ring64/index.ts';
import { bitBytes } from '../../src/protocols/ot/types.ts';
import { packBits } from '../../src/protocols/sharing/index.ts';
import { seededRng } from '../support/seeded-rng.ts';
import { elementsFromBigints, elementsToBigints, xorBytes } from './support.ts';

const u64 = (v: bigint): bigint => BigInt.asUintN(64, v);
const word64 = fc.oneof(
  fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }),
  fc.constantFrom(0n, 1n, (1n << 63n) - 1n, 1n << 63n, (1n << 64n) - 1n),
);
const bits = (n: number): fc.Arbitrary<number[]> =>
  fc.array(fc.integer({ min: 0, max: 1 }), { minLength: n, maxLength: n });

describe('ring64 kernel against plain integers', () => {
  test('add, subtract, negate, sum', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(word64, word64), { maxLength: 9 }), (pairs) => {
        const [x, y] = [pairs.map((p) => p[0]), pairs.map((p) => p[1])];
        const [xb, yb] = [elementsFromBigints(x), elementsFromBigints(y)];
        const of = elementsToBigints;
        expect(of(addRing(xb, yb))).toEqual(x.map((v, i) => u64(v + y[i]!)));
        expect(of(subRing(xb, yb))).toEqual(x.map((v, i) => u64(v - y[i]!)));
        expect(of(negateRing(xb))).toEqual(x.map((v) => u64(-v)));
        expect(of(sumRing(xb))).toEqual([u64(x.reduce((a, b) => a + b, 0n))]);
      }),
    );
  });

  test('interleave, flip by bit, take apart with a selected part', () => {
    const input = fc.integer({ min: 1, max: 40 }).chain((rows) =>
      fc.tuple(
        bits(rows),
        fc.array(fc.array(word64, { minLength: rows, maxLength: rows }), {
          minLength: 1,
          maxLength: 4,
        }),
      ),
    );
    fc.assert(
      fc.property(input, ([flags, lanes]) => {
        const rows = flags.length;
        const mask = packBits(flags);
        const vectors = lanes.map(elementsFromBigints);
        const flip = (v: bigint, r: number): bigint => u64(flags[r] === 1 ? -v : v);
        const interleaved = flags.flatMap((_, r) => [
          ...lanes.map((lane) => flip(lane[r]!, r)),
          flip(1n, r),
        ]);
        expect(elementsToBigints(flipLanes([...vectors, 'one'], mask, rows))).toEqual(interleaved);
        const joined = joinLanes(vectors, rows);
        expect(splitLanes(joined, lanes.length, rows)).toEqual(vectors);
        const plus = splitLanes(joined, lanes.length, rows, ['one', ...vectors.slice(1)], mask);
        expect(plus.map(elementsToBigints)).toEqual(
          lanes.map((lane, i) =>
            lane.map((v, r) => u64(v + (flags[r] === 1 ? (i === 0 ? 1n : v) : 0n))),
          ),
        );
      }),
    );
  });

  test('sums by segment and by index', () => {
    const input = fc
      .tuple(
        fc.integer({ min: 1, max: 4 }),
        fc.integer({ min: 0, max: 9 }),
        fc.integer({ min: 1, max: 3 }),
      )
      .chain(([segments, rows, lanes]) => {
        const n = segments * rows * lanes;
        return fc.tuple(
          fc.constant([segments, rows, lanes] as const),
          fc.array(word64, { minLength: n, maxLength: n }),
        );
      });
    fc.assert(
      fc.property(input, ([[segments, rows, lanes], flat]) => {
        const want: bigint[] = [];
        for (let lane = 0; lane < lanes; lane++) {
          for (let s = 0; s < segments; s++) {
            let sum = 0n;
            for (let r = 0; r < rows; r++) sum += flat[(s * rows + r) * lanes + lane]!;
            want.push(u64(sum));
          }
        }
        const got = sumSegments(elementsFromBigints(flat), segments, rows, lanes);
        expect(elementsToBigints(got)).toEqual(want);
      }),
    );
    const index = Int32Array.of(2, -1, 0, 2, 1, 2);
    const sums = sumByIndex(elementsFromBigints([1n, 2n, 4n, 8n, 16n, (1n << 64n) - 1n]), index, 4);
    expect(elementsToBigints(sums)).toEqual([4n, 16n, 8n, 0n]);
  });

  test.each([1, 63, 64, 65, 127, 128, 129, 700])('transposes %i elements both ways', (rows) => {
    const elements = seededRng(`transpose/${rows}`)(8 * rows);
    const wireBytes = bitBytes(rows);
    const wires = elementsToWires(elements, wireBytes);
    const plain = elementsToBigints(elements);
    for (let c = 0; c < 64; c++) {
      const column = wires.subarray(c * wireBytes, (c + 1) * wireBytes);
      expect(column).toEqual(packBits(plain.map((v) => Number((v >> BigInt(c)) & 1n))));
    }
    const split = (n: number): Uint8Array[] =>
      Array.from({ length: n }, (_, c) => wires.subarray(c * wireBytes, (c + 1) * wireBytes));
    expect(wiresToElements(split(64), rows)).toEqual(elements);
    const low = plain.map((v) => v & ((1n << 37n) - 1n));
    expect(elementsToBigints(wiresToElements(split(37), rows))).toEqual(low);
  });

  test('the two halves of an AND', () => {
    const rng = seededRng('and');
    const bytes = 48;
    const [x, y, a, b, c, theirs] = Array.from({ length: 6 }, () => rng(bytes)) as Uint8Array[] & {
      readonly length: 6;
    };
    const halves = (v: Uint8Array): Uint8Array[] => [
      v.subarray(0, 16),
      v.subarray(16, 32),
      v.subarray(32),
    ];
    const own = maskWires(halves(x!), halves(y!), a!, b!);
    expect(own).toEqual(new Uint8Array([...xorBytes(x!, a!), ...xorBytes(y!, b!)]));
    const other = new Uint8Array([...theirs!, ...y!]);
    for (const adds of [false, true]) {
      const z = beaver({ a: a!, b: b!, c: c! }, own, other, adds);
      const want = z.map((_, i) => {
        const d = own[i]! ^ other[i]!;
        const e = own[bytes + i]! ^ other[bytes + i]!;
        return c![i]! ^ (d & b![i]!) ^ (e & a![i]!) ^ (adds ? d & e : 0);
      });
      expect(z).toEqual(want);
    }
  });
});
