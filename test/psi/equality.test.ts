// Goal: the wire is 1 exactly where the two private tags are equal, at every tag length and row
// count, at the stated cost.
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { minusTwice, residueWires, sumBits } from '../../src/kernels/hamming/index.ts';
import { equalTags } from '../../src/protocols/psi/equality.ts';
import { EQUALITY_ROWS } from '../../src/protocols/psi/limits.ts';
import { idealSharingPair } from '../support/ideal-sharing.ts';
import { seededRng } from '../support/seeded-rng.ts';
import { range } from './support.ts';

/** What happens to the pivot's tag to make the sender's. */
const KINDS = ['equal', 'one bit', 'complement', 'random'] as const;
type Kind = (typeof KINDS)[number];

it('agrees with plain equality', () =>
  fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 41, max: 63 }),
      fc.array(fc.constantFrom(...KINDS), { minLength: 1, maxLength: 300 }),
      fc.string(),
      async (tagBits, kinds, label) => {
        const { a, t } = tagPair(tagBits, kinds, label);
        const { bits } = await run(a, t, tagBits);
        expect(bits).toEqual(kinds.map((kind) => (kind === 'equal' ? 1 : 0)));
      },
    ),
    { numRuns: 40 },
  ));

it.each([1, 2, 6, 7, 8, 31, 32, 33, 40])('agrees at %i bits, tags often equal', async (tagBits) => {
  const { a, t } = tagPair(tagBits, Array<Kind>(500).fill('random'), `short ${tagBits}`);
  const plain = Array.from(a, (tag, i) => (tag === t[i] ? 1 : 0));
  expect((await run(a, t, tagBits)).bits).toEqual(plain);
});

it('is not fooled by any Hamming distance from 0 to 63', async () => {
  const a = BigUint64Array.from({ length: 64 }, () => 0n);
  const t = BigUint64Array.from({ length: 64 }, (_, d) => (1n << BigInt(d)) - 1n);
  expect((await run(a, t, 63)).bits).toEqual(range(0, 64).map((d) => (d === 0 ? 1 : 0)));
});

it('compares in slices, each told of, and all bits at once for five ANDs', async () => {
  const rows = EQUALITY_ROWS + 300;
  const kinds = range(0, rows).map((row) => (row % 3 === 0 ? 'equal' : 'one bit'));
  const { a, t } = tagPair(9, kinds, 'slices');
  const { bits, ands, told } = await run(a, t, 9);
  expect(bits).toEqual(kinds.map((kind) => (kind === 'equal' ? 1 : 0)));
  expect(ands).toBe(5);
  expect(told).toEqual([EQUALITY_ROWS, rows]);
});

it('adds, doubles and slices as plain arithmetic does', () =>
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 3 }),
      fc.integer({ min: 1, max: 63 }),
      fc.boolean(),
      fc.string(),
      (lanes, count, negated, label) => {
        const rng = seededRng(label);
        const rows = 128 * lanes;
        const shares = rng(count * rows).map((byte) => byte & 63);
        const bits = rng((count * rows) / 8);
        const bit = (i: number): number => (bits[i >> 3]! >> (i & 7)) & 1;
        const sums = range(0, rows).map((row) => {
          const at = range(0, count).map((k) => k * rows + row);
          const sum = at.reduce((total, i) => total + shares[i]! + bit(i), 0);
          return (negated ? -sum : sum) & 63;
        });
        const made = sumBits(shares, bits, rows, negated);
        expect([...made]).toEqual(sums);
        expect([...minusTwice(bits)]).toEqual(range(0, 8 * bits.length).map((i) => 62 * bit(i)));
        residueWires(made).forEach((wire, i) =>
          expect(range(0, rows).map((row) => (wire[row >> 3]! >> (row & 7)) & 1)).toEqual(
            sums.map((sum) => (sum >> i) & 1),
          ),
        );
      },
    ),
    { numRuns: 20 },
  ));

it('holds its callers to 63 bits and one tag per row', async () => {
  const { ends } = idealSharingPair();
  await expect(equalTags(ends[0], new Uint8Array(8), 1, 64)).rejects.toThrow(/63 bits/);
  await expect(equalTags(ends[0], new Uint8Array(8), 2, 41)).rejects.toThrow(/one tag per row/);
});

function tagPair(
  tagBits: number,
  kinds: readonly Kind[],
  label: string,
): { readonly a: BigUint64Array; readonly t: BigUint64Array } {
  const all = (1n << BigInt(tagBits)) - 1n;
  const draw = (): BigUint64Array =>
    new BigUint64Array(rng(8 * kinds.length).buffer).map((word) => word & all);
  const rng = seededRng(label);
  const [a, other] = [draw(), draw()];
  const t = a.map((tag, i) => {
    switch (kinds[i]!) {
      case 'equal':
        return tag;
      case 'one bit':
        return tag ^ (1n << (other[i]! % BigInt(tagBits)));
      case 'complement':
        return tag ^ all;
      case 'random':
        return other[i]!;
    }
  });
  return { a, t };
}

async function run(
  a: BigUint64Array,
  t: BigUint64Array,
  tagBits: number,
): Promise<{ readonly bits: number[]; readonly ands: number; readonly told: number[] }> {
  const { ends, ands } = idealSharingPair(seededRng('equality'));
  const rows = a.length;
  const told: number[] = [];
  const [x, y] = await Promise.all([
    equalTags(ends[0], new Uint8Array(a.buffer), rows, tagBits, (done) => told.push(done)),
    equalTags(ends[1], new Uint8Array(t.buffer), rows, tagBits),
  ]);
  const bit = (wire: Uint8Array, row: number): number => (wire[row >> 3]! >> (row & 7)) & 1;
  return { bits: range(0, rows).map((row) => bit(x, row) ^ bit(y, row)), ands: ands(), told };
}
