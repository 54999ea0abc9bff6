import { wipe } from '../../core/bytes.ts';
import type { Channel } from '../../core/channel.ts';
import { expect } from '../../core/errors.ts';
import type { Rng } from '../../core/rng.ts';
import { BASE_RECEIVER_SEED_BYTES, BASE_SENDER_SEED_BYTES, baseReceive, baseSend } from './base.ts';
import {
  laneLeaves,
  receiverChunks,
  senderChunks,
  setUpReceiver,
  setUpSender,
} from './extension.ts';
import { receiverFace, senderFace, type BitOtReceiver, type BitOtSender } from './faces.ts';
import { bindingOf, SESSION_ID_BYTES } from './label.ts';
import { BLOCK_BYTES, KAPPA } from './limits.ts';
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
 * Everything later transfers with one peer follow from: both directions, each with its own Delta.
 *
 * Semi-honest. Direction 0 begins with MR19 base OTs in ristretto255. Direction 1's base OTs are 128
 * random OTs of direction 0, whose sender and receiver are just the ones it needs (Beaver, STOC
 * 1996: OTs extend OTs): no second round of public-key work. Then GGM trees of SoftSpoken;
 * PROTOCOL.md. The session id and the channel path are hashed into everything, so two set-ups that
 * differ in either share nothing. Ends that disagree on the session id get unrelated keys and no
 * error. Cost: 128 base OTs, most of it 256 multiplications in ristretto255; four rounds.
 *
 * @throws ParleyError PEER_BAD_ENCODING for bytes that are no group element; PEER_BAD_LENGTH when
 *   the peer uses another k.
 */
export async function setUpOts(options: OtPairOptions): Promise<OtSeeds> {
  const { party, k } = options;
  expect(options.sessionId.length === SESSION_ID_BYTES, 'a session id is 32 bytes');
  return party === 0 ? setUpFirst(options, k) : setUpSecond(options, k);
}

/** The sender of direction 0, then the tree owner of direction 1. */
async function setUpFirst(options: OtPairOptions, k: FieldBits): Promise<OtSeeds> {
  const { channel, sessionId, rng } = options;
  const [out, back, reverse] = channelsOf(channel);
  const delta = rng(BLOCK_BYTES);
  const seed = rng(KAPPA * BASE_RECEIVER_SEED_BYTES);
  const sender = await setUpSender(out, k, delta, async (choices) => {
    const keys = await baseReceive(out, choices, bindingOf(sessionId, out.path), seed);
    wipe(seed);
    return keys;
  });
  const receiverLeaves = await setUpReceiver(back, k, async () => {
    const binding = bindingOf(sessionId, reverse.path);
    const leaves = laneLeaves(binding, sender.leaves);
    const face = senderFace(reverse, senderChunks(reverse, k, binding, delta, leaves));
    const { k0, k1 } = await face.random(KAPPA);
    const keys = new Uint8Array(2 * KAPPA * BLOCK_BYTES);
    for (let i = 0; i < KAPPA; i++) {
      keys.set(k0.subarray(i * BLOCK_BYTES, (i + 1) * BLOCK_BYTES), 2 * i * BLOCK_BYTES);
      keys.set(k1.subarray(i * BLOCK_BYTES, (i + 1) * BLOCK_BYTES), (2 * i + 1) * BLOCK_BYTES);
    }
    wipe(k0, k1);
    return keys;
  });
  return { k, party: 0, delta, senderLeaves: sender.leaves, receiverLeaves };
}

/** The tree owner of direction 0, then the sender of direction 1. */
async function setUpSecond(options: OtPairOptions, k: FieldBits): Promise<OtSeeds> {
  const { channel, sessionId, rng } = options;
  const [out, back, reverse] = channelsOf(channel);
  const seed = rng(BASE_SENDER_SEED_BYTES);
  const delta = rng(BLOCK_BYTES);
  const receiverLeaves = await setUpReceiver(out, k, async () => {
    const keys = await baseSend(out, KAPPA, bindingOf(sessionId, out.path), seed);
    wipe(seed);
    return keys;
  });
  const sender = await setUpSender(back, k, delta, (choices) => {
    const binding = bindingOf(sessionId, reverse.path);
    const leaves = laneLeaves(binding, receiverLeaves);
    const face = receiverFace(reverse, receiverChunks(reverse, k, binding, leaves));
    const packed = new Uint8Array(KAPPA / 8);
    choices.forEach((bit, i) => (packed[i >> 3]! |= bit << (i & 7)));
    return face.random(packed, KAPPA);
  });
  return { k, party: 1, delta, senderLeaves: sender.leaves, receiverLeaves };
}

/** Direction 0, direction 1, and the lane of direction 0 that direction 1 begins with. */
function channelsOf(channel: Channel): readonly [Channel, Channel, Channel] {
  return [channel.sub('ot.0'), channel.sub('ot.1'), channel.sub('reverse')];
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
