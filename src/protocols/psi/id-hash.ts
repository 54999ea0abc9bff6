import { createCipheriv } from 'node:crypto';
import { expect } from '../../core/errors.ts';
import { ID_BYTES } from './types.ts';

/** LOCAL. Ids hashed by one bulk AES call pair: 64 KiB each. */
export const HASH_IDS = 4_096;

/** 32-bit words of a hash. */
export const HASH_WORDS = 4;

/**
 * AES-128 CBC-MAC of whole 32-byte ids under `key`, a PRF on inputs of this one length (Bellare,
 * Kilian, Rogaway 1994): with a key drawn after the ids are fixed, their hashes are random.
 *
 * @param key - 16 bytes. @returns a function from at most HASH_IDS ids to HASH_WORDS words each.
 */
export function idHash(key: Uint8Array): (ids: Uint8Array) => Uint32Array {
  const cipher = createCipheriv('aes-128-ecb', key, null).setAutoPadding(false);
  return (ids) => {
    expect(ids.length % ID_BYTES === 0, 'whole ids');
    const halves = wordsOf(ids);
    const chain = new Uint32Array(halves.length >> 1);
    for (let i = 0; i < chain.length; i += 4) {
      for (let k = 0; k < 4; k++) chain[i + k] = halves[2 * i + k]!;
    }
    const first = wordsOf(cipher.update(new Uint8Array(chain.buffer)));
    for (let i = 0; i < chain.length; i += 4) {
      for (let k = 0; k < 4; k++) chain[i + k] = first[i + k]! ^ halves[2 * i + 4 + k]!;
    }
    return wordsOf(cipher.update(new Uint8Array(chain.buffer)));
  };
}

/** A copy as little-endian words, so aligned; `slice` would not copy a Buffer. */
export function wordsOf(bytes: Uint8Array): Uint32Array {
  return new Uint32Array(new Uint8Array(bytes).buffer);
}
