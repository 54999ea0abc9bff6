import type { Channel } from '../../core/channel.ts';
import type { Rng } from '../../core/rng.ts';

/** Bytes of a keyed identifier hash (HMAC-SHA-256), the join key everywhere. */
export const ID_BYTES = 32;

/** Bytes of one OPRF input: identifier hash, then the hash-function index j in one byte. */
export const POINT_BYTES = ID_BYTES + 1;

/** Bytes of one OPRF output key. */
export const KEY_BYTES = 16;

/**
 * An oblivious PRF, the part of the join a policy may choose. The sender holds the key and learns
 * nothing; the receiver learns F at exactly the points it asked for.
 */
export interface Oprf {
  /**
   * Whether F has a key per bin: the receiver then asks for one point per bin, in bin order.
   * Otherwise it asks for one point per place of its capacity, in an order that says nothing about
   * bins, and fills empty bins with random keys of its own.
   */
  readonly perBin: boolean;
  /**
   * @param points - n·POINT_BYTES. @returns n·KEY_BYTES.
   * @throws ParleyError PEER_BAD_ENCODING for a reply that is not a group element.
   */
  receive(channel: Channel, points: Uint8Array, rng: Rng): Promise<Uint8Array>;
  /**
   * @param receiverCount - n, public. @param points - the sender's own m·POINT_BYTES.
   * @param bins - the bin of each own point, m of them; read only when `perBin`.
   * @returns F at its own points, m·KEY_BYTES.
   */
  send(
    channel: Channel,
    receiverCount: number,
    points: Uint8Array,
    bins: Uint32Array,
    rng: Rng,
  ): Promise<Uint8Array>;
}
