// Goal: trees, key streams and rows satisfy their equations on every index, keys are the stated
// hashes of the rows, and only those.
import { createCipheriv } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { otKernel } from '../../src/kernels/ot/index.ts';
import { allocateHash, hashRows, spanKey, spanOts } from '../../src/protocols/ot/hashing.ts';
import { BLOCKS_MAX } from '../../src/protocols/ot/limits.ts';
import {
  extendOwner,
  extendPeer,
  indexOf,
  openStreams,
  shapeOf,
  transposer,
  type FieldBits,
  type LeafStreams,
} from '../../src/protocols/ot/softspoken-steps.ts';
import { seededRng } from '../support/seeded-rng.ts';
import { bitOf, trustedTrees } from './trusted.ts';

const block = (bytes: Uint8Array, i: number): Uint8Array => bytes.subarray(16 * i, 16 * i + 16);
const xor = (a: Uint8Array, b: Uint8Array): Uint8Array => a.map((x, i) => x ^ b[i]!);

describe('GGM trees', () => {
  it.each([1, 2, 3, 4, 8])('give every leaf but the one at Delta, depth %i', (k) => {
    const shape = { trees: 16, k };
    const { delta, full, punctured } = trustedTrees(shape, `ggm ${k}`);
    const expected = full.slice();
    for (let leaf = 0; leaf < shape.trees << k; leaf++) {
      const tree = leaf >> k;
      let index = 0;
      for (let b = 0; b < k; b++) index |= bitOf(delta, k * tree + b) << b;
      if ((leaf & ((1 << k) - 1)) === index) block(expected, leaf).fill(0);
    }
    expect(punctured).toEqual(expected);
    const distinct = new Set(
      Array.from({ length: shape.trees << k }, (_, i) => block(full, i).join()),
    );
    expect(distinct.size).toBe(shape.trees << k);
  });
});

function streamsOf(k: FieldBits): { delta: Uint8Array; owner: LeafStreams; peer: LeafStreams } {
  const shape = shapeOf(k);
  const { delta, full, punctured } = trustedTrees(shape, `streams ${k}`);
  return {
    delta,
    owner: openStreams(shape, full, () => false),
    peer: openStreams(shape, punctured, (tree, x) => x === indexOf(delta, k, tree)),
  };
}

describe('extension', () => {
  it.each([1, 2, 4, 8] as const)(
    'q = t xor c·Delta on every index, chunk after chunk, k = %i',
    (k) => {
      const { delta, owner, peer } = streamsOf(k);
      const seen = new Set<string>();
      for (const n of [128, 1152, 384]) {
        const choices = seededRng(`choices ${n}`)(n / 8);
        const [t, corrections] = otKernel.run((arena) => {
          const out = extendOwner(arena, k, owner, choices, n);
          const at = arena.alloc(16 * n);
          transposer(arena, out.rows)(at, 0, n);
          return [arena.get(at, 16 * n), out.corrections] as const;
        });
        expect(corrections).toHaveLength((n * 16) / k);
        const q = otKernel.run((arena) => {
          const at = arena.alloc(16 * n);
          const transpose = transposer(arena, extendPeer(arena, k, peer, delta, corrections, n));
          // In two pieces, as spans do.
          transpose(at, 0, 128);
          if (n > 128) transpose(at + 16 * 128, 128, n - 128);
          return arena.get(at, 16 * n);
        });
        const expected = t.map((x, at) => x ^ (delta[at & 15]! & -bitOf(choices, at >> 4)));
        expect(Buffer.compare(q, expected)).toBe(0);
        for (let j = 0; j < n; j++) seen.add(block(t, j).join());
      }
      // Streams go on: no row comes twice.
      expect(seen.size).toBe(128 + 1152 + 384);
    },
  );

  it('corrections hide equal choices in different bytes', () => {
    const { owner } = streamsOf(4);
    const zero = new Uint8Array(16);
    const chunk = (): Uint8Array =>
      otKernel.run((arena) => extendOwner(arena, 4, owner, zero, 128).corrections);
    expect(chunk()).not.toEqual(chunk());
  });
});

describe('hashing', () => {
  const rng = seededRng('hashing');
  const key = rng(16);
  const pi = (x: Uint8Array): Uint8Array =>
    new Uint8Array(createCipheriv('aes-128-ecb', key, null).setAutoPadding(false).update(x));
  const hashed = (rows: Uint8Array, n: number, blocks: number, offset: Uint8Array): Uint8Array =>
    otKernel.run((arena) => {
      const work = allocateHash(arena, n, blocks);
      const out = arena.alloc(16 * n * blocks);
      hashRows(arena, work, key, out, arena.put(rows), n, arena.put(offset));
      return arena.get(out, 16 * n * blocks);
    });

  it('is pi(sigma(x)) xor sigma(x) for one block', () => {
    const [rows, offset] = [rng(16 * 128), rng(16)];
    const out = hashed(rows, 128, 1, offset);
    for (let i = 0; i < 128; i++) {
      const x = xor(block(rows, i), offset);
      const [l, r] = [x.subarray(0, 8), x.subarray(8)];
      const s = new Uint8Array([...xor(l, r), ...l]);
      expect(block(out, i)).toEqual(xor(pi(s), s));
    }
  });

  it.each([2, 3, 5])('is pi(pi(x) xor i) xor pi(x) for %i blocks', (blocks) => {
    const [rows, offset] = [rng(16 * 128), rng(16)];
    const out = hashed(rows, 128, blocks, offset);
    for (let i = 0; i < 128 * blocks; i++) {
      const p = pi(xor(block(rows, Math.floor(i / blocks)), offset));
      const tweak = new Uint8Array(16);
      new DataView(tweak.buffer).setUint32(0, i, true);
      expect(block(out, i)).toEqual(xor(pi(xor(p, tweak)), p));
    }
  });

  it('keeps every span whole lanes and at most 2^14 hashes, at every number of blocks', () => {
    for (let blocks = 1; blocks <= BLOCKS_MAX; blocks++) {
      expect(spanOts(blocks) % 128).toBe(0);
      expect(spanOts(blocks)).toBeGreaterThan(0);
      expect(2 * blocks * spanOts(blocks)).toBeLessThanOrEqual(1 << 14);
    }
    expect(() => spanOts(BLOCKS_MAX + 1)).toThrow(/blocks in range/);
    expect(() => spanOts(0)).toThrow(/blocks in range/);
  });

  it('changes the key with the span and with the direction', () => {
    fc.assert(
      fc.property(fc.nat({ max: 2 ** 31 - 1 }), fc.nat({ max: 2 ** 31 - 1 }), (a, b) => {
        const binding = new Uint8Array(32);
        const other = new Uint8Array(32).fill(1);
        expect(spanKey(binding, a).join() === spanKey(binding, b).join()).toBe(a === b);
        expect(spanKey(binding, a)).not.toEqual(spanKey(other, a));
      }),
      { numRuns: 30 },
    );
  });
});
