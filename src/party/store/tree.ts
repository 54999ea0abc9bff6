import { createCipheriv, createHmac, hkdfSync } from 'node:crypto';
import { fromHex, toHex, wipe } from '../../core/bytes.ts';
import { expect } from '../../core/errors.ts';
import type { Redacted } from '../../core/redacted.ts';
import { reveal } from '../../core/redacted.ts';
import { HASH_BYTES, leafHasher, nodeHasher, TREE_HEIGHT } from '../../records/index.ts';
import { CHUNK_ROWS } from './limits.ts';

const KEY_BYTES = 32;
const COUNTER_BYTES = 16;

/**
 * What hides the leaves of one content of one table. All of it follows from the partition's secret
 * and the content, so equal content has an equal root, and another content shares no blind with it:
 * an opening of one version helps nobody against the next.
 */
export interface Blinds {
  /** Blinds of the next rows, 32 bytes each, in order from row 0. */
  readonly next: (rows: number) => Uint8Array;
  /** What stands in for the subtree of no rows at `index` of `level`. */
  readonly empty: (level: number, index: number) => Uint8Array;
}

/**
 * Row blinds are the keystream of AES-256-CTR (NIST SP 800-38A) from zero, two blocks a row; an
 * empty subtree is HMAC-SHA-256 of its place. Both keys are HKDF-SHA256 (RFC 5869) of the secret,
 * with the digest of the content as salt.
 *
 * @param content - digest of the table's content, hex; never leaves the party.
 */
export function blindsOf(secret: Redacted<Uint8Array>, content: string): Blinds {
  const info = 'parley/dataset-blinds/v1';
  const salt = fromHex(content, HASH_BYTES);
  const keys = new Uint8Array(hkdfSync('sha256', reveal(secret), salt, info, 2 * KEY_BYTES));
  const rowKey = keys.slice(0, KEY_BYTES);
  const emptyKey = keys.slice(KEY_BYTES);
  const stream = createCipheriv('aes-256-ctr', rowKey, new Uint8Array(COUNTER_BYTES));
  wipe(keys, rowKey);
  const zeros = new Uint8Array(HASH_BYTES * CHUNK_ROWS);
  return {
    next: (rows) => new Uint8Array(stream.update(zeros.subarray(0, HASH_BYTES * rows))),
    empty: (level, index) =>
      new Uint8Array(createHmac('sha256', emptyKey).update(`empty\0${level}\0${index}`).digest()),
  };
}

/** A tree as it grows, and at its end. */
export interface GrowingTree {
  /** Adds the next row. */
  add(blind: Uint8Array, row: Uint8Array): void;
  /** The root, once all rows are in. */
  finish(): Uint8Array;
  /** Siblings of the watched row from the leaf up, hex; after `finish`. */
  readonly path: readonly string[];
}

/**
 * The Merkle tree over a table's rows, of fixed height {@link TREE_HEIGHT}: RFC 9162 section 2.1.1
 * hashes, rows from the left, everything to their right pseudorandom (see {@link Blinds}), so that
 * neither the root nor a path tells where the rows end.
 *
 * Memory: one hash a level. Cost: two hashes a row.
 *
 * @param watch - the row whose path is wanted; none when null.
 */
export function growTree(empty: Blinds['empty'], watch: number | null): GrowingTree {
  const leaf = leafHasher();
  const node = nodeHasher();
  // The complete left sibling of each level that still waits for its right one.
  const waiting = Array.from({ length: TREE_HEIGHT }, () => Buffer.alloc(HASH_BYTES));
  const carry = Buffer.alloc(HASH_BYTES);
  const path: string[] = [];
  let rows = 0;
  const above = (level: number): number => Math.floor(rows / 2 ** level);
  const see = (level: number, index: number, value: Uint8Array): void => {
    if (watch === null) return;
    const own = Math.floor(watch / 2 ** level);
    if (index === (own % 2 === 0 ? own + 1 : own - 1)) path[level] = toHex(value);
  };
  return {
    add(blind, row) {
      leaf(blind, row, carry);
      let level = 0;
      let index = rows;
      see(level, index, carry);
      for (; index % 2 === 1; index = (index - 1) / 2) {
        node(waiting[level]!, carry, carry);
        level += 1;
        see(level, (index - 1) / 2, carry);
      }
      expect(level < TREE_HEIGHT, 'a table has fewer rows than the tree has leaves');
      waiting[level]!.set(carry);
      rows += 1;
    },
    finish() {
      // Per level, what the rows leave unfinished at position ⌊rows / 2^level⌋; null for nothing.
      let open: Buffer | null = null;
      for (let level = 0; level < TREE_HEIGHT; level += 1) {
        const at = above(level);
        if (at % 2 === 1) {
          const right: Uint8Array = open ?? empty(level, at);
          see(level, at, right);
          open = Buffer.from(node(waiting[level]!, right, carry));
        } else if (open !== null) {
          const right = empty(level, at + 1);
          see(level, at, open);
          see(level, at + 1, right);
          open = Buffer.from(node(open, right, carry));
        }
      }
      return new Uint8Array(open ?? empty(TREE_HEIGHT, 0));
    },
    get path() {
      return path;
    },
  };
}
