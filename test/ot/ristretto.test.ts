// Goal: the kernel's ristretto255 is that of noble-curves, another implementation, on any elements,
// scalars and bytes, in batches of any size, at the edges of the map and of the scalars; and each
// element of a batch is its own.
import { ristretto255, ristretto255_hasher } from '@noble/curves/ed25519.js';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { concat, toHex } from '../../src/core/bytes.ts';
import { systemRng } from '../../src/core/rng.ts';
import {
  addPoints,
  decodePoints,
  encodePoints,
  mapToPoints,
  multiplyEach,
  subtractPoints,
} from '../../src/kernels/curve25519/ristretto.ts';
import { scalarsOf } from '../../src/protocols/ot/group.ts';

type Element = InstanceType<typeof ristretto255.Point>;
const { BASE, ZERO, Fn } = ristretto255.Point;
const P = 2n ** 255n - 19n;

const toLittle = (value: bigint, bytes = 32): Uint8Array =>
  Uint8Array.from({ length: bytes }, (_, i) => Number((value >> BigInt(8 * i)) & 255n));
const fromLittle = (bytes: Uint8Array): bigint =>
  bytes.reduceRight((n, byte) => (n << 8n) | BigInt(byte), 0n);
const split = (bytes: Uint8Array): string[] =>
  Array.from({ length: bytes.length / 32 }, (_, i) => toHex(bytes.subarray(32 * i, 32 * i + 32)));
const mapped = (wide: Uint8Array): Element => ristretto255_hasher.deriveToCurve!(wide);
/** noble's multiply refuses 0 and what is not below the order. */
const times = (p: Element, scalar: bigint): Element => {
  const k = Fn.create(scalar);
  return k === 0n ? ZERO : p.multiply(k);
};

const half = fc.oneof(
  fc.bigInt(0n, 2n ** 256n - 1n),
  fc.constantFrom(0n, 1n, 2n, P - 1n, P, P + 1n, 2n ** 255n - 1n, 2n ** 255n, 2n ** 256n - 1n),
);
const wide = fc.tuple(half, half).map(([a, b]) => concat([toLittle(a), toLittle(b)]));
const scalar = fc.oneof(
  fc.bigInt(0n, 2n ** 256n - 1n),
  fc.constantFrom(0n, 1n, 15n, 16n, Fn.ORDER - 1n, Fn.ORDER, Fn.ORDER + 1n, 2n ** 256n - 1n),
);
const batch = fc.array(fc.tuple(wide, wide, scalar), { minLength: 1, maxLength: 9 });

describe('ristretto255 in batches', () => {
  it('maps, adds, subtracts, multiplies and encodes as noble-curves does', () => {
    const check = (items: readonly (readonly [Uint8Array, Uint8Array, bigint])[]) => {
      const [ps, qs] = [0, 1].map((at) =>
        mapToPoints(concat(items.map((x) => x[at] as Uint8Array))),
      );
      const all = items.map(([a, b, k]) => ({ p: mapped(a), q: mapped(b), k }));
      const same = (points: typeof ps, want: (x: (typeof all)[number]) => Element) =>
        expect(split(encodePoints(points!))).toEqual(all.map((x) => want(x).toHex()));
      same(ps, ({ p }) => p);
      same(addPoints(ps!, qs!), ({ p, q }) => p.add(q));
      same(subtractPoints(ps!, qs!), ({ p, q }) => p.subtract(q));
      const scalars = concat(all.map(({ k }) => toLittle(k)));
      same(multiplyEach(ps!, scalars), ({ p, k }) => times(p, k));
    };
    fc.assert(fc.property(batch, check), { numRuns: 25 });
  });

  it('gives the identity where an element meets itself or its opposite', () => {
    const p = mapToPoints(systemRng(64 * 5));
    const nothing = subtractPoints(p, p);
    expect(encodePoints(nothing)).toEqual(new Uint8Array(5 * 32));
    expect(encodePoints(addPoints(p, nothing))).toEqual(encodePoints(p));
    const two = concat(Array.from({ length: 5 }, () => toLittle(2n)));
    expect(encodePoints(addPoints(p, p))).toEqual(encodePoints(multiplyEach(p, two)));
    const order = concat(Array.from({ length: 5 }, () => toLittle(Fn.ORDER)));
    expect(encodePoints(multiplyEach(p, order))).toEqual(new Uint8Array(5 * 32));
  });

  it('decodes what noble-curves decodes, and counts exactly those', () => {
    const valid = fc.bigInt(1n, Fn.ORDER - 1n).map((k) => BASE.multiply(k).toBytes());
    const any = fc.oneof(
      valid,
      half.map((x) => toLittle(x)),
      // Off by a sign or by p.
      valid.map((bytes) => toLittle(P - fromLittle(bytes))),
      valid.map((bytes) => toLittle(fromLittle(bytes) + P)),
    );
    const decodes = (bytes: Uint8Array): boolean => {
      try {
        return !ristretto255.Point.fromBytes(bytes).is0();
      } catch {
        return false;
      }
    };
    const check = (items: readonly Uint8Array[]) => {
      const { points, good } = decodePoints(concat(items));
      expect(good).toBe(items.filter(decodes).length);
      if (good === items.length) expect(encodePoints(points)).toEqual(concat(items));
    };
    fc.assert(fc.property(fc.array(any, { minLength: 1, maxLength: 9 }), check), { numRuns: 60 });
    fc.assert(fc.property(fc.array(valid, { minLength: 1, maxLength: 9 }), check), { numRuns: 10 });
  });

  it('accepts an empty batch', () => {
    const none = new Uint8Array(0);
    expect(decodePoints(none).good).toBe(0);
    expect(encodePoints(multiplyEach(mapToPoints(none), none))).toEqual(none);
  });
});

it('scalars are 64 bytes modulo the order', () => {
  const bytes = fc.uint8Array({ minLength: 64, maxLength: 64 });
  fc.assert(
    fc.property(fc.array(bytes, { maxLength: 4 }), (all) => {
      fc.pre(all.every((b) => fromLittle(b) % Fn.ORDER !== 0n));
      const want = all.map((b) => toHex(toLittle(fromLittle(b) % Fn.ORDER)));
      expect(split(scalarsOf(concat(all)))).toEqual(want);
    }),
  );
  expect(() => scalarsOf(toLittle(Fn.ORDER, 64))).toThrow();
});
