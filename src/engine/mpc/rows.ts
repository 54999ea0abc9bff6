import { concat } from '../../core/bytes.ts';
import { expect } from '../../core/errors.ts';
import { bitBytes } from '../../protocols/ot/types.ts';
import { ringFromIntegers, wordFromElements } from '../../protocols/sharing/index.ts';
import type { RingVector, Wire, Word } from '../../protocols/sharing/types.ts';
import type { Side } from '../../sql/plan.ts';

/**
 * The shape of one shard. Every vector over bins is padded to `padded` rows, a multiple of 128, so
 * that vectors of several slots can be laid end to end and still start on a 16-byte lane.
 */
export interface Shape {
  readonly bins: number;
  readonly padded: number;
  /** Slots per user of every side, pivot first. */
  readonly slots: readonly number[];
}

export function shapeOf(bins: number, slots: readonly number[]): Shape {
  return { bins, padded: bitBytes(bins) * 8, slots };
}

/**
 * Combinations of one slot per side. A combination's index is the mixed-radix number of its slots,
 * the pivot's slot first and the last side's fastest.
 */
export const combinations = (shape: Shape): number => shape.slots.reduce((n, s) => n * s, 1);

/** Rows of a vector with one entry per (combination, bin). */
export const combinedRows = (shape: Shape): number => shape.padded * combinations(shape);

/** The shape of two sides alone. */
export function pairShape(shape: Shape, left: Side, right: Side): Shape {
  return { ...shape, slots: [shape.slots[left]!, shape.slots[right]!] };
}

/** The slot of `side` in a combination. */
export function slotOf(shape: Shape, combination: number, side: Side): number {
  const faster = shape.slots.slice(side + 1).reduce((n, s) => n * s, 1);
  return Math.floor(combination / faster) % shape.slots[side]!;
}

/** The combination of these slots, one by side. */
export function slotsIndex(shape: Shape, slots: readonly number[]): number {
  return slots.reduce((index, slot, side) => index * shape.slots[side]! + slot, 0);
}

/** Lays one vector per slot of `side` out over all combinations. */
export function tile(parts: readonly Uint8Array[], shape: Shape, side: Side): Uint8Array {
  expect(parts.length === shape.slots[side], 'one part per slot');
  return concat(
    Array.from({ length: combinations(shape) }, (_, c) => parts[slotOf(shape, c, side)]!),
  );
}

/** Lays a vector over the combinations of two sides out over those of all sides. */
export function tilePair(pair: Uint8Array, shape: Shape, left: Side, right: Side): Uint8Array {
  const inner = pairShape(shape, left, right);
  const count = combinations(inner);
  if (shape.slots.length === 2) return pair;
  return concat(
    Array.from({ length: combinations(shape) }, (_, c) => {
      const at = slotOf(shape, c, left) * inner.slots[1]! + slotOf(shape, c, right);
      return part(pair, at, count);
    }),
  );
}

/** Part `index` of a vector laid end to end in `count` equal parts; a view. */
export function part(vector: Uint8Array, index: number, count: number): Uint8Array {
  const bytes = vector.length / count;
  return vector.subarray(index * bytes, (index + 1) * bytes);
}

/** Clears the padding rows of a wire over bins, so that nothing in them can count. */
export function clearPadding(wire: Wire, bins: number): Wire {
  const out = wire.slice();
  out.fill(0, Math.ceil(bins / 8));
  if (bins % 8 !== 0) out[bins >> 3]! &= (1 << (bins & 7)) - 1;
  return out;
}

/** A wire of zeros over bins: the share of who holds no part of a value. */
export const zeroBins = (shape: Shape): Wire => new Uint8Array(shape.padded / 8);

/** Turns payload rows (bins · bytes, row-major) into one wire per bit. */
export function rowsToWires(rows: Uint8Array, bytes: number, shape: Shape): Wire[] {
  const wires: Wire[] = [];
  for (let column = 0; column < bytes; column += 8) {
    wires.push(...wordFromElements(column8(rows, bytes, column, shape), shape.padded));
  }
  return wires;
}

/** Splits rows of 64-bit lanes into one padded vector per lane. */
export function rowsToLanes(rows: Uint8Array, lanes: number, shape: Shape): RingVector[] {
  return Array.from({ length: lanes }, (_, l) => column8(rows, 8 * lanes, 8 * l, shape));
}

function column8(rows: Uint8Array, stride: number, offset: number, shape: Shape): Uint8Array {
  // Payload rows are whole 64-bit columns of a fresh buffer; a copy only where they are not.
  const aligned = rows.byteOffset % 4 === 0 ? rows : rows.slice();
  const from = new Uint32Array(aligned.buffer, aligned.byteOffset, aligned.length / 4);
  const out = new Uint32Array(2 * shape.padded);
  const step = stride / 4;
  for (let b = 0, at = offset / 4; b < shape.bins; b += 1, at += step) {
    out[2 * b] = from[at]!;
    out[2 * b + 1] = from[at + 1]!;
  }
  return new Uint8Array(out.buffer);
}

/** The pivot's own values per slot, placed in the bins of their users. */
export interface Placement {
  /** Index of the user in each bin, −1 where empty. */
  readonly userOfBin: Int32Array;
  readonly users: number;
}

/** A pivot-known bit per bin of slot `i`, as the pivot's share; the others' shares are zero. */
export function placeBits(
  shape: Shape,
  place: Placement | null,
  source: Uint8Array | null,
  i: number,
): Wire {
  const wire = zeroBins(shape);
  if (place === null || source === null) return wire;
  for (let b = 0; b < shape.bins; b += 1) {
    const user = place.userOfBin[b]!;
    if (user >= 0 && source[i * place.users + user] === 1) wire[b >> 3]! |= 1 << (b & 7);
  }
  return wire;
}

/** Pivot-known unsigned numbers per bin of slot `i`, bit-sliced into `bits` wires. */
export function placeWord(
  shape: Shape,
  place: Placement | null,
  source: Float64Array | null,
  i: number,
  bits: number,
): Word {
  if (place === null || source === null) {
    return Array.from({ length: bits }, () => zeroBins(shape));
  }
  return wordFromElements(placeRing(shape, place, source, i), shape.padded).slice(0, bits);
}

/** Pivot-known integers per bin of slot `i` as 64-bit elements; 0 where the bin is empty. */
export function placeRing(
  shape: Shape,
  place: Placement,
  source: Float64Array,
  i: number,
): RingVector {
  const out = new Float64Array(shape.padded);
  for (let b = 0; b < shape.bins; b += 1) {
    const user = place.userOfBin[b]!;
    if (user >= 0) out[b] = source[i * place.users + user]!;
  }
  return ringFromIntegers(out);
}
