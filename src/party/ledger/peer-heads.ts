import { HEADS_MAX, type SignedHead } from '../../records/index.ts';
import type { PeerHeadEntry } from './entry.ts';

/**
 * The heads of other parties that this ledger keeps: of each party in each room those that no later
 * one was shown to continue. One from before, and one for each run at the same time.
 */
export class PeerHeads {
  readonly #heads = new Map<string, readonly SignedHead[]>();

  /** @param identityKey - heads under a former key of the party are not told. */
  of(room: string, party: string, identityKey: string): readonly SignedHead[] {
    const heads = this.#heads.get(`${room} ${party}`) ?? [];
    return heads.filter(({ document }) => document.identity_key === identityKey);
  }

  note({ head, continues }: Pick<PeerHeadEntry, 'head' | 'continues'>): void {
    const { room, party, identity_key: key } = head.document;
    const kept = (this.#heads.get(`${room} ${party}`) ?? []).filter(
      ({ document }) =>
        document.identity_key === key &&
        document.hash !== head.document.hash &&
        !continues.includes(document.seq),
    );
    this.#heads.set(`${room} ${party}`, [...kept, head].slice(-HEADS_MAX));
  }

  all(): readonly SignedHead[] {
    return [...this.#heads.values()].flat();
  }
}
