import { wipe } from '../../core/bytes.ts';
import { expect } from '../../core/errors.ts';
import type { Rng } from '../../core/rng.ts';
import type { BitOtReceiver, BitOtSender } from './faces.ts';
import { BLOCK_BYTES, TRIPLES_MIN } from './limits.ts';
import { bitBytes, type BitTriples, type OtPair, type OtReceiver, type OtSender } from './types.ts';

/**
 * n XOR-shared bit triples, by one random OT each way (Asharov, Lindell, Schneider and Zohner,
 * CCS 2013, section 5; Demmler, Schneider and Zohner, "ABY", NDSS 2015). Each end learns its own
 * shares only.
 *
 * As receiver an end chooses its a_i and gets v_i; as sender it has keys whose lowest bits are u_i
 * and u_i xor b_i. Then c_i = a_i·b_i + u_i + v_i over GF(2), where v_i = u'_i + a_i·b'_i.
 * Semi-honest. Cost: two random OTs per triple, both directions at once, no further message.
 *
 * @returns a, b and c, each `bitBytes(n)` long.
 */
export async function createTriples(pair: OtPair, n: number, rng: Rng): Promise<BitTriples> {
  const a = rng(bitBytes(n));
  const [v, { b0: u, b1: b }] = await Promise.all([
    receiverBits(pair.receiver, a, n),
    senderBits(pair.sender, n),
  ]);
  const c = new Uint8Array(a.length);
  for (let i = 0; i < c.length; i++) {
    b[i]! ^= u[i]!;
    c[i] = (a[i]! & b[i]!) ^ u[i]! ^ v[i]!;
  }
  wipe(u, v);
  return { a, b, c };
}

/** Bits straight from the extension where the pair offers them, else from whole keys. */
export async function senderBits(
  sender: OtSender | BitOtSender,
  n: number,
): Promise<{ readonly b0: Uint8Array; readonly b1: Uint8Array }> {
  if ('randomBits' in sender) return sender.randomBits(n);
  const { k0, k1 } = await sender.random(n);
  return { b0: packLowBits(k0, n), b1: packLowBits(k1, n) };
}

export async function receiverBits(
  receiver: OtReceiver | BitOtReceiver,
  choices: Uint8Array,
  n: number,
): Promise<Uint8Array> {
  if ('randomBits' in receiver) return receiver.randomBits(choices, n);
  return packLowBits(await receiver.random(choices, n), n);
}

function packLowBits(keys: Uint8Array, n: number): Uint8Array {
  const out = new Uint8Array(bitBytes(n));
  for (let i = 0; i < n; i++) out[i >> 3]! |= (keys[i * BLOCK_BYTES]! & 1) << (i & 7);
  return out;
}

/** Single-use bit triples made ahead. Both ends make the same calls in the same order. */
export interface TripleSource {
  /** Triples made and not handed out. */
  readonly available: number;
  /** Makes what is missing to have `n` available, in one batch. */
  reserve(n: number): Promise<void>;
  /** Exactly `n` triples, a multiple of 128, that nobody else gets; makes what is missing. */
  take(n: number): Promise<BitTriples>;
  /** Wipes what is left. */
  close(): void;
}

export interface TripleSourceOptions {
  readonly pair: OtPair;
  /** This end's choices, n bits per batch. The system CSPRNG in production. */
  readonly rng: Rng;
}

/**
 * @throws ParleyError INTERNAL from a call while another runs, after one has failed or after
 *   `close`; otherwise what the pair throws.
 */
export function createTripleSource({ pair, rng }: TripleSourceOptions): TripleSource {
  return tripleSourceOf((n) => createTriples(pair, n, rng));
}

/** {@link createTripleSource} over any way to make `n` triples, n a multiple of 128. */
export function tripleSourceOf(make: (n: number) => Promise<BitTriples>): TripleSource {
  let pool = emptyTriples();
  let at = 0;
  let busy = false;
  const available = (): number => 8 * (pool.a.length - at);
  const refill = async (n: number): Promise<void> => {
    expect(!busy, 'calls on a triple source are made one at a time, and none after a failure');
    expect(Number.isSafeInteger(n) && n >= 0 && n % 128 === 0, 'n is a multiple of 128');
    const missing = n - available();
    if (missing <= 0) return;
    busy = true;
    const made = await make(Math.max(missing, TRIPLES_MIN));
    const left = pool;
    pool = appendTriples(left, at, made);
    at = 0;
    wipeTriples(left);
    wipeTriples(made);
    busy = false;
  };
  return {
    get available() {
      return available();
    },
    reserve: refill,
    async take(n) {
      await refill(n);
      const to = at + n / 8;
      const cut = (bits: Uint8Array): Uint8Array => {
        const out = bits.slice(at, to);
        bits.fill(0, at, to);
        return out;
      };
      const taken = { a: cut(pool.a), b: cut(pool.b), c: cut(pool.c) };
      at = to;
      return taken;
    },
    close() {
      wipeTriples(pool);
      pool = emptyTriples();
      at = 0;
      busy = true;
    },
  };
}

function emptyTriples(): BitTriples {
  return { a: new Uint8Array(0), b: new Uint8Array(0), c: new Uint8Array(0) };
}

function appendTriples(left: BitTriples, at: number, made: BitTriples): BitTriples {
  const append = (x: Uint8Array, y: Uint8Array): Uint8Array => {
    const out = new Uint8Array(x.length - at + y.length);
    out.set(x.subarray(at));
    out.set(y, x.length - at);
    return out;
  };
  return { a: append(left.a, made.a), b: append(left.b, made.b), c: append(left.c, made.c) };
}

function wipeTriples({ a, b, c }: BitTriples): void {
  wipe(a, b, c);
}
