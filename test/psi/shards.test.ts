// Goal: ids are dealt evenly, alike by all parties, independently of their bins, and a shard that is
// full drops what is too much without a sign.
import { describe, expect, it } from 'vitest';
import { locate } from '../../src/protocols/psi/cuckoo.ts';
import { dealIds, shardCapacity } from '../../src/protocols/psi/shards.ts';
import { seededRng } from '../support/seeded-rng.ts';
import { idsOf, range } from './support.ts';

const SEED = new Uint8Array(16).fill(3);
const rng = seededRng('shards');

/** log2 P[Binomial(n, 1/shards) \> capacity], term by term in log space. */
function log2Tail(n: number, shards: number, capacity: number): number {
  const [hit, miss] = [Math.log(1 / shards), Math.log(1 - 1 / shards)];
  let term = n * miss;
  let sum = -Infinity;
  for (let k = 1; k <= n; k += 1) {
    term += Math.log((n - k + 1) / k) + hit - miss;
    if (k > capacity) {
      const [high, low] = [Math.max(sum, term), Math.min(sum, term)];
      sum = high + Math.log1p(Math.exp(low - high));
    }
  }
  return sum / Math.LN2;
}

describe('capacity', () => {
  it.each([
    [2 ** 18, 4],
    [2 ** 20, 16],
    [100_000, 2],
    [5_000, 8],
    [1_000, 64],
  ])('of %i ids over %i shards overflows with probability at most 2^-40', (n, shards) => {
    const capacity = shardCapacity(n, shards);
    expect(log2Tail(n, shards, capacity) + Math.log2(shards)).toBeLessThan(-40);
    expect(capacity).toBeLessThanOrEqual(n);
  });

  it('is a few per cent above the mean, and the whole for one shard', () => {
    expect(shardCapacity(2 ** 20, 16) / 2 ** 16).toBeLessThan(1.04);
    expect(shardCapacity(12_345, 1)).toBe(12_345);
    expect(shardCapacity(10, 4)).toBe(10);
  });
});

describe('dealing', () => {
  it('puts an id where its owner does not matter', () => {
    const [a, b] = [range(0, 500), range(300, 500)];
    const [left, right] = [a, b].map((users) => dealIds(SEED, idsOf(users), 7, 500));
    for (let user = 300; user < 500; user += 1) {
      expect(left!.shardOf[user]).toBe(right!.shardOf[user - 300]);
    }
    const other = dealIds(new Uint8Array(16).fill(4), idsOf(a), 7, 500);
    expect([...other.shardOf]).not.toEqual([...left!.shardOf]);
  });

  it('is even, and says nothing about bins', () => {
    const n = 40_000;
    const ids = rng(32 * n);
    const { shardOf, dropped } = dealIds(SEED, ids, 8, n);
    expect(dropped).toBe(0);
    const bins = locate(SEED, ids, 8_000);
    // Shard against the eighth of the table the first bin lies in: 49 degrees of freedom.
    const cells = new Float64Array(64);
    shardOf.forEach((shard, i) => (cells[8 * shard + Math.floor(bins[3 * i]! / 1_000)]! += 1));
    const mean = n / 64;
    const chi = cells.reduce((sum, c) => sum + (c - mean) ** 2 / mean, 0);
    expect(chi).toBeLessThan(140);
  });

  it('drops what a full shard has no room for', () => {
    const { shardOf, dropped } = dealIds(SEED, idsOf(range(0, 100)), 2, 30);
    expect(dropped).toBe(40);
    expect(shardOf.filter((s) => s === 0).length).toBe(30);
    expect(shardOf.filter((s) => s === 1).length).toBe(30);
    expect(shardOf.filter((s) => s === -1).length).toBe(40);
  });
});
