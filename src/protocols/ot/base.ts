import type { Channel } from '../../core/channel.ts';
import { u32be } from '../../core/bytes.ts';
import { expect } from '../../core/errors.ts';
import { breathe } from '../../core/progress.ts';
import {
  decodeElement,
  ELEMENT_BYTES,
  elementOf,
  generate,
  scalarOf,
  WIDE_BYTES,
  type Element,
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
  const s = scalarOf(seed);
  const ours = generate(s).toBytes();
  await channel.send('base.sender', ours.slice());

  // 2. R -> S: (r_0, r_1) per OT.
  const theirs = await channel.recv('base.receiver', n * PAIR_BYTES);
  const step = `${channel.path}/base.receiver`;
  const transcript = transcriptOf(binding, ours, theirs);

  // 3. key_b = H(i, b, (r_b + H_b(r_{1-b}))^s).
  const keys = new Uint8Array(2 * n * BLOCK_BYTES);
  for (let i = 0; i < n; i++) {
    for (const b of [0, 1] as const) {
      const own = theirs.subarray(i * PAIR_BYTES + b * ELEMENT_BYTES).subarray(0, ELEMENT_BYTES);
      const other = theirs
        .subarray(i * PAIR_BYTES + (1 - b) * ELEMENT_BYTES)
        .subarray(0, ELEMENT_BYTES);
      const point = decodeElement(own, step).add(mask(binding, i, b, other));
      keys.set(keyOf(transcript, i, b, point.multiply(s)), (2 * i + b) * BLOCK_BYTES);
    }
    if (i % BASE_OTS_PER_TURN === BASE_OTS_PER_TURN - 1) await breathe();
  }
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

  // 1. R -> S: r_{1-c} uniform, r_c = g^a - H_c(r_{1-c}), in the order (r_0, r_1).
  const ours = new Uint8Array(n * PAIR_BYTES);
  const scalars: bigint[] = [];
  for (let i = 0; i < n; i++) {
    const c = choices[i] === 0 ? 0 : 1;
    const seed = seeds.subarray(i * BASE_RECEIVER_SEED_BYTES, (i + 1) * BASE_RECEIVER_SEED_BYTES);
    const a = scalarOf(seed.subarray(0, WIDE_BYTES));
    const other = elementOf(seed.subarray(WIDE_BYTES)).toBytes();
    const chosen = generate(a)
      .subtract(mask(binding, i, c, other))
      .toBytes();
    ours.set(other, i * PAIR_BYTES + (1 - c) * ELEMENT_BYTES);
    ours.set(chosen, i * PAIR_BYTES + c * ELEMENT_BYTES);
    scalars.push(a);
    if (i % BASE_OTS_PER_TURN === BASE_OTS_PER_TURN - 1) await breathe();
  }
  await channel.send('base.receiver', ours.slice());

  // 2. S -> R: A. key_c = H(i, c, A^a).
  const theirs = await channel.recv('base.sender', ELEMENT_BYTES);
  const point = decodeElement(theirs, `${channel.path}/base.sender`).precompute(WINDOW_BITS);
  const transcript = transcriptOf(binding, theirs, ours);
  const keys = new Uint8Array(n * BLOCK_BYTES);
  for (const [i, a] of scalars.entries()) {
    const c = choices[i] === 0 ? 0 : 1;
    keys.set(keyOf(transcript, i, c, point.multiply(a)), i * BLOCK_BYTES);
    if (i % BASE_OTS_PER_TURN === BASE_OTS_PER_TURN - 1) await breathe();
  }
  return keys;
}

/** LOCAL. Window of the table for the one point that is multiplied n times. */
const WINDOW_BITS = 6;

/** H_b of the paper: SHA-512 of session, OT index, position and element, mapped to the group. */
function mask(binding: Uint8Array, i: number, b: 0 | 1, other: Uint8Array): Element {
  return elementOf(hashWide('base.mask', [binding, u32be(i), Uint8Array.of(b), other]));
}

function transcriptOf(binding: Uint8Array, sender: Uint8Array, receiver: Uint8Array): Uint8Array {
  return hash('base.transcript', [binding, sender, receiver]);
}

function keyOf(transcript: Uint8Array, i: number, b: 0 | 1, shared: Element): Uint8Array {
  const digest = hash('base.key', [transcript, u32be(i), Uint8Array.of(b), shared.toBytes()]);
  return digest.subarray(0, BLOCK_BYTES);
}
