import { expect } from '../../core/errors.ts';
import { breathe } from '../../core/progress.ts';
import { elementsToWires } from '../../kernels/ring64/index.ts';
import { bitBytes } from '../ot/types.ts';
import { andTree, notWire } from '../sharing/index.ts';
import type { Sharing, Wire } from '../sharing/types.ts';
import { EQUALITY_ROWS, TAG_BITS_MAX } from './limits.ts';

/** Bits of a Hamming distance below 64. */
const DISTANCE_BITS = 6;

/** Nibble to four bytes of 0 or 1, as a little-endian word. */
const SPREAD = Uint32Array.from({ length: 16 }, (_, n) =>
  [0, 1, 2, 3].reduce((word, k) => word | (((n >> k) & 1) << (8 * k)), 0),
);

/** Four residues mod 64, one per byte. */
const MOD_64 = 0x3f3f3f3f;

/**
 * Private equality of two tags per row, one known to each end: XOR shares of [a = t].
 *
 * The Hamming distance d = Σ_k (a_k + t_k − 2·a_k·t_k) is shared mod 64 by one correlated OT per bit
 * (the pivot chooses a_k, the sender offers −2·t_k); below 64 bits it is 0 iff the tags are equal.
 * Then the pivot's residue must equal minus the sender's: a six-bit equality of private words.
 *
 * Semi-honest; neither end learns anything. Source: products by correlated OT, Gilboa, CRYPTO 1999;
 * the distance test is design note section 4, argued in PROTOCOL.md. Cost per row: tagBits six-bit
 * correlated OTs in one direction, 5 ANDs; 1 + 3 rounds, the first once per 2^15 rows.
 *
 * @param tags - rows·8 bytes, zero from bit `tagBits` on. @param tagBits - 1 to 63.
 * @param onRows - told how many rows have been through the OTs.
 * @returns a wire of `rows` bits.
 * @throws ParleyError of the channel and of the OTs.
 */
export async function equalTags(
  sharing: Sharing,
  tags: Uint8Array,
  rows: number,
  tagBits: number,
  onRows: (rows: number) => void = () => undefined,
): Promise<Wire> {
  expect(tags.length === 8 * rows, 'one tag per row');
  expect(tagBits >= 1 && tagBits <= TAG_BITS_MAX, 'tags of 1 to 63 bits');
  const distance = new Uint32Array((8 * bitBytes(rows)) / 4);
  for (let from = 0; from < rows; from += EQUALITY_ROWS) {
    const count = Math.min(EQUALITY_ROWS, rows - from);
    const part = await distances(sharing, tags.subarray(8 * from, 8 * (from + count)), tagBits);
    distance.set(part, from / 4);
    onRows(from + count);
    await breathe();
  }
  // The distance is d_pivot + d_sender; it is 0 iff d_pivot equals -d_sender.
  if (sharing.party === 1) negate(distance);
  const word = residueWires(distance, rows);
  // An end's own word is its XOR share of the difference of both words.
  return andTree(
    sharing,
    word.map((wire) => notWire(sharing, wire)),
    rows,
  );
}

/**
 * Additive shares mod 64 of every row's distance, four to a word, for a slice of rows. Rows are
 * rounded up to whole lanes; the OT of bit k of row r is number k·lanes + r.
 */
async function distances(
  sharing: Sharing,
  tags: Uint8Array,
  tagBits: number,
): Promise<Uint32Array> {
  const wireBytes = bitBytes(tags.length / 8);
  const rows = 8 * wireBytes;
  const n = tagBits * rows;
  const bits = elementsToWires(tags, wireBytes).slice(0, tagBits * wireBytes);
  const shares =
    sharing.party === 0
      ? await sharing.ot.receiver.correlatedRing6(bits, n)
      : await sharing.ot.sender.correlatedRing6(minusTwice(bits), n);
  expect(shares.length === n, 'one share per OT');
  // A copy only where the share vector is not aligned to words.
  const aligned = shares.byteOffset % 4 === 0 ? shares : new Uint8Array(shares);
  const words = new Uint32Array(aligned.buffer, aligned.byteOffset, n / 4);
  const sum = new Uint32Array(rows / 4);
  for (let k = 0; k < tagBits; k++) {
    const at = k * sum.length;
    for (let q = 0; q < sum.length; q++) {
      sum[q] = (sum[q]! + words[at + q]! + SPREAD[nibble(bits, at + q)]!) & MOD_64;
    }
  }
  return sum;
}

/** Bits 4q to 4q + 3. */
function nibble(bits: Uint8Array, q: number): number {
  return (bits[q >> 1]! >> ((q & 1) << 2)) & 15;
}

/** Per bit t, the byte −2t mod 64: 62 or 0. */
function minusTwice(bits: Uint8Array): Uint8Array {
  const out = new Uint32Array(2 * bits.length);
  for (let q = 0; q < out.length; q++) out[q] = 62 * SPREAD[nibble(bits, q)]!;
  return new Uint8Array(out.buffer);
}

/** Each byte r to −r mod 64: no byte of 0x40404040 − r borrows, since r is at most 63. */
function negate(residues: Uint32Array): void {
  for (let q = 0; q < residues.length; q++) residues[q] = (0x40404040 - residues[q]!) & MOD_64;
}

/** The six wires of a byte per row. */
function residueWires(residues: Uint32Array, rows: number): Wire[] {
  const bytes = new Uint8Array(residues.buffer);
  const elements = new Uint8Array(8 * rows);
  for (let row = 0; row < rows; row++) elements[8 * row] = bytes[row]!;
  const wireBytes = bitBytes(rows);
  const wires = elementsToWires(elements, wireBytes);
  return Array.from({ length: DISTANCE_BITS }, (_, i) =>
    wires.slice(wireBytes * i, wireBytes * (i + 1)),
  );
}
