// Bulk steps of OT extension and of the correlations made from it. Addresses come from the caller's
// arena; every array is a whole number of 16-byte lanes and every count of OTs a multiple of 128,
// so no loop has a tail. No branch and no address depends on a secret.

/** First free byte of linear memory; the TypeScript side allocates from here. */
export const heapBase: usize = __heap_base;

/** dst ^= src over `bytes`. */
export function xorInto(dst: usize, src: usize, bytes: usize): void {
  const end = dst + bytes;
  while (dst < end) {
    v128.store(dst, v128.xor(v128.load(dst), v128.load(src)));
    dst += 16;
    src += 16;
  }
}

/** dst ^= bit * src over `bytes`, bit 0 or 1. */
export function xorMasked(dst: usize, src: usize, bytes: usize, bit: i32): void {
  const mask = i32x4.splat(-bit);
  const end = dst + bytes;
  while (dst < end) {
    v128.store(dst, v128.xor(v128.load(dst), v128.and(v128.load(src), mask)));
    dst += 16;
    src += 16;
  }
}

/** Small-field VOLE fold for k = 1: u = r_0 ^ r_1, the one row = r_1. Layout as fold2. */
export function fold1(u: usize, rows: usize, leaves: usize, stride: usize, bytes: usize): void {
  for (let at: usize = 0; at < bytes; at += 16) {
    const r1 = v128.load(leaves + at + stride);
    v128.store(rows + at, r1);
    v128.store(u + at, v128.xor(v128.load(leaves + at), r1));
  }
}

/**
 * Small-field VOLE fold for k = 2: 4 leaf streams r_x of `bytes` at leaves + x*stride.
 * u = XOR of all r_x; row b (at rows + b*stride) = XOR of the r_x whose index x has bit b.
 */
export function fold2(u: usize, rows: usize, leaves: usize, stride: usize, bytes: usize): void {
  for (let at: usize = 0; at < bytes; at += 16) {
    const p = leaves + at;
    const r1 = v128.load(p + stride);
    const r3 = v128.load(p + 3 * stride);
    const low = v128.xor(v128.load(p), r1);
    const high = v128.xor(v128.load(p + 2 * stride), r3);
    v128.store(rows + at, v128.xor(r1, r3));
    v128.store(rows + stride + at, high);
    v128.store(u + at, v128.xor(low, high));
  }
}

/** As fold2 for k = 4: 16 leaf streams, 4 rows. Halves the list once per bit, lowest bit first. */
export function fold4(u: usize, rows: usize, leaves: usize, stride: usize, bytes: usize): void {
  const row1 = rows + stride;
  const row2 = row1 + stride;
  const row3 = row2 + stride;
  for (let at: usize = 0; at < bytes; at += 16) {
    let p = leaves + at;
    let odd = v128.load(p + stride);
    let bit0 = odd;
    const a0 = v128.xor(v128.load(p), odd);
    p += 2 * stride;
    odd = v128.load(p + stride);
    bit0 = v128.xor(bit0, odd);
    const a1 = v128.xor(v128.load(p), odd);
    p += 2 * stride;
    odd = v128.load(p + stride);
    bit0 = v128.xor(bit0, odd);
    const a2 = v128.xor(v128.load(p), odd);
    p += 2 * stride;
    odd = v128.load(p + stride);
    bit0 = v128.xor(bit0, odd);
    const a3 = v128.xor(v128.load(p), odd);
    p += 2 * stride;
    odd = v128.load(p + stride);
    bit0 = v128.xor(bit0, odd);
    const a4 = v128.xor(v128.load(p), odd);
    p += 2 * stride;
    odd = v128.load(p + stride);
    bit0 = v128.xor(bit0, odd);
    const a5 = v128.xor(v128.load(p), odd);
    p += 2 * stride;
    odd = v128.load(p + stride);
    bit0 = v128.xor(bit0, odd);
    const a6 = v128.xor(v128.load(p), odd);
    p += 2 * stride;
    odd = v128.load(p + stride);
    bit0 = v128.xor(bit0, odd);
    const a7 = v128.xor(v128.load(p), odd);
    v128.store(rows + at, bit0);
    v128.store(row1 + at, v128.xor(v128.xor(a1, a3), v128.xor(a5, a7)));
    const b1 = v128.xor(a2, a3);
    const b3 = v128.xor(a6, a7);
    v128.store(row2 + at, v128.xor(b1, b3));
    const c1 = v128.xor(v128.xor(a4, a5), b3);
    v128.store(row3 + at, c1);
    v128.store(u + at, v128.xor(v128.xor(v128.xor(a0, a1), b1), c1));
  }
}

/** One perfect shuffle of 16 lanes: lanes i and i + 8 are interleaved bytewise into 2i, 2i + 1. */
// @ts-ignore: decorator
@inline
function shuffleRound(dst: usize, src: usize, stride: usize): void {
  for (let i: usize = 0; i < 8; i++) {
    const a = v128.load(src + i * stride);
    const b = v128.load(src + (i + 8) * stride);
    v128.store(
      dst + 32 * i,
      v128.shuffle<u8>(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23),
    );
    v128.store(
      dst + 32 * i + 16,
      v128.shuffle<u8>(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31),
    );
  }
}

/**
 * Transposes 128 rows of 8*bytes bits (row r at src + r*stride) into 8*bytes rows of 128 bits.
 * Sixteen rows at a time: four perfect shuffles transpose a 16x16 byte tile, then the sign bits of
 * one byte column are one 16-bit piece of an output row. `scratch` is 512 bytes.
 */
export function transpose128(
  dst: usize,
  src: usize,
  stride: usize,
  bytes: usize,
  scratch: usize,
): void {
  const other = scratch + 256;
  for (let at: usize = 0; at < bytes; at += 16) {
    for (let group: usize = 0; group < 8; group++) {
      shuffleRound(scratch, src + 16 * group * stride + at, stride);
      shuffleRound(other, scratch, 16);
      shuffleRound(scratch, other, 16);
      shuffleRound(other, scratch, 16);
      let out = dst + 128 * at + 2 * group;
      for (let column: usize = 0; column < 16; column++) {
        let x = v128.load(other + 16 * column);
        store<u16>(out, <u16>i8x16.bitmask(x), 112);
        x = i8x16.add(x, x);
        store<u16>(out, <u16>i8x16.bitmask(x), 96);
        x = i8x16.add(x, x);
        store<u16>(out, <u16>i8x16.bitmask(x), 80);
        x = i8x16.add(x, x);
        store<u16>(out, <u16>i8x16.bitmask(x), 64);
        x = i8x16.add(x, x);
        store<u16>(out, <u16>i8x16.bitmask(x), 48);
        x = i8x16.add(x, x);
        store<u16>(out, <u16>i8x16.bitmask(x), 32);
        x = i8x16.add(x, x);
        store<u16>(out, <u16>i8x16.bitmask(x), 16);
        x = i8x16.add(x, x);
        store<u16>(out, <u16>i8x16.bitmask(x));
        out += 128;
      }
    }
  }
}

/** dst[i] = sigma(src[i] ^ offset), sigma(L || R) = (L ^ R) || L on 64-bit halves. */
export function sigma(dst: usize, src: usize, n: usize, offset: usize): void {
  const add = v128.load(offset);
  const end = dst + 16 * n;
  const low = i64x2(-1, 0);
  while (dst < end) {
    const x = v128.xor(v128.load(src), add);
    const swapped = v128.shuffle<u64>(x, x, 1, 0);
    v128.store(dst, v128.xor(swapped, v128.and(x, low)));
    dst += 16;
    src += 16;
  }
}

/** dst[i] = src[i] ^ offset. */
export function xorOffset(dst: usize, src: usize, n: usize, offset: usize): void {
  const add = v128.load(offset);
  const end = dst + 16 * n;
  while (dst < end) {
    v128.store(dst, v128.xor(v128.load(src), add));
    dst += 16;
    src += 16;
  }
}

/** dst[i*blocks + j] = src[i] ^ (i*blocks + j) as a 128-bit little-endian tweak. */
export function tweak(dst: usize, src: usize, n: usize, blocks: usize): void {
  let number: i64 = 0;
  for (let i: usize = 0; i < n; i++) {
    const x = v128.load(src);
    for (let j: usize = 0; j < blocks; j++) {
      v128.store(dst, v128.xor(x, i64x2.replace_lane(i64x2.splat(0), 0, number)));
      number++;
      dst += 16;
    }
    src += 16;
  }
}

/** dst[i*blocks + j] ^= src[i]. */
export function xorRepeated(dst: usize, src: usize, n: usize, blocks: usize): void {
  for (let i: usize = 0; i < n; i++) {
    const x = v128.load(src);
    for (let j: usize = 0; j < blocks; j++) {
      v128.store(dst, v128.xor(v128.load(dst), x));
      dst += 16;
    }
    src += 16;
  }
}

/** Packs the lowest bit of each 16-byte key, LSB first. */
export function packLsb(dst: usize, keys: usize, n: usize): void {
  const end = dst + (n >> 3);
  while (dst < end) {
    const low = (load<u8>(keys) & 1) | ((load<u8>(keys, 16) & 1) << 1);
    const mid = ((load<u8>(keys, 32) & 1) << 2) | ((load<u8>(keys, 48) & 1) << 3);
    const high = ((load<u8>(keys, 64) & 1) << 4) | ((load<u8>(keys, 80) & 1) << 5);
    const top = ((load<u8>(keys, 96) & 1) << 6) | ((load<u8>(keys, 112) & 1) << 7);
    store<u8>(dst, low | mid | high | top);
    keys += 128;
    dst += 1;
  }
}

/** z = k0 - k1 + delta and own = -k0, over `lanes` 64-bit words of each `keyBytes`-long key. */
export function ring64Send(
  z: usize,
  own: usize,
  k0: usize,
  k1: usize,
  delta: usize,
  n: usize,
  lanes: usize,
  keyBytes: usize,
): void {
  for (let i: usize = 0; i < n; i++) {
    for (let at: usize = 0; at < 8 * lanes; at += 8) {
      const mask = load<i64>(k0 + at);
      store<i64>(z, mask - load<i64>(k1 + at) + load<i64>(delta));
      store<i64>(own, -mask);
      z += 8;
      own += 8;
      delta += 8;
    }
    k0 += keyBytes;
    k1 += keyBytes;
  }
}

/** dst = the first `lanes` 64-bit words of each key. */
export function ring64Take(dst: usize, keys: usize, n: usize, lanes: usize, keyBytes: usize): void {
  for (let i: usize = 0; i < n; i++) {
    for (let at: usize = 0; at < 8 * lanes; at += 8) {
      store<i64>(dst, load<i64>(keys + at));
      dst += 8;
    }
    keys += keyBytes;
  }
}

/** dst += c * z over `lanes` 64-bit words per OT, c packed LSB first. */
export function ring64Add(dst: usize, z: usize, choices: usize, n: usize, lanes: usize): void {
  for (let i: usize = 0; i < n; i++) {
    const mask = -(<i64>((load<u8>(choices + (i >> 3)) >> <u8>(i & 7)) & 1));
    for (let j: usize = 0; j < lanes; j++) {
      store<i64>(dst, load<i64>(dst) + (load<i64>(z) & mask));
      dst += 8;
      z += 8;
    }
  }
}

/** Six-bit words: z = k0 - k1 + delta packed four per three bytes, own = -k0 one per byte. */
export function ring6Send(
  z: usize,
  own: usize,
  k0: usize,
  k1: usize,
  delta: usize,
  n: usize,
): void {
  for (let i: usize = 0; i < n; i += 4) {
    let word: u32 = 0;
    for (let j: usize = 0; j < 4; j++) {
      const mask = <u32>load<u8>(k0 + 16 * j);
      const masked = mask - load<u8>(k1 + 16 * j) + load<u8>(delta + j);
      word |= (masked & 63) << (6 * <u32>j);
      store<u8>(own + j, (0 - mask) & 63);
    }
    store<u16>(z, <u16>word);
    store<u8>(z, <u8>(word >> 16), 2);
    z += 3;
    own += 4;
    delta += 4;
    k0 += 64;
    k1 += 64;
  }
}

/** dst = the low six bits of each key, one per byte. */
export function ring6Take(dst: usize, keys: usize, n: usize): void {
  for (let i: usize = 0; i < n; i++) store<u8>(dst + i, load<u8>(keys + 16 * i) & 63);
}

/** dst += c * z modulo 64, z packed four per three bytes. */
export function ring6Add(dst: usize, z: usize, choices: usize, n: usize): void {
  for (let i: usize = 0; i < n; i += 4) {
    const word = <u32>load<u16>(z) | (<u32>load<u8>(z, 2) << 16);
    const bits = <u32>load<u8>(choices + (i >> 3)) >> <u32>(i & 7);
    for (let j: u32 = 0; j < 4; j++) {
      const mask = 0 - ((bits >> j) & 1);
      store<u8>(dst, (<u32>load<u8>(dst) + ((word >> (6 * j)) & mask)) & 63);
      dst++;
    }
    z += 3;
  }
}
