import type { Channel } from '../../core/channel.ts';
import { expect, ParleyError } from '../../core/errors.ts';
import { otKernel } from '../../kernels/ot/index.ts';
import { BLOCKS_MAX, CHUNK_OTS, CHUNK_WORDS, KAPPA } from './limits.ts';
import { bitBytes } from './types.ts';

// How calls of n OTs are cut into messages, and what a receiver does with a reply: the same for
// OTs made when they are needed (faces.ts) and for those made ahead (stock-faces.ts).

export const WORD_BYTES = 8;

/**
 * One call at a time. After a failure the two ends may stand at different places of their key
 * streams, so the face stays closed.
 */
export function exclusive(): <T>(body: () => Promise<T>) => Promise<T> {
  let busy = false;
  return async (body) => {
    expect(!busy, 'OT calls on one face are made one at a time, and none after a failure');
    busy = true;
    const result = await body();
    busy = false;
    return result;
  };
}

export interface Chunk {
  /** First OT. */
  readonly first: number;
  readonly n: number;
}

/** The chunks of `n` OTs when each OT carries `words` 64-bit words of message. */
export function chunksOf(n: number, words: number): Chunk[] {
  expect(Number.isSafeInteger(n) && n >= 0, 'n is a count');
  const fit = Math.floor(CHUNK_WORDS / words / KAPPA) * KAPPA;
  const step = Math.min(CHUNK_OTS, fit);
  const chunks: Chunk[] = [];
  for (let first = 0; first < n; first += step) {
    chunks.push({ first, n: Math.min(step, n - first) });
  }
  return chunks;
}

export function expectChoices(choices: Uint8Array, n: number): void {
  expect(choices.length === bitBytes(n), 'choices are n packed bits');
}

export function choicesOf(choices: Uint8Array, { first, n }: Chunk): Uint8Array {
  return choices.subarray(first / 8, first / 8 + bitBytes(n));
}

/** Blocks of key that give `lanes` 64-bit words. */
export function blocksFor(lanes: number): number {
  const known = Number.isInteger(lanes) && lanes >= 1 && lanes <= 2 * BLOCKS_MAX;
  expect(known, 'lanes in range');
  return Math.ceil(lanes / 2);
}

/** Bytes of `n` six-bit words, packed without gaps from the lowest bit up. */
export function ring6Bytes(n: number): number {
  return Math.ceil((6 * n) / 8);
}

/** Bits of the last byte that no word uses; they are zero on the wire. */
export function ring6Unused(n: number): number {
  return 8 * ring6Bytes(n) - 6 * n;
}

/** Receives the corrections of a chunk and adds those of chosen OTs to `share`. */
export async function addRing64(
  channel: Channel,
  share: Uint8Array,
  choices: Uint8Array,
  part: Chunk,
  lanes: number,
): Promise<void> {
  const bytes = lanes * WORD_BYTES;
  const message = await channel.recv('ring64', part.n * bytes);
  otKernel.run((arena) => {
    const own = share.subarray(part.first * bytes).subarray(0, message.length);
    const [dst, z] = [arena.put(own), arena.put(message)];
    const c = arena.put(choicesOf(choices, part));
    otKernel.fn.ring64Add(dst, z, c, part.n, lanes);
    own.set(arena.view(dst, own.length));
  });
}

/** {@link addRing64} over Z_64. @throws ParleyError PEER_BAD_ENCODING for padding that is set. */
export async function addRing6(
  channel: Channel,
  share: Uint8Array,
  choices: Uint8Array,
  part: Chunk,
): Promise<void> {
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
}

/**
 * `take` chunk after chunk, and `add` to each once it is taken and its reply is there, without
 * waiting for one reply before the next request.
 */
export async function pipeline(
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
