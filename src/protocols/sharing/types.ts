import type { Channel } from '../../core/channel.ts';
import { expect } from '../../core/errors.ts';
import type { Rng } from '../../core/rng.ts';
import type { OtPair } from '../ot/types.ts';

/**
 * One bit per row, XOR-shared between all parties, packed LSB first into
 * `bitBytes(rows)` bytes (whole 16-byte lanes). Padding bits may hold anything.
 */
export type Wire = Uint8Array;

/** A shared integer per row, bit-sliced: element 0 is the least significant wire. */
export type Word = readonly Wire[];

/** Additive shares in Z_2^64, one per row: 8 bytes little-endian each. */
export type RingVector = Uint8Array;

/** A public bit per row (packed as a wire) or one bit for all rows. */
export type PublicBits = Uint8Array | boolean;

/**
 * What every sharing protocol runs over, between 2 or more parties. Calls are made one at a time
 * and in the same order at all of them. A value that fewer parties share is shared by all, with
 * zeros at the others.
 */
export interface Sharing {
  /** This party's index; 0 is the pivot. Exactly one party adds public constants: party 0. */
  readonly party: number;
  readonly parties: number;
  /** Oblivious transfers with each other party, by its index; null at this party's own. */
  readonly ots: readonly (OtPair | null)[];
  /** Streams with each other party for protocols that send more than ANDs and transfers do. */
  readonly channels: readonly (Channel | null)[];
  /** Masks and jointly random bits. The system CSPRNG in production. */
  readonly rng: Rng;
  /** XOR shares of x AND y over `rows` rows each, all in one round. */
  and(xs: Word, ys: Word, rows: number): Promise<Wire[]>;
}

/** The stream with party `peer`. */
export function channelWith(ctx: Sharing, peer: number): Channel {
  const channel = ctx.channels[peer];
  expect(channel != null, 'there is a stream to every other party');
  return channel;
}

/** The transfers with party `peer`. */
export function otWith(ctx: Sharing, peer: number): OtPair {
  const pair = ctx.ots[peer];
  expect(pair != null, 'there are transfers with every other party');
  return pair;
}
