// Goal: bins follow their definition, every id that can be placed is placed in one of its own three
// bins, and table sizes are those of the failure bound.
import { createCipheriv } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { binsFor, expectDistinct, locate, place } from '../../src/protocols/psi/cuckoo.ts';
import { seededRng } from '../support/seeded-rng.ts';
import { ID_BYTES, idsOf, range } from './support.ts';

const SEED = seededRng('cuckoo seed')(16);

describe('locate', () => {
  it('agrees with the definition in big integers, across a slice boundary', () => {
    const ids = seededRng('ids')(ID_BYTES * 4_500);
    for (const bins of [1_400, 85_197, 1_363_149]) {
      const got = locate(SEED, ids, bins);
      for (const i of [0, 1, 2, 4_095, 4_096, 4_499]) {
        const id = ids.subarray(ID_BYTES * i, ID_BYTES * (i + 1));
        expect([...got.subarray(3 * i, 3 * i + 3)]).toEqual(plainBins(id, bins));
      }
    }
  });

  it('gives three distinct bins in range', () =>
    fc.assert(
      fc.property(fc.integer({ min: 3, max: 60 }), fc.string(), (bins, label) => {
        const got = locate(SEED, seededRng(label)(ID_BYTES * 50), bins);
        expect(got.every((bin) => bin >= 0 && bin < bins)).toBe(true);
        const distinct = range(0, 50).filter(
          (i) => new Set(got.subarray(3 * i, 3 * i + 3)).size === 3,
        );
        expect(distinct.length).toBe(50);
      }),
    ));

  it('is uniform over ordered triples', () => {
    const n = 60_000;
    const got = locate(SEED, seededRng('uniform')(ID_BYTES * n), 5);
    const counts = new Map<number, number>();
    for (let i = 0; i < 3 * n; i += 3) {
      const triple = 25 * got[i]! + 5 * got[i + 1]! + got[i + 2]!;
      counts.set(triple, (counts.get(triple) ?? 0) + 1);
    }
    expect(counts.size).toBe(60);
    const chi = [...counts.values()].reduce((sum, c) => sum + (c - n / 60) ** 2 / (n / 60), 0);
    expect(chi).toBeLessThan(59 + 5 * Math.sqrt(2 * 59));
  });
});

describe('place', () => {
  it('puts each id in one of its own bins, under the function it names, and drops none', () => {
    for (const n of [0, 1, 1_000, 1_037, 20_000]) {
      const locations = locate(SEED, seededRng(`place ${n}`)(ID_BYTES * n), binsFor(n));
      expectPlaced(locations, binsFor(n), 0);
    }
  });

  it('drops exactly the deficiency of Hall on crowded tables', () =>
    fc.assert(
      fc.property(
        fc.integer({ min: 3, max: 9 }),
        fc.integer({ min: 0, max: 10 }),
        fc.string(),
        (bins, n, label) => {
          const locations = locate(SEED, seededRng(label)(ID_BYTES * n), bins);
          expectPlaced(locations, bins, hallDeficiency(locations));
        },
      ),
      { numRuns: 150 },
    ));

  it('places as many ids as a maximum matching at the load threshold', () => {
    const [bins, n] = [3_000, 2_800];
    const locations = locate(SEED, seededRng('threshold')(ID_BYTES * n), bins);
    const most = maximumMatching(locations, bins);
    expect(most).toBeLessThan(n);
    expectPlaced(locations, bins, n - most);
  });

  it('fails as often as the smallest obstruction says: four ids in three of five bins', () => {
    const trials = 60_000;
    const locations = locate(SEED, seededRng('obstruction')(ID_BYTES * 4 * trials), 5);
    let failures = 0;
    for (let t = 0; t < trials; t++) {
      failures += place(locations.subarray(12 * t, 12 * (t + 1)), 5).dropped;
    }
    const expected = trials / 10 ** 3; // all four on one of the ten sets of bins
    expect(Math.abs(failures - expected)).toBeLessThan(4 * Math.sqrt(expected));
  });
});

it('sizes the table by the public capacity', () => {
  const sizes = [1, 1_024, 1_037, 1_038, 16_383, 16_384, 65_536, 1 << 20].map(binsFor);
  expect(sizes).toEqual([1_400, 1_400, 1_400, 1_402, 22_118, 21_300, 85_197, 1_363_149]);
});

it('refuses an id that occurs twice, and only that', () => {
  expect(() => expectDistinct(idsOf(range(0, 500)))).not.toThrow();
  expect(() => expectDistinct(new Uint8Array(0))).not.toThrow();
  expect(() => expectDistinct(idsOf([...range(0, 500), 250]))).toThrow(/distinct/);
  const near = new Uint8Array(2 * ID_BYTES); // equal up to the last byte
  near[2 * ID_BYTES - 1] = 1;
  expect(() => expectDistinct(near)).not.toThrow();
});

function plainBins(id: Uint8Array, bins: number): number[] {
  const aes = (block: Uint8Array): Uint8Array =>
    createCipheriv('aes-128-ecb', SEED, null).update(block);
  const first = aes(id.slice(0, 16));
  const mac = aes(first.map((byte, k) => byte ^ id[16 + k]!));
  const h = mac.reduce((sum, byte, k) => sum + (BigInt(byte) << BigInt(8 * k)), 0n);
  const u = [0n, 1n, 2n].map((j) => {
    const word = (h >> (32n * j)) & 0xffffffffn;
    const extra = (h >> (96n + 10n * j)) & 0x3ffn;
    return Number(((word + (extra << 32n)) * (BigInt(bins) - j)) >> 42n);
  }) as [number, number, number];
  const taken: number[] = [];
  for (const k of u) {
    // The k-th bin, counting from 0, of those not taken.
    let bin = k;
    for (const other of taken.toSorted((a, b) => a - b)) if (bin >= other) bin++;
    taken.push(bin);
  }
  return taken;
}

function expectPlaced(locations: Int32Array, bins: number, dropped: number): void {
  const n = locations.length / 3;
  const table = place(locations, bins);
  expect(table.dropped).toBe(dropped);
  const placed = new Set<number>();
  table.idOfBin.forEach((id, bin) => {
    if (id === -1) return;
    placed.add(id);
    if (locations[3 * id + table.hashOfBin[bin]!] !== bin) throw new Error('not its own bin');
  });
  expect(placed.size).toBe(n - dropped);
  expect(table.idOfBin.filter((id) => id !== -1).length).toBe(n - dropped);
}

/** max over sets S of ids of |S| - |bins of S|, by trying all of them. */
function hallDeficiency(locations: Int32Array): number {
  const n = locations.length / 3;
  let worst = 0;
  for (let set = 0; set < 1 << n; set++) {
    let near = 0;
    for (let i = 0; i < n; i++) {
      if (((set >> i) & 1) === 0) continue;
      for (let j = 0; j < 3; j++) near |= 1 << locations[3 * i + j]!;
    }
    worst = Math.max(worst, ones(set) - ones(near));
  }
  return worst;
}

function ones(word: number): number {
  let count = 0;
  for (let rest = word; rest !== 0; rest &= rest - 1) count++;
  return count;
}

/** Kuhn's algorithm by recursion. */
function maximumMatching(locations: Int32Array, bins: number): number {
  const holder = new Int32Array(bins).fill(-1);
  const improve = (id: number, seen: Set<number>): boolean => {
    for (const bin of locations.subarray(3 * id, 3 * id + 3)) {
      if (seen.has(bin)) continue;
      seen.add(bin);
      if (holder[bin] === -1 || improve(holder[bin]!, seen)) {
        holder[bin] = id;
        return true;
      }
    }
    return false;
  };
  return range(0, locations.length / 3).filter((id) => improve(id, new Set())).length;
}
