import { wipe } from '../../core/bytes.ts';
import type { Channel } from '../../core/channel.ts';
import { expect } from '../../core/errors.ts';
import { breathe } from '../../core/progress.ts';
import { addRing, negateRing, subRing } from '../../kernels/ring64/index.ts';
import {
  addRing6,
  addRing64,
  choicesOf,
  chunksOf,
  exclusive,
  expectChoices,
  pipeline,
  ring6Bytes,
  WORD_BYTES,
  type Chunk,
} from './chunks.ts';
import type { ReceiverPool, SenderPool } from './stock.ts';
import type { TripleSource } from './triples.ts';
import { bitBytes, type BitTriples, type OtPair, type OtReceiver, type OtSender } from './types.ts';
import { keyBytes, sameUse, wholeLanes, type OtCount, type OtUse } from './use.ts';

/** What one end has in stock with one peer, by direction. */
export interface PairStock {
  readonly sends: readonly SenderPool[];
  readonly receives: readonly ReceiverPool[];
}

export interface StockedPairOptions {
  /** A stream of the stocked OTs' own with the peer. */
  readonly channel: Channel;
  /** As of the live pair: 0 and 1 are the two ends. */
  readonly party: 0 | 1;
  /** Made with this peer, in a session where both ends made the same calls. Consumed. */
  readonly stock: PairStock;
  /** What is used once the stock runs dry. */
  readonly live: OtPair;
}

/**
 * OTs from a stock of random ones: the receiver tells, per OT, whether its choice is the one it drew
 * when the OT was made, and the sender swaps its keys where it is not (Beaver, "Precomputing
 * oblivious transfer", CRYPTO 1995). Then the corrections of correlated OTs follow as over the live
 * pair. Each learns what it would learn there: what the receiver sends is its choices masked by
 * uniform bits that are used once.
 *
 * A call for more than is left of its use goes to the live pair as a whole. Both ends hold stocks of
 * the same counts and make the same calls, so they change over at the same call. Cost: one bit an OT
 * out beside the corrections, no cryptography. Steps: `choices`, `ring64`, `ring6`.
 *
 * @throws ParleyError as the live pair.
 */
export function stockedPair({ channel, party, stock, live }: StockedPairOptions): OtPair {
  const out = channel.sub(`ot.${party}`);
  const back = channel.sub(`ot.${1 - party}`);
  return {
    sender: stockedSender(out, stock.sends, live.sender),
    receiver: stockedReceiver(back, stock.receives, live.receiver),
  };
}

/** Where the next OTs of each use start; null when fewer than `n` are left. */
function shelf<P extends OtCount>(
  pools: readonly P[],
): (use: OtUse, n: number) => { readonly pool: P; readonly first: number } | null {
  const taken = pools.map(() => 0);
  return (use, n) => {
    const index = pools.findIndex((pool) => sameUse(pool, use));
    const pool = pools[index];
    if (pool === undefined) return null;
    const first = taken[index]!;
    if (first + wholeLanes(n) > pool.n) return null;
    taken[index] = first + wholeLanes(n);
    return { pool, first };
  };
}

/** Copies `length` bytes out and leaves `cleared` zeros: nobody takes them, or their padding, again. */
function cutOut(from: Uint8Array, at: number, length: number, cleared = length): Uint8Array {
  const out = from.slice(at, at + length);
  from.fill(0, at, at + cleared);
  return out;
}

/** A stocked call's own keys of a chunk, swapped where the receiver says so. */
type SwappedKeys = (part: Chunk) => Promise<readonly [Uint8Array, Uint8Array]>;

function stockedSender(channel: Channel, pools: readonly SenderPool[], live: OtSender): OtSender {
  const once = exclusive();
  const take = shelf(pools);
  const keysFor = (use: OtUse, n: number): SwappedKeys | null => {
    const lot = take(use, n);
    if (lot === null) return null;
    const bytes = keyBytes(use);
    return async (part) => {
      const swaps = await channel.recv('choices', bitBytes(part.n));
      const [at, length] = [(lot.first + part.first) * bytes, part.n * bytes];
      const lane = wholeLanes(part.n) * bytes;
      const k0 = cutOut(lot.pool.k0, at, length, lane);
      const k1 = cutOut(lot.pool.k1, at, length, lane);
      if (bytes === 1) swapBytes(k0, k1, swaps);
      else swapWords(k0, k1, swaps, bytes / 4);
      return [k0, k1];
    };
  };
  return {
    random: (n, blocks = 1) =>
      once(async () => {
        const keys = keysFor({ kind: 'blocks', width: blocks }, n);
        return keys === null ? live.random(n, blocks) : sendRandom(keys, n, blocks);
      }),
    correlatedRing64: (delta, n, lanes) =>
      once(async () => {
        expect(delta.length === n * lanes * WORD_BYTES, 'delta is n times lanes elements');
        const keys = keysFor({ kind: 'ring64', width: lanes }, n);
        return keys === null
          ? live.correlatedRing64(delta, n, lanes)
          : sendRing64(channel, keys, delta, n, lanes);
      }),
    correlatedRing6: (delta, n) =>
      once(async () => {
        expect(delta.length === n && delta.every((d) => d < 64), 'delta is n bytes below 64');
        const keys = keysFor({ kind: 'ring6', width: 1 }, n);
        return keys === null ? live.correlatedRing6(delta, n) : sendRing6(channel, keys, delta, n);
      }),
  };
}

function stockedReceiver(
  channel: Channel,
  pools: readonly ReceiverPool[],
  live: OtReceiver,
): OtReceiver {
  const once = exclusive();
  const take = shelf(pools);
  /** Sends the swaps of a call's chunks and puts its keys into `out`; null when it goes live. */
  const drawFor = (
    use: OtUse,
    choices: Uint8Array,
    n: number,
    out: Uint8Array,
  ): ((part: Chunk) => Promise<void>) | null => {
    expectChoices(choices, n);
    const lot = take(use, n);
    if (lot === null) return null;
    const bytes = keyBytes(use);
    return async (part) => {
      const first = lot.first + part.first;
      const swaps = cutOut(lot.pool.choices, first / 8, bitBytes(part.n));
      const wanted = choicesOf(choices, part);
      for (let i = 0; i < swaps.length; i++) swaps[i]! ^= wanted[i]!;
      const lane = wholeLanes(part.n) * bytes;
      const keys = cutOut(lot.pool.keys, first * bytes, part.n * bytes, lane);
      out.set(keys, part.first * bytes);
      wipe(keys);
      await channel.send('choices', swaps);
      await breathe();
    };
  };
  return {
    random: (choices, n, blocks = 1) =>
      once(async () => {
        const use = { kind: 'blocks', width: blocks } as const;
        const out = new Uint8Array(n * keyBytes(use));
        const draw = drawFor(use, choices, n, out);
        if (draw === null) return live.random(choices, n, blocks);
        for (const part of chunksOf(n, 2 * blocks)) await draw(part);
        return out;
      }),
    correlatedRing64: (choices, n, lanes) =>
      once(async () => {
        const share = new Uint8Array(n * lanes * WORD_BYTES);
        const draw = drawFor({ kind: 'ring64', width: lanes }, choices, n, share);
        if (draw === null) return live.correlatedRing64(choices, n, lanes);
        await pipeline(chunksOf(n, lanes), draw, (part) =>
          addRing64(channel, share, choices, part, lanes),
        );
        return share;
      }),
    correlatedRing6: (choices, n) =>
      once(async () => {
        const share = new Uint8Array(n);
        const draw = drawFor({ kind: 'ring6', width: 1 }, choices, n, share);
        if (draw === null) return live.correlatedRing6(choices, n);
        await pipeline(chunksOf(n, 1), draw, (part) => addRing6(channel, share, choices, part));
        return share;
      }),
  };
}

async function sendRandom(
  keys: SwappedKeys,
  n: number,
  blocks: number,
): Promise<{ k0: Uint8Array; k1: Uint8Array }> {
  const bytes = keyBytes({ kind: 'blocks', width: blocks });
  const [k0, k1] = [new Uint8Array(n * bytes), new Uint8Array(n * bytes)];
  for (const part of chunksOf(n, 2 * blocks)) {
    const [a, b] = await keys(part);
    k0.set(a, part.first * bytes);
    k1.set(b, part.first * bytes);
    wipe(a, b);
  }
  return { k0, k1 };
}

async function sendRing64(
  channel: Channel,
  keys: SwappedKeys,
  delta: Uint8Array,
  n: number,
  lanes: number,
): Promise<Uint8Array> {
  const bytes = lanes * WORD_BYTES;
  const share = new Uint8Array(n * bytes);
  for (const part of chunksOf(n, lanes)) {
    const [k0, k1] = await keys(part);
    const at = part.first * bytes;
    share.set(negateRing(k0), at);
    const message = addRing(subRing(k0, k1), delta.slice(at, at + part.n * bytes));
    wipe(k0, k1);
    await channel.send('ring64', message);
    await breathe();
  }
  return share;
}

async function sendRing6(
  channel: Channel,
  keys: SwappedKeys,
  delta: Uint8Array,
  n: number,
): Promise<Uint8Array> {
  const share = new Uint8Array(n);
  for (const part of chunksOf(n, 1)) {
    const [k0, k1] = await keys(part);
    // Whole groups of four words; those past the end stay zero, as do the bits on the wire.
    const z = new Uint8Array(wholeLanes(part.n));
    for (let i = 0; i < part.n; i++) {
      z[i] = (k0[i]! - k1[i]! + delta[part.first + i]!) & 63;
      share[part.first + i] = -k0[i]! & 63;
    }
    wipe(k0, k1);
    await channel.send('ring6', packSix(z).slice(0, ring6Bytes(part.n)));
    await breathe();
  }
  return share;
}

/** Six-bit words without gaps from the lowest bit up, four to three bytes. */
function packSix(words: Uint8Array): Uint8Array {
  const out = new Uint8Array(ring6Bytes(words.length));
  for (let i = 0, at = 0; i < words.length; i += 4, at += 3) {
    const [b, c] = [words[i + 1]!, words[i + 2]!];
    out[at] = words[i]! | (b << 6);
    out[at + 1] = (b >> 2) | (c << 4);
    out[at + 2] = (c >> 4) | (words[i + 3]! << 2);
  }
  return out;
}

/** Swaps byte i of both where bit i of `swaps` is set; no branch on it. */
function swapBytes(a: Uint8Array, b: Uint8Array, swaps: Uint8Array): void {
  for (let i = 0; i < a.length; i++) {
    const differing = (a[i]! ^ b[i]!) & -((swaps[i >> 3]! >> (i & 7)) & 1);
    a[i]! ^= differing;
    b[i]! ^= differing;
  }
}

/** {@link swapBytes} in units of `width` 32-bit words. */
function swapWords(a: Uint8Array, b: Uint8Array, swaps: Uint8Array, width: number): void {
  const x = new Uint32Array(a.buffer, a.byteOffset, a.length / 4);
  const y = new Uint32Array(b.buffer, b.byteOffset, b.length / 4);
  for (let i = 0, at = 0; at < x.length; i++) {
    const mask = -((swaps[i >> 3]! >> (i & 7)) & 1);
    for (const end = at + width; at < end; at++) {
      const differing = (x[at]! ^ y[at]!) & mask;
      x[at]! ^= differing;
      y[at]! ^= differing;
    }
  }
}

/**
 * Bit triples from a stock, then from `live`. A take of more than is left goes to `live` as a whole,
 * at every end alike.
 * @param stock - made ahead by the same parties; consumed.
 */
export function stockedTriples(
  stock: BitTriples,
  live: TripleSource,
): { take(n: number): Promise<BitTriples> } {
  let at = 0;
  return {
    async take(n) {
      expect(Number.isSafeInteger(n) && n >= 0 && n % 128 === 0, 'n is a multiple of 128');
      const bytes = n / 8;
      if (at + bytes > stock.a.length) return live.take(n);
      const cut = (bits: Uint8Array): Uint8Array => cutOut(bits, at, bytes);
      const taken = { a: cut(stock.a), b: cut(stock.b), c: cut(stock.c) };
      at += bytes;
      return taken;
    },
  };
}
