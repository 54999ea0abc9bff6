import { createCipheriv, createHash } from 'node:crypto';
import { concat, utf8 } from '../../core/bytes.ts';
import type { Channel } from '../../core/channel.ts';
import { expect } from '../../core/errors.ts';
import { breathe } from '../../core/progress.ts';
import type { Rng } from '../../core/rng.ts';
import { addRing, negateRing, subRing, sumSegments } from '../../kernels/ring64/index.ts';
import { bitBytes } from '../ot/types.ts';
import type { OtReceiver, OtSender } from '../ot/types.ts';
import { UNIT_LEAVES_MAX } from './limits.ts';
import type { RingVector } from './types.ts';

/**
 * Sums of one party's vectors by groups only another party knows, through shared unit vectors:
 * per row a GGM tree whose holder of the path learns every leaf but its own group's (Boyle et al.,
 * "Efficient two-round OT extension and silent non-interactive secure computation", CCS 2019,
 * puncturable PRF by OT), and one ring correction that puts the row's value on the missing leaf:
 *
 *   sender's share of leaf x:    -s_x
 *   receiver's, x not its group:  s_x
 *   receiver's, x its group g:    c - Σ_(x ≠ g) s_x = s_g + v,  with  c = Σ_x s_x + v  from the sender
 *
 * so the shares are of v times the unit vector of g, and summing them over rows is local. The tree's
 * generator is AES under two public keys, x ↦ π_0(x) ⊕ x, π_1(x) ⊕ x (Guo, Katz, Wang, Yu, IEEE S&P
 * 2020), with new keys for every slice.
 *
 * Semi-honest; nobody learns anything: the receiver sees a group-independent number of messages, the
 * sender none that depend on groups. Cost per row with 2^d leaves: d random OTs, 32·d + 8·lanes
 * bytes out, about 2^(d+1) AES blocks at each end; two rounds for each slice.
 */
export interface UnitVectorShape {
  readonly rows: number;
  /** Groups 0 to groups − 1; a row of no group has the leaf `groups`. */
  readonly groups: number;
  readonly lanes: number;
}

const BLOCK_BYTES = 16;
const NONCE_BYTES = 16;
const KEY_LABEL = utf8('parley/sharing/unit-vectors/v1');

/** Levels of a tree that has a leaf for every group and one for none. */
export function treeDepth(groups: number): number {
  return Math.ceil(Math.log2(groups + 1));
}

/** Rows of one slice: both ends cut alike. */
function sliceRows(groups: number): number {
  return Math.max(128, Math.floor(UNIT_LEAVES_MAX / 2 ** treeDepth(groups) / 128) * 128);
}

/** The party whose vectors are summed. @returns per lane `groups` elements, end to end. */
export async function sendUnitVectors(
  channel: Channel,
  ot: OtSender,
  rng: Rng,
  { rows, groups, lanes }: UnitVectorShape,
  values: readonly RingVector[],
): Promise<Uint8Array> {
  const depth = treeDepth(groups);
  let sums: Uint8Array = new Uint8Array(8 * groups * lanes);
  for (let from = 0; from < rows; from += sliceRows(groups)) {
    const n = Math.min(sliceRows(groups), rows - from);
    const nonce = rng(NONCE_BYTES);
    const generator = generatorOf(nonce);
    let nodes: Uint8Array = rng(BLOCK_BYTES * n);
    const sides: Uint8Array[] = [];
    for (let level = 0; level < depth; level++) {
      nodes = generator.children(nodes);
      sides.push(sumBySide(nodes, n));
      await breathe();
    }
    const { k0, k1 } = await ot.random(depth * n);
    await channel.send('unit.nonce', nonce.slice());
    await channel.send('unit.levels', maskSides(sides, k0, k1, n));
    const parts: Uint8Array[] = [];
    const corrections: Uint8Array[] = [];
    for (let lane = 0; lane < lanes; lane += 2) {
      const leaves = generator.leaves(nodes, lane / 2);
      const rowSums = sumSegments(leaves, n, 2 ** depth, 2);
      const columns = columnSums(leaves, n, 2 ** depth);
      for (let half = 0; half < Math.min(2, lanes - lane); half++) {
        const value = values[lane + half]!.subarray(8 * from, 8 * (from + n));
        corrections.push(addRing(rowSums.slice(8 * n * half, 8 * n * (half + 1)), value));
        parts.push(negateRing(columnOf(columns, half, groups)));
      }
      await breathe();
    }
    await channel.send('unit.corrections', concat(corrections));
    sums = addRing(sums, concat(parts));
  }
  return sums;
}

/** The party that knows the groups. @param groupOfRow - −1 for none. @returns as the sender. */
export async function receiveUnitVectors(
  channel: Channel,
  ot: OtReceiver,
  { rows, groups, lanes }: UnitVectorShape,
  groupOfRow: Int32Array,
): Promise<Uint8Array> {
  const depth = treeDepth(groups);
  let sums: Uint8Array = new Uint8Array(8 * groups * lanes);
  for (let from = 0; from < rows; from += sliceRows(groups)) {
    const n = Math.min(sliceRows(groups), rows - from);
    const paths = Int32Array.from(groupOfRow.subarray(from, from + n), (g) => (g < 0 ? groups : g));
    const keys = await ot.random(siblingChoices(paths, depth), depth * n);
    const generator = generatorOf(await channel.recv('unit.nonce', NONCE_BYTES));
    const levels = await channel.recv('unit.levels', 2 * BLOCK_BYTES * depth * n);
    const nodes = await growPunctured(generator, levels, keys, paths, depth);
    const corrections = await channel.recv('unit.corrections', 8 * lanes * n);
    const parts: Uint8Array[] = [];
    for (let lane = 0; lane < lanes; lane += 2) {
      const leaves = generator.leaves(nodes, lane / 2);
      clearPaths(leaves, paths, depth);
      const rowSums = sumSegments(leaves, n, 2 ** depth, 2);
      for (let half = 0; half < Math.min(2, lanes - lane); half++) {
        const at = 8 * n * (lane + half);
        const known = rowSums.slice(8 * n * half, 8 * n * (half + 1));
        const missing = subRing(corrections.slice(at, at + 8 * n), known);
        fillPaths(leaves, paths, depth, half, missing);
      }
      const columns = columnSums(leaves, n, 2 ** depth);
      for (let half = 0; half < Math.min(2, lanes - lane); half++) {
        parts.push(columnOf(columns, half, groups));
      }
      await breathe();
    }
    sums = addRing(sums, concat(parts));
  }
  return sums;
}

interface Generator {
  /** Both children of every node, in order. */
  children(nodes: Uint8Array): Uint8Array;
  /** Block number `index` of every leaf: two ring elements each. */
  leaves(nodes: Uint8Array, index: number): Uint8Array;
}

function generatorOf(nonce: Uint8Array): Generator {
  const permutation = (index: number): ((nodes: Uint8Array) => Uint8Array) => {
    const key = createHash('sha256')
      .update(KEY_LABEL)
      .update(nonce)
      .update(Uint8Array.of(index))
      .digest()
      .subarray(0, BLOCK_BYTES);
    const cipher = createCipheriv('aes-128-ecb', key, null).setAutoPadding(false);
    return (nodes) => xorWords(cipher.update(nodes), nodes);
  };
  const [left, right] = [permutation(0), permutation(1)];
  return {
    children(nodes) {
      const out = new Uint8Array(2 * nodes.length);
      interleave(out, left(nodes), 0);
      interleave(out, right(nodes), 1);
      return out;
    },
    leaves: (nodes, index) => permutation(2 + index)(nodes),
  };
}

function wordsOf(bytes: Uint8Array): Uint32Array {
  const aligned = bytes.byteOffset % 4 === 0 ? bytes : new Uint8Array(bytes);
  return new Uint32Array(aligned.buffer, aligned.byteOffset, aligned.length / 4);
}

function xorWords(a: Uint8Array, b: Uint8Array): Uint8Array {
  const [x, y] = [wordsOf(a), wordsOf(b)];
  const out = new Uint32Array(x.length);
  for (let i = 0; i < out.length; i++) out[i] = x[i]! ^ y[i]!;
  return new Uint8Array(out.buffer);
}

function interleave(out: Uint8Array, blocks: Uint8Array, side: 0 | 1): void {
  const [to, from] = [wordsOf(out), wordsOf(blocks)];
  for (let i = 0, at = 4 * side; i < from.length; i += 4, at += 8) {
    to[at] = from[i]!;
    to[at + 1] = from[i + 1]!;
    to[at + 2] = from[i + 2]!;
    to[at + 3] = from[i + 3]!;
  }
}

/** Per row the XOR of all left and of all right nodes: two blocks each. */
function sumBySide(nodes: Uint8Array, rows: number): Uint8Array {
  const words = wordsOf(nodes);
  const out = new Uint32Array(8 * rows);
  const perRow = words.length / rows;
  for (let row = 0, at = 0; row < rows; row++) {
    for (let i = 0; i < perRow; i++, at++) out[8 * row + (i & 7)]! ^= words[at]!;
  }
  return new Uint8Array(out.buffer);
}

/** Both sums of every level and row under the keys of its OT; OT number level·rows + row. */
function maskSides(
  sides: readonly Uint8Array[],
  k0: Uint8Array,
  k1: Uint8Array,
  rows: number,
): Uint8Array {
  const message = concat(sides);
  const words = wordsOf(message);
  const keys = [wordsOf(k0), wordsOf(k1)] as const;
  for (let ot = 0; ot < sides.length * rows; ot++) {
    for (let i = 0; i < 8; i++) words[8 * ot + i]! ^= keys[i >> 2]![4 * ot + (i & 3)]!;
  }
  return new Uint8Array(words.buffer, words.byteOffset, words.byteLength);
}

/** Bit of a path that level `level` branches on, the highest first. */
function branch(path: number, depth: number, level: number): 0 | 1 {
  return ((path >> (depth - 1 - level)) & 1) as 0 | 1;
}

/** The receiver asks for the side its path does not take. */
function siblingChoices(paths: Int32Array, depth: number): Uint8Array {
  const n = paths.length;
  const choices = new Uint8Array(bitBytes(depth * n));
  for (let level = 0; level < depth; level++) {
    for (let row = 0; row < n; row++) {
      const ot = level * n + row;
      if (branch(paths[row]!, depth, level) === 0) choices[ot >> 3]! |= 1 << (ot & 7);
    }
  }
  return choices;
}

/** All nodes of the last level but those on the paths, which hold nothing of use. */
async function growPunctured(
  generator: Generator,
  levels: Uint8Array,
  keys: Uint8Array,
  paths: Int32Array,
  depth: number,
): Promise<Uint8Array> {
  const n = paths.length;
  const [masked, pads] = [wordsOf(levels), wordsOf(keys)];
  let nodes: Uint8Array = new Uint8Array(BLOCK_BYTES * n);
  for (let level = 0; level < depth; level++) {
    nodes = generator.children(nodes);
    const words = wordsOf(nodes);
    const width = 2 ** (level + 1);
    for (let row = 0; row < n; row++) {
      const onPath = paths[row]! >> (depth - 1 - level);
      const side = 1 - branch(paths[row]!, depth, level);
      const sibling = 4 * (row * width + (onPath ^ 1));
      // Children of the unknown node are noise: neither may enter the sum.
      words.fill(0, 4 * (row * width + (onPath & -2)), 4 * (row * width + (onPath & -2) + 2));
      const ot = level * n + row;
      for (let i = 0; i < 4; i++) {
        let sum = masked[8 * ot + 4 * side + i]! ^ pads[4 * ot + i]!;
        for (let at = 4 * (row * width + side) + i; at < 4 * (row + 1) * width; at += 8) {
          sum ^= words[at]!;
        }
        words[sibling + i] = sum;
      }
    }
    await breathe();
  }
  return nodes;
}

/** Sets the leaf of every row's own group to zero. */
function clearPaths(leaves: Uint8Array, paths: Int32Array, depth: number): void {
  const words = wordsOf(leaves);
  paths.forEach((path, row) => {
    const at = 4 * (row * 2 ** depth + path);
    words.fill(0, at, at + 4);
  });
}

/** Puts an element on the leaf of every row's own group. */
function fillPaths(
  leaves: Uint8Array,
  paths: Int32Array,
  depth: number,
  half: number,
  elements: Uint8Array,
): void {
  const [words, from] = [wordsOf(leaves), wordsOf(elements)];
  paths.forEach((path, row) => {
    const at = 4 * (row * 2 ** depth + path) + 2 * half;
    words[at] = from[2 * row]!;
    words[at + 1] = from[2 * row + 1]!;
  });
}

/** Sums over rows of the two elements of every leaf, by halving. */
function columnSums(leaves: Uint8Array, rows: number, width: number): Uint8Array {
  const bytes = BLOCK_BYTES * width;
  expect(leaves.length === rows * bytes, 'a block per leaf');
  let rest = leaves;
  for (let count = rows; count > 1;) {
    const half = count >> 1;
    const sum = addRing(
      rest.subarray(0, half * bytes),
      rest.subarray(half * bytes, 2 * half * bytes),
    );
    rest = count % 2 === 0 ? sum : concat([sum, rest.subarray(2 * half * bytes, count * bytes)]);
    count = half + (count % 2);
  }
  return rest;
}

/** The elements of one half of the first `groups` leaves. */
function columnOf(columns: Uint8Array, half: number, groups: number): Uint8Array {
  const out = new Uint8Array(8 * groups);
  for (let g = 0; g < groups; g++) {
    const at = BLOCK_BYTES * g + 8 * half;
    out.set(columns.subarray(at, at + 8), 8 * g);
  }
  return out;
}
