import type { Channel } from '../../core/channel.ts';
import type { Rng } from '../../core/rng.ts';
import type { OtPair } from '../ot/types.ts';

/**
 * One bit per row, XOR-shared between the two parties, packed LSB first into
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
 * What every two-party sharing protocol runs over. Calls are made one at a time and in the same
 * order at both ends; each names its own step below `channel`.
 */
export interface Sharing {
  /** 0 is the pivot. Exactly one end adds public constants: party 0. */
  readonly party: 0 | 1;
  readonly channel: Channel;
  readonly ot: OtPair;
  /** Masks and jointly random bits. The system CSPRNG in production. */
  readonly rng: Rng;
  /** XOR shares of x AND y over `rows` rows each, all pairs in one round. */
  and(xs: Word, ys: Word, rows: number): Promise<Wire[]>;
}
