// Goal: the kernel's hash is BLAKE2s, as RFC 7693 and other people's code define it, of every row of
// four planes; and its masks and chains are the plain formulas.
import { createCipheriv, createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { concat, toHex, utf8 } from '../../src/core/bytes.ts';
import { blake2sState, HASH_SCRATCH_BYTES, kkrtKernel } from '../../src/kernels/kkrt/index.ts';
import { codeOf, compress } from '../../src/protocols/psi/oprf-kkrt-steps.ts';
import { POINT_BYTES } from '../../src/protocols/psi/types.ts';
import { seededRng } from '../support/seeded-rng.ts';
import { blake2s } from './blake2s-reference.ts';
import { range } from './support.ts';

const PERSON = utf8('parley42');

describe('the reference', () => {
  it('hashes "abc" as RFC 7693, appendix B', () => {
    expect(toHex(blake2s(utf8('abc'), { digestBytes: 32 }))).toBe(
      '508c5e8c327c14e2e1a72ba34eeb452f37458b209ed63a294d999b4c86675982',
    );
  });

  it('passes the self-test of RFC 7693, appendix E', () => {
    const digests = [16, 20, 28, 32].flatMap((digestBytes) =>
      [0, 3, 64, 65, 255, 1024].flatMap((bytes) => {
        const [data, key] = [sequence(bytes, bytes), sequence(digestBytes, digestBytes)];
        return [blake2s(data, { digestBytes }), blake2s(data, { digestBytes, key })];
      }),
    );
    expect(toHex(blake2s(concat(digests), { digestBytes: 32 }))).toBe(
      '6a411f08ce25adcdfb02aba641451cec53c598b24f4fc787fbdc88797f4c1dfe',
    );
  });

  it('agrees with OpenSSL', () => {
    for (const bytes of [0, 1, 63, 64, 65, 128, 200]) {
      const data = seededRng(`openssl ${bytes}`)(bytes);
      const theirs = createHash('blake2s256').update(data).digest();
      expect(toHex(blake2s(data, { digestBytes: 32 }))).toBe(toHex(theirs));
    }
  });
});

describe('the kernel', () => {
  it('makes the salted, personalized digests of Python 3 hashlib', () => {
    const row = Uint8Array.from(range(0, 64));
    const salts = [0, 1, 0x01020304, 0];
    expect(hashes([row, row, row, row], salts).slice(0, 3)).toEqual([
      '80d0418048d6c2306b7120181889183b',
      '9e022b068bfa0106bbeec0a4b266d9a7',
      '059570574acaa1f18a6a0acb16e101e6',
    ]);
  });

  it('is the reference on any rows and salts', () =>
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 9 }), fc.string(), (groups, seed) => {
        const rng = seededRng(seed);
        const rows = range(0, 4 * groups).map(() => rng(64));
        const salts = [...new Uint32Array(rng(16 * groups).buffer)];
        expect(hashes(rows, salts)).toEqual(
          rows.map((row, i) => {
            const salt = new Uint8Array(8);
            new DataView(salt.buffer).setUint32(0, salts[i]!, true);
            return toHex(blake2s(row, { digestBytes: 16, salt, person: PERSON }));
          }),
        );
      }),
      { numRuns: 20 },
    ));

  it('compresses points as CBC encryption with a zero vector does', () => {
    const points = seededRng('points')(11 * POINT_BYTES);
    const code = codeOf(utf8('s'), 'path', new Uint8Array(16));
    const plain = range(0, 11).map((i) => {
      const cipher = createCipheriv('aes-128-cbc', code.pointKey, new Uint8Array(16));
      const padded = new Uint8Array(48);
      padded.set(points.subarray(POINT_BYTES * i, POINT_BYTES * (i + 1)));
      return cipher.update(padded).subarray(32);
    });
    expect(toHex(compress(code, points))).toBe(toHex(concat(plain)));
  });

  it('masks by a row of four blocks', () => {
    const rng = seededRng('select');
    const [rows, codes, masks] = [rng(64 * 5), rng(64 * 3), rng(64)];
    const at = Uint32Array.of(4, 0, 4);
    const out = kkrtKernel.run((arena) => {
      const dst = arena.alloc(64 * 3);
      const [r, c] = [arena.put(rows), arena.put(codes)];
      const indices = arena.put(new Uint8Array(at.buffer));
      kkrtKernel.fn.selectRows(dst, r, 80, c, 48, arena.put(masks), indices, 3);
      return arena.get(dst, 64 * 3);
    });
    const plain = range(0, 192).map((k) => {
      const [g, i, b] = [Math.floor(k / 48), Math.floor((k % 48) / 16), k % 16];
      return rows[80 * g + 16 * at[i]! + b]! ^ (codes[k]! & masks[16 * g + b]!);
    });
    expect([...out]).toEqual(plain);
  });
});

/** Hex digests of rows, laid out in planes. */
function hashes(rows: readonly Uint8Array[], salts: readonly number[]): string[] {
  const n = rows.length;
  const planes = new Uint8Array(64 * n);
  rows.forEach((row, i) => {
    for (let g = 0; g < 4; g++) planes.set(row.subarray(16 * g, 16 * g + 16), 16 * (g * n + i));
  });
  const digests = kkrtKernel.run((arena) => {
    const [out, scratch] = [arena.alloc(16 * n), arena.alloc(HASH_SCRATCH_BYTES)];
    const at = arena.put(planes);
    const numbers = arena.put(new Uint8Array(Uint32Array.from(salts).buffer));
    kkrtKernel.fn.hashRows(out, at, 16 * n, numbers, arena.put(blake2sState(PERSON)), n, scratch);
    return arena.get(out, 16 * n);
  });
  return rows.map((_, i) => toHex(digests.subarray(16 * i, 16 * i + 16)));
}

/** The test data of appendix E: bytes of a Fibonacci sequence. */
function sequence(bytes: number, seed: number): Uint8Array {
  let a = Math.imul(0xdead4bad, seed);
  let b = 1;
  return Uint8Array.from({ length: bytes }, () => {
    [a, b] = [b, (a + b) | 0];
    return b >>> 24;
  });
}
