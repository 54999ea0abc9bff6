import { ChainTip, linkHash } from './chain.ts';
import type { Entry, Line, OpenEntry, ReserveEntry } from './entry.ts';
import { corrupt } from './entry.ts';
import { IdSet } from './ids.ts';
import { PeerHeads } from './peer-heads.ts';
import { Tally } from './tally.ts';

/** Head of the chain before and after a reservation, hex SHA-256, and its number. */
export interface Heads {
  readonly before: string;
  readonly after: string;
  readonly seq: number;
}

/** A reservation as it stands in the ledger. */
export interface Reserved {
  readonly planDigest: string;
  readonly policyDigest: string;
  readonly dataset: string;
  readonly heads: Heads;
  /** Digest of the share released under it; null while nothing is. */
  readonly released: string | null;
}

/** LOCAL. Newest reservations kept in full, for runs that are resumed. */
const RECENT_MAX = 64;

/** Everything that follows from the entries of a ledger, in memory. Grows by 24 bytes a query. */
export class LedgerState {
  readonly tip = new ChainTip();
  readonly tally = new Tally();
  readonly ids = new IdSet();
  readonly peerHeads = new PeerHeads();
  readonly #recent = new Map<string, Reserved>();
  #owner: OpenEntry | null = null;

  /** The first entry. */
  get owner(): OpenEntry | null {
    return this.#owner;
  }

  /** What was reserved for a query, among the newest reservations. */
  reserved(queryId: string): Reserved | null {
    return this.#recent.get(queryId) ?? null;
  }

  /** Takes a line at its place. @throws ParleyError LEDGER_CORRUPT when it does not follow. */
  take({ entry, digest, hash }: Line): void {
    const { n, previous, jump } = this.tip.next;
    const own = linkHash(n, previous, jump, digest);
    if (own.toString('hex') !== hash) throw corrupt(n, 'does not follow');
    this.apply(entry, own);
  }

  /** Takes an entry whose hash is right. */
  apply(entry: Entry, hash: Buffer): void {
    const { n, previous } = this.tip.next;
    if ((n === 1) !== (entry.kind === 'open')) throw corrupt(n, 'does not follow');
    this.tip.push(hash);
    switch (entry.kind) {
      case 'open':
        this.#owner = entry;
        break;
      case 'terms':
        this.tally.terms(entry);
        break;
      case 'reserve':
        this.ids.add(entry.query_id);
        this.tally.reserve(entry);
        this.#remember(entry, { before: previous, after: hash, seq: n });
        break;
      case 'peer_head':
        this.peerHeads.note(entry);
        break;
      case 'commit': {
        const known = this.#recent.get(entry.query_id);
        if (known === undefined) break;
        this.#recent.set(entry.query_id, { ...known, released: entry.share_digest });
        break;
      }
    }
  }

  #remember(
    entry: ReserveEntry,
    heads: { readonly before: Buffer; readonly after: Buffer; readonly seq: number },
  ): void {
    this.#recent.set(entry.query_id, {
      planDigest: entry.plan_digest,
      policyDigest: entry.policy_digest,
      dataset: entry.dataset,
      heads: {
        before: heads.before.toString('hex'),
        after: heads.after.toString('hex'),
        seq: heads.seq,
      },
      released: null,
    });
    if (this.#recent.size <= RECENT_MAX) return;
    const [oldest] = this.#recent.keys();
    if (oldest !== undefined) this.#recent.delete(oldest);
  }
}
