import type { Channel } from '../../core/channel.ts';
import { expect } from '../../core/errors.ts';
import type { Rng } from '../../core/rng.ts';
import {
  createTripleSource,
  extendOts,
  stockedPair,
  stockedTriples,
} from '../../protocols/ot/index.ts';
import type { BitOtPair, OtPair, OtSeeds, TripleSource } from '../../protocols/ot/index.ts';
import { createMeshTriples, createSharing } from '../../protocols/sharing/index.ts';
import type { Sharing } from '../../protocols/sharing/types.ts';
import type { Side } from '../../sql/plan.ts';
import type { LaneStock } from './stock.ts';

/**
 * One lane of correlations and gates among all parties of a run. Lanes from the same seeds under
 * other channel paths have nothing in common but the Deltas, so shards may run at the same time.
 */
export interface Mesh {
  readonly side: Side;
  readonly parties: number;
  /** Among all parties. */
  readonly sharing: Sharing;
  /**
   * Between the pivot (party 0 of it) and one sender (party 1), by the index of the other side;
   * null where there is none: at this party's own index, and between senders.
   */
  readonly pairs: readonly (Sharing | null)[];
}

export interface MeshOptions {
  readonly side: Side;
  readonly parties: number;
  /** Streams of the lane's own with every other party, by its side; null at this party's own. */
  readonly channels: readonly (Channel | null)[];
  /** Base OTs with every other party, by its side; see `setUpOts`. */
  readonly seeds: readonly (OtSeeds | null)[];
  /** 32 bytes all parties agree on and never use again. */
  readonly sessionId: Uint8Array;
  readonly rng: Rng;
}

/** The live correlations of a lane: OTs with every other party, and bit triples over them. */
export interface LaneSources {
  readonly ots: readonly (BitOtPair | null)[];
  /** Among all parties. */
  readonly triples: TripleSource;
  /** Of the pivot and one sender, by the other's side; the same as `triples` between two parties. */
  readonly pairTriples: readonly (TripleSource | null)[];
}

/** Opens a lane's OT extension with every other party. Local; sends nothing. */
export function openSources(options: MeshOptions): LaneSources {
  const { side, parties, channels, seeds, sessionId, rng } = options;
  expect(channels.length === parties && seeds.length === parties, 'one peer per other side');
  const ots = channels.map((channel, peer): BitOtPair | null => {
    if (peer === side) return null;
    const seed = seeds[peer];
    expect(channel !== null && seed != null, 'a channel and seeds with every other party');
    return extendOts({ channel: channel.sub('ot'), seeds: seed, sessionId });
  });
  const pairTriples = ots.map((pair, peer) =>
    pair === null || (side !== 0 && peer !== 0) ? null : createTripleSource({ pair, rng }),
  );
  const only = pairTriples[side === 0 ? 1 : 0];
  if (parties === 2 && only != null) return { ots, triples: only, pairTriples };
  const streams = channels.map((channel) => channel?.sub('triples') ?? null);
  const triples = createMeshTriples({ party: side, ots, channels: streams, rng });
  return { ots, triples, pairTriples };
}

/**
 * Opens a lane: OT extension with every other party, gates among all of them, and gates of the
 * pivot with each sender, which what only two hold is computed with. Local; sends nothing.
 *
 * @param stock - correlations made ahead for a lane like this one, by the same parties; all of them
 *   have it or none. Consumed. What it lacks is made live.
 */
export function openMesh(options: MeshOptions, stock: LaneStock | null = null): Mesh {
  const { side, parties, channels, rng } = options;
  const sources = openSources(options);
  const ots = sources.ots.map((live, peer): OtPair | null => {
    const [pairStock, channel] = [stock?.pairs[peer], channels[peer]];
    if (live === null || pairStock == null || channel == null) return live;
    const party = side < peer ? 0 : 1;
    return stockedPair({ channel: channel.sub('stock'), party, stock: pairStock, live });
  });
  const pairWith = (peer: Side): Sharing | null => {
    const [ot, channel, live] = [ots[peer], channels[peer], sources.pairTriples[peer]];
    if (ot == null || channel == null || live == null) return null;
    const made = parties === 2 ? stock?.triples : stock?.pairTriples[peer];
    const both = <T>(value: T): [null, T] | [T, null] =>
      side === 0 ? [null, value] : [value, null];
    return createSharing({
      party: side === 0 ? 0 : 1,
      parties: 2,
      channels: both(channel.sub('pair')),
      ots: both(ot),
      triples: made == null ? live : stockedTriples(made, live),
      rng,
    });
  };
  const pairs = channels.map((_, peer) => pairWith(peer));
  const only = pairs[side === 0 ? 1 : 0];
  if (parties === 2 && only != null) return { side, parties, sharing: only, pairs };
  const gates = channels.map((channel) => channel?.sub('gates') ?? null);
  const { triples } = sources;
  const sharing = createSharing({
    party: side,
    parties,
    channels: gates,
    ots,
    triples: stock === null ? triples : stockedTriples(stock.triples, triples),
    rng,
  });
  return { side, parties, sharing, pairs };
}
