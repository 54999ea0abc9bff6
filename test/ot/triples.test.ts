// Goal: triples multiply, are new every time, and are handed out once.
import { describe, expect, it } from 'vitest';
import {
  createTriples,
  createTripleSource,
  type TripleSource,
} from '../../src/protocols/ot/index.ts';
import type { BitTriples, OtPair } from '../../src/protocols/ot/types.ts';
import { idealOtPair } from '../support/ideal-ot.ts';
import { memoryLink } from '../support/memory-channel.ts';
import { seededRng } from '../support/seeded-rng.ts';
import { trustedPairs } from './trusted.ts';

type Both<T> = readonly [T, T];

function pairs(kind: 'real' | 'ideal'): Both<OtPair> {
  return kind === 'ideal' ? idealOtPair() : trustedPairs(memoryLink().ends, 4, 'triples');
}

function product([x, y]: Both<BitTriples>): boolean {
  return x.a.every((_, i) => ((x.a[i]! ^ y.a[i]!) & (x.b[i]! ^ y.b[i]!)) === (x.c[i]! ^ y.c[i]!));
}

const ones = (bytes: Uint8Array): number =>
  bytes.reduce((n, byte) => n + byte.toString(2).replaceAll('0', '').length, 0);

function sources(kind: 'real' | 'ideal'): Both<TripleSource> {
  const [first, second] = pairs(kind);
  return [
    createTripleSource({ pair: first, rng: seededRng('0') }),
    createTripleSource({ pair: second, rng: seededRng('1') }),
  ];
}

const each = async <T>(both: Both<TripleSource>, f: (s: TripleSource) => Promise<T>) =>
  (await Promise.all(both.map(f))) as [T, T];

describe.each(['real', 'ideal'] as const)('bit triples over %s OT', (kind) => {
  it.each([128, 129, (1 << 17) + 384])('multiply, n = %i', async (n) => {
    const [first, second] = pairs(kind);
    const made = await Promise.all([
      createTriples(first, n, seededRng('a')),
      createTriples(second, n, seededRng('b')),
    ]);
    // Whole bytes: the shares of padding bits need not multiply.
    const whole = made.map(({ a, b, c }) => ({
      a: a.subarray(0, n >> 3),
      b: b.subarray(0, n >> 3),
      c: c.subarray(0, n >> 3),
    })) as unknown as Both<BitTriples>;
    expect(product(whole)).toBe(true);
    for (const share of whole) {
      for (const bits of [share.a, share.b, share.c]) {
        // Six standard deviations around half, 2e-9 a piece: shares are balanced bits.
        const m = 8 * bits.length;
        expect(Math.abs(ones(bits) - m / 2)).toBeLessThan(3 * Math.sqrt(m));
      }
    }
  });

  it('come from the pool in order, exactly as many as asked', async () => {
    const both = sources(kind);
    await each(both, (s) => s.reserve(20_480));
    expect(both.map((s) => s.available)).toEqual([20_480, 20_480]);
    const seen = new Set<string>();
    for (const n of [128, 19_968, 256, 384, 128]) {
      const taken = await each(both, (s) => s.take(n));
      expect(product(taken)).toBe(true);
      expect(taken[0].a.length).toBe(n / 8);
      for (let at = 0; at < n / 8; at += 16) seen.add(taken[0].a.subarray(at, at + 16).join());
    }
    expect(seen.size).toBe((128 + 19_968 + 256 + 384 + 128) / 128);
    expect(both[0].available).toBe(both[1].available);
  });
});

describe('a triple source', () => {
  it('refuses to run twice at once, odd numbers and use after close', async () => {
    const both = sources('ideal');
    await expect(both[0].take(100)).rejects.toMatchObject({ code: 'INTERNAL' });
    const [first, second] = [both[0].take(128), both[0].take(128)];
    await expect(second).rejects.toMatchObject({ code: 'INTERNAL' });
    await both[1].take(128);
    await first;
    both[0].close();
    expect(both[0].available).toBe(0);
    await expect(both[0].take(128)).rejects.toMatchObject({ code: 'INTERNAL' });
  });

  it('makes no more than asked when that is much', async () => {
    const both = sources('ideal');
    await each(both, (s) => s.reserve(128));
    expect(both[0].available).toBe(1 << 14);
    await each(both, (s) => s.reserve(1 << 15));
    expect(both[0].available).toBe(1 << 15);
  });
});
