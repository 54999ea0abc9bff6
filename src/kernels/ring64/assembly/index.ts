/** First free byte of linear memory; the TypeScript side allocates from here. */
export const heapBase: usize = __heap_base;

// ---- Z_2: the two local halves of a GMW AND -----------------------------------------------

/** dst[0..bytes) = x ^ y; bytes is a multiple of 16. */
export function xorTo(dst: usize, x: usize, y: usize, bytes: usize): void {
  const end = dst + bytes;
  while (dst < end) {
    v128.store(dst, v128.xor(v128.load(x), v128.load(y)));
    dst += 16;
    x += 16;
    y += 16;
  }
}

/**
 * z = c ^ (d & b) ^ (e & (a ^ (d & own))), where d and e are the opened masks and `own` is all
 * ones at the one end that adds d & e.
 */
export function beaverTo(
  z: usize,
  a: usize,
  b: usize,
  c: usize,
  d: usize,
  e: usize,
  adds: i32,
  bytes: usize,
): void {
  const own = i32x4.splat(-adds);
  for (let i: usize = 0; i < bytes; i += 16) {
    const dv = v128.load(d + i);
    const ae = v128.xor(v128.load(a + i), v128.and(dv, own));
    const db = v128.and(dv, v128.load(b + i));
    const ea = v128.and(v128.load(e + i), ae);
    v128.store(z + i, v128.xor(v128.load(c + i), v128.xor(db, ea)));
  }
}

// ---- Z_2^64 vectors -----------------------------------------------------------------------

/** dst = x + y, element by element; bytes is a multiple of 16. */
export function addTo(dst: usize, x: usize, y: usize, bytes: usize): void {
  for (let i: usize = 0; i < bytes; i += 16) {
    v128.store(dst + i, i64x2.add(v128.load(x + i), v128.load(y + i)));
  }
}

/** dst = x - y, element by element; bytes is a multiple of 16. */
export function subTo(dst: usize, x: usize, y: usize, bytes: usize): void {
  for (let i: usize = 0; i < bytes; i += 16) {
    v128.store(dst + i, i64x2.sub(v128.load(x + i), v128.load(y + i)));
  }
}

function maskOf(bits: usize, i: usize): i64 {
  return -(((load<u8>(bits + (i >> 3)) >> (<u8>(i & 7))) & 1) as i64);
}

/** dst[i * step] = bit i ? -src[i] : src[i], `step` in bytes. */
export function flipTo(dst: usize, step: usize, src: usize, bits: usize, n: usize): void {
  for (let i: usize = 0; i < n; i++) {
    const m = maskOf(bits, i);
    store<i64>(dst, (load<i64>(src) ^ m) - m);
    dst += step;
    src += 8;
  }
}

/** dst[i * step] = bit i ? -1 : 1. */
export function flipOneTo(dst: usize, step: usize, bits: usize, n: usize): void {
  for (let i: usize = 0; i < n; i++) {
    store<i64>(dst, maskOf(bits, i) | 1);
    dst += step;
  }
}

/** dst[i] += bit i ? src[i] : 0. */
export function addSelected(dst: usize, src: usize, bits: usize, n: usize): void {
  for (let i: usize = 0; i < n; i++) {
    store<i64>(dst, load<i64>(dst) + (load<i64>(src) & maskOf(bits, i)));
    dst += 8;
    src += 8;
  }
}

/** dst[i] += bit i. */
export function addBits(dst: usize, bits: usize, n: usize): void {
  for (let i: usize = 0; i < n; i++) {
    store<i64>(dst, load<i64>(dst) - maskOf(bits, i));
    dst += 8;
  }
}

/** dst[i * dstStep] = src[i * srcStep]: takes one lane out of an interleaving, or puts it in. */
export function stride(dst: usize, dstStep: usize, src: usize, srcStep: usize, n: usize): void {
  for (let i: usize = 0; i < n; i++) {
    store<i64>(dst, load<i64>(src));
    dst += dstStep;
    src += srcStep;
  }
}

/** dst[0] += the sum of src[i * step], i < n. */
export function addSum(dst: usize, src: usize, step: usize, n: usize): void {
  let sum = load<i64>(dst);
  for (let i: usize = 0; i < n; i++) {
    sum += load<i64>(src);
    src += step;
  }
  store<i64>(dst, sum);
}

/** dst[index[i]] += src[i] for every i with index[i] >= 0; index is 32-bit. */
export function addScattered(dst: usize, src: usize, index: usize, n: usize): void {
  for (let i: usize = 0; i < n; i++) {
    const at = load<i32>(index + (i << 2));
    if (at < 0) continue;
    const to = dst + ((<usize>at) << 3);
    store<i64>(to, load<i64>(to) + load<i64>(src + (i << 3)));
  }
}

// ---- Bit-matrix transposition -------------------------------------------------------------

/**
 * Transposes the 64 x 64 bit matrix at `m` (row r is the r-th 64-bit word, column c its bit c) in
 * place: log-time block swaps (Warren, Hacker's Delight, section 7-3), two rows at a time while
 * the block is at least two rows high.
 */
function transpose64(m: usize): void {
  let mask: u64 = 0x00000000ffffffff;
  for (let j: usize = 32; j > 1; j >>= 1) {
    const lanes = i64x2.splat(mask);
    for (let k: usize = 0; k < 64; k = ((k | j) + 2) & ~j) {
      const low = m + (k << 3);
      const high = m + ((k | j) << 3);
      const x = v128.load(low);
      const y = v128.load(high);
      const t = v128.and(v128.xor(i64x2.shr_u(x, <i32>j), y), lanes);
      v128.store(high, v128.xor(y, t));
      v128.store(low, v128.xor(x, i64x2.shl(t, <i32>j)));
    }
    mask ^= mask << (j >> 1);
  }
  for (let k: usize = 0; k < 64; k += 2) {
    const low = m + (k << 3);
    const x = load<u64>(low);
    const y = load<u64>(low + 8);
    const t = ((x >> 1) ^ y) & mask;
    store<u64>(low + 8, y ^ t);
    store<u64>(low, x ^ (t << 1));
  }
}

/**
 * 64-bit elements to 64 wires: bit r of wire c becomes bit c of element r.
 * `wireBytes` is the length of one wire, a multiple of 16; there are 8 * wireBytes elements.
 * The elements are overwritten.
 */
export function elementsToWires(wires: usize, elements: usize, wireBytes: usize): void {
  for (let at: usize = 0; at < wireBytes; at += 8) {
    const block = elements + (at << 6);
    transpose64(block);
    for (let c: usize = 0; c < 64; c++) {
      store<u64>(wires + c * wireBytes + at, load<u64>(block + (c << 3)));
    }
  }
}

/** The inverse of {@link elementsToWires} for `count` <= 64 wires; higher bits become zero. */
export function wiresToElements(
  elements: usize,
  wires: usize,
  wireBytes: usize,
  count: usize,
): void {
  for (let at: usize = 0; at < wireBytes; at += 8) {
    const block = elements + (at << 6);
    for (let c: usize = 0; c < 64; c++) {
      const word = c < count ? load<u64>(wires + c * wireBytes + at) : 0;
      store<u64>(block + (c << 3), word);
    }
    transpose64(block);
  }
}
