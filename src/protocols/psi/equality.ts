import { expect } from '../../core/errors.ts';
import { breathe } from '../../core/progress.ts';
import { minusTwice, residueWires, sumBits } from '../../kernels/hamming/index.ts';
import { elementsToWires } from '../../kernels/ring64/index.ts';
import { bitBytes } from '../ot/types.ts';
import { andTree, notWire, otWith } from '../sharing/index.ts';
import type { Sharing, Wire } from '../sharing/types.ts';
import { EQUALITY_ROWS, TAG_BITS_MAX } from './limits.ts';

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
  const distance = new Uint8Array(8 * bitBytes(rows));
  for (let from = 0; from < rows; from += EQUALITY_ROWS) {
    const count = Math.min(EQUALITY_ROWS, rows - from);
    const part = await distances(sharing, tags.subarray(8 * from, 8 * (from + count)), tagBits);
    distance.set(part, from);
    onRows(from + count);
    await breathe();
  }
  // An end's own word is its XOR share of the difference of both words.
  return andTree(
    sharing,
    residueWires(distance).map((wire) => notWire(sharing, wire)),
    rows,
  );
}

/**
 * Additive shares mod 64 of the distances of a slice of rows, the sender's negated: the distance is
 * 0 iff d_pivot equals -d_sender. Rows are rounded up to whole lanes; the OT of bit k of row r is
 * number k·lanes + r.
 */
async function distances(sharing: Sharing, tags: Uint8Array, tagBits: number): Promise<Uint8Array> {
  const wireBytes = bitBytes(tags.length / 8);
  const rows = 8 * wireBytes;
  const n = tagBits * rows;
  const bits = elementsToWires(tags, wireBytes).subarray(0, tagBits * wireBytes);
  const { party } = sharing;
  const shares =
    party === 0
      ? await otWith(sharing, 1).receiver.correlatedRing6(bits, n)
      : await otWith(sharing, 0).sender.correlatedRing6(minusTwice(bits), n);
  expect(shares.length === n, 'one share per OT');
  return sumBits(shares, bits, rows, party === 1);
}
