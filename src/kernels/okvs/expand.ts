import { createCipheriv } from 'node:crypto';

/** Bytes of a key, of an AES block, of the seed that fixes all rows and pads. */
export const BLOCK_BYTES = 16;

/** LOCAL. Keys per bulk AES call: 4,096 keys of four blocks are 256 KiB. */
export const EXPAND_KEYS = 4_096;

/** One slice of keys, permuted: what the kernel turns into rows and pads. */
export interface ExpandedKeys {
  /** pi(K) of each key, the feed-forward. */
  readonly inner: Uint8Array;
  /** pi(pi(K) xor i) for i = 0 … blocks-1, key after key. */
  readonly outer: Uint8Array;
}

/**
 * Opens the key expansion of one seed: H(K, i) = pi(pi(K) xor i) xor pi(K), with pi = AES-128 under
 * the public seed. Only both permutations are done here; the kernel adds the feed-forward.
 *
 * Model: pi is an ideal permutation; H is then a tweakable circular correlation-robust hash
 * (Guo, Katz, Wang, Yu, IEEE S&P 2020, section 7.4, "TMMO"), so that for a uniform K all blocks are
 * pseudorandom and independent, to somebody who may compute pi.
 *
 * @param seed - 16 bytes. @param blocks - blocks per key, below 256.
 * @returns a function from n·16 bytes of keys to their permuted blocks.
 */
export function openExpansion(
  seed: Uint8Array,
  blocks: number,
): (keys: Uint8Array) => ExpandedKeys {
  const cipher = createCipheriv('aes-128-ecb', seed, null).setAutoPadding(false);
  return (keys) => {
    const inner = new Uint8Array(cipher.update(keys));
    const from = new Uint32Array(inner.buffer, inner.byteOffset, inner.length >> 2);
    const tweaked = new Uint32Array(from.length * blocks);
    let at = 0;
    for (let k = 0; k < from.length; k += 4) {
      for (let i = 0; i < blocks; i++) {
        tweaked[at] = from[k]! ^ i;
        tweaked[at + 1] = from[k + 1]!;
        tweaked[at + 2] = from[k + 2]!;
        tweaked[at + 3] = from[k + 3]!;
        at += 4;
      }
    }
    return { inner, outer: cipher.update(new Uint8Array(tweaked.buffer)) };
  };
}
