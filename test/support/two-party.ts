import type { Channel } from '../../src/core/channel.ts';
import type { OtPair } from '../../src/protocols/ot/types.ts';

/** The two-party case of what a sharing is made of. */
export function twoParty(
  party: 0 | 1,
  channel: Channel,
  ot: OtPair,
): {
  readonly party: number;
  readonly parties: number;
  readonly channels: readonly (Channel | null)[];
  readonly ots: readonly (OtPair | null)[];
} {
  const both = <T>(value: T): (T | null)[] => (party === 0 ? [null, value] : [value, null]);
  return { party, parties: 2, channels: both(channel), ots: both(ot) };
}
