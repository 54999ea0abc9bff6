import type { Channel } from '../../core/channel.ts';
import { expect } from '../../core/errors.ts';
import { otKernel } from '../../kernels/ot/index.ts';
import {
  addRing6,
  addRing64,
  blocksFor,
  choicesOf,
  chunksOf,
  exclusive,
  expectChoices,
  pipeline,
  ring6Bytes,
  ring6Unused,
  WORD_BYTES,
  type Chunk,
} from './chunks.ts';
import type { ReceiverChunk, SenderChunk } from './extension.ts';
import { BLOCK_BYTES } from './limits.ts';
import { bitBytes, type OtReceiver, type OtSender } from './types.ts';
import { keyBytes, type OtUse } from './use.ts';

/** `random` when one bit per key is all that is wanted: the same OTs, the lowest bits only. */
export interface BitOtSender extends OtSender {
  /** @returns the lowest bit of each `k0` and `k1`, `bitBytes(n)` packed bytes each. */
  randomBits(n: number): Promise<{ readonly b0: Uint8Array; readonly b1: Uint8Array }>;
  /** `random` with both keys cut to what they will be used as: `keyBytes(use)` bytes an OT. */
  randomKeys(use: OtUse, n: number): Promise<{ readonly k0: Uint8Array; readonly k1: Uint8Array }>;
}

/** The receiver's end of {@link BitOtSender}. */
export interface BitOtReceiver extends OtReceiver {
  /** @returns the lowest bit of each chosen key, `bitBytes(n)` packed bytes. */
  randomBits(choices: Uint8Array, n: number): Promise<Uint8Array>;
  /** @returns the chosen keys cut to their use, `keyBytes(use)` bytes an OT. */
  randomKeys(use: OtUse, choices: Uint8Array, n: number): Promise<Uint8Array>;
}

/** The sender's correlations over one direction's extension. Steps: `ring64`, `ring6`. */
export function senderFace(channel: Channel, chunk: SenderChunk): BitOtSender {
  const once = exclusive();
  return {
    random: (n, blocks = 1) => once(() => sendRandom(chunk, n, blocks)),
    randomBits: (n) => once(() => sendBits(chunk, n)),
    randomKeys: (use, n) => once(() => sendKeys(chunk, use, n)),
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
    randomKeys: (use, choices, n) => once(() => receiveKeys(chunk, use, choices, n)),
    correlatedRing64: (choices, n, lanes) =>
      once(() => receiveRing64(channel, chunk, choices, n, lanes)),
    correlatedRing6: (choices, n) => once(() => receiveRing6(channel, chunk, choices, n)),
  };
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

/** Blocks of key that a use needs, and the kernel call that cuts `n` keys to it. */
function cutOf({ kind, width }: OtUse): {
  readonly blocks: number;
  readonly cut: (dst: number, keys: number, n: number) => void;
} {
  const { fn } = otKernel;
  if (kind === 'ring6') return { blocks: 1, cut: (dst, keys, n) => fn.ring6Take(dst, keys, n) };
  const blocks = kind === 'blocks' ? width : blocksFor(width);
  const lanes = kind === 'blocks' ? 2 * width : width;
  const stride = blocks * BLOCK_BYTES;
  return { blocks, cut: (dst, keys, n) => fn.ring64Take(dst, keys, n, lanes, stride) };
}

async function sendKeys(
  chunk: SenderChunk,
  use: OtUse,
  n: number,
): Promise<{ k0: Uint8Array; k1: Uint8Array }> {
  const { blocks, cut } = cutOf(use);
  const bytes = keyBytes(use);
  const k0 = new Uint8Array(n * bytes);
  const k1 = new Uint8Array(n * bytes);
  for (const part of chunksOf(n, 1)) {
    await chunk(part.n, blocks, (arena, spanMax) => {
      const words = arena.alloc(spanMax * bytes);
      return (from0, from1, at, spanned) => {
        const length = Math.min(spanned, part.n - at) * bytes;
        for (const [out, keys] of [
          [k0, from0],
          [k1, from1],
        ] as const) {
          cut(words, keys, spanned);
          out.set(arena.view(words, length), (part.first + at) * bytes);
        }
      };
    });
  }
  return { k0, k1 };
}

async function receiveKeys(
  chunk: ReceiverChunk,
  use: OtUse,
  choices: Uint8Array,
  n: number,
): Promise<Uint8Array> {
  expectChoices(choices, n);
  const { blocks, cut } = cutOf(use);
  const bytes = keyBytes(use);
  const out = new Uint8Array(n * bytes);
  for (const part of chunksOf(n, 1)) {
    await chunk(choicesOf(choices, part), part.n, blocks, (arena, spanMax) => {
      const words = arena.alloc(spanMax * bytes);
      return (keys, at, spanned) => {
        const length = Math.min(spanned, part.n - at) * bytes;
        cut(words, keys, spanned);
        out.set(arena.view(words, length), (part.first + at) * bytes);
      };
    });
  }
  return out;
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
  await pipeline(chunksOf(n, lanes), take, (part) =>
    addRing64(channel, share, choices, part, lanes),
  );
  return share;
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
  await pipeline(chunksOf(n, 1), take, (part) => addRing6(channel, share, choices, part));
  return share;
}
