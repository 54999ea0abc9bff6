import { createCipheriv, createHash } from 'node:crypto';
import type { Rng } from '../../src/core/rng.ts';

/** A reproducible byte stream for pinned-bytes tests: AES-256-CTR keyed by the seed's SHA-256. */
export function seededRng(seed: string): Rng {
  const key = createHash('sha256').update(seed).digest();
  const cipher = createCipheriv('aes-256-ctr', key, new Uint8Array(16));
  return (bytes) => new Uint8Array(cipher.update(new Uint8Array(bytes)));
}
