import { concat } from '../../core/bytes.ts';
import { expect } from '../../core/errors.ts';
import { bitBytes } from '../../protocols/ot/types.ts';
import { ringFromIntegers, wordFromElements } from '../../protocols/sharing/index.ts';
import type { RingVector, Wire, Word } from '../../protocols/sharing/types.ts';

/**
 * The shape of one run. Every vector over bins is padded to `padded` rows, a multiple of 128, so
 * that vectors of several slots can be laid end to end and still start on a 16-byte lane.
 */
export interface Shape {
  readonly bins: number;
  readonly padded: number;
  /** Slots per user: pivot, sender. A pair (i, j) has index i · sender + j. */
  readonly slots: readonly [number, number];
}

export function shapeOf(bins: number, slots: readonly [number, number]): Shape {
  return { bins, padded: bitBytes(bins) * 8, slots };
}

export const pairRows = (shape: Shape): number => shape.padded * shape.slots[0] * shape.slots[1];

/** Repeats one vector per pivot slot over the sender's slots: pair order. */
export function tilePivot(parts: readonly Uint8Array[], shape: Shape): Uint8Array {
  expect(parts.length === shape.slots[0], 'one part per pivot slot');
  return concat(parts.flatMap((part) => Array.from({ length: shape.slots[1] }, () => part)));
}

/** Repeats one vector per sender slot over the pivot's slots: pair order. */
export function tileSender(parts: readonly Uint8Array[], shape: Shape): Uint8Array {
  expect(parts.length === shape.slots[1], 'one part per sender slot');
  return concat(Array.from({ length: shape.slots[0] }, () => parts).flat());
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
  const from = new DataView(rows.buffer, rows.byteOffset, rows.byteLength);
  const out = new Uint8Array(8 * shape.padded);
  const to = new DataView(out.buffer);
  for (let b = 0; b < shape.bins; b += 1) {
    to.setUint32(8 * b, from.getUint32(b * stride + offset, true), true);
    to.setUint32(8 * b + 4, from.getUint32(b * stride + offset + 4, true), true);
  }
  return out;
}

/** The pivot's own values per slot, placed in the bins of their users. */
export interface Placement {
  /** Index of the user in each bin, −1 where empty. */
  readonly userOfBin: Int32Array;
  readonly users: number;
}

/** A pivot-known bit per bin of slot `i`, as the pivot's share; the sender's share is zero. */
export function placeBits(
  shape: Shape,
  place: Placement | null,
  source: Uint8Array | null,
  i: number,
): Wire {
  const wire = new Uint8Array(shape.padded / 8);
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
    return Array.from({ length: bits }, () => new Uint8Array(shape.padded / 8));
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
