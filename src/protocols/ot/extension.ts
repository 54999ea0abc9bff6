import { wipe } from '../../core/bytes.ts';
import type { Channel } from '../../core/channel.ts';
import { breathe } from '../../core/progress.ts';
import { otKernel } from '../../kernels/ot/index.ts';
import type { Arena } from '../../kernels/load.ts';
import { correctionBytes, growPunctured, growTrees, punctureChoices } from './ggm.ts';
import { allocateHash, hashRows, spanKey, spanOts } from './hashing.ts';
import { hash } from './label.ts';
import { BLOCK_BYTES, KAPPA } from './limits.ts';
import {
  chunkBytes,
  extendOwner,
  extendPeer,
  indexOf,
  openStreams,
  shapeOf,
  transposer,
  type FieldBits,
} from './softspoken-steps.ts';

/** Receives one span of keys while they are in the arena: OTs `at` to `at + n` of the chunk. */
export type SenderSpan = (k0: number, k1: number, at: number, n: number) => void;
export type ReceiverSpan = (keys: number, at: number, n: number) => void;

/**
 * One direction's sender: OTs of `blocks` blocks each, a chunk at a time. `open` runs once in the
 * chunk's arena with the longest span, allocates what it needs and returns the consumer.
 */
export type SenderChunk = (
  n: number,
  blocks: number,
  open: (arena: Arena, spanMax: number) => SenderSpan,
) => Promise<void>;

/** One direction's receiver. `choices` has one packed bit per OT, whole lanes. */
export type ReceiverChunk = (
  choices: Uint8Array,
  n: number,
  blocks: number,
  open: (arena: Arena, spanMax: number) => ReceiverSpan,
) => Promise<void>;

/** Where the tree owner's peer gets its keys: one per base OT, chosen by `choices`, a bit a byte. */
export type ChosenKeys = (choices: Uint8Array) => Promise<Uint8Array>;

/** Where the tree owner gets both keys of every base OT: 32 bytes each. */
export type KeyPairs = () => Promise<Uint8Array>;

/** What a direction's OT sender keeps of the set-up. Secret. */
export interface SenderSetUp {
  readonly delta: Uint8Array;
  /** Of each tree all leaves but the one at Delta's index. */
  readonly leaves: Uint8Array;
}

/**
 * Sets up one direction as its OT sender, who picks Delta and is the receiver of the base OTs.
 *
 * Semi-honest SoftSpoken with k bits of Delta per tree; sources and departures in PROTOCOL.md.
 * Cost: 128 base OTs, (128/k)·(k-1)·32 bytes in; then 16/k bytes in per OT.
 * @throws ParleyError what the base OTs throw.
 */
export async function setUpSender(
  channel: Channel,
  k: FieldBits,
  delta: Uint8Array,
  baseKeys: ChosenKeys,
): Promise<SenderSetUp> {
  const shape = shapeOf(k);
  const choices = punctureChoices(shape, delta);
  const keys = await baseKeys(choices);
  const corrections = await channel.recv('trees', correctionBytes(shape));
  const leaves = growPunctured(shape, delta, keys, corrections);
  wipe(choices, keys);
  return { delta, leaves };
}

/**
 * The leaves of one lane: every leaf of the set-up hashed with the lane's binding, so that lanes
 * with other bindings have unrelated key streams over one Delta. A leaf the peer does not know
 * gives lane leaves it does not know. The caller's leaves stay.
 */
export function laneLeaves(binding: Uint8Array, leaves: Uint8Array): Uint8Array {
  const out = new Uint8Array(leaves.length);
  for (let at = 0; at < leaves.length; at += BLOCK_BYTES) {
    const leaf = leaves.subarray(at, at + BLOCK_BYTES);
    out.set(hash('lane', [binding, leaf]).subarray(0, BLOCK_BYTES), at);
  }
  return out;
}

/** The sender of one lane. @param leaves - the lane's own; wiped. */
export function senderChunks(
  channel: Channel,
  k: FieldBits,
  binding: Uint8Array,
  delta: Uint8Array,
  leaves: Uint8Array,
): SenderChunk {
  const shape = shapeOf(k);
  const streams = openStreams(shape, leaves, (tree, x) => x === indexOf(delta, k, tree));
  wipe(leaves);
  let spans = 0;
  return async (n, blocks, open) => {
    const padded = Math.ceil(n / KAPPA) * KAPPA;
    const spanMax = spanOts(blocks);
    const message = await channel.recv('corrections', chunkBytes(k, padded));
    otKernel.run((arena) => {
      const transpose = transposer(arena, extendPeer(arena, k, streams, delta, message, padded));
      const zero = arena.alloc(BLOCK_BYTES);
      const offset = arena.put(delta);
      const largest = Math.min(spanMax, padded);
      const q = arena.alloc(largest * BLOCK_BYTES);
      const work = allocateHash(arena, largest, blocks);
      const k0 = arena.alloc(largest * blocks * BLOCK_BYTES);
      const k1 = arena.alloc(largest * blocks * BLOCK_BYTES);
      const consume = open(arena, largest);
      for (let at = 0; at < padded; at += spanMax) {
        const count = Math.min(spanMax, padded - at);
        transpose(q, at, count);
        const key = spanKey(binding, spans++);
        hashRows(arena, work, key, k0, q, count, zero);
        hashRows(arena, work, key, k1, q, count, offset);
        consume(k0, k1, at, count);
      }
    });
    await breathe();
  };
}

/**
 * Sets up one direction as its OT receiver, who owns the trees and is the sender of the base OTs.
 * Model, source and cost as {@link setUpSender}, the other way round.
 * @returns all leaves of all trees. Secret.
 */
export async function setUpReceiver(
  channel: Channel,
  k: FieldBits,
  baseKeys: KeyPairs,
): Promise<Uint8Array> {
  const keys = await baseKeys();
  const { leaves, corrections: trees } = growTrees(shapeOf(k), keys);
  wipe(keys);
  await channel.send('trees', trees);
  return leaves;
}

/** The receiver of one lane. @param leaves - the lane's own, of all trees; wiped. */
export function receiverChunks(
  channel: Channel,
  k: FieldBits,
  binding: Uint8Array,
  leaves: Uint8Array,
): ReceiverChunk {
  const shape = shapeOf(k);
  const streams = openStreams(shape, leaves, () => false);
  wipe(leaves);
  let spans = 0;
  return async (choices, n, blocks, open) => {
    const padded = Math.ceil(n / KAPPA) * KAPPA;
    const spanMax = spanOts(blocks);
    const message = otKernel.run((arena) => {
      const { rows, corrections } = extendOwner(arena, k, streams, choices, padded);
      const transpose = transposer(arena, rows);
      const zero = arena.alloc(BLOCK_BYTES);
      const largest = Math.min(spanMax, padded);
      const t = arena.alloc(largest * BLOCK_BYTES);
      const work = allocateHash(arena, largest, blocks);
      const own = arena.alloc(largest * blocks * BLOCK_BYTES);
      const consume = open(arena, largest);
      for (let at = 0; at < padded; at += spanMax) {
        const count = Math.min(spanMax, padded - at);
        transpose(t, at, count);
        hashRows(arena, work, spanKey(binding, spans++), own, t, count, zero);
        consume(own, at, count);
      }
      return corrections;
    });
    await channel.send('corrections', message);
    await breathe();
  };
}
