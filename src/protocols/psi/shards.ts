import { createHash } from 'node:crypto';
import { utf8 } from '../../core/bytes.ts';
import { expect } from '../../core/errors.ts';
import { HASH_IDS, HASH_WORDS, idHash } from './id-hash.ts';
import { SEED_BYTES, SHARDS_MAX, STATISTICAL_BITS } from './limits.ts';
import { ID_BYTES } from './types.ts';

/**
 * Ids a shard has room for when up to `capacity` are dealt fairly into `shards`: μ + δ, μ the mean,
 * δ the least with exp(−δ² / (2μ + 2δ/3)) ≤ 2^-(40 + log2 shards).
 *
 * SECURITY. By the Chernoff-Bernstein bound and a union bound, any shard overflows with probability
 * at most 2^-40. Public; at most `capacity`, and `capacity` itself for one shard.
 */
export function shardCapacity(capacity: number, shards: number): number {
  expect(Number.isInteger(capacity) && capacity >= 1, 'a capacity is a count');
  expect(Number.isInteger(shards) && shards >= 1, 'there is at least one shard');
  if (shards === 1) return capacity;
  const mean = capacity / shards;
  const exponent = (STATISTICAL_BITS + Math.log2(shards)) * Math.LN2;
  // The positive root of δ² − (2/3)·L·δ − 2·μ·L = 0.
  const delta = exponent / 3 + Math.sqrt((exponent / 3) ** 2 + 2 * mean * exponent);
  return Math.min(capacity, Math.ceil(mean + delta));
}

/** A party's ids dealt into shards. */
export interface Deal {
  /** Shard of each id, -1 for one whose shard was full. */
  readonly shardOf: Int32Array;
  /** Ids left out; for this party's eyes only. */
  readonly dropped: number;
}

/** Makes the deal's key another one than that of a cuckoo table with the same seed. */
const DEAL_LABEL = utf8('parley/psi/deal/v1');

/**
 * Deals ids into shards by a PRF of the id: alike at every party that has the same seed, evenly
 * whatever the ids, as they are fixed before it, and independently of their bins. An id whose shard
 * is full is left out: to start over, or to tell, would show how full this party's shards are.
 *
 * @param seed - 16 bytes, jointly chosen after all inputs are fixed. @param ids - n·32 bytes.
 * @param capacity - of one shard, from {@link shardCapacity}. Cost: O(n), nothing is sent.
 */
export function dealIds(seed: Uint8Array, ids: Uint8Array, shards: number, capacity: number): Deal {
  const n = ids.length / ID_BYTES;
  expect(Number.isInteger(n) && seed.length === SEED_BYTES, 'whole ids and a seed of 16 bytes');
  expect(shards >= 1 && shards <= SHARDS_MAX, 'shards in range');
  const shardOf = new Int32Array(n);
  const counts = new Int32Array(shards);
  const key = createHash('sha256').update(DEAL_LABEL).update(seed).digest();
  const hash = idHash(key.subarray(0, SEED_BYTES));
  let dropped = 0;
  for (let from = 0; from < n; from += HASH_IDS) {
    const to = Math.min(n, from + HASH_IDS);
    const words = hash(ids.subarray(ID_BYTES * from, ID_BYTES * to));
    for (let id = from; id < to; id++) {
      // 32 bits against at most 64 shards: bias below 2^-26.
      const shard = Math.floor((words[HASH_WORDS * (id - from)]! * shards) / 2 ** 32);
      const full = counts[shard]! >= capacity;
      shardOf[id] = full ? -1 : shard;
      if (full) dropped += 1;
      else counts[shard]! += 1;
    }
  }
  return { shardOf, dropped };
}
