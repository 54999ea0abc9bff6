/**
 * Random-band linear system over GF(2): elimination, back-substitution, evaluation. Everything is
 * raw linear memory. A band is 128 bits (lo, hi), bit k of it stands for column start + k. Values
 * are rows of `stride` bytes, a multiple of 16.
 */

/** First free byte of linear memory; the TypeScript side allocates from here. */
export const heapBase: usize = __heap_base;

/** dst[0..stride) ^= src[0..stride). */
@inline
function xorRow(dst: usize, src: usize, stride: usize): void {
  for (let at: usize = 0; at < stride; at += 16) {
    v128.store(dst + at, v128.xor(v128.load(dst + at), v128.load(src + at)));
  }
}

/**
 * Splits `n` expanded keys. Key i is `2 + stride/16` permuted blocks at `expanded`; its feed-forward
 * block is at `inner + 16i`. Block 0 becomes the band (masked), the first word of block 1 the start in
 * [0, starts), the rest is the pad, written to `pads`.
 */
export function split(
  inner: usize, expanded: usize, n: u32, stride: usize, starts: u32, maskLo: u64, maskHi: u64,
  startOut: usize, bandOut: usize, pads: usize,
): void {
  for (let i: u32 = 0; i < n; i++) {
    const forward = v128.load(inner);
    const band = v128.xor(v128.load(expanded), forward);
    store<u64>(bandOut, v128.extract_lane<u64>(band, 0) & maskLo);
    store<u64>(bandOut + 8, v128.extract_lane<u64>(band, 1) & maskHi);
    const word = v128.extract_lane<u32>(v128.xor(v128.load(expanded + 16), forward), 0);
    store<u32>(startOut, <u32>((<u64>word * <u64>starts) >> 32));
    expanded += 32;
    for (let at: usize = 0; at < stride; at += 16) {
      v128.store(pads + at, v128.xor(v128.load(expanded + at), forward));
    }
    inner += 16;
    expanded += stride;
    pads += stride;
    startOut += 4;
    bandOut += 16;
  }
}

/** rows[i][0..width) ^= packed[i], for n rows of `stride` bytes and n of `width` bytes. */
export function xorPacked(rows: usize, packed: usize, n: u32, stride: usize, width: usize): void {
  const whole = width & ~7;
  for (let i: u32 = 0; i < n; i++) {
    let at: usize = 0;
    for (; at < whole; at += 8) store<u64>(rows + at, load<u64>(rows + at) ^ load<u64>(packed + at));
    for (; at < width; at++) store<u8>(rows + at, load<u8>(rows + at) ^ load<u8>(packed + at));
    rows += stride;
    packed += width;
  }
}

/** Copies n rows of `width` bytes apart by `from` to rows apart by `to`. */
export function repack(dst: usize, src: usize, n: u32, to: usize, from: usize, width: usize): void {
  for (let i: u32 = 0; i < n; i++) {
    memory.copy(dst, src, width);
    dst += to;
    src += from;
  }
}

/** Stable counting sort of key indices by start. `heads` is `columns` zeroed words. */
function sortByStart(n: u32, columns: u32, starts: usize, heads: usize, order: usize): void {
  for (let i: u32 = 0; i < n; i++) {
    const head = heads + (<usize>load<u32>(starts + (<usize>i << 2)) << 2);
    store<u32>(head, load<u32>(head) + 1);
  }
  let sum: u32 = 0;
  for (let c: u32 = 0; c < columns; c++) {
    const head = heads + (<usize>c << 2);
    const count = load<u32>(head);
    store<u32>(head, sum);
    sum += count;
  }
  for (let i: u32 = 0; i < n; i++) {
    const head = heads + (<usize>load<u32>(starts + (<usize>i << 2)) << 2);
    const at = load<u32>(head);
    store<u32>(head, at + 1);
    store<u32>(order + (<usize>at << 2), i);
  }
}

/**
 * Gaussian elimination in order of start, pivot at the lowest set bit. Pivot row of column c ends at
 * `pivots + 16c` (bit 0 set; zero when c is free) and its value at `table + stride·c`. `bands` and
 * `values` are overwritten. Sorted starts keep every row within 128 columns of its pivot.
 * Returns 1, or 0 when the rows are linearly dependent.
 */
export function eliminate(
  n: u32, columns: u32, stride: usize, starts: usize, bands: usize, values: usize,
  heads: usize, order: usize, pivots: usize, table: usize,
): i32 {
  sortByStart(n, columns, starts, heads, order);
  for (let i: u32 = 0; i < n; i++) {
    const key = <usize>load<u32>(order + (<usize>i << 2));
    const value = values + key * stride;
    let lo = load<u64>(bands + (key << 4));
    let hi = load<u64>(bands + (key << 4) + 8);
    let column = <usize>load<u32>(starts + (key << 2));
    while (true) {
      if (lo == 0) {
        if (hi == 0) return 0;
        lo = hi;
        hi = 0;
        column += 64;
      }
      const shift = ctz(lo);
      if (shift != 0) {
        lo = (lo >> shift) | (hi << (64 - shift));
        hi >>= shift;
        column += <usize>shift;
      }
      const pivot = pivots + (column << 4);
      if (load<u64>(pivot) == 0) {
        store<u64>(pivot, lo);
        store<u64>(pivot + 8, hi);
        memory.copy(table + column * stride, value, stride);
        break;
      }
      lo ^= load<u64>(pivot);
      hi ^= load<u64>(pivot + 8);
      xorRow(value, table + column * stride, stride);
    }
  }
  return 1;
}

/** out ^= XOR of table[column + k] over the set bits k of (lo, hi); two lanes of 16 bytes a pass. */
@inline
function foldBand(out: usize, first: usize, lo: u64, hi: u64, stride: usize): void {
  let lane: usize = 0;
  for (; lane + 32 <= stride; lane += 32) {
    let a = v128.load(out + lane);
    let b = v128.load(out + lane + 16);
    let from = first + lane;
    for (let bits = lo; bits != 0; bits &= bits - 1) {
      const row = from + <usize>ctz(bits) * stride;
      a = v128.xor(a, v128.load(row));
      b = v128.xor(b, v128.load(row + 16));
    }
    from += stride << 6;
    for (let bits = hi; bits != 0; bits &= bits - 1) {
      const row = from + <usize>ctz(bits) * stride;
      a = v128.xor(a, v128.load(row));
      b = v128.xor(b, v128.load(row + 16));
    }
    v128.store(out + lane, a);
    v128.store(out + lane + 16, b);
  }
  if (lane == stride) return;
  let a = v128.load(out + lane);
  let from = first + lane;
  for (let bits = lo; bits != 0; bits &= bits - 1) {
    a = v128.xor(a, v128.load(from + <usize>ctz(bits) * stride));
  }
  from += stride << 6;
  for (let bits = hi; bits != 0; bits &= bits - 1) {
    a = v128.xor(a, v128.load(from + <usize>ctz(bits) * stride));
  }
  v128.store(out + lane, a);
}

/** Solves from the right: free columns keep what `table` holds, pivot columns are determined. */
export function substitute(columns: u32, stride: usize, pivots: usize, table: usize): void {
  for (let column = <usize>columns; column-- > 0; ) {
    const lo = load<u64>(pivots + (column << 4));
    if (lo == 0) continue;
    const hi = load<u64>(pivots + (column << 4) + 8);
    const row = table + column * stride;
    foldBand(row, row, lo & ~(<u64>1), hi, stride);
  }
}

/** values[i] ^= XOR of the table rows that key i's band selects. */
export function evaluate(
  n: u32, stride: usize, starts: usize, bands: usize, table: usize, values: usize,
): void {
  for (let i: u32 = 0; i < n; i++) {
    const first = table + <usize>load<u32>(starts) * stride;
    foldBand(values, first, load<u64>(bands), load<u64>(bands + 8), stride);
    starts += 4;
    bands += 16;
    values += stride;
  }
}
