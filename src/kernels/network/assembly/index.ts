// Additively shared rows through networks of two-by-two switches. Rows are `lanes` 64-bit elements
// one behind the other. A switch on rows (a, b) with setting s leaves (a + s(b - a), b - s(b - a)).
// The order of switches is that of protocols/sharing/switch-networks.ts; no address depends on a
// setting or on a row.

/** First free byte of linear memory; the TypeScript side allocates from here. */
export const heapBase: usize = __heap_base;

// Set at the entry of every exported function and read below it.
let sending: bool = false;
let rowBytes: usize = 0;
let keyBytes: usize = 0;
/** Sender: first keys, second keys. Receiver: chosen keys, packed settings. */
let keys: usize = 0;
let others: usize = 0;
/** Corrections: written by the sender, read by the receiver. */
let corrections: usize = 0;

function enter(asSender: i32, lanes: usize, stride: usize, k: usize, other: usize, z: usize): void {
  sending = asSender != 0;
  rowBytes = lanes << 3;
  keyBytes = stride;
  keys = k;
  others = other;
  corrections = z;
}

/** The sender's share of s(b - a) is -k0; z lets the receiver make its own from k_s. */
function sendLayer(a: usize, b: usize, count: usize, first: usize): void {
  let k0 = keys + first * keyBytes;
  let k1 = others + first * keyBytes;
  let z = corrections + first * rowBytes;
  for (let i: usize = 0; i < count; i++) {
    for (let at: usize = 0; at < rowBytes; at += 8) {
      const x = load<i64>(a + at);
      const y = load<i64>(b + at);
      const mask = load<i64>(k0 + at);
      store<i64>(z + at, y - x + mask - load<i64>(k1 + at));
      store<i64>(a + at, x - mask);
      store<i64>(b + at, y + mask);
    }
    a += rowBytes;
    b += rowBytes;
    z += rowBytes;
    k0 += keyBytes;
    k1 += keyBytes;
  }
}

/** The receiver's share of s(b - a) is k_s + s·z for the sender's part and s(b - a) for its own. */
function receiveLayer(a: usize, b: usize, count: usize, first: usize): void {
  let k = keys + first * keyBytes;
  let z = corrections + first * rowBytes;
  for (let i: usize = 0; i < count; i++) {
    const t = first + i;
    const set = -(((load<u8>(others + (t >> 3)) >> (<u8>(t & 7))) & 1) as i64);
    for (let at: usize = 0; at < rowBytes; at += 8) {
      const x = load<i64>(a + at);
      const y = load<i64>(b + at);
      const moved = load<i64>(k + at) + ((load<i64>(z + at) + y - x) & set);
      store<i64>(a + at, x + moved);
      store<i64>(b + at, y - moved);
    }
    a += rowBytes;
    b += rowBytes;
    z += rowBytes;
    k += keyBytes;
  }
}

/** Switches `first` on, on rows i and `distance` + i for i < count. @returns the next switch. */
function layer(x: usize, distance: usize, count: usize, first: usize): usize {
  const y = x + distance * rowBytes;
  if (sending) sendLayer(x, y, count, first);
  else receiveLayer(x, y, count, first);
  return first + count;
}

function waksman(x: usize, n: usize, first: usize): usize {
  if (n < 2) return first;
  const half = n >> 1;
  let t = layer(x, half, half, first);
  t = waksman(x, half, t);
  t = waksman(x + half * rowBytes, n - half, t);
  // An even network needs no switch on its first two outputs.
  const skip: usize = 1 - (n & 1);
  return layer(x + skip * rowBytes, half, half - skip, t);
}

function compact(x: usize, width: usize, first: usize): usize {
  if (width < 2) return first;
  const half = width >> 1;
  const left = compact(x, half, first);
  const right = compact(x + half * rowBytes, half, left);
  return layer(x, half, half, right);
}

/** Permutes `n` rows at x. */
export function permute(
  asSender: i32,
  x: usize,
  n: usize,
  lanes: usize,
  first: usize,
  stride: usize,
  k: usize,
  other: usize,
  z: usize,
): void {
  enter(asSender, lanes, stride, k, other, z);
  waksman(x, n, first);
}

/** Moves `outputs` <= `width` of `blocks`·`width` rows at x to the front; width is a power of two. */
export function select(
  asSender: i32,
  x: usize,
  blocks: usize,
  width: usize,
  outputs: usize,
  lanes: usize,
  first: usize,
  stride: usize,
  k: usize,
  other: usize,
  z: usize,
): void {
  enter(asSender, lanes, stride, k, other, z);
  let t = first;
  for (let b: usize = 0; b < blocks; b++) t = compact(x + b * width * rowBytes, width, t);
  for (let b: usize = 1; b < blocks; b++) t = layer(x, b * width, outputs, t);
}

/** Every row becomes the sum of the rows up to it. */
export function prefixSums(x: usize, n: usize, lanes: usize): void {
  const step = lanes << 3;
  const end = x + n * step;
  for (let at = x + step; at < end; at += 8) {
    store<i64>(at, load<i64>(at) + load<i64>(at - step));
  }
}

/** The inverse of {@link prefixSums}. */
export function differences(x: usize, n: usize, lanes: usize): void {
  const step = lanes << 3;
  for (let at = x + n * step; at > x + step;) {
    at -= 8;
    store<i64>(at, load<i64>(at) - load<i64>(at - step));
  }
}
