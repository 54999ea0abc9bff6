import { createCipheriv, type Cipher } from 'node:crypto';
import { expect } from '../../core/errors.ts';
import { otKernel, TRANSPOSE_SCRATCH_BYTES } from '../../kernels/ot/index.ts';
import type { Arena } from '../../kernels/load.ts';
import type { GgmShape } from './ggm.ts';
import { BLOCK_BYTES, KAPPA } from './limits.ts';

/**
 * SoftSpoken OT extension, Roy, CRYPTO 2022 (ePrint 2022/192), sections 3 and 4, semi-honest: the
 * synchronous part. With r_x the key stream of leaf x of a tree, and sums over GF(2^k),
 *
 *   owner (OT receiver):      u = sum of all r_x,  v = sum of x·r_x
 *   peer (OT sender):         w = sum of (x + Delta)·r_x = v + Delta·u, with no r_Delta in it
 *   correction, owner's c:    d = u + c, so that  q = w + Delta·d = v + Delta·c
 *
 * Multiplication by a bit is bitwise, so v, w and q are k bit rows each. The rows of all trees
 * make a 128-row matrix; transposed, row j is t_j or q_j = t_j xor c_j·Delta.
 */

/**
 * AGREEMENT. Bits of Delta per tree: 16/k bytes and 2^k/k leaf blocks per OT. 1 is the extension of
 * Ishai, Kilian, Nissim and Petrank (CRYPTO 2003); policies choose between 2 and 4.
 */
export type FieldBits = 1 | 2 | 4 | 8;

/** The trees of one direction: 128/k of depth k. */
export function shapeOf(k: FieldBits): GgmShape {
  return { trees: KAPPA / k, k };
}

/** One AES-128-CTR key stream per leaf, null where a leaf is missing. Position is public. */
export type LeafStreams = readonly (Cipher | null)[];

/**
 * Opens the key streams. A stream is never rewound, so each chunk continues where the last one
 * ended and no counter block is used twice.
 * @param leaves - trees·2^k blocks. @param missing - whether leaf `x` of `tree` is not ours.
 */
export function openStreams(
  { trees, k }: GgmShape,
  leaves: Uint8Array,
  missing: (tree: number, x: number) => boolean,
): LeafStreams {
  expect(leaves.length === (trees << k) * BLOCK_BYTES, 'one block per leaf');
  const counter = new Uint8Array(BLOCK_BYTES);
  return Array.from({ length: trees << k }, (_, leaf) => {
    const key = leaves.subarray(leaf * BLOCK_BYTES, (leaf + 1) * BLOCK_BYTES);
    const absent = missing(leaf >> k, leaf & ((1 << k) - 1));
    return absent ? null : createCipheriv('aes-128-ctr', key, counter);
  });
}

/**
 * LOCAL. Bytes between two rows that are read side by side. Rows of a power of two would fall into
 * the same cache set and evict one another.
 */
function strideOf(bytes: number): number {
  return bytes + 64;
}

/** Rows and scratch of one chunk of `n` OTs, n a multiple of 128. */
interface Work {
  readonly bytes: number;
  readonly stride: number;
  /** One slot per leaf that is folded at once, at most 16. */
  readonly leaves: number;
  /** k = 8: the sums of 16 groups of leaves, then four rows of one group. */
  readonly sums: number;
  readonly u: number;
  readonly rows: number;
  readonly zeros: Uint8Array;
}

function allocate(arena: Arena, k: FieldBits, n: number): Work {
  expect(n > 0 && n % KAPPA === 0, 'chunks are whole lanes');
  const bytes = n / 8;
  const stride = strideOf(bytes);
  return {
    bytes,
    stride,
    leaves: arena.alloc(stride * Math.min(16, 1 << k)),
    sums: k === 8 ? arena.alloc(stride * (16 + 4)) : 0,
    u: arena.alloc(bytes),
    rows: arena.alloc(KAPPA * stride),
    zeros: new Uint8Array(bytes),
  };
}

/**
 * Leaf x of `tree` goes to slot `x ^ offset`. With offset = Delta's index this is w = sum of
 * (x + Delta)·r_x and the missing leaf falls on slot 0, which no row reads.
 */
function foldTree(
  arena: Arena,
  work: Work,
  k: FieldBits,
  tree: number,
  streams: LeafStreams,
  offset: number,
): void {
  const fill = (first: number, count: number): void => {
    for (let slot = 0; slot < count; slot++) {
      const stream = streams[(tree << k) + ((first + slot) ^ offset)];
      if (stream == null) continue;
      arena.view(work.leaves + slot * work.stride, work.bytes).set(stream.update(work.zeros));
    }
  };
  const { leaves, stride, bytes, u } = work;
  const rows = work.rows + tree * k * stride;
  if (k === 8) {
    foldGroups(work, rows, fill);
    return;
  }
  fill(0, 1 << k);
  otKernel.fn[`fold${k}`](u, rows, leaves, stride, bytes);
}

/**
 * k = 8 as 4 + 4 bits. The low four rows are the sums over all groups of 16 slots of each group's
 * rows; the high four are the rows of the 16 group sums.
 */
function foldGroups(
  { leaves, sums, stride, bytes, u }: Work,
  rows: number,
  fill: (first: number, count: number) => void,
): void {
  const low = sums + 16 * stride;
  for (let group = 0; group < 16; group++) {
    fill(16 * group, 16);
    const into = group === 0 ? rows : low;
    otKernel.fn.fold4(sums + group * stride, into, leaves, stride, bytes);
    // Rows and the padding between them: what is between rows is never read.
    if (group > 0) otKernel.fn.xorInto(rows, low, 3 * stride + bytes);
  }
  otKernel.fn.fold4(u, rows + 4 * stride, sums, stride, bytes);
}

/** The 128 bit rows of a chunk, row r at address + r·stride. */
export interface Rows {
  readonly address: number;
  readonly stride: number;
}

/** A function that writes rows `at` to `at + n` of the transposed matrix to `out`. */
export function transposer(arena: Arena, rows: Rows): (out: number, at: number, n: number) => void {
  const scratch = arena.alloc(TRANSPOSE_SCRATCH_BYTES);
  return (out, at, n) => {
    otKernel.fn.transpose128(out, rows.address + at / 8, rows.stride, n / 8, scratch);
  };
}

/** What one chunk gives the owner: v as rows, and the message d. */
export interface OwnerChunk {
  readonly rows: Rows;
  readonly corrections: Uint8Array;
}

/** Bytes of the correction message of a chunk of `n` OTs, n a multiple of 128. */
export function chunkBytes(k: FieldBits, n: number): number {
  return (KAPPA / k) * (n / 8);
}

/** OT receiver's side of a chunk. @param choices - n packed bits. */
export function extendOwner(
  arena: Arena,
  k: FieldBits,
  streams: LeafStreams,
  choices: Uint8Array,
  n: number,
): OwnerChunk {
  const work = allocate(arena, k, n);
  expect(choices.length === work.bytes, 'one choice per OT');
  const c = arena.put(choices);
  const corrections = new Uint8Array(chunkBytes(k, n));
  for (let tree = 0; tree < KAPPA / k; tree++) {
    foldTree(arena, work, k, tree, streams, 0);
    otKernel.fn.xorInto(work.u, c, work.bytes);
    corrections.set(arena.view(work.u, work.bytes), tree * work.bytes);
  }
  return { rows: { address: work.rows, stride: work.stride }, corrections };
}

/** OT sender's side of a chunk: q as rows. */
export function extendPeer(
  arena: Arena,
  k: FieldBits,
  streams: LeafStreams,
  delta: Uint8Array,
  corrections: Uint8Array,
  n: number,
): Rows {
  const work = allocate(arena, k, n);
  expect(corrections.length === chunkBytes(k, n), 'one correction row per tree');
  for (let tree = 0; tree < KAPPA / k; tree++) {
    const index = indexOf(delta, k, tree);
    foldTree(arena, work, k, tree, streams, index);
    arena
      .view(work.u, work.bytes)
      .set(corrections.subarray(tree * work.bytes, (tree + 1) * work.bytes));
    for (let bit = 0; bit < k; bit++) {
      const row = work.rows + (tree * k + bit) * work.stride;
      otKernel.fn.xorMasked(row, work.u, work.bytes, (index >> bit) & 1);
    }
  }
  return { address: work.rows, stride: work.stride };
}

/** The leaf the sender misses in `tree`: bits k·tree and up of Delta. */
export function indexOf(delta: Uint8Array, k: FieldBits, tree: number): number {
  const bit = k * tree;
  return (delta[bit >> 3]! >> (bit & 7)) & ((1 << k) - 1);
}
