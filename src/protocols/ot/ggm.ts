import { createCipheriv } from 'node:crypto';
import { expect } from '../../core/errors.ts';
import { BLOCK_BYTES } from './limits.ts';

/**
 * Puncturable PRFs as GGM trees, many of one depth k side by side (Roy, CRYPTO 2022, section 4;
 * Boyle et al., CCS 2019). The owner knows all 2^k leaves of each tree. The peer, who received one
 * key of each base OT, learns all leaves but one. Leaf x is found by the bits of x, highest first.
 *
 * Base OT `tree·k + level` carries the two halves of that level. Its keys are themselves the two
 * nodes of level 0, so a correction is sent only for the levels below.
 */
export interface GgmShape {
  readonly trees: number;
  /** Depth: 2^k leaves per tree. */
  readonly k: number;
}

/** Bytes of all corrections: two blocks for each level of each tree but the first. */
export function correctionBytes({ trees, k }: GgmShape): number {
  return trees * (k - 1) * 2 * BLOCK_BYTES;
}

/** Leaves and corrections of the owner. */
export interface OwnedTrees {
  /** trees·2^k blocks. */
  readonly leaves: Uint8Array;
  readonly corrections: Uint8Array;
}

/** @param keys - both keys of trees·k base OTs, 32 bytes each. */
export function growTrees(shape: GgmShape, keys: Uint8Array): OwnedTrees {
  const { trees, k } = shape;
  expect(keys.length === trees * k * 2 * BLOCK_BYTES, 'two keys per level of each tree');
  const leaves: Uint8Array[] = [];
  const corrections = new Uint8Array(correctionBytes(shape));
  let at = 0;
  for (let tree = 0; tree < trees; tree++) {
    const pair = (level: number): Uint8Array => blocks(keys, 2 * (tree * k + level), 2);
    let nodes: Uint8Array[] = split(pair(0));
    for (let level = 1; level < k; level++) {
      nodes = nodes.flatMap(children);
      const sums = sumBySide(nodes);
      corrections.set(xor(sums, pair(level)), at);
      at += 2 * BLOCK_BYTES;
    }
    leaves.push(...nodes);
  }
  return { leaves: join(leaves), corrections };
}

/**
 * Which base-OT choices puncture each tree at its bits of Delta: at every level the peer learns the
 * half that the path leaves, so each choice is the complement of the path bit.
 * @param delta - trees·k packed bits; bits k·tree and up are the index missing from that tree.
 * @returns one choice per byte, in base-OT order.
 */
export function punctureChoices({ trees, k }: GgmShape, delta: Uint8Array): Uint8Array {
  return Uint8Array.from(
    { length: trees * k },
    (_, ot) => 1 - pathBit(delta, k, Math.floor(ot / k), ot % k),
  );
}

/**
 * @param keys - the chosen key of trees·k base OTs. @param corrections - from the owner.
 * @returns trees·2^k blocks; the leaf at each tree's index of Delta is zero.
 */
export function growPunctured(
  shape: GgmShape,
  delta: Uint8Array,
  keys: Uint8Array,
  corrections: Uint8Array,
): Uint8Array {
  const { trees, k } = shape;
  expect(keys.length === trees * k * BLOCK_BYTES, 'one key per level of each tree');
  const leaves: Uint8Array[] = [];
  for (let tree = 0; tree < trees; tree++) {
    let nodes: Uint8Array[] = [];
    let path = 0;
    for (let level = 0; level < k; level++) {
      const bit = pathBit(delta, k, tree, level);
      const sibling = blocks(keys, tree * k + level, 1).slice();
      if (level > 0) {
        nodes = nodes.flatMap((node, i) => (i === path ? zeroPair() : children(node)));
        const known = blocks(sumBySide(nodes), 1 - bit, 1);
        const at = 2 * (tree * (k - 1) + level - 1) + 1 - bit;
        xorInPlace(sibling, known);
        xorInPlace(sibling, blocks(corrections, at, 1));
      } else {
        nodes = zeroPair();
      }
      path = 2 * path + bit;
      nodes[path ^ 1] = sibling;
    }
    leaves.push(...nodes);
  }
  return join(leaves);
}

/** Bit of the missing index that level `level` branches on; the highest comes first. */
function pathBit(delta: Uint8Array, k: number, tree: number, level: number): number {
  const bit = k * tree + (k - 1 - level);
  return (delta[bit >> 3]! >> (bit & 7)) & 1;
}

/** The length-doubling generator: AES-128 under the node, of the blocks 0 and 1. */
function children(node: Uint8Array): Uint8Array[] {
  const counter = new Uint8Array(2 * BLOCK_BYTES);
  counter[BLOCK_BYTES] = 1;
  const cipher = createCipheriv('aes-128-ecb', node, null);
  return split(new Uint8Array(cipher.update(counter)));
}

function zeroPair(): Uint8Array[] {
  return [new Uint8Array(BLOCK_BYTES), new Uint8Array(BLOCK_BYTES)];
}

function sumBySide(nodes: readonly Uint8Array[]): Uint8Array {
  const sums = new Uint8Array(2 * BLOCK_BYTES);
  nodes.forEach((node, i) => xorInPlace(blocks(sums, i & 1, 1), node));
  return sums;
}

function blocks(of: Uint8Array, first: number, count: number): Uint8Array {
  return of.subarray(first * BLOCK_BYTES, (first + count) * BLOCK_BYTES);
}

function split(bytes: Uint8Array): Uint8Array[] {
  return [blocks(bytes, 0, 1), blocks(bytes, 1, 1)];
}

function join(nodes: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(nodes.length * BLOCK_BYTES);
  nodes.forEach((node, i) => out.set(node, i * BLOCK_BYTES));
  return out;
}

function xor(a: Uint8Array, b: Uint8Array): Uint8Array {
  return a.map((x, i) => x ^ b[i]!);
}

function xorInPlace(a: Uint8Array, b: Uint8Array): void {
  for (let i = 0; i < a.length; i++) a[i]! ^= b[i]!;
}
