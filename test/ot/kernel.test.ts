// Goal: every bulk step equals its bit-by-bit definition, at sizes that are not powers of two.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { otKernel, TRANSPOSE_SCRATCH_BYTES } from '../../src/kernels/ot/index.ts';
import { seededRng } from '../support/seeded-rng.ts';
import { bitOf } from './trusted.ts';

const { fn } = otKernel;
const lanes = fc.integer({ min: 1, max: 21 });
const seed = fc.string({ minLength: 1, maxLength: 8 });

describe('transpose', () => {
  it('swaps rows and bits for any number of lanes and any stride', () => {
    fc.assert(
      fc.property(seed, lanes, fc.integer({ min: 0, max: 3 }), (s, width, pad) => {
        const bytes = 16 * width;
        const stride = bytes + 16 * pad;
        const rows = seededRng(s)(128 * stride);
        const out = otKernel.run((arena) => {
          const dst = arena.alloc(128 * bytes);
          const scratch = arena.alloc(TRANSPOSE_SCRATCH_BYTES);
          fn.transpose128(dst, arena.put(rows), stride, bytes, scratch);
          return arena.get(dst, 128 * bytes);
        });
        for (let r = 0; r < 128; r++) {
          for (let j = 0; j < 8 * bytes; j++) {
            if (bitOf(out, 128 * j + r) !== bitOf(rows, 8 * stride * r + j)) return false;
          }
        }
        return true;
      }),
      { numRuns: 15 },
    );
  });
});

describe('fold', () => {
  it.each([1, 2, 4] as const)('sums leaves by the bits of their index, k = %i', (k) => {
    fc.assert(
      fc.property(seed, lanes, fc.integer({ min: 0, max: 2 }), (s, width, pad) => {
        const bytes = 16 * width;
        const stride = bytes + 16 * pad;
        const leaves = seededRng(s)(stride << k);
        const [u, rows] = otKernel.run((arena) => {
          const [uAt, rowsAt] = [arena.alloc(bytes), arena.alloc(k * stride)];
          fn[`fold${k}`](uAt, rowsAt, arena.put(leaves), stride, bytes);
          return [arena.get(uAt, bytes), arena.get(rowsAt, k * stride)] as const;
        });
        const sum = (at: number, wanted: (x: number) => boolean): number => {
          let total = 0;
          for (let x = 0; x < 1 << k; x++) if (wanted(x)) total ^= leaves[x * stride + at]!;
          return total;
        };
        for (let at = 0; at < bytes; at++) {
          if (u[at] !== sum(at, () => true)) return false;
          for (let b = 0; b < k; b++) {
            if (rows[b * stride + at] !== sum(at, (x) => ((x >> b) & 1) === 1)) return false;
          }
        }
        return true;
      }),
      { numRuns: 10 },
    );
  });
});

describe('byte-wise steps', () => {
  const rng = seededRng('kernel');
  const n = 128;

  it('xors, with and without a mask', () => {
    const [a, b] = [rng(16 * n), rng(16 * n)];
    for (const bit of [0, 1]) {
      const out = otKernel.run((arena) => {
        const dst = arena.put(a);
        fn.xorMasked(dst, arena.put(b), a.length, bit);
        return arena.get(dst, a.length);
      });
      expect(out).toEqual(a.map((x, i) => (bit === 1 ? x ^ b[i]! : x)));
    }
    const out = otKernel.run((arena) => {
      const dst = arena.put(a);
      fn.xorInto(dst, arena.put(b), a.length);
      return arena.get(dst, a.length);
    });
    expect(out).toEqual(a.map((x, i) => x ^ b[i]!));
  });

  it('sigma is (L xor R, L) of the row xor the offset', () => {
    const [rows, offset] = [rng(16 * n), rng(16)];
    const run = (kind: 'sigma' | 'xorOffset'): Uint8Array =>
      otKernel.run((arena) => {
        const dst = arena.alloc(16 * n);
        fn[kind](dst, arena.put(rows), n, arena.put(offset));
        return arena.get(dst, 16 * n);
      });
    const shifted = rows.map((x, i) => x ^ offset[i & 15]!);
    expect(run('xorOffset')).toEqual(shifted);
    const expected = shifted.map((x, i) => ((i & 15) < 8 ? x ^ shifted[i + 8]! : shifted[i - 8]!));
    expect(run('sigma')).toEqual(expected);
  });

  it('tweaks are the numbers of the blocks, little-endian', () => {
    const [rows, blocks] = [rng(16 * n), 3];
    const out = otKernel.run((arena) => {
      const src = arena.put(rows);
      const dst = arena.alloc(16 * n * blocks);
      fn.tweak(dst, src, n, blocks);
      const tweaks = arena.get(dst, 16 * n * blocks);
      fn.xorRepeated(dst, src, n, blocks);
      return [tweaks, arena.get(dst, 16 * n * blocks)] as const;
    });
    for (let i = 0; i < n * blocks; i++) {
      const number = new Uint8Array(16);
      new DataView(number.buffer).setUint32(0, i, true);
      const row = Math.floor(i / blocks) * 16;
      expect(out[0].subarray(16 * i, 16 * i + 16)).toEqual(
        number.map((x, j) => x ^ rows[row + j]!),
      );
      expect(out[1].subarray(16 * i, 16 * i + 16)).toEqual(number);
    }
  });

  it('packs lowest bits', () => {
    const keys = rng(16 * n);
    const out = otKernel.run((arena) => {
      const dst = arena.alloc(n / 8);
      fn.packLsb(dst, arena.put(keys), n);
      return arena.get(dst, n / 8);
    });
    for (let i = 0; i < n; i++) expect(bitOf(out, i)).toBe(keys[16 * i]! & 1);
  });
});
