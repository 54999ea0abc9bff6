import type { Channel } from '../../core/channel.ts';
import { expect } from '../../core/errors.ts';
import type { Rng } from '../../core/rng.ts';
import {
  RECEIVER_SEED_BYTES,
  receiverExtension,
  SENDER_SEED_BYTES,
  senderExtension,
} from './extension.ts';
import { receiverFace, senderFace, type BitOtReceiver, type BitOtSender } from './faces.ts';
import { SESSION_ID_BYTES } from './label.ts';
import type { FieldBits } from './softspoken-steps.ts';

/** What both ends agree on, and each end's own randomness. */
export interface OtPairOptions {
  readonly channel: Channel;
  /** 0 and 1 are the two ends; each end is the sender of the direction named after it. */
  readonly party: 0 | 1;
  readonly k: FieldBits;
  /** 32 bytes that no other set-up of the two parties has used. */
  readonly sessionId: Uint8Array;
  readonly rng: Rng;
}

/** An `OtPair` whose ends also give single bits without writing out whole keys. */
export interface BitOtPair {
  readonly sender: BitOtSender;
  readonly receiver: BitOtReceiver;
}

/**
 * Sets up oblivious transfer in both directions with one peer, each with its own Delta.
 *
 * Semi-honest. MR19 base OTs in ristretto255, SoftSpoken extension, hashes of GKWY20; PROTOCOL.md.
 * The session id and the channel path are hashed into everything, so two set-ups that differ in
 * either share nothing. Ends that disagree on the session id get unrelated keys and no error.
 * Cost: 2·128 base OTs, most of it 512 multiplications in ristretto255; 10.3 KB (k = 2) or 11.3 KB
 * (k = 4) each way; two rounds.
 *
 * @throws ParleyError PEER_BAD_ENCODING for bytes that are no group element; PEER_BAD_LENGTH when
 *   the peer uses another k.
 */
export async function createOtPair(options: OtPairOptions): Promise<BitOtPair> {
  const { channel, party, k, sessionId, rng } = options;
  expect(sessionId.length === SESSION_ID_BYTES, 'a session id is 32 bytes');
  // Drawn before the first await, so that the order does not depend on how the directions race.
  const senderSeed = rng(SENDER_SEED_BYTES);
  const receiverSeed = rng(RECEIVER_SEED_BYTES);
  const out = channel.sub(`ot.${party}`);
  const back = channel.sub(`ot.${1 - party}`);
  const [send, receive] = await Promise.all([
    senderExtension(out, k, sessionId, senderSeed),
    receiverExtension(back, k, sessionId, receiverSeed),
  ]);
  return { sender: senderFace(out, send), receiver: receiverFace(back, receive) };
}
