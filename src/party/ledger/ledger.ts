import { createHash } from 'node:crypto';
import type { Stats } from 'node:fs';
import {
  closeSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { ParleyError } from '../../core/errors.ts';
import type { Rational } from '../../core/rational.ts';
import { add, compare, formatRational, parseRational, ZERO } from '../../core/rational.ts';
import { canonicalJson } from '../../policy/index.ts';
import { parseEntry } from './entry.ts';
import type { Entry, EntryBody } from './entry.ts';
import { syncPath } from '../durable.ts';
import { takeLock } from '../lock.ts';

/** What a node may spend; exact rationals from the signed policy. Null when the room has no DP. */
export interface Budget {
  readonly epsilon: Rational;
  readonly delta: Rational;
}

export interface Reservation {
  readonly queryId: string;
  readonly planDigest: string;
  readonly policyDigest: string;
  readonly dataset: string;
  readonly epsilon: Rational;
  readonly delta: Rational;
}

/** Head of the chain before and after an append, hex SHA-256. */
export interface Heads {
  readonly before: string;
  readonly after: string;
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

/** SECURITY. Domain of an entry's hash. */
const DOMAIN = 'parley/ledger/v1\0';

/** The head before the first entry. */
const GENESIS = '0'.repeat(64);

/**
 * A party's own budget ledger: append-only, each entry hashed over its canonical bytes and the
 * previous hash, durable (fsync of file and, at creation, directory) before `reserve` returns.
 *
 * A reservation is the charge. It is never given back: with security-with-abort a peer sees its
 * shares first and could abort when it dislikes the noise (privacy.md §4).
 */
export class Ledger {
  #fd: number;
  #head = GENESIS;
  #seq = 0;
  #epsilon: Rational = ZERO;
  #delta: Rational = ZERO;
  readonly #queries = new Set<string>();
  readonly #recent = new Map<string, Reserved>();
  readonly #release: () => void;
  /** Set when a write failed: what is on disk is then unknown, and nothing more is reserved. */
  #broken = false;

  private constructor(fd: number, release: () => void) {
    this.#fd = fd;
    this.#release = release;
  }

  /**
   * Opens or creates the ledger in `directory` and replays it. A last line cut short by a crash was
   * never acknowledged and is removed; anything else that does not verify refuses to open.
   * @throws ParleyError LEDGER_CORRUPT, LEDGER_LOCKED (another process has it), STORAGE_FAILED.
   */
  static open(directory: string, owner: { readonly room: string; readonly party: string }): Ledger {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    const release = lockLedger(join(directory, 'ledger.lock'));
    try {
      const fd = openSync(join(directory, 'ledger.jsonl'), 'a+', 0o600);
      const ledger = new Ledger(fd, release);
      const stats: Stats = fstatSync(fd);
      if (stats.size === 0) {
        ledger.#append({ kind: 'open', ...owner });
        syncPath(directory);
      } else {
        ledger.#replay(readFileSync(join(directory, 'ledger.jsonl')), owner);
      }
      return ledger;
    } catch (error) {
      release();
      throw error;
    }
  }

  get head(): string {
    return this.#head;
  }

  get spent(): Budget {
    return { epsilon: this.#epsilon, delta: this.#delta };
  }

  /** True when the id was ever reserved here; one id is one charge and one noise draw. */
  has(queryId: string): boolean {
    return this.#queries.has(queryId);
  }

  /** What was reserved for a query, among the newest reservations; null when there is none. */
  reserved(queryId: string): Reserved | null {
    return this.#recent.get(queryId) ?? null;
  }

  /** Looks without charging. @throws ParleyError BUDGET_EXHAUSTED. */
  expectAffordable(price: Budget, budget: Budget | null): void {
    if (budget === null) return;
    expectWithin(add(this.#epsilon, price.epsilon), budget.epsilon, 'epsilon_budget');
    expectWithin(add(this.#delta, price.delta), budget.delta, 'delta_budget');
  }

  /**
   * Charges a query. On return the entry is on disk.
   * @throws ParleyError QUERY_ID_REUSED, BUDGET_EXHAUSTED (nothing written), STORAGE_FAILED.
   */
  reserve(reservation: Reservation, budget: Budget | null): Heads {
    if (this.#queries.has(reservation.queryId)) {
      throw new ParleyError('QUERY_ID_REUSED', 'this query id has been used before');
    }
    this.expectAffordable(reservation, budget);
    return this.#append({
      kind: 'reserve',
      query_id: reservation.queryId,
      plan_digest: reservation.planDigest,
      policy_digest: reservation.policyDigest,
      dataset: reservation.dataset,
      epsilon: formatRational(reservation.epsilon),
      delta: formatRational(reservation.delta),
    });
  }

  /** Records what was released under a reservation. @throws ParleyError STORAGE_FAILED. */
  commit(queryId: string, shareDigest: string): Heads {
    return this.#append({ kind: 'commit', query_id: queryId, share_digest: shareDigest });
  }

  close(): void {
    if (this.#fd < 0) return;
    closeSync(this.#fd);
    this.#fd = -1;
    this.#release();
  }

  #append(body: EntryBody): Heads {
    if (this.#broken || this.#fd < 0) {
      throw new ParleyError('STORAGE_FAILED', 'the ledger cannot be written');
    }
    const before = this.#head;
    const entry: Entry = { seq: this.#seq, previous: before, ...body };
    const hash = hashOf(entry);
    const line = Buffer.from(`${JSON.stringify({ entry, hash })}\n`);
    try {
      if (writeSync(this.#fd, line) !== line.length) throw new Error('short write');
      fsyncSync(this.#fd);
    } catch (error) {
      this.#broken = true;
      throw new ParleyError('STORAGE_FAILED', 'the ledger could not be written', {}, error);
    }
    this.#apply(entry, hash);
    return { before, after: hash };
  }

  #apply(entry: Entry, hash: string): void {
    this.#head = hash;
    this.#seq += 1;
    if (entry.kind === 'commit') {
      const known = this.#recent.get(entry.query_id);
      if (known === undefined) return;
      this.#recent.set(entry.query_id, { ...known, released: entry.share_digest });
    }
    if (entry.kind !== 'reserve') return;
    this.#queries.add(entry.query_id);
    this.#remember(entry, hash);
    this.#epsilon = add(this.#epsilon, parseRational(entry.epsilon));
    this.#delta = add(this.#delta, parseRational(entry.delta));
  }

  #remember(entry: Extract<Entry, { kind: 'reserve' }>, hash: string): void {
    this.#recent.set(entry.query_id, {
      planDigest: entry.plan_digest,
      policyDigest: entry.policy_digest,
      dataset: entry.dataset,
      heads: { before: entry.previous, after: hash },
      released: null,
    });
    const [oldest] = this.#recent.keys();
    if (this.#recent.size > RECENT_MAX && oldest !== undefined) this.#recent.delete(oldest);
  }

  #replay(bytes: Buffer, owner: { readonly room: string; readonly party: string }): void {
    const end = bytes.lastIndexOf(0x0a) + 1;
    const lines = bytes.subarray(0, end).toString('utf8').split('\n').slice(0, -1);
    lines.forEach((text, line) => {
      this.#replayLine(text, line, owner);
    });
    if (lines.length === 0)
      throw new ParleyError('LEDGER_CORRUPT', 'the ledger has no first entry');
    if (end < bytes.length) this.#mendTail(bytes.subarray(end).toString('utf8'), lines.length, end);
  }

  #replayLine(
    text: string,
    line: number,
    owner: { readonly room: string; readonly party: string },
  ): void {
    const { entry, hash } = parseEntry(text, line);
    const chained = entry.seq === this.#seq && entry.previous === this.#head;
    if (!chained || hashOf(entry) !== hash) {
      throw new ParleyError('LEDGER_CORRUPT', `ledger entry ${line} does not follow`, {
        hint: 'restore the ledger from a copy that is at least as new, or retire this dataset',
      });
    }
    if (line === 0) expectOwner(entry, owner);
    this.#apply(entry, hash);
  }

  /** A whole entry that lost only its line end counts; less than that was never acknowledged. */
  #mendTail(tail: string, line: number, end: number): void {
    let whole = true;
    try {
      this.#replayLine(tail, line, { room: '', party: '' });
    } catch {
      whole = false;
    }
    if (whole) writeSync(this.#fd, '\n');
    else ftruncateSync(this.#fd, end);
    fsyncSync(this.#fd);
  }
}

function lockLedger(path: string): () => void {
  let release: (() => void) | null;
  try {
    release = takeLock(path);
  } catch (error) {
    throw new ParleyError('STORAGE_FAILED', 'the ledger folder cannot be written', {}, error);
  }
  if (release !== null) return release;
  throw new ParleyError('LEDGER_LOCKED', 'another process is using this ledger', {
    hint: 'stop the other node first; two nodes on one ledger would spend its budget twice',
  });
}

function hashOf(entry: Entry): string {
  return createHash('sha256').update(DOMAIN).update(canonicalJson(entry)).digest('hex');
}

function expectWithin(total: Rational, budget: Rational, path: string): void {
  if (compare(total, budget) > 0) {
    throw new ParleyError('BUDGET_EXHAUSTED', 'this query would exceed the privacy budget', {
      path: `rules.differential_privacy.${path}`,
      hint: 'the budget is spent for good; ask with a smaller epsilon, or agree on a new policy',
    });
  }
}

function expectOwner(entry: Entry, owner: { readonly room: string; readonly party: string }): void {
  if (entry.kind !== 'open' || entry.room !== owner.room || entry.party !== owner.party) {
    throw new ParleyError('LEDGER_CORRUPT', 'the ledger belongs to another room or party');
  }
}
