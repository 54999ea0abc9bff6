import { expect } from '../../core/errors.ts';
import { elementsToWires, wiresToElements } from '../../kernels/ring64/index.ts';
import { bitBytes } from '../ot/types.ts';
import type { RingVector, Wire, Word } from './types.ts';

// Plain values to their bit-sliced and ring forms and back. Local; nothing here is a protocol.

const TWO_32 = 2 ** 32;

/** One bit per entry, packed; a non-zero entry is a 1. */
export function packBits(flags: ArrayLike<number>): Wire {
  const out = new Uint8Array(bitBytes(flags.length));
  for (let i = 0; i < flags.length; i++) {
    if (flags[i] !== 0) out[i >> 3] = out[i >> 3]! | (1 << (i & 7));
  }
  return out;
}

/** The first `rows` bits as 0 or 1 per entry. */
export function unpackBits(wire: Wire, rows: number): Uint8Array {
  expect(wire.length === bitBytes(rows), 'a wire is bitBytes(rows) long');
  const out = new Uint8Array(rows);
  for (let i = 0; i < rows; i++) out[i] = (wire[i >> 3]! >> (i & 7)) & 1;
  return out;
}

/** Integers of absolute value below 2^53 as 64-bit two's complement elements. */
export function ringFromIntegers(values: Float64Array | Int32Array): RingVector {
  const out = new Uint32Array(2 * values.length);
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!;
    expect(Number.isSafeInteger(value), 'a ring element comes from a safe integer');
    out[2 * i] = value;
    out[2 * i + 1] = Math.floor(value / TWO_32);
  }
  return new Uint8Array(out.buffer);
}

/** Bit-slices integers from 0 to 2^bits − 1, `bits` ≤ 53. */
export function wordFromIntegers(values: Float64Array | Int32Array, bits: number): Word {
  expect(bits >= 1 && bits <= 53, 'a word of integers has 1 to 53 bits');
  const limit = 2 ** bits;
  for (const value of values) {
    expect(value >= 0 && value < limit, 'an integer fits the width of its word');
  }
  const elements = ringFromIntegers(values);
  return wordFromElements(elements, values.length).slice(0, bits);
}

/** The integers of a plain word of at most 53 wires. */
export function integersFromWord(word: Word, rows: number): Float64Array {
  expect(word.length <= 53, 'a word of integers has at most 53 bits');
  const elements = elementsFromWord(word, rows);
  const halves = new Uint32Array(elements.buffer);
  const out = new Float64Array(rows);
  for (let i = 0; i < rows; i++) out[i] = halves[2 * i]! + TWO_32 * halves[2 * i + 1]!;
  return out;
}

/** The 64 wires of 64-bit elements; padding rows are 0. XOR shares give XOR shares. */
export function wordFromElements(elements: Uint8Array, rows: number): Word {
  expect(elements.length === 8 * rows, 'an element is 8 bytes');
  const wireBytes = bitBytes(rows);
  const wires = elementsToWires(elements, wireBytes);
  return Array.from({ length: 64 }, (_, i) => wires.subarray(i * wireBytes, (i + 1) * wireBytes));
}

/** 64-bit elements of a word of at most 64 wires; missing high wires are 0. */
export function elementsFromWord(word: Word, rows: number): Uint8Array {
  expect(
    word.every((wire) => wire.length === bitBytes(rows)),
    'a wire is bitBytes(rows) long',
  );
  return wiresToElements(word, rows);
}
