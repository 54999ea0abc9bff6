// Hamming distances modulo 64 from their shared summands. Addresses come from the caller's arena; rows
// are multiples of 128, a residue is a byte, bits are packed LSB first. No branch and no address depends
// on a secret.

/** First free byte of linear memory; the TypeScript side allocates from here. */
export const heapBase: usize = __heap_base;

/** 16 packed bits to 16 bytes of 0 or 255. */
// @ts-ignore: decorator
@inline
function spread(bits: usize): v128 {
  const each = i8x16(1, 2, 4, 8, 16, 32, 64, -128, 1, 2, 4, 8, 16, 32, 64, -128);
  const pair = v128.load16_splat(bits);
  const bytes = v128.shuffle<u8>(pair, pair, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1);
  return i8x16.eq(v128.and(bytes, each), each);
}

/**
 * sum[r] = the sum over k of shares[k·rows + r] + bit k·rows + r, modulo 64; or minus that. Bytes wrap
 * modulo 256, a multiple of 64, in between.
 */
export function sumBits(
  sum: usize, shares: usize, bits: usize, rows: usize, count: usize, negated: i32,
): void {
  for (let k: usize = 0; k < count; k++) {
    for (let at: usize = 0; at < rows; at += 16) {
      const share = v128.load(shares + at);
      const added = i8x16.sub(i8x16.add(v128.load(sum + at), share), spread(bits + (at >> 3)));
      v128.store(sum + at, added);
    }
    shares += rows;
    bits += rows >> 3;
  }
  const sign = i8x16.splat(<i8>-negated);
  for (let at: usize = 0; at < rows; at += 16) {
    const x = v128.xor(v128.load(sum + at), sign);
    v128.store(sum + at, v128.and(i8x16.sub(x, sign), i8x16.splat(63)));
  }
}

/** dst[i] = -2 times bit i, modulo 64: 62 or 0. */
export function minusTwiceTo(dst: usize, bits: usize, n: usize): void {
  for (let at: usize = 0; at < n; at += 16) {
    v128.store(dst + at, v128.and(spread(bits + (at >> 3)), i8x16.splat(62)));
  }
}

/** Bit i of every residue to wire i, `wireBytes` apart, for six wires. */
export function wiresTo(wires: usize, wireBytes: usize, residues: usize, rows: usize): void {
  for (let i: usize = 0; i < 6; i++) {
    const left = 7 - <i32>i;
    for (let at: usize = 0; at < rows; at += 16) {
      const bits = i8x16.bitmask(i8x16.shl(v128.load(residues + at), left));
      store<u16>(wires + (at >> 3), <u16>bits);
    }
    wires += wireBytes;
  }
}
