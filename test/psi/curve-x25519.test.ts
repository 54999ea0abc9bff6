// Goal: the shipped X25519 is RFC 7748's, refuses low order and nothing else, and every blinding it
// is used for can be taken off again.
import fc from 'fast-check';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { concat, toHex } from '../../src/core/bytes.ts';
import { Redacted, reveal } from '../../src/core/redacted.ts';
import { systemRng } from '../../src/core/rng.ts';
import { mapToCurve } from '../../src/kernels/curve25519/index.ts';
import {
  invertScalar,
  randomBlinding,
  randomScalar,
  x25519Each,
} from '../../src/protocols/psi/x25519.ts';
import { seededRng } from '../support/seeded-rng.ts';
import * as ref from './curve-reference.ts';
import { toLittle, unhex } from './curve-reference.ts';
import { nodeX25519 } from './node-x25519.ts';

/** One point; decodes the scalar as RFC 7748, section 5 does. Null for a zero result. */
function multiply(scalar: Uint8Array, u: Uint8Array): Uint8Array | null {
  const { us, zeros } = x25519Each(new Redacted(clamp(scalar)), u);
  return zeros === 0 ? us : null;
}

function clamp(scalar: Uint8Array): Uint8Array {
  const out = scalar.slice();
  out[0]! &= 0xf8;
  out[31] = (out[31]! & 0x7f) | 0x40;
  return out;
}

const multiplyHex = (scalar: string, u: string) => toHex(multiply(unhex(scalar), unhex(u))!);

describe('RFC 7748', () => {
  const rfc = readVectors('rfc7748/x25519.json') as Rfc7748;

  it('section 5.2, single', () => {
    expect(rfc.x25519.length).toBe(2);
    for (const { scalar, u, out } of rfc.x25519) expect(multiplyHex(scalar, u)).toBe(out);
  });

  it('section 5.2, iterated 1,000 times', () => {
    let k = unhex(rfc.iterated.k);
    let u = unhex(rfc.iterated.u);
    for (let i = 1; i <= 1000; i++) {
      [k, u] = [multiply(k, u)!, k];
      if (i === 1) expect(toHex(k)).toBe(rfc.iterated.after_1);
    }
    expect(toHex(k)).toBe(rfc.iterated.after_1000);
  });

  it('section 6.1', () => {
    const { a, A, b, B, K } = rfc.dh;
    const base = toHex(toLittle(9n));
    expect([multiplyHex(a, base), multiplyHex(b, base)]).toEqual([A, B]);
    expect([multiplyHex(a, B), multiplyHex(b, A)]).toEqual([K, K]);
  });
});

describe('Wycheproof', () => {
  // "acceptable" covers three things. Twist and non-canonical keys give the listed secret here, as
  // RFC 7748 wants; the OPRF refuses both before it multiplies. Low-order keys give null.
  it('computes all 518 cases, and null exactly where the shared secret is zero', () => {
    const { testGroups } = readVectors('wycheproof-x25519/x25519_test.json') as Wycheproof;
    const tests = testGroups.flatMap((g) => g.tests);
    expect(tests.length).toBe(518);
    const wrong = tests.filter((t) => {
      const got = multiply(unhex(t.private), unhex(t.public));
      const want = t.flags.includes('ZeroSharedSecret') ? null : t.shared;
      return (got === null ? null : toHex(got)) !== want;
    });
    expect(wrong).toEqual([]);
    expect(tests.filter((t) => t.flags.includes('ZeroSharedSecret')).length).toBe(31);
  });
});

describe('many points and one scalar', () => {
  const scalar32 = fc.oneof(
    fc.uint8Array({ minLength: 32, maxLength: 32 }),
    fc.constantFrom(0, 0xff, 0x55, 0xaa).map((byte) => new Uint8Array(32).fill(byte)),
  );
  const edge = fc.constantFrom(
    ...[0n, 1n, 2n, 8n, 9n, ref.P - 2n, ref.P - 1n, ref.P, ref.P + 1n, ref.P + 18n],
    ...[2n ** 254n, 2n ** 255n - 1n, 2n ** 255n, 2n ** 255n + 9n, 2n ** 256n - 1n],
  );
  const point = fc.oneof(
    fc.uint8Array({ minLength: 32, maxLength: 32 }),
    edge.map((u) => toLittle(u)),
    fc.nat(254).map((i) => toLittle(ref.mod(-(2n ** BigInt(i))))),
  );

  it('is the X25519 of node:crypto, zeros for low order among others', () => {
    fc.assert(
      fc.property(scalar32, fc.array(point, { minLength: 1, maxLength: 9 }), (scalar, points) => {
        const { us, zeros } = x25519Each(new Redacted(clamp(scalar)), concat(points));
        const want = points.map((u) => nodeX25519(scalar, u));
        expect(zeros).toBe(want.filter((w) => w === null).length);
        expect(toHex(us)).toBe(toHex(concat(want.map((w) => w ?? new Uint8Array(32)))));
      }),
      { numRuns: 60 },
    );
  });

  it('takes none, and refuses what is not clamped or not whole', () => {
    const scalar = randomScalar(systemRng);
    expect(x25519Each(scalar, new Uint8Array(0))).toEqual({ us: new Uint8Array(0), zeros: 0 });
    expect(() => x25519Each(scalar, new Uint8Array(33))).toThrow('32 bytes');
    expect(() => x25519Each(new Redacted(new Uint8Array(31)), new Uint8Array(32))).toThrow('32');
    for (const [at, bits] of [
      [0, 1],
      [0, 4],
      [31, 0x80],
      [31, 0x40],
    ] as const) {
      const bad = reveal(randomScalar(systemRng)).slice();
      bad[at]! ^= bits;
      expect(() => x25519Each(new Redacted(bad), new Uint8Array(32))).toThrow('clamped');
    }
  });
});

describe('unblinding', () => {
  it('takes 200 random scalars off random points of the curve, behind a random key', () => {
    const us = mapToCurve(systemRng(200 * 48));
    for (let i = 0; i < 200; i++) {
      const u = us.subarray(32 * i, 32 * i + 32);
      const key = randomScalar(systemRng);
      const { blind, unblind } = randomBlinding(systemRng);
      const evaluated = x25519Each(key, x25519Each(blind, u).us);
      expect(toHex(x25519Each(unblind, evaluated.us).us)).toBe(toHex(x25519Each(key, u).us));
    }
  });

  it('gives scalars that clamping leaves alone', () => {
    const rng = seededRng('scalars');
    for (let i = 0; i < 200; i++) {
      for (const s of [reveal(randomScalar(rng)), invertScalar(reveal(randomScalar(rng)))!]) {
        expect([s[0]! & 7, s[31]! & 0xc0]).toEqual([0, 0x40]);
      }
    }
  });

  it('draws again when neither sign of the inverse fits', () => {
    // 64 s · s' = 1 for an s' below 2^124 has its negative just past 2^252: no clamped inverse.
    const order = 2n ** 252n + 27742317777372353535851937790883648493n;
    const bad = findWithoutInverse(order);
    expect(invertScalar(bad)).toBeNull();
    const draws = [bad, reveal(randomScalar(seededRng('next')))];
    let drawn = 0;
    const { blind, unblind } = randomBlinding(() => draws[drawn++]!.slice());
    expect(drawn).toBe(2);
    const nine = toLittle(9n);
    expect(toHex(x25519Each(unblind, x25519Each(blind, nine).us).us)).toBe(toHex(nine));
  });
});

/** A clamped scalar whose inverse is smaller than order - 2^252 in absolute value. */
function findWithoutInverse(order: bigint): Uint8Array {
  for (let small = 1n; ; small++) {
    // s = 1 / (64 small), then clamped form needs s in [2^251, 2^252).
    const s = modPower((64n * small) % order, order - 2n, order);
    if (s >= 1n << 251n && s < 1n << 252n) return toLittle(8n * s);
  }
}

function modPower(base: bigint, exponent: bigint, modulus: bigint): bigint {
  let [result, square] = [1n, base];
  for (let e = exponent; e > 0n; e >>= 1n) {
    if (e & 1n) result = (result * square) % modulus;
    square = (square * square) % modulus;
  }
  return result;
}

interface Rfc7748 {
  readonly x25519: readonly { readonly scalar: string; readonly u: string; readonly out: string }[];
  readonly iterated: Readonly<Record<'k' | 'u' | 'after_1' | 'after_1000', string>>;
  readonly dh: Readonly<Record<'a' | 'A' | 'b' | 'B' | 'K', string>>;
}

interface Wycheproof {
  readonly testGroups: readonly {
    readonly tests: readonly {
      readonly tcId: number;
      readonly flags: readonly string[];
      readonly public: string;
      readonly private: string;
      readonly shared: string;
    }[];
  }[];
}

function readVectors(name: string): unknown {
  return JSON.parse(readFileSync(new URL(`../vectors/${name}`, import.meta.url), 'utf8'));
}
