// Bytes to limbs and back, one element (lane) at a time. `fe` below is the address of limb 0 of
// the lane: limb i is the 32-bit word at fe + 16 i.

const LOW26: u64 = 0x3ffffff;
const LOW25: u64 = 0x1ffffff;
const LOW51: u64 = 0x7ffffffffffff;

/** `bits` bits of a 384-bit little-endian number of six words, from bit `at`. */
@inline
function bitsAt(words: usize, at: usize, mask: u64): u32 {
  const word = words + ((at >> 6) << 3);
  const shift = at & 63;
  // The second shift is split so that a shift by 64 is 0.
  const value = (load<u64>(word) >> shift) | ((load<u64>(word, 8) << 1) << (63 - shift));
  return <u32>(value & mask);
}

/** Bit at which limb i starts: ceil(25.5 i). */
@inline
function limbBit(i: usize): usize {
  return (51 * i + 1) >> 1;
}

@inline
function limbMask(i: usize): u64 {
  return i & 1 ? LOW25 : LOW26;
}

/**
 * Reads 48 big-endian bytes modulo p (RFC 9380, section 5.2, L = 48). The number is
 * low + 2^255 high with high below 2^129, so low + 19 high: limbs below 2^31 before carrying.
 * `words` is 56 bytes of scratch.
 */
export function readWide(fe: usize, source: usize, words: usize): void {
  for (let i: usize = 0; i < 6; i++) {
    store<u64>(words + 8 * i, bswap(load<u64>(source + 40 - 8 * i)));
  }
  store<u64>(words + 48, 0);
  let over: u64 = 0;
  for (let i: usize = 0; i < 10; i++) {
    const mask = limbMask(i);
    let limb: u64 = bitsAt(words, limbBit(i), mask);
    if (i < 6) limb += 19 * <u64>bitsAt(words, 255 + limbBit(i), mask);
    limb += over;
    store<u32>(fe + 16 * i, <u32>(limb & mask));
    over = limb >> (i & 1 ? 25 : 26);
  }
  store<u32>(fe, <u32>(load<u32>(fe) + 19 * over));
}

/** Reads 32 little-endian bytes, dropping bit 255. `words` is 56 bytes of scratch. */
export function readPoint(fe: usize, source: usize, words: usize): void {
  memory.copy(words, source, 32);
  store<u64>(words + 32, 0);
  for (let i: usize = 0; i < 10; i++) {
    store<u32>(fe + 16 * i, bitsAt(words, limbBit(i), limbMask(i)));
  }
}

/** Writes the canonical 32 bytes, the value below p, of a reduced element. */
export function write(out: usize, fe: usize): void {
  // Five 51-bit limbs. The first round leaves at most one carry, the second takes it: if it runs
  // all the way round, limb 0 is small and absorbs the 19, so the value ends below 2^255.
  let a0 = pair(fe, 0), a1 = pair(fe, 1), a2 = pair(fe, 2), a3 = pair(fe, 3), a4 = pair(fe, 4);
  for (let round = 0; round < 2; round++) {
    a1 += a0 >> 51; a0 &= LOW51;
    a2 += a1 >> 51; a1 &= LOW51;
    a3 += a2 >> 51; a2 &= LOW51;
    a4 += a3 >> 51; a3 &= LOW51;
    a0 += 19 * (a4 >> 51); a4 &= LOW51;
  }
  // q = 1 exactly when the value is at least p: adding 19 then carries out of bit 255.
  let q = (a0 + 19) >> 51;
  q = (a1 + q) >> 51;
  q = (a2 + q) >> 51;
  q = (a3 + q) >> 51;
  q = (a4 + q) >> 51;
  a0 += 19 * q;
  a1 += a0 >> 51; a0 &= LOW51;
  a2 += a1 >> 51; a1 &= LOW51;
  a3 += a2 >> 51; a2 &= LOW51;
  a4 += a3 >> 51; a3 &= LOW51;
  a4 &= LOW51;
  store<u64>(out, a0 | (a1 << 51));
  store<u64>(out + 8, (a1 >> 13) | (a2 << 38));
  store<u64>(out + 16, (a2 >> 26) | (a3 << 25));
  store<u64>(out + 24, (a3 >> 39) | (a4 << 12));
}

@inline
function pair(fe: usize, i: usize): u64 {
  return <u64>load<u32>(fe + 32 * i) + (<u64>load<u32>(fe + 32 * i + 16) << 26);
}

/** 1 when 32 little-endian bytes are below p, bit 255 included; 0 otherwise. */
export function isCanonical(source: usize): u32 {
  // source - p borrows out of 256 bits exactly when source is below p.
  const w0 = load<u64>(source), w1 = load<u64>(source, 8);
  const w2 = load<u64>(source, 16), w3 = load<u64>(source, 24);
  let borrow: u64 = u64(w0 < 0xffffffffffffffed);
  borrow = u64(w1 < 0xffffffffffffffff) | (u64(w1 == 0xffffffffffffffff) & borrow);
  borrow = u64(w2 < 0xffffffffffffffff) | (u64(w2 == 0xffffffffffffffff) & borrow);
  borrow = u64(w3 < 0x7fffffffffffffff) | (u64(w3 == 0x7fffffffffffffff) & borrow);
  return <u32>borrow;
}

/** 0xffffffff when a reduced element is 1, else 0. `bytes` is 32 bytes of scratch. */
export function oneMask(fe: usize, bytes: usize): u32 {
  write(bytes, fe);
  const rest =
    (load<u64>(bytes) ^ 1) | load<u64>(bytes, 8) | load<u64>(bytes, 16) | load<u64>(bytes, 24);
  return 0 - u32(rest == 0);
}
