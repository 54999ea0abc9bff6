import type { Channel } from '../../core/channel.ts';
import { expect } from '../../core/errors.ts';
import type { Rng } from '../../core/rng.ts';
import { createTripleSource, extendOts } from '../../protocols/ot/index.ts';
import type { BitOtPair, OtSeeds } from '../../protocols/ot/index.ts';
import { createMeshTriples, createSharing } from '../../protocols/sharing/index.ts';
import type { Sharing } from '../../protocols/sharing/types.ts';
import type { Side } from '../../sql/plan.ts';

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

/**
 * Opens a lane: OT extension with every other party, gates among all of them, and gates of the
 * pivot with each sender, which what only two hold is computed with. Local; sends nothing.
 */
export function openMesh(options: MeshOptions): Mesh {
  const { side, parties, channels, seeds, sessionId, rng } = options;
  expect(channels.length === parties && seeds.length === parties, 'one peer per other side');
  const ots = channels.map((channel, peer): BitOtPair | null => {
    if (peer === side) return null;
    const seed = seeds[peer];
    expect(channel !== null && seed != null, 'a channel and seeds with every other party');
    return extendOts({ channel: channel.sub('ot'), seeds: seed, sessionId });
  });
  const gates = (name: string): (Channel | null)[] =>
    channels.map((channel) => (channel === null ? null : channel.sub(name)));
  const pairWith = (peer: Side): Sharing | null => {
    const [ot, channel] = [ots[peer], channels[peer]];
    if (ot == null || channel == null || (side !== 0 && peer !== 0)) return null;
    const both = <T>(value: T): [null, T] | [T, null] =>
      side === 0 ? [null, value] : [value, null];
    return createSharing({
      party: side === 0 ? 0 : 1,
      parties: 2,
      channels: both(channel.sub('pair')),
      ots: both(ot),
      triples: createTripleSource({ pair: ot, rng }),
      rng,
    });
  };
  const pairs = channels.map((_, peer) => pairWith(peer));
  const only = pairs[side === 0 ? 1 : 0];
  if (parties === 2 && only != null) return { side, parties, sharing: only, pairs };
  const triples = createMeshTriples({ party: side, ots, channels: gates('triples'), rng });
  const sharing = createSharing({
    party: side,
    parties,
    channels: gates('gates'),
    ots,
    triples,
    rng,
  });
  return { side, parties, sharing, pairs };
}
