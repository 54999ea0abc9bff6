import { wipe } from '../../core/bytes.ts';
import type { Channel } from '../../core/channel.ts';
import { expect } from '../../core/errors.ts';
import type { Rng } from '../../core/rng.ts';
import {
  laneLeaves,
  RECEIVER_SEED_BYTES,
  receiverChunks,
  SENDER_SEED_BYTES,
  senderChunks,
  setUpReceiver,
  setUpSender,
} from './extension.ts';
import { receiverFace, senderFace, type BitOtReceiver, type BitOtSender } from './faces.ts';
import { bindingOf, SESSION_ID_BYTES } from './label.ts';
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
 * What one end keeps of the base OTs with one peer: all later transfers follow from it. Secret; a
 * plain value, so that it can be handed to a worker thread.
 */
export interface OtSeeds {
  readonly k: FieldBits;
  readonly party: 0 | 1;
  readonly delta: Uint8Array;
  readonly senderLeaves: Uint8Array;
  readonly receiverLeaves: Uint8Array;
}

/**
 * Base OTs in both directions with one peer, each direction with its own Delta.
 *
 * Semi-honest. MR19 base OTs in ristretto255, GGM trees of SoftSpoken; PROTOCOL.md. The session id
 * and the channel path are hashed into everything, so two set-ups that differ in either share
 * nothing. Ends that disagree on the session id get unrelated keys and no error.
 * Cost: 2·128 base OTs, most of it 512 multiplications in ristretto255; 10.3 KB (k = 2) or 11.3 KB
 * (k = 4) each way; two rounds.
 *
 * @throws ParleyError PEER_BAD_ENCODING for bytes that are no group element; PEER_BAD_LENGTH when
 *   the peer uses another k.
 */
export async function setUpOts(options: OtPairOptions): Promise<OtSeeds> {
  const { channel, party, k, sessionId, rng } = options;
  expect(sessionId.length === SESSION_ID_BYTES, 'a session id is 32 bytes');
  // Drawn before the first await, so that the order does not depend on how the directions race.
  const senderSeed = rng(SENDER_SEED_BYTES);
  const receiverSeed = rng(RECEIVER_SEED_BYTES);
  const [sender, receiverLeaves] = await Promise.all([
    setUpSender(channel.sub(`ot.${party}`), k, sessionId, senderSeed),
    setUpReceiver(channel.sub(`ot.${1 - party}`), k, sessionId, receiverSeed),
  ]);
  return { k, party, delta: sender.delta, senderLeaves: sender.leaves, receiverLeaves };
}

/** Overwrites seeds that are no longer needed. */
export function wipeSeeds({ delta, senderLeaves, receiverLeaves }: OtSeeds): void {
  wipe(delta, senderLeaves, receiverLeaves);
}

export interface LaneOptions {
  /** A stream of the lane's own; its path, with the session id, separates lanes. */
  readonly channel: Channel;
  readonly seeds: OtSeeds;
  readonly sessionId: Uint8Array;
}

/**
 * One lane of transfers from a set-up: a few milliseconds, nothing is sent. Any number of lanes
 * may be open at once. Lanes of one set-up share Delta and nothing else; a path must not be used
 * for two lanes, or their key streams are the same.
 */
export function extendOts({ channel, seeds, sessionId }: LaneOptions): BitOtPair {
  const { k, party, delta } = seeds;
  const out = channel.sub(`ot.${party}`);
  const back = channel.sub(`ot.${1 - party}`);
  const sending = bindingOf(sessionId, out.path);
  const receiving = bindingOf(sessionId, back.path);
  const own = laneLeaves(sending, seeds.senderLeaves);
  const theirs = laneLeaves(receiving, seeds.receiverLeaves);
  return {
    sender: senderFace(out, senderChunks(out, k, sending, delta, own)),
    receiver: receiverFace(back, receiverChunks(back, k, receiving, theirs)),
  };
}

/** {@link setUpOts} and one lane from it. */
export async function createOtPair(options: OtPairOptions): Promise<BitOtPair> {
  const { channel, sessionId } = options;
  const seeds = await setUpOts(options);
  return extendOts({ channel: channel.sub('lane'), seeds, sessionId });
}
