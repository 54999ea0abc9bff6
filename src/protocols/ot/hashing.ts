import { createCipheriv } from 'node:crypto';
import { expect } from '../../core/errors.ts';
import { otKernel } from '../../kernels/ot/index.ts';
import type { Arena } from '../../kernels/load.ts';
import { hash } from './label.ts';
import { BLOCK_BYTES, BLOCKS_MAX, HASHES_PER_KEY, KAPPA } from './limits.ts';

/**
 * From correlated rows to keys, after Guo, Katz, Wang and Yu, IEEE S&P 2020 (ePrint 2019/074),
 * with pi = AES-128 under a public key:
 *
 *   one block per key:    H(x) = pi(sigma(x)) xor sigma(x)          circular correlation robust
 *   more blocks per key:  H(x, i) = pi(pi(x) xor i) xor pi(x)       TMMO, tweakable
 *
 * The two are never used under one key. The key changes with every span of OTs.
 */

/**
 * OTs hashed under one key: the sender makes two hashes per OT and block.
 * @param blocks - 1 to BLOCKS_MAX.
 */
export function spanOts(blocks: number): number {
  expect(Number.isInteger(blocks) && blocks >= 1 && blocks <= BLOCKS_MAX, 'blocks in range');
  const ots = Math.floor(HASHES_PER_KEY / (2 * blocks));
  return ots - (ots % KAPPA);
}

/** The key of pi for span number `span` of a direction; public to both ends. */
export function spanKey(binding: Uint8Array, span: number): Uint8Array {
  const number = new Uint8Array(8);
  new DataView(number.buffer).setBigUint64(0, BigInt(span));
  return hash('span', [binding, number]).subarray(0, BLOCK_BYTES);
}

/** Where a span's hashes are made; allocated once per chunk. */
export interface HashWork {
  readonly blocks: number;
  readonly inputs: number;
}

export function allocateHash(arena: Arena, span: number, blocks: number): HashWork {
  return { blocks, inputs: arena.alloc(span * BLOCK_BYTES) };
}

/**
 * Writes the keys of `n` rows to `out`: n·blocks·16 bytes of H(row xor offset).
 * @param n - a multiple of 128. @param offset - address of a block: zero, or Delta.
 */
export function hashRows(
  arena: Arena,
  work: HashWork,
  key: Uint8Array,
  out: number,
  rows: number,
  n: number,
  offset: number,
): void {
  const { blocks, inputs } = work;
  const { fn } = otKernel;
  const cipher = createCipheriv('aes-128-ecb', key, null);
  const encrypt = (dst: number, src: number, bytes: number): void => {
    arena.view(dst, bytes).set(cipher.update(arena.view(src, bytes)));
  };
  if (blocks === 1) {
    fn.sigma(inputs, rows, n, offset);
    encrypt(out, inputs, n * BLOCK_BYTES);
    fn.xorInto(out, inputs, n * BLOCK_BYTES);
    return;
  }
  fn.xorOffset(inputs, rows, n, offset);
  encrypt(inputs, inputs, n * BLOCK_BYTES);
  fn.tweak(out, inputs, n, blocks);
  encrypt(out, out, n * blocks * BLOCK_BYTES);
  fn.xorRepeated(out, inputs, n, blocks);
}
