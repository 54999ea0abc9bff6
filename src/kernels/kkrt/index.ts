import { loadKernel, type Kernel } from '../load.ts';

/**
 * What `assembly/index.ts` exports; arguments are addresses and counts. A row of 512 bits lies in
 * four planes of 16-byte blocks. Each comment there says what the function computes.
 */
export interface KkrtExports {
  xorInto(dst: number, src: number, bytes: number): void;
  xorMasked(dst: number, src: number, mask: number, bytes: number): void;
  absorb(dst: number, points: number, n: number, part: number): void;
  selectRows(
    dst: number,
    rows: number,
    rowStep: number,
    codes: number,
    step: number,
    masks: number,
    at: number,
    n: number,
  ): void;
  hashRows(
    out: number,
    rows: number,
    step: number,
    salts: number,
    state: number,
    n: number,
    scratch: number,
  ): void;
}

/** Bytes of scratch that `hashRows` asks for. */
export const HASH_SCRATCH_BYTES = 384;

export const kkrtKernel: Kernel<KkrtExports> = loadKernel<KkrtExports>('kkrt', [
  'xorInto',
  'xorMasked',
  'absorb',
  'selectRows',
  'hashRows',
]);

const IV = [
  0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
] as const;

/**
 * Initial state of BLAKE2s with a digest of 16 bytes, no key, a zero salt and this personalization
 * (RFC 7693, section 2.8; salt and personalization: the BLAKE2 document, section 2.8).
 * @param person - 8 bytes. @returns eight little-endian words.
 */
export function blake2sState(person: Uint8Array): Uint8Array {
  const parameters = new Uint32Array(8);
  // Digest length 16, key length 0, fan-out 1, depth 1.
  parameters[0] = 0x0101_0010;
  const bytes = new Uint8Array(parameters.buffer);
  bytes.set(person, 24);
  for (let i = 0; i < 8; i++) parameters[i]! ^= IV[i]!;
  return bytes;
}
