import { wipe } from '../../core/bytes.ts';
import type { Channel } from '../../core/channel.ts';
import { expect } from '../../core/errors.ts';
import type { Rng } from '../../core/rng.ts';
import { receiverBits, senderBits, tripleSourceOf } from '../ot/index.ts';
import type { TripleSource } from '../ot/index.ts';
import { bitBytes } from '../ot/types.ts';
import type { BitTriples, OtPair } from '../ot/types.ts';

export interface MeshTriplesOptions {
  /** This party's index. */
  readonly party: number;
  /** Transfers with every other party, by its index; null at this party's own. */
  readonly ots: readonly (OtPair | null)[];
  /** Streams of these triples' own with every other party. */
  readonly channels: readonly (Channel | null)[];
  readonly rng: Rng;
}

/**
 * Bit triples shared among n parties: c = Σ_i Σ_j a_i·b_j, where a_i·b_i is local and each cross
 * term is one random OT from j to i, the OT-based multiplication of GMW between every two parties
 * (Goldreich, Micali, Wigderson, STOC 1987; for n parties by pairwise OT: Choi, Hwang, Katz,
 * Malkin, Rubenstein, CT-RSA 2012, section 3).
 *
 * Each party chooses with one a_i at all peers; a sender's random bit is corrected to its one b_j by
 * one bit per OT. Semi-honest, all but one may collude: what a party sends is b_j masked by a key
 * bit its receiver did not choose or cannot tell from random. Cost per triple and party: 2·(n − 1)
 * random OTs and n − 1 bits out, one round.
 */
export function createMeshTriples(options: MeshTriplesOptions): TripleSource {
  return tripleSourceOf((n) => makeMeshTriples(options, n));
}

async function makeMeshTriples(
  { party, ots, channels, rng }: MeshTriplesOptions,
  n: number,
): Promise<BitTriples> {
  const a = rng(bitBytes(n));
  const b = rng(bitBytes(n));
  const c = a.map((bit, i) => bit & b[i]!);
  const crossed = await Promise.all(
    ots.map(async (pair, peer) => {
      if (pair === null) return null;
      const channel = channels[peer];
      expect(peer !== party && channel != null, 'a channel with every other party');
      return crossTerms(pair, channel, a, b, n);
    }),
  );
  for (const term of crossed) {
    if (term === null) continue;
    for (let i = 0; i < c.length; i++) c[i]! ^= term[i]!;
    wipe(term);
  }
  return { a, b, c };
}

/** This party's share of a·b' + a'·b with one peer. */
async function crossTerms(
  pair: OtPair,
  channel: Channel,
  a: Uint8Array,
  b: Uint8Array,
  n: number,
): Promise<Uint8Array> {
  const [v, { b0, b1 }] = await Promise.all([
    receiverBits(pair.receiver, a, n),
    senderBits(pair.sender, n),
  ]);
  const correction = b.map((bit, i) => bit ^ b0[i]! ^ b1[i]!);
  const [theirs] = await Promise.all([
    channel.recv('corrections', correction.length),
    channel.send('corrections', correction),
  ]);
  for (let i = 0; i < v.length; i++) v[i]! ^= b0[i]! ^ (a[i]! & theirs[i]!);
  wipe(b0, b1);
  return v;
}
