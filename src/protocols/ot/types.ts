/**
 * Oblivious-transfer faces. Bits are packed LSB first: bit i of `b` is `(b[i >> 3] >> (i & 7)) & 1`;
 * a packed vector of n bits is `bitBytes(n)` long and its padding bits are arbitrary.
 * A block is 16 bytes. Calls on one face are made one at a time, in the same order at both ends.
 */

/** Bytes of a packed vector of `n` bits: whole 16-byte lanes, so kernels never see a tail. */
export function bitBytes(n: number): number {
  return Math.ceil(n / 128) * 16;
}

/** The sender's end of one direction between two parties. */
export interface OtSender {
  /**
   * n random OTs of `blocks` 16-byte blocks each. Learns both keys of each OT, not the choice.
   * @returns `k0`, `k1`: 16·blocks·n bytes, OT i at offset 16·blocks·i.
   */
  random(n: number, blocks?: number): Promise<{ readonly k0: Uint8Array; readonly k1: Uint8Array }>;

  /**
   * n correlated OTs over (Z_2^64)^lanes: the receiver gets `share + c_i·delta_i`.
   * @param delta - n·lanes 64-bit little-endian elements.
   * @returns this end's additive share: minus the receiver's mask, so both sum to c_i·delta_i.
   */
  correlatedRing64(delta: Uint8Array, n: number, lanes: number): Promise<Uint8Array>;

  /**
   * n correlated OTs over Z_64 (six bits), for equality by Hamming distance.
   * @param delta - n bytes, each below 64. @returns n bytes below 64, this end's additive share.
   */
  correlatedRing6(delta: Uint8Array, n: number): Promise<Uint8Array>;
}

/** The receiver's end of one direction between two parties. */
export interface OtReceiver {
  /** @param choices - n packed bits. @returns the chosen key of each OT, 16·blocks·n bytes. */
  random(choices: Uint8Array, n: number, blocks?: number): Promise<Uint8Array>;
  /** @returns this end's additive share of c_i·delta_i, n·lanes 64-bit elements. */
  correlatedRing64(choices: Uint8Array, n: number, lanes: number): Promise<Uint8Array>;
  /** @returns n bytes below 64, this end's additive share of c_i·delta_i. */
  correlatedRing6(choices: Uint8Array, n: number): Promise<Uint8Array>;
}

/** One party's ends of both directions with one peer. The two directions may run concurrently. */
export interface OtPair {
  readonly sender: OtSender;
  readonly receiver: OtReceiver;
}

/** XOR shares of n products: (a ⊕ a')·(b ⊕ b') = c ⊕ c'. Single use. */
export interface BitTriples {
  readonly a: Uint8Array;
  readonly b: Uint8Array;
  readonly c: Uint8Array;
}
