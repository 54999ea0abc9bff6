// Bytes to limbs and back, one element at a time. `fe` below is the address of limbs 0 and 1 of the
// element: its lane of value 0 of a vector.
import { FE } from './field';

const LOW52: u64 = 0xfffffffffffff;
const LOW47: u64 = 0x7fffffffffff;

/** Element vectors that hold `n` elements. */
@inline
export function vectors(n: usize): usize {
  return (n + 3) >> 2;
}

/** Address of limbs 0 and 1 of element i. */
@inline
export function lane(a: usize, i: usize): usize {
  return a + (i >> 2) * FE + ((i & 3) << 2);
}

/** 13 bits of a little-endian number of 64-bit words, from bit `at`; reads the word after, too. */
@inline
function bitsAt(words: usize, at: usize): i32 {
  const word = words + ((at >> 6) << 3);
  const shift = at & 63;
  // The second shift is split so that a shift by 64 is 0.
  const value = (load<u64>(word) >> shift) | ((load<u64>(word, 8) << 1) << (63 - shift));
  return <i32>(value & 0x1fff);
}

/** Address of limb i. */
@inline
function limb(fe: usize, i: usize): usize {
  return fe + ((i >> 1) << 4) + ((i & 1) << 1);
}

/**
 * Reads low + 19 high, where low is bits 0 to 254 of `words` and high the `highBits` bits from 255
 * on, to a reduced element. Bits above those of high are zero. Limb 19 has eight bits of its own.
 */
@inline
function read(fe: usize, words: usize, highBits: usize): void {
  let over: i32 = 0;
  for (let i: usize = 0; i < 20; i++) {
    let value = bitsAt(words, i * 13) & (i == 19 ? 0xff : 0x1fff);
    if (i * 13 < highBits) value += 19 * bitsAt(words, i * 13 + 255);
    value += over;
    over = (value + 0x1000) >> 13;
    store<i16>(limb(fe, i), <i16>(value - (over << 13)));
  }
}

/** Reads 48 big-endian bytes modulo p (RFC 9380, section 5.2, L = 48). `words` is 56 bytes. */
export function readWide(fe: usize, source: usize, words: usize): void {
  for (let i: usize = 0; i < 6; i++) {
    store<u64>(words + 8 * i, bswap(load<u64>(source + 40 - 8 * i)));
  }
  store<u64>(words + 48, 0);
  read(fe, words, 129);
}

/** Reads 32 little-endian bytes, dropping bit 255. `words` is 40 bytes of scratch. */
export function readPoint(fe: usize, source: usize, words: usize): void {
  memory.copy(words, source, 32);
  store<u64>(words + 32, 0);
  read(fe, words, 0);
}

/** Limbs 4j to 4j + 3 as one number. */
@inline
function four(fe: usize, j: usize): i64 {
  const at = fe + 32 * j;
  const low = <i64>load<i16>(at) + (<i64>load<i16>(at, 2) << 13);
  return low + (<i64>load<i16>(at, 16) << 26) + (<i64>load<i16>(at, 18) << 39);
}

/** Writes the canonical 32 bytes, the value below p, of a sum. */
export function write(out: usize, fe: usize): void {
  // Five words of radix 2^52, plus 64 p = 2^261 - 1216, which is more than a sum can be below 0.
  let s = four(fe, 0) - 1216;
  const a0 = <u64>s & LOW52;
  s = four(fe, 1) + (s >> 52);
  const a1 = <u64>s & LOW52;
  s = four(fe, 2) + (s >> 52);
  const a2 = <u64>s & LOW52;
  s = four(fe, 3) + (s >> 52);
  const a3 = <u64>s & LOW52;
  const a4 = <u64>(four(fe, 4) + (s >> 52) + (1 << 53));
  writeWords(out, a0, a1, a2, a3, a4);
}

/** The canonical bytes of five words of radix 2^52, the last below 2^55. */
@inline
function writeWords(out: usize, a0: u64, a1: u64, a2: u64, a3: u64, a4: u64): void {
  // Bits from 255 on come back times 19. After the first round the value is below 2^255 + 2^13; if
  // the second finds a bit there, the rest is small and absorbs the 19.
  for (let round = 0; round < 2; round++) {
    a0 += 19 * (a4 >> 47); a4 &= LOW47;
    a1 += a0 >> 52; a0 &= LOW52;
    a2 += a1 >> 52; a1 &= LOW52;
    a3 += a2 >> 52; a2 &= LOW52;
    a4 += a3 >> 52; a3 &= LOW52;
  }
  // q = 1 exactly when the value is at least p: adding 19 then carries out of bit 255.
  let q = (a0 + 19) >> 52;
  q = (a1 + q) >> 52;
  q = (a2 + q) >> 52;
  q = (a3 + q) >> 52;
  q = (a4 + q) >> 47;
  a0 += 19 * q;
  a1 += a0 >> 52; a0 &= LOW52;
  a2 += a1 >> 52; a1 &= LOW52;
  a3 += a2 >> 52; a2 &= LOW52;
  a4 += a3 >> 52; a3 &= LOW52;
  a4 &= LOW47;
  store<u64>(out, a0 | (a1 << 52));
  store<u64>(out + 8, (a1 >> 12) | (a2 << 40));
  store<u64>(out + 16, (a2 >> 24) | (a3 << 28));
  store<u64>(out + 24, (a3 >> 36) | (a4 << 16));
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

/** Writes to `masks`, 16 bytes, all ones for elements of `vector` that are `value`, else zero. */
export function masksOf(masks: usize, vector: usize, value: u64): void {
  const bytes = masks + 16;
  for (let k: usize = 0; k < 16; k += 4) {
    write(bytes, vector + k);
    const low = (load<u64>(bytes) ^ value) | load<u64>(bytes, 8);
    const rest = low | load<u64>(bytes, 16) | load<u64>(bytes, 24);
    store<u32>(masks + k, 0 - u32(rest == 0));
  }
}
