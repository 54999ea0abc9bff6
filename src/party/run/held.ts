import { createHash } from 'node:crypto';
import { concat, u32be, utf8 } from '../../core/bytes.ts';
import { ParleyError } from '../../core/errors.ts';
import type { Link } from '../../transport/index.ts';
import type { HeldShard } from '../checkpoints/index.ts';
import { firstAttemptOf } from './attempts.ts';

/** Names one epoch of a session; takes the session's place in every label of a key. */
export function epochIdOf(sessionId: Uint8Array, epoch: number): Uint8Array {
  const preimage = concat([utf8('parley/epoch/v1\0'), sessionId, u32be(epoch)]);
  return new Uint8Array(createHash('sha256').update(preimage).digest());
}

export interface HeldOptions {
  readonly shards: number;
  readonly epoch: number;
  readonly own: ReadonlyMap<number, HeldShard>;
}

/**
 * Which shards need not be run: every party tells every other which shards it has finished and at
 * which attempt, one byte a shard (0 for none, else attempt + 1); those that all hold at the same
 * attempt count. All parties compute this from the same lists.
 *
 * Tells the others which shards this party had finished when the run broke: a matter of timing.
 * @throws ParleyError PEER_BAD_ENCODING for an attempt that no former epoch can have made.
 */
export async function agreeHeld(
  links: readonly (Link | null)[],
  { shards, epoch, own }: HeldOptions,
): Promise<ReadonlyMap<number, HeldShard>> {
  const before = firstAttemptOf(epoch);
  const mine = Uint8Array.from({ length: shards }, (_, shard) => {
    const attempt = own.get(shard)?.attempt ?? before;
    return attempt < before ? attempt + 1 : 0;
  });
  const lists = await Promise.all(
    links.map(async (link) => {
      if (link === null) return mine;
      const channel = link.root.sub('held');
      await channel.send('attempts', mine.slice());
      const theirs = await channel.recv('attempts', shards);
      if (theirs.some((code) => code > before)) {
        throw new ParleyError('PEER_BAD_ENCODING', 'the peer claims shards of a later epoch', {
          step: `${channel.path}/attempts`,
        });
      }
      return theirs;
    }),
  );
  const agreed = [...own].filter(
    ([shard]) => mine[shard]! > 0 && lists.every((list) => list[shard] === mine[shard]),
  );
  return new Map(agreed);
}
