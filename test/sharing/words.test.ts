import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { bitBytes } from '../../src/protocols/ot/types.ts';
import {
  andPublic,
  concatRows,
  concatWords,
  constantWord,
  integersFromWord,
  notWire,
  ownedWire,
  ownedWord,
  packBits,
  publicWord,
  ringFromIntegers,
  sliceRows,
  unpackBits,
  wordFromElements,
  wordFromIntegers,
  xorPublic,
  xorWire,
  type Wire,
} from '../../src/protocols/sharing/index.ts';
import { seededRng } from '../support/seeded-rng.ts';
import { elementsToBigints, openBits, openIntegers, shareBits, xorBytes } from './support.ts';

const ends = [{ party: 0 }, { party: 1 }] as const;
const flags = fc.array(fc.integer({ min: 0, max: 1 }), { minLength: 1, maxLength: 300 });

describe('local operations', () => {
  test('not, xor and and with public bits', () => {
    fc.assert(
      fc.property(flags, fc.string(), fc.boolean(), (bits, seed, constant) => {
        const rows = bits.length;
        const rng = seededRng(seed);
        const share = shareBits(bits, rng);
        const other = Array.from(rng(rows), (b) => b & 1);
        const on = (f: (i: 0 | 1, share: Wire) => Wire): number[] =>
          openBits([f(0, share[0]), f(1, share[1])], rows);
        expect(on((i, s) => notWire(ends[i], s))).toEqual(bits.map((b) => 1 - b));
        const p = packBits(other);
        expect(on((i, s) => xorPublic(ends[i], s, p))).toEqual(bits.map((b, r) => b ^ other[r]!));
        expect(on((_, s) => andPublic(s, p))).toEqual(bits.map((b, r) => b & other[r]!));
        const all = constant ? 1 : 0;
        expect(on((i, s) => xorPublic(ends[i], s, constant))).toEqual(bits.map((b) => b ^ all));
        expect(on((_, s) => andPublic(s, constant))).toEqual(bits.map((b) => b & all));
      }),
    );
  });

  test('unaligned wires are read right and inputs stay as they were', () => {
    const bytes = seededRng('unaligned')(33);
    const x = bytes.subarray(1);
    const before = x.slice();
    expect(xorWire(x, x.slice())).toEqual(new Uint8Array(32));
    expect(notWire({ party: 0 }, x)).toEqual(before.map((b) => ~b));
    expect(x).toEqual(before);
  });

  test('constants and owned inputs open to what went in', () => {
    const rows = 130;
    const k = [
      constantWord(ends[0], publicWord(77n, 9), rows),
      constantWord(ends[1], publicWord(77n, 9), rows),
    ] as const;
    expect(openIntegers(k, rows)).toEqual(Array(rows).fill(77n));
    const values = Int32Array.from({ length: rows }, (_, i) => (i * 37) % 512);
    const plain = wordFromIntegers(values, 9);
    for (const owner of [0, 1] as const) {
      const shares = ([0, 1] as const).map((i) =>
        ownedWord(ends[i], owner, i === owner ? plain : null, 9, rows),
      ) as [Wire[], Wire[]];
      expect(openIntegers(shares, rows).map(Number)).toEqual([...values]);
      const other = shares[owner === 0 ? 1 : 0];
      expect(other.every((wire) => wire.every((byte) => byte === 0))).toBe(true);
    }
    expect(() => ownedWire(ends[0], 0, null, rows)).toThrow(/contract/);
    expect(() => ownedWire(ends[1], 0, plain[0]!, rows)).toThrow(/contract/);
    expect(() => ownedWire(ends[0], 0, new Uint8Array(16), rows)).toThrow(/contract/);
  });

  test('segments of rows join and part', () => {
    const rng = seededRng('segments');
    const [x, y] = [rng(32), rng(16)];
    const joined = concatRows([x, y]);
    expect(sliceRows(joined, 0, 256)).toEqual(x);
    expect(sliceRows(joined, 256, 5)).toEqual(y);
    expect(
      concatWords([
        [x, y],
        [y, x],
      ]),
    ).toEqual([concatRows([x, y]), concatRows([y, x])]);
    expect(() => sliceRows(joined, 64, 64)).toThrow(/contract/);
    expect(() => sliceRows(joined, 256, 129)).toThrow(/contract/);
    expect(() => concatRows([x.subarray(1)])).toThrow(/contract/);
    expect(() => xorWire(x, y)).toThrow(/contract/);
  });
});

describe('packing', () => {
  test('integers of every width come back', () => {
    const input = fc.integer({ min: 1, max: 53 }).chain((bits) =>
      fc.tuple(
        fc.constant(bits),
        fc.array(
          fc.maxSafeInteger().map((v) => Math.abs(v) % 2 ** bits),
          { minLength: 1, maxLength: 140 },
        ),
      ),
    );
    fc.assert(
      fc.property(input, ([bits, values]) => {
        const edges = [...values, 0, 2 ** bits - 1];
        const word = wordFromIntegers(Float64Array.from(edges), bits);
        expect(word.length).toBe(bits);
        expect(word.every((wire) => wire.length === bitBytes(edges.length))).toBe(true);
        expect([...integersFromWord(word, edges.length)]).toEqual(edges);
        const bit0 = unpackBits(word[0]!, edges.length);
        expect([...bit0]).toEqual(edges.map((v) => v % 2));
      }),
    );
  });

  test("ring elements are two's complement", () => {
    fc.assert(
      fc.property(fc.array(fc.maxSafeInteger()), (values) => {
        const edges = [...values, 0, -1, 2 ** 32, -(2 ** 32), -(2 ** 53) + 1];
        const got = elementsToBigints(ringFromIntegers(Float64Array.from(edges)));
        expect(got.map((v) => BigInt.asIntN(64, v))).toEqual(edges.map(BigInt));
      }),
    );
  });

  test('slicing elements commutes with XOR sharing', () => {
    const rng = seededRng('slices');
    const [x, y] = [rng(8 * 77), rng(8 * 77)];
    const [wx, wy] = [wordFromElements(x, 77), wordFromElements(y, 77)];
    const both = wordFromElements(xorBytes(x, y), 77);
    expect(wx.map((wire, i) => xorBytes(wire, wy[i]!))).toEqual(both);
  });

  test('values out of range are our own bug', () => {
    expect(() => wordFromIntegers(Float64Array.of(8), 3)).toThrow(/contract/);
    expect(() => wordFromIntegers(Float64Array.of(-1), 3)).toThrow(/contract/);
    expect(() => wordFromIntegers(Float64Array.of(0.5), 3)).toThrow(/contract/);
    expect(() => wordFromIntegers(Float64Array.of(Number.NaN), 3)).toThrow(/contract/);
    expect(() => wordFromIntegers(Float64Array.of(1), 54)).toThrow(/contract/);
    expect(() => ringFromIntegers(Float64Array.of(2 ** 53))).toThrow(/contract/);
  });
});
