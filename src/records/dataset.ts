import { hash } from 'node:crypto';
import { fromBase64Url, fromHex, toHex } from '../core/bytes.ts';
import { expect, ParleyError } from '../core/errors.ts';
import { digestOf } from '../policy/canonical.ts';
import type { DatasetCommitment } from './types.ts';

/**
 * AGREEMENT. Levels above the leaves. Every tree has the same shape, so a root says nothing of the
 * number of rows; a store holds at most 10^8 of them, which is below 2^27.
 */
export const TREE_HEIGHT = 32;

/** Bytes of a leaf's blind, of a leaf and of a node. */
export const HASH_BYTES = 32;

/** LOCAL. Longest row that is opened: a unit, and nine bytes for each of a table's columns. */
const ROW_BYTES_MAX = 64 * 1024;

/** One hasher each for leaves and nodes: RFC 9162 section 2.1.1 prefixes them 0x00 and 0x01. */
const LEAF = 0x00;
const NODE = 0x01;

function sha256Into(message: Uint8Array, out: Buffer): Buffer {
  // One-shot and by way of latin1: half the cost of a Hash object a call.
  out.write(hash('sha256', message, 'binary'), 'latin1');
  return out;
}

/**
 * A hasher of leaves, `SHA-256(0x00 ‖ blind ‖ row)`. The blind is 32 bytes nobody else can guess, so
 * the leaf hides its row (a hash commitment in the random-oracle model).
 *
 * @returns writes into `out` and returns it.
 */
export function leafHasher(): (blind: Uint8Array, row: Uint8Array, out: Buffer) => Buffer {
  let message = new Uint8Array(0);
  return (blind, row, out) => {
    expect(blind.length === HASH_BYTES, 'a blind has 32 bytes');
    const length = 1 + HASH_BYTES + row.length;
    if (message.length !== length) message = new Uint8Array(length);
    message[0] = LEAF;
    message.set(blind, 1);
    message.set(row, 1 + HASH_BYTES);
    return sha256Into(message, out);
  };
}

/** A hasher of inner nodes, `SHA-256(0x01 ‖ left ‖ right)`; `out` may be one of its operands. */
export function nodeHasher(): (left: Uint8Array, right: Uint8Array, out: Buffer) => Buffer {
  const message = new Uint8Array(1 + 2 * HASH_BYTES);
  message[0] = NODE;
  return (left, right, out) => {
    message.set(left, 1);
    message.set(right, 1 + HASH_BYTES);
    return sha256Into(message, out);
  };
}

/**
 * What a party states as the content of a table: the root of its tree, bound to the layout (columns,
 * types, domains, salt) that its rows are coded by.
 *
 * @param layout - the layout's digest.
 * @param root - 32 bytes.
 * @returns 64 hex characters.
 */
export function commitmentOf(table: string, layout: string, root: Uint8Array): string {
  return digestOf('parley/dataset/v2', {
    table,
    layout,
    height: TREE_HEIGHT,
    root: toHex(root),
  });
}

/** One row, opened by its owner: everything that leads from it to the commitment. */
export interface RowOpening {
  readonly version: 1;
  readonly table: string;
  readonly layout: string;
  /** Position of the row in the owner's order. */
  readonly index: number;
  /** base64url: the unit (32 bytes), then a presence byte and a big-endian int64 per column. */
  readonly row: string;
  /** 32 bytes, hex. */
  readonly blind: string;
  /** Siblings from the leaf up, 32 bytes of hex each. */
  readonly path: readonly string[];
}

/**
 * Checks that a row is in the table that a commitment names.
 *
 * @returns the row's bytes.
 * @throws ParleyError REQUEST_MALFORMED for fields of another form; RECEIPT_INVALID when they do not
 *   lead to the commitment.
 */
export function verifyRowOpening(opening: RowOpening, commitment: DatasetCommitment): Uint8Array {
  const row = fromBase64Url(opening.row, HASH_BYTES, ROW_BYTES_MAX);
  const blind = fromHex(opening.blind, HASH_BYTES);
  const path = opening.path.map((sibling) => fromHex(sibling, HASH_BYTES));
  const { index, table, layout } = opening;
  if (path.length !== TREE_HEIGHT || !Number.isSafeInteger(index) || index < 0) {
    throw new ParleyError('REQUEST_MALFORMED', 'the opening of a row is not of this form');
  }
  const out = Buffer.alloc(HASH_BYTES);
  leafHasher()(blind, row, out);
  const node = nodeHasher();
  path.forEach((sibling, level) => {
    // Division, not a shift: indices are wider than a shift's 32 bits allow.
    const right = Math.floor(index / 2 ** level) % 2 === 1;
    if (right) node(sibling, out, out);
    else node(out, sibling, out);
  });
  const fits = index < 2 ** TREE_HEIGHT && table === commitment.table;
  if (!fits || commitmentOf(table, layout, out) !== commitment.commitment) {
    throw new ParleyError('RECEIPT_INVALID', 'the row is not in the data that was committed to', {
      path: 'datasets',
    });
  }
  return row;
}
