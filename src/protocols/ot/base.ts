import { u32be, wipe } from '../../core/bytes.ts';
import type { Channel } from '../../core/channel.ts';
import { expect } from '../../core/errors.ts';
import { breathe } from '../../core/progress.ts';
import {
  addPoints,
  decodeElements,
  ELEMENT_BYTES,
  elementsOf,
  encodeElements,
  generateEach,
  multiplyAll,
  multiplyOne,
  SCALAR_BYTES,
  scalarsOf,
  subtractPoints,
  WIDE_BYTES,
  type Elements,
} from './group.ts';
import { hash, hashWide } from './label.ts';
import { BASE_OTS_PER_TURN, BLOCK_BYTES } from './limits.ts';

/** Bytes of uniform randomness the sender draws. */
export const BASE_SENDER_SEED_BYTES = WIDE_BYTES;

/** Bytes of uniform randomness the receiver draws per OT: a scalar and an element. */
export const BASE_RECEIVER_SEED_BYTES = 2 * WIDE_BYTES;

const PAIR_BYTES = 2 * ELEMENT_BYTES;

/**
 * Sender's half of n random OTs: learns both 16-byte keys of each, nothing about the choices.
 *
 * Semi-honest. Masny and Rindal, "Endemic Oblivious Transfer", CCS 2019 (ePrint 2019/706), the
 * Diffie-Hellman instance in ristretto255; departures in PROTOCOL.md.
 * Cost: 2n hashes to the group, 2n + 1 multiplications; 32 bytes out, 64n in; one round.
 *
 * @param binding - session id and path, hashed into every element and key.
 * @param seed - BASE_SENDER_SEED_BYTES uniform bytes, used once.
 * @returns n·32 bytes: key 0 and key 1 of each OT.
 * @throws ParleyError PEER_BAD_ENCODING for anything but canonical, non-identity elements.
 */
export async function baseSend(
  channel: Channel,
  n: number,
  binding: Uint8Array,
  seed: Uint8Array,
): Promise<Uint8Array> {
  // 1. S -> R: A = g^s. It depends on nothing received, so both messages cross.
  const s = scalarsOf(seed);
  const ours = encodeElements(generateEach(s));
  await channel.send('base.sender', ours.slice());

  // 2. R -> S: (r_0, r_1) per OT.
  const theirs = await channel.recv('base.receiver', n * PAIR_BYTES);
  const step = `${channel.path}/base.receiver`;
  const transcript = transcriptOf(binding, ours, theirs);

  // 3. key_b = H(i, b, (r_b + H_b(r_{1-b}))^s).
  const keys = new Uint8Array(2 * n * BLOCK_BYTES);
  await inTurns(n, (from, to) => {
    const own = theirs.subarray(from * PAIR_BYTES, to * PAIR_BYTES);
    const masks: Mask[] = [];
    for (let i = from; i < to; i++) {
      for (const b of [0, 1] as const) masks.push({ i, b, other: pairOf(theirs, i, 1 - b) });
    }
    const points = addPoints(decodeElements(own, step), elementsOf(maskBytes(binding, masks)));
    const shared = encodeAndWipe(multiplyAll(points, s));
    for (const [at, { i, b }] of masks.entries()) {
      keys.set(keyOf(transcript, i, b, elementAt(shared, at)), (2 * i + b) * BLOCK_BYTES);
    }
    wipe(shared);
  });
  wipe(s);
  return keys;
}

/**
 * Receiver's half: learns the key of its choice in each of n OTs. Model and source as
 * {@link baseSend}. Cost: 2n hashes to the group, 2n multiplications; 64n bytes out, 32 in.
 *
 * @param choices - n bits, one per byte.
 * @param seeds - n·BASE_RECEIVER_SEED_BYTES uniform bytes, used once.
 * @returns n·16 bytes.
 * @throws ParleyError PEER_BAD_ENCODING for anything but a canonical, non-identity element.
 */
export async function baseReceive(
  channel: Channel,
  choices: Uint8Array,
  binding: Uint8Array,
  seeds: Uint8Array,
): Promise<Uint8Array> {
  const n = choices.length;
  expect(seeds.length === n * BASE_RECEIVER_SEED_BYTES, 'one seed per base OT');
  const bitOf = (i: number): 0 | 1 => (choices[i] === 0 ? 0 : 1);

  // 1. R -> S: r_{1-c} uniform, r_c = g^a - H_c(r_{1-c}), in the order (r_0, r_1).
  const ours = new Uint8Array(n * PAIR_BYTES);
  const scalars = new Uint8Array(n * SCALAR_BYTES);
  await inTurns(n, (from, to) => {
    const [exponents, uniform] = halves(seeds, from, to);
    const own = scalars.subarray(from * SCALAR_BYTES, to * SCALAR_BYTES);
    own.set(scalarsOf(exponents));
    const others = encodeElements(elementsOf(uniform));
    const masks: Mask[] = [];
    for (let i = from; i < to; i++) {
      masks.push({ i, b: bitOf(i), other: elementAt(others, i - from) });
    }
    const mask = elementsOf(maskBytes(binding, masks));
    const chosen = encodeElements(subtractPoints(generateEach(own), mask));
    for (const { i, b, other } of masks) {
      ours.set(other, i * PAIR_BYTES + (1 - b) * ELEMENT_BYTES);
      ours.set(elementAt(chosen, i - from), i * PAIR_BYTES + b * ELEMENT_BYTES);
    }
    wipe(exponents, uniform);
  });
  await channel.send('base.receiver', ours.slice());

  // 2. S -> R: A. key_c = H(i, c, A^a).
  const theirs = await channel.recv('base.sender', ELEMENT_BYTES);
  const step = `${channel.path}/base.sender`;
  const transcript = transcriptOf(binding, theirs, ours);
  const keys = new Uint8Array(n * BLOCK_BYTES);
  await inTurns(n, (from, to) => {
    const own = scalars.subarray(from * SCALAR_BYTES, to * SCALAR_BYTES);
    const shared = encodeAndWipe(multiplyOne(theirs, own, step));
    for (let i = from; i < to; i++) {
      keys.set(keyOf(transcript, i, bitOf(i), elementAt(shared, i - from)), i * BLOCK_BYTES);
    }
    wipe(shared);
  });
  wipe(scalars);
  return keys;
}

/** Runs `work` on slices of [0, n), one slice per event-loop turn. */
async function inTurns(n: number, work: (from: number, to: number) => void): Promise<void> {
  for (let from = 0; from < n; from += BASE_OTS_PER_TURN) {
    if (from > 0) await breathe();
    work(from, Math.min(n, from + BASE_OTS_PER_TURN));
  }
}

/** The seeds of OTs [from, to), their first and their second 64 bytes. */
function halves(seeds: Uint8Array, from: number, to: number): [Uint8Array, Uint8Array] {
  const first = new Uint8Array((to - from) * WIDE_BYTES);
  const second = new Uint8Array((to - from) * WIDE_BYTES);
  for (let i = from; i < to; i++) {
    const seed = seeds.subarray(i * BASE_RECEIVER_SEED_BYTES, (i + 1) * BASE_RECEIVER_SEED_BYTES);
    first.set(seed.subarray(0, WIDE_BYTES), (i - from) * WIDE_BYTES);
    second.set(seed.subarray(WIDE_BYTES), (i - from) * WIDE_BYTES);
  }
  return [first, second];
}

/** What H_b is taken of: OT index, position, the element at the other position. */
interface Mask {
  readonly i: number;
  readonly b: 0 | 1;
  readonly other: Uint8Array;
}

/** H_b of the paper up to the map to the group: SHA-512 of session, index, position, element. */
function maskBytes(binding: Uint8Array, masks: readonly Mask[]): Uint8Array {
  const wide = new Uint8Array(masks.length * WIDE_BYTES);
  for (const [at, { i, b, other }] of masks.entries()) {
    const digest = hashWide('base.mask', [binding, u32be(i), Uint8Array.of(b), other]);
    wide.set(digest, at * WIDE_BYTES);
  }
  return wide;
}

function elementAt(encoded: Uint8Array, i: number): Uint8Array {
  return encoded.subarray(i * ELEMENT_BYTES, (i + 1) * ELEMENT_BYTES);
}

/** r_b of OT i. */
function pairOf(pairs: Uint8Array, i: number, b: number): Uint8Array {
  return elementAt(pairs, 2 * i + b);
}

function encodeAndWipe(elements: Elements): Uint8Array {
  const encoded = encodeElements(elements);
  wipe(elements.limbs);
  return encoded;
}

function transcriptOf(binding: Uint8Array, sender: Uint8Array, receiver: Uint8Array): Uint8Array {
  return hash('base.transcript', [binding, sender, receiver]);
}

function keyOf(transcript: Uint8Array, i: number, b: 0 | 1, shared: Uint8Array): Uint8Array {
  const digest = hash('base.key', [transcript, u32be(i), Uint8Array.of(b), shared]);
  return digest.subarray(0, BLOCK_BYTES);
}
