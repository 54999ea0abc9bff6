// Bulk steps of the KKRT OPRF. A row of 512 bits is kept as four blocks of 16 bytes in four planes,
// block g of row i at plane g + 16*i, planes `step` bytes apart. Addresses come from the caller's
// arena. No branch and no address depends on a secret, but for `selectRows`: rows are its argument.

import { compressLast } from './blake2s';

/** First free byte of linear memory; the TypeScript side allocates from here. */
export const heapBase: usize = __heap_base;

/** Bytes of an OPRF point. */
const POINT_BYTES: usize = 33;

/** dst ^= src over `bytes`, a multiple of 16. */
export function xorInto(dst: usize, src: usize, bytes: usize): void {
  const end = dst + bytes;
  while (dst < end) {
    v128.store(dst, v128.xor(v128.load(dst), v128.load(src)));
    dst += 16;
    src += 16;
  }
}

/** dst ^= src & mask over `bytes`, a multiple of 16; the mask is one block. */
export function xorMasked(dst: usize, src: usize, mask: usize, bytes: usize): void {
  const keep = v128.load(mask);
  const end = dst + bytes;
  while (dst < end) {
    v128.store(dst, v128.xor(v128.load(dst), v128.and(v128.load(src), keep)));
    dst += 16;
    src += 16;
  }
}

/**
 * dst[i] ^= block `part` of point i: bytes 0 to 15, 16 to 31, or byte 32 followed by zeros. One
 * step of a CBC-MAC over n points of 33 bytes.
 */
export function absorb(dst: usize, points: usize, n: usize, part: usize): void {
  points += 16 * part;
  const end = dst + 16 * n;
  if (part < 2) {
    while (dst < end) {
      v128.store(dst, v128.xor(v128.load(dst), v128.load(points)));
      dst += 16;
      points += POINT_BYTES;
    }
    return;
  }
  while (dst < end) {
    store<u8>(dst, load<u8>(dst) ^ load<u8>(points));
    dst += 16;
    points += POINT_BYTES;
  }
}

/** dst[i] = rows[at[i]] ^ (codes[i] & masks) for n rows of four planes; a mask is four blocks. */
export function selectRows(
  dst: usize, rows: usize, rowStep: usize, codes: usize, step: usize, masks: usize, at: usize,
  n: usize,
): void {
  for (let g: usize = 0; g < 4; g++) {
    const keep = v128.load(masks + 16 * g);
    for (let i: usize = 0; i < n; i++) {
      const row = v128.load(rows + 16 * <usize>load<u32>(at + 4 * i));
      v128.store(dst + 16 * i, v128.xor(row, v128.and(v128.load(codes + 16 * i), keep)));
    }
    dst += step;
    rows += rowStep;
    codes += step;
  }
}

/** Four rows of four words to four columns; from rows at `src` 16 bytes apart to `dst`. */
// @ts-ignore: decorator
@inline
function turn(dst: usize, src: usize): void {
  const a = v128.load(src), b = v128.load(src, 16), c = v128.load(src, 32), d = v128.load(src, 48);
  const ab = v128.shuffle<u32>(a, b, 0, 4, 1, 5), cd = v128.shuffle<u32>(c, d, 0, 4, 1, 5);
  const ef = v128.shuffle<u32>(a, b, 2, 6, 3, 7), gh = v128.shuffle<u32>(c, d, 2, 6, 3, 7);
  v128.store(dst, v128.shuffle<u64>(ab, cd, 0, 2));
  v128.store(dst, v128.shuffle<u64>(ab, cd, 1, 3), 16);
  v128.store(dst, v128.shuffle<u64>(ef, gh, 0, 2), 32);
  v128.store(dst, v128.shuffle<u64>(ef, gh, 1, 3), 48);
}

/**
 * out[i] = the first 16 bytes of BLAKE2s of row i, from the initial state of eight words at `state`
 * with the 32-bit number at `salts + 4*i` in its salt. n is a multiple of 4; `scratch` is 384 bytes.
 */
export function hashRows(
  out: usize, rows: usize, step: usize, salts: usize, state: usize, n: usize, scratch: usize,
): void {
  const m = scratch + 128;
  const end = out + 16 * n;
  while (out < end) {
    for (let k: usize = 0; k < 8; k++) {
      v128.store(scratch + 16 * k, v128.load32_splat(state + 4 * k));
    }
    v128.store(scratch, v128.xor(v128.load(scratch, 64), v128.load(salts)), 64);
    for (let g: usize = 0; g < 4; g++) turn(m + 64 * g, rows + g * step);
    compressLast(scratch, m);
    turn(out, scratch);
    out += 64;
    rows += 64;
    salts += 16;
  }
}
