/**
 * Settings of the two switching networks of sorted group sums. A network works in place on its
 * wires; a switch on wires (a, b) crosses them when its bit is set. Switches are numbered depth
 * first, as `kernels/network` runs them: a network's first layer, its halves, its last layer.
 *
 * Permutation: Waksman, "A permutation network", JACM 1968; for any number of wires Beauquier and
 * Darrot, "On arbitrary size Waksman networks and their vulnerability", PPL 2002.
 * Compaction: a butterfly that keeps order, Goodrich, SPAA 2011, in the recursive form of Sasy,
 * Johnson and Goldberg, CCS 2022, cut to the outputs wanted.
 */

/** The smallest k with n ≤ 2^k, n ≥ 1. */
function log2Up(n: number): number {
  return 32 - Math.clz32(n - 1);
}

function setBit(bits: Uint8Array, at: number): void {
  bits[at >> 3] = bits[at >> 3]! | (1 << (at & 7));
}

/** Switches of a permutation of n wires: ⌈log2 1⌉ + … + ⌈log2 n⌉. */
export function permutationSwitches(n: number): number {
  if (n < 2) return 0;
  const k = log2Up(n);
  return n * k - 2 ** k + 1;
}

/** Buffers of one setting: sources by level parity, their inverse, outputs already routed. */
interface Scratch {
  readonly sources: readonly [Int32Array, Int32Array];
  readonly inverse: Int32Array;
  readonly routed: Uint8Array;
}

/**
 * Sets a permutation network: output i receives input `source[i]`.
 * @param bits - zeroed; receives `permutationSwitches(n)` packed bits from number 0 on.
 */
export function setPermutation(source: Int32Array, bits: Uint8Array): void {
  const n = source.length;
  const scratch: Scratch = {
    sources: [source.slice(), new Int32Array(n)],
    inverse: new Int32Array(n),
    routed: new Uint8Array(n),
  };
  route(scratch, 0, n, 0, 0, bits);
}

/**
 * Sets the network on wires [start, start + n), whose sources count from `start`; inputs (i, i + h)
 * and outputs (i, i + h) share a switch, the first h wires between are the upper network.
 */
function route(
  scratch: Scratch,
  start: number,
  n: number,
  parity: 0 | 1,
  first: number,
  bits: Uint8Array,
): void {
  if (n < 2) return;
  const h = n >> 1;
  const even = 1 - (n & 1);
  const upper = first + h;
  const lower = upper + permutationSwitches(h);
  const last = lower + permutationSwitches(n - h);
  const source = scratch.sources[parity];
  const { inverse, routed } = scratch;
  for (let i = 0; i < n; i++) inverse[start + source[start + i]!] = i;
  routed.fill(0, start, start + n);
  const loops = { scratch, start, n, parity, first, last: last - even, bits };
  // The two outputs without a switch fix the first loop; the others may start either way.
  if (even === 0) loop(loops, n - 1, 1);
  for (let i = 0; i < h; i++) if (routed[start + i] === 0) loop(loops, i, 0);
  const next = parity === 0 ? 1 : 0;
  route(scratch, start, h, next, upper, bits);
  route(scratch, start + h, n - h, next, lower, bits);
}

interface Loops {
  readonly scratch: Scratch;
  readonly start: number;
  readonly n: number;
  readonly parity: 0 | 1;
  /** Number of the switch of inputs (0, h), and of that of outputs (0, h) whether or not it is. */
  readonly first: number;
  readonly last: number;
  readonly bits: Uint8Array;
}

/**
 * Waksman's looping: sends output `output` through network `side` (0 upper), so the other input of
 * its switch through the other one, so the other output of that one's switch through `side` again,
 * until the loop closes or ends on a wire without a switch.
 */
function loop(loops: Loops, output: number, side: 0 | 1): void {
  const { scratch, start, n, parity, first, bits } = loops;
  const { inverse, routed } = scratch;
  const source = scratch.sources[parity];
  const h = n >> 1;
  for (let out = output; routed[start + out] === 0;) {
    const input = source[start + out]!;
    connect(loops, out, input, side);
    if (input === 2 * h) return;
    const isLower = input < h ? 0 : 1;
    if (isLower !== side) setBit(bits, first + input - h * isLower);
    const other = isLower === 0 ? input + h : input - h;
    const met = inverse[start + other]!;
    connect(loops, met, other, side === 0 ? 1 : 0);
    out = met < h ? met + h : met - h;
  }
}

/** Joins an output to an input through network `by`; wires from h on are the lower of their switch. */
function connect(loops: Loops, out: number, input: number, by: 0 | 1): void {
  const { scratch, start, n, parity, last, bits } = loops;
  const h = n >> 1;
  const isLower = out < h ? 0 : 1;
  const to = out - h * isLower;
  scratch.routed[start + out] = 1;
  scratch.sources[parity === 0 ? 1 : 0][start + h * by + to] = input < h ? input : input - h;
  // The last output of an odd network has no switch.
  if (to < h && isLower !== by) setBit(bits, last + to);
}

/** A selection of `outputs` wires: blocks of `width` are compacted, then merged into the first. */
export interface Selection {
  readonly blocks: number;
  /** The smallest power of two that holds the outputs. */
  readonly width: number;
  readonly outputs: number;
}

/** The selection of `outputs` of `wires`. */
export function selectionOf(wires: number, outputs: number): Selection {
  const width = 2 ** log2Up(outputs);
  return { blocks: Math.ceil(wires / width), width, outputs };
}

function compactionSwitches(width: number): number {
  return (width / 2) * Math.log2(width);
}

export function selectionSwitches({ blocks, width, outputs }: Selection): number {
  return blocks * compactionSwitches(width) + (blocks - 1) * outputs;
}

/**
 * Sets a selection: output i receives wire `chosen[i]`, ascending.
 * @param first - number of its first switch.
 */
export function setSelection(
  { blocks, width, outputs }: Selection,
  chosen: Int32Array,
  first: number,
  bits: Uint8Array,
): void {
  const each = compactionSwitches(width);
  let rank = 0;
  for (let block = 0; block < blocks; block++) {
    const from = rank;
    while (rank < outputs && chosen[rank]! < (block + 1) * width) rank++;
    compact(chosen, from, rank, block * width, width, first + block * each, bits);
    if (block === 0) continue;
    const merge = first + blocks * each + (block - 1) * outputs;
    for (let i = from; i < rank; i++) setBit(bits, merge + i);
  }
}

/**
 * Moves the chosen wires [from, to) among [start, start + width) to `start` + their rank mod
 * `width`: both halves do so mod width / 2, so the last layer has to choose the half only.
 */
function compact(
  chosen: Int32Array,
  from: number,
  to: number,
  start: number,
  width: number,
  first: number,
  bits: Uint8Array,
): void {
  if (from === to || width < 2) return;
  const half = width >> 1;
  let middle = from;
  while (middle < to && chosen[middle]! < start + half) middle++;
  const each = compactionSwitches(half);
  compact(chosen, from, middle, start, half, first, bits);
  compact(chosen, middle, to, start + half, half, first + each, bits);
  const last = first + 2 * each;
  for (let rank = from; rank < to; rank++) {
    const isRight = rank >= middle;
    const goesRight = (rank & half) !== 0;
    if (isRight !== goesRight) setBit(bits, last + (rank & (half - 1)));
  }
}
