import { expect } from '../../core/errors.ts';
import { loadKernel } from '../load.ts';

interface HammingExports {
  sumBits(
    sum: number,
    shares: number,
    bits: number,
    rows: number,
    count: number,
    negated: number,
  ): void;
  minusTwiceTo(dst: number, bits: number, n: number): void;
  wiresTo(wires: number, wireBytes: number, residues: number, rows: number): void;
}

const kernel = loadKernel<HammingExports>('hamming', ['sumBits', 'minusTwiceTo', 'wiresTo']);
const { fn } = kernel;

/** Wires of a residue modulo 64. */
const RESIDUE_BITS = 6;

/**
 * Per row the sum over k of share + bit number k·rows + row, modulo 64, or minus that.
 * @param shares - count·rows bytes. @param bits - count·rows packed bits.
 * @param rows - a multiple of 128. @returns `rows` bytes below 64.
 */
export function sumBits(
  shares: Uint8Array,
  bits: Uint8Array,
  rows: number,
  negated: boolean,
): Uint8Array {
  const count = shares.length / rows;
  expect(rows % 128 === 0 && Number.isInteger(count), 'whole lanes of shares');
  expect(8 * bits.length === shares.length, 'one bit per share');
  return kernel.run((arena) => {
    const sum = arena.alloc(rows);
    fn.sumBits(sum, arena.put(shares), arena.put(bits), rows, count, negated ? 1 : 0);
    return arena.get(sum, rows);
  });
}

/** −2 times each bit, modulo 64: bytes of 62 or 0. @param bits - packed, whole lanes. */
export function minusTwice(bits: Uint8Array): Uint8Array {
  expect(bits.length % 16 === 0, 'whole lanes of bits');
  return kernel.run((arena) => {
    const out = arena.alloc(8 * bits.length);
    fn.minusTwiceTo(out, arena.put(bits), 8 * bits.length);
    return arena.get(out, 8 * bits.length);
  });
}

/** The six wires of residues modulo 64. @param residues - a byte per row, whole lanes of rows. */
export function residueWires(residues: Uint8Array): Uint8Array[] {
  expect(residues.length % 128 === 0, 'whole lanes of rows');
  const wireBytes = residues.length / 8;
  return kernel.run((arena) => {
    const wires = arena.alloc(RESIDUE_BITS * wireBytes);
    fn.wiresTo(wires, wireBytes, arena.put(residues), residues.length);
    return Array.from({ length: RESIDUE_BITS }, (_, i) =>
      arena.get(wires + i * wireBytes, wireBytes),
    );
  });
}
