import { expect } from '../../core/errors.ts';
import { HASH_IDS, idHash, wordsOf } from './id-hash.ts';
import { BINS_MIN, HASHES } from './limits.ts';
import { ID_BYTES } from './types.ts';

/** LOCAL. Evictions tried per id before searching for an augmenting path. */
const EVICTIONS_MAX = 500;

/** 2^-42, the step of one hash word. */
const HASH_STEP = 2 ** -42;

/** A cuckoo table without a stash. */
export interface CuckooTable {
  /** Index of the id in each bin, -1 for an empty one. */
  readonly idOfBin: Int32Array;
  /** Which of its three functions placed the id in the bin; meaningless for an empty one. */
  readonly hashOfBin: Uint8Array;
  /** Ids without a place; probability at most 2^-40 that there is any. */
  readonly dropped: number;
}

/**
 * Bins of a table for up to `capacity` ids, a public number:
 * B = max(1400, ceil((capacity \< 2^14 ? 1.35 : 1.30) · capacity)).
 *
 * SECURITY. By Hall's theorem and a union bound over minimal violators (PROTOCOL.md), a random table
 * of this size has no placement with probability at most 2^-50.5 at every capacity up to 2^20.
 */
export function binsFor(capacity: number): number {
  const percent = capacity < 1 << 14 ? 135 : 130;
  return Math.max(BINS_MIN, Math.ceil((percent * capacity) / 100));
}

/**
 * Three distinct bins of every id, uniform over ordered triples.
 *
 * Each 32-byte id is hashed to 128 bits under the joint seed: since ids are fixed before the seed, no
 * set of ids is worse than another. Three 42-bit words give u0 below B, u1 below B-1 and u2 below
 * B-2; u1 and u2 then step over the bins already taken.
 *
 * @param seed - 16 bytes, jointly chosen after both inputs are fixed.
 * @param ids - n·32 bytes. @returns 3n bins, those of id i at 3i + j.
 */
export function locate(seed: Uint8Array, ids: Uint8Array, bins: number): Int32Array {
  const n = ids.length / ID_BYTES;
  expect(Number.isInteger(n) && bins >= HASHES, 'whole ids and at least three bins');
  const out = new Int32Array(HASHES * n);
  const hash = idHash(seed);
  const scale = [bins * HASH_STEP, (bins - 1) * HASH_STEP, (bins - 2) * HASH_STEP] as const;
  for (let from = 0; from < n; from += HASH_IDS) {
    const part = ids.subarray(ID_BYTES * from, ID_BYTES * Math.min(n, from + HASH_IDS));
    const words = hash(part);
    for (let i = 0; i < words.length; i += 4) {
      // Bits 96 to 125 lengthen the three 32-bit words to 42 bits: bias below 2^-20 at 2^21 bins.
      const extra = words[i + 3]!;
      const b0 = Math.floor((words[i]! + (extra & 0x3ff) * 2 ** 32) * scale[0]);
      let b1 = Math.floor((words[i + 1]! + ((extra >>> 10) & 0x3ff) * 2 ** 32) * scale[1]);
      let b2 = Math.floor((words[i + 2]! + ((extra >>> 20) & 0x3ff) * 2 ** 32) * scale[2]);
      if (b1 >= b0) b1++;
      if (b2 >= Math.min(b0, b1)) b2++;
      if (b2 >= Math.max(b0, b1)) b2++;
      const at = HASHES * from + (i >> 2) * HASHES;
      out[at] = b0;
      out[at + 1] = b1;
      out[at + 2] = b2;
    }
  }
  return out;
}

/**
 * Places every id in one of its three bins: random-walk eviction, then, after 500 evictions, a
 * breadth-first search for an augmenting path, which finds a place whenever one exists. An id for
 * which none exists is dropped and counted; nothing a peer can see depends on it.
 *
 * The walk's choices are a fixed pseudorandom sequence. They need no secrecy and no entropy: they
 * decide only which of its bins an id takes, which stays inside this party, and bins are already
 * random by the joint seed.
 *
 * @param locations - 3n bins as {@link locate} returns them. Cost: O(n) expected.
 */
export function place(locations: Int32Array, bins: number): CuckooTable {
  const n = locations.length / HASHES;
  const idOfBin = new Int32Array(bins).fill(-1);
  const hashOfBin = new Uint8Array(bins);
  let state = 0x9e3779b9;
  let search: Search | null = null;
  let dropped = 0;
  for (let id = 0; id < n; id++) {
    let homeless = id;
    let taken = -1; // the function whose bin `homeless` was just evicted from
    for (let step = 0; step < EVICTIONS_MAX; step++) {
      const at = HASHES * homeless;
      let j = 0;
      while (j < HASHES && idOfBin[locations[at + j]!] !== -1) j++;
      const free = j < HASHES;
      if (!free) {
        state ^= state << 13; // xorshift32, Marsaglia 2003
        state ^= state >>> 17;
        state ^= state << 5;
        j = taken < 0 ? (state >>> 0) % HASHES : (taken + 1 + (state & 1)) % HASHES;
      }
      const bin = locations[at + j]!;
      const evicted = idOfBin[bin]!;
      taken = hashOfBin[bin]!;
      idOfBin[bin] = homeless;
      hashOfBin[bin] = j;
      homeless = evicted;
      if (free) break;
    }
    if (homeless === -1) continue;
    search ??= openSearch(bins);
    if (!augment(search, locations, idOfBin, hashOfBin, homeless)) dropped++;
  }
  return { idOfBin, hashOfBin, dropped };
}

/** Breadth-first search state, allocated at the first use: it is almost never needed. */
interface Search {
  readonly queue: Int32Array;
  /** The bin from which each bin was reached, -1 for a bin of the homeless id itself. */
  readonly parent: Int32Array;
  /** Which function of the id in `parent` leads to the bin. */
  readonly via: Uint8Array;
  /** Equal to `round` where visited. */
  readonly seen: Int32Array;
  round: number;
}

function openSearch(bins: number): Search {
  return {
    queue: new Int32Array(bins),
    parent: new Int32Array(bins),
    via: new Uint8Array(bins),
    seen: new Int32Array(bins),
    round: 0,
  };
}

/** Moves ids along a shortest path from a bin of `homeless` to an empty bin; false if none. */
function augment(
  search: Search,
  locations: Int32Array,
  idOfBin: Int32Array,
  hashOfBin: Uint8Array,
  homeless: number,
): boolean {
  const { queue, parent, via, seen } = search;
  const round = ++search.round;
  let tail = 0;
  const reach = (id: number, from: number): void => {
    for (let j = 0; j < HASHES; j++) {
      const bin = locations[HASHES * id + j]!;
      if (seen[bin] === round) continue;
      seen[bin] = round;
      parent[bin] = from;
      via[bin] = j;
      queue[tail++] = bin;
    }
  };
  reach(homeless, -1);
  for (let head = 0; head < tail; head++) {
    let bin = queue[head]!;
    if (idOfBin[bin] !== -1) {
      reach(idOfBin[bin]!, bin);
      continue;
    }
    for (let from = parent[bin]!; from !== -1; from = parent[bin]!) {
      idOfBin[bin] = idOfBin[from]!;
      hashOfBin[bin] = via[bin]!;
      bin = from;
    }
    idOfBin[bin] = homeless;
    hashOfBin[bin] = via[bin]!;
    return true;
  }
  return false;
}

/**
 * A contract of the caller: no id occurs twice. A repeated id would take two bins of the pivot, or
 * give the sender's hint two equal keys. Ids are uniform hashes, so their first word spreads them.
 * @throws ParleyError INTERNAL.
 */
export function expectDistinct(ids: Uint8Array): void {
  const n = ids.length / ID_BYTES;
  const words = wordsOf(ids);
  const mask = 2 ** Math.ceil(Math.log2(2 * n + 2)) - 1;
  const slots = new Int32Array(mask + 1).fill(-1);
  for (let i = 0; i < n; i++) {
    let slot = words[8 * i]! & mask;
    for (; slots[slot] !== -1; slot = (slot + 1) & mask) {
      let k = 0;
      while (k < 8 && words[8 * i + k] === words[8 * slots[slot]! + k]) k++;
      expect(k < 8, 'ids are distinct');
    }
    slots[slot] = i;
  }
}
