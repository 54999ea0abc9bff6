// Goal: the shipped X25519 is RFC 7748's, refuses low order and nothing else, and every blinding it
// is used for can be taken off again.
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { toHex } from '../../src/core/bytes.ts';
import { systemRng } from '../../src/core/rng.ts';
import { mapToCurve } from '../../src/kernels/curve25519/index.ts';
import {
  importScalar,
  invertScalar,
  randomBlinding,
  randomScalar,
  x25519,
} from '../../src/protocols/psi/x25519.ts';
import { seededRng } from '../support/seeded-rng.ts';
import { toLittle, unhex } from './curve-reference.ts';

const multiply = (scalar: Uint8Array, u: Uint8Array) => x25519(importScalar(scalar), u);
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

describe('unblinding', () => {
  it('takes 200 random scalars off random points of the curve, behind a random key', () => {
    const us = mapToCurve(systemRng(200 * 48));
    for (let i = 0; i < 200; i++) {
      const u = us.subarray(32 * i, 32 * i + 32);
      const key = importScalar(randomScalar(systemRng));
      const { blind, unblind } = randomBlinding(systemRng);
      const through = x25519(unblind, x25519(key, x25519(blind, u)!)!)!;
      expect(toHex(through)).toBe(toHex(x25519(key, u)!));
    }
  });

  it('gives scalars that clamping leaves alone', () => {
    const rng = seededRng('scalars');
    for (let i = 0; i < 200; i++) {
      for (const s of [randomScalar(rng), invertScalar(randomScalar(rng))!]) {
        expect([s[0]! & 7, s[31]! & 0xc0]).toEqual([0, 0x40]);
      }
    }
  });

  it('draws again when neither sign of the inverse fits', () => {
    // 64 s · s' = 1 for an s' below 2^124 has its negative just past 2^252: no clamped inverse.
    const order = 2n ** 252n + 27742317777372353535851937790883648493n;
    const bad = findWithoutInverse(order);
    expect(invertScalar(bad)).toBeNull();
    const draws = [bad, randomScalar(seededRng('next'))];
    let drawn = 0;
    const { blind, unblind } = randomBlinding(() => draws[drawn++]!.slice());
    expect(drawn).toBe(2);
    const nine = toLittle(9n);
    expect(toHex(x25519(unblind, x25519(blind, nine)!)!)).toBe(toHex(nine));
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
