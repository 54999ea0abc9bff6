import type { Channel } from '../../core/channel.ts';
import { expect, ParleyError } from '../../core/errors.ts';
import { otKernel } from '../../kernels/ot/index.ts';
import type { ReceiverChunk, SenderChunk } from './extension.ts';
import { BLOCK_BYTES, BLOCKS_MAX, CHUNK_OTS, CHUNK_WORDS, KAPPA } from './limits.ts';
import { bitBytes, type OtReceiver, type OtSender } from './types.ts';

const WORD_BYTES = 8;

/** `random` when one bit per key is all that is wanted: the same OTs, the lowest bits only. */
export interface BitOtSender extends OtSender {
  /** @returns the lowest bit of each `k0` and `k1`, `bitBytes(n)` packed bytes each. */
  randomBits(n: number): Promise<{ readonly b0: Uint8Array; readonly b1: Uint8Array }>;
}

/** The receiver's end of {@link BitOtSender}. */
export interface BitOtReceiver extends OtReceiver {
  /** @returns the lowest bit of each chosen key, `bitBytes(n)` packed bytes. */
  randomBits(choices: Uint8Array, n: number): Promise<Uint8Array>;
}

/** The sender's correlations over one direction's extension. Steps: `ring64`, `ring6`. */
export function senderFace(channel: Channel, chunk: SenderChunk): BitOtSender {
  const once = exclusive();
  return {
    random: (n, blocks = 1) => once(() => sendRandom(chunk, n, blocks)),
    randomBits: (n) => once(() => sendBits(chunk, n)),
    correlatedRing64: (delta, n, lanes) => once(() => sendRing64(channel, chunk, delta, n, lanes)),
    correlatedRing6: (delta, n) => once(() => sendRing6(channel, chunk, delta, n)),
  };
}

/** The receiver's correlations over one direction's extension. */
export function receiverFace(channel: Channel, chunk: ReceiverChunk): BitOtReceiver {
  const once = exclusive();
  return {
    random: (choices, n, blocks = 1) => once(() => receiveRandom(chunk, choices, n, blocks)),
    randomBits: (choices, n) => once(() => receiveBits(chunk, choices, n)),
    correlatedRing64: (choices, n, lanes) =>
      once(() => receiveRing64(channel, chunk, choices, n, lanes)),
    correlatedRing6: (choices, n) => once(() => receiveRing6(channel, chunk, choices, n)),
  };
}

/**
 * One call at a time. After a failure the two ends may stand at different places of their key
 * streams, so the face stays closed.
 */
function exclusive(): <T>(body: () => Promise<T>) => Promise<T> {
  let busy = false;
  return async (body) => {
    expect(!busy, 'OT calls on one face are made one at a time, and none after a failure');
    busy = true;
    const result = await body();
    busy = false;
    return result;
  };
}

interface Chunk {
  /** First OT. */
  readonly first: number;
  readonly n: number;
}

/** The chunks of `n` OTs when each OT carries `words` 64-bit words of message. */
function chunksOf(n: number, words: number): Chunk[] {
  expect(Number.isSafeInteger(n) && n >= 0, 'n is a count');
  const fit = Math.floor(CHUNK_WORDS / words / KAPPA) * KAPPA;
  const step = Math.min(CHUNK_OTS, fit);
  const chunks: Chunk[] = [];
  for (let first = 0; first < n; first += step) {
    chunks.push({ first, n: Math.min(step, n - first) });
  }
  return chunks;
}

function expectChoices(choices: Uint8Array, n: number): void {
  expect(choices.length === bitBytes(n), 'choices are n packed bits');
}

function choicesOf(choices: Uint8Array, { first, n }: Chunk): Uint8Array {
  return choices.subarray(first / 8, first / 8 + bitBytes(n));
}

/** Blocks of key that give `lanes` 64-bit words. */
function blocksFor(lanes: number): number {
  const known = Number.isInteger(lanes) && lanes >= 1 && lanes <= 2 * BLOCKS_MAX;
  expect(known, 'lanes in range');
  return Math.ceil(lanes / 2);
}

async function sendRandom(
  chunk: SenderChunk,
  n: number,
  blocks: number,
): Promise<{ k0: Uint8Array; k1: Uint8Array }> {
  const bytes = blocks * BLOCK_BYTES;
  const k0 = new Uint8Array(n * bytes);
  const k1 = new Uint8Array(n * bytes);
  for (const part of chunksOf(n, 1)) {
    await chunk(part.n, blocks, (arena) => (from0, from1, at, spanned) => {
      const length = Math.min(spanned, part.n - at) * bytes;
      k0.set(arena.view(from0, length), (part.first + at) * bytes);
      k1.set(arena.view(from1, length), (part.first + at) * bytes);
    });
  }
  return { k0, k1 };
}

async function receiveRandom(
  chunk: ReceiverChunk,
  choices: Uint8Array,
  n: number,
  blocks: number,
): Promise<Uint8Array> {
  expectChoices(choices, n);
  const bytes = blocks * BLOCK_BYTES;
  const out = new Uint8Array(n * bytes);
  for (const part of chunksOf(n, 1)) {
    await chunk(choicesOf(choices, part), part.n, blocks, (arena) => (keys, at, spanned) => {
      const length = Math.min(spanned, part.n - at) * bytes;
      out.set(arena.view(keys, length), (part.first + at) * bytes);
    });
  }
  return out;
}

async function sendBits(
  chunk: SenderChunk,
  n: number,
): Promise<{ b0: Uint8Array; b1: Uint8Array }> {
  const b0 = new Uint8Array(bitBytes(n));
  const b1 = new Uint8Array(bitBytes(n));
  for (const part of chunksOf(n, 1)) {
    await chunk(part.n, 1, (arena, spanMax) => {
      const packed = arena.alloc(spanMax / 8);
      return (k0, k1, at, spanned) => {
        for (const [out, keys] of [
          [b0, k0],
          [b1, k1],
        ] as const) {
          otKernel.fn.packLsb(packed, keys, spanned);
          out.set(arena.view(packed, spanned / 8), (part.first + at) / 8);
        }
      };
    });
  }
  return { b0, b1 };
}

async function receiveBits(
  chunk: ReceiverChunk,
  choices: Uint8Array,
  n: number,
): Promise<Uint8Array> {
  expectChoices(choices, n);
  const bits = new Uint8Array(bitBytes(n));
  for (const part of chunksOf(n, 1)) {
    await chunk(choicesOf(choices, part), part.n, 1, (arena, spanMax) => {
      const packed = arena.alloc(spanMax / 8);
      return (keys, at, spanned) => {
        otKernel.fn.packLsb(packed, keys, spanned);
        bits.set(arena.view(packed, spanned / 8), (part.first + at) / 8);
      };
    });
  }
  return bits;
}

async function sendRing64(
  channel: Channel,
  chunk: SenderChunk,
  delta: Uint8Array,
  n: number,
  lanes: number,
): Promise<Uint8Array> {
  const blocks = blocksFor(lanes);
  const bytes = lanes * WORD_BYTES;
  expect(delta.length === n * bytes, 'delta is n times lanes 64-bit elements');
  const share = new Uint8Array(n * bytes);
  for (const { first, n: count } of chunksOf(n, lanes)) {
    const message = new Uint8Array(count * bytes);
    await chunk(count, blocks, (arena, spanMax) => {
      const [d, z, own] = [0, 1, 2].map(() => arena.alloc(spanMax * bytes)) as Three;
      return (k0, k1, at, spanned) => {
        const length = Math.min(spanned, count - at) * bytes;
        const here = (first + at) * bytes;
        arena.view(d, length).set(delta.subarray(here, here + length));
        otKernel.fn.ring64Send(z, own, k0, k1, d, spanned, lanes, blocks * BLOCK_BYTES);
        message.set(arena.view(z, length), at * bytes);
        share.set(arena.view(own, length), here);
      };
    });
    await channel.send('ring64', message);
  }
  return share;
}

type Three = [number, number, number];

async function receiveRing64(
  channel: Channel,
  chunk: ReceiverChunk,
  choices: Uint8Array,
  n: number,
  lanes: number,
): Promise<Uint8Array> {
  const blocks = blocksFor(lanes);
  const bytes = lanes * WORD_BYTES;
  expectChoices(choices, n);
  const share = new Uint8Array(n * bytes);
  const take = (part: Chunk): Promise<void> =>
    chunk(choicesOf(choices, part), part.n, blocks, (arena, spanMax) => {
      const words = arena.alloc(spanMax * bytes);
      return (keys, at, spanned) => {
        const length = Math.min(spanned, part.n - at) * bytes;
        otKernel.fn.ring64Take(words, keys, spanned, lanes, blocks * BLOCK_BYTES);
        share.set(arena.view(words, length), (part.first + at) * bytes);
      };
    });
  const add = async (part: Chunk): Promise<void> => {
    const message = await channel.recv('ring64', part.n * bytes);
    otKernel.run((arena) => {
      const own = share.subarray(part.first * bytes).subarray(0, message.length);
      const [dst, z] = [arena.put(own), arena.put(message)];
      const c = arena.put(choicesOf(choices, part));
      otKernel.fn.ring64Add(dst, z, c, part.n, lanes);
      own.set(arena.view(dst, own.length));
    });
  };
  await pipeline(chunksOf(n, lanes), take, add);
  return share;
}

/** Bytes of `n` six-bit words, packed without gaps from the lowest bit up. */
function ring6Bytes(n: number): number {
  return Math.ceil((6 * n) / 8);
}

/** Bits of the last byte that no word uses; they are zero on the wire. */
function ring6Unused(n: number): number {
  return 8 * ring6Bytes(n) - 6 * n;
}

async function sendRing6(
  channel: Channel,
  chunk: SenderChunk,
  delta: Uint8Array,
  n: number,
): Promise<Uint8Array> {
  expect(delta.length === n && delta.every((d) => d < 64), 'delta is n bytes below 64');
  const share = new Uint8Array(n);
  for (const { first, n: count } of chunksOf(n, 1)) {
    const message = new Uint8Array(ring6Bytes(count));
    await chunk(count, 1, (arena, spanMax) => {
      const [d, z, own] = [0, 1, 2].map(() => arena.alloc(spanMax)) as Three;
      return (k0, k1, at, spanned) => {
        const length = Math.min(spanned, count - at);
        const here = first + at;
        arena.view(d, length).set(delta.subarray(here, here + length));
        otKernel.fn.ring6Send(z, own, k0, k1, d, spanned);
        message.set(arena.view(z, ring6Bytes(length)), ring6Bytes(at));
        share.set(arena.view(own, length), here);
      };
    });
    message[message.length - 1]! &= 0xff >> ring6Unused(count);
    await channel.send('ring6', message);
  }
  return share;
}

async function receiveRing6(
  channel: Channel,
  chunk: ReceiverChunk,
  choices: Uint8Array,
  n: number,
): Promise<Uint8Array> {
  expectChoices(choices, n);
  const share = new Uint8Array(n);
  const take = (part: Chunk): Promise<void> =>
    chunk(choicesOf(choices, part), part.n, 1, (arena, spanMax) => {
      const words = arena.alloc(spanMax);
      return (keys, at, spanned) => {
        const length = Math.min(spanned, part.n - at);
        otKernel.fn.ring6Take(words, keys, spanned);
        share.set(arena.view(words, length), part.first + at);
      };
    });
  const add = async (part: Chunk): Promise<void> => {
    const message = await channel.recv('ring6', ring6Bytes(part.n));
    if (message.at(-1)! >> (8 - ring6Unused(part.n)) !== 0) {
      throw new ParleyError('PEER_BAD_ENCODING', 'the peer sent padding bits that are not zero', {
        step: `${channel.path}/ring6`,
      });
    }
    otKernel.run((arena) => {
      const own = share.subarray(part.first, part.first + part.n);
      const [dst, z] = [arena.put(own), arena.put(message)];
      const c = arena.put(choicesOf(choices, part));
      // The last group of four may reach past the words; the arena's lanes absorb it.
      otKernel.fn.ring6Add(dst, z, c, part.n);
      own.set(arena.view(dst, own.length));
    });
  };
  await pipeline(chunksOf(n, 1), take, add);
  return share;
}

/**
 * `take` chunk after chunk, and `add` to each once it is taken and its reply is there, without
 * waiting for one reply before the next request.
 */
async function pipeline(
  chunks: readonly Chunk[],
  take: (chunk: Chunk) => Promise<void>,
  add: (chunk: Chunk) => Promise<void>,
): Promise<void> {
  let added: Promise<void> = Promise.resolve();
  for (const chunk of chunks) {
    await take(chunk);
    added = added.then(() => add(chunk));
    // Awaited below; a failure meanwhile must not count as unhandled.
    added.catch(() => undefined);
  }
  await added;
}
