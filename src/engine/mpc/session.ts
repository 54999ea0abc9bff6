import type { Channel } from '../../core/channel.ts';
import type { Rng } from '../../core/rng.ts';
import { createOtPair, createTripleSource } from '../../protocols/ot/index.ts';
import { createSharing } from '../../protocols/sharing/index.ts';
import type { Sharing } from '../../protocols/sharing/types.ts';
import type { Side } from '../../sql/plan.ts';

/** AGREEMENT. SoftSpoken's k: bytes against AES work; 4 suits a link of one gigabit or less. */
const SOFTSPOKEN_K = 4;

export interface SessionOptions {
  readonly side: Side;
  /** A channel of the session's own. */
  readonly channel: Channel;
  /** 32 bytes both ends agree on and never use again. */
  readonly sessionId: Uint8Array;
  readonly rng: Rng;
}

/**
 * Base OTs both ways, OT extension and GMW gates with the other party; input-independent.
 * A party node opens one per query; correlations are handed out once.
 * @throws ParleyError of the channel, PEER_BAD_ENCODING.
 */
export async function openSharing({
  side,
  channel,
  sessionId,
  rng,
}: SessionOptions): Promise<Sharing> {
  const ot = await createOtPair({
    channel: channel.sub('ot'),
    party: side,
    k: SOFTSPOKEN_K,
    sessionId,
    rng,
  });
  const triples = createTripleSource({ pair: ot, rng });
  return createSharing({ party: side, channel: channel.sub('gates'), ot, triples, rng });
}
