import { randomBytes } from 'node:crypto';
import { closeSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { makeFolder, syncPath } from '../../core/durable.ts';
import { asParleyError, expect, ParleyError } from '../../core/errors.ts';
import { formatRational } from '../../core/rational.ts';
import type { Limits, Price } from '../../dp/index.ts';
import { addPrices, overLimit } from '../../dp/index.ts';
import type { DatasetEpoch, DatasetTerms, KeyPair } from '../../policy/index.ts';
import type { ChainProof, SignedHead } from '../../records/index.ts';
import { signHead } from '../../records/index.ts';
import { takeLock } from '../lock.ts';
import { entryDigest, linkHash, proveBetween } from './chain.ts';
import type { EntryBody, PeerHeadEntry } from './entry.ts';
import { entryBytes, formatLine, readLine } from './entry.ts';
import { appendDurably, cutDurably, LineIndex, readLines } from './file.ts';
import { HeadFile } from './head-file.ts';
import { expectHeadKept, expectOwner, LEDGER_FILE, rolledBack, type LedgerOwner } from './owner.ts';
import type { Heads, Reserved } from './state.ts';
import { LedgerState } from './state.ts';
import type { TermsOfPolicy } from './terms.ts';
import { expectTerms, termsToEnter } from './terms.ts';

export interface Reservation extends Price {
  readonly queryId: string;
  readonly planDigest: string;
  readonly policyDigest: string;
  /** The other parties of the plan. */
  readonly peers: readonly string[];
  /** Commitment to the data that is read. */
  readonly dataset: string;
  /** What is charged, the whole price each, with the terms it spends under. */
  readonly charges: readonly DatasetTerms[];
}

/** What a reservation has to fit. */
export interface Room {
  /** Null without differential privacy. */
  readonly limits: Limits | null;
  /** What other parties say was reserved here and is not known of. */
  readonly missing: Price;
}

/** Another party's head to keep, with the numbers of kept ones it was shown to continue. */
export type PeerNote = Pick<PeerHeadEntry, 'head' | 'continues'>;

/**
 * A party's own budget ledger: append-only, each entry chained to those before it, durable (fsync of
 * file and, when it opens, of the folders that name it) before `reserve` returns.
 *
 * A reservation is the charge. It is never given back: with security-with-abort a peer sees its
 * shares first and could abort when it dislikes the noise (privacy.md §4).
 */
export class Ledger {
  readonly #fd: number;
  readonly #keys: KeyPair;
  readonly #room: string;
  readonly #party: string;
  readonly #state = new LedgerState();
  readonly #index = new LineIndex();
  readonly #heads: HeadFile;
  readonly #release: () => void;
  /** Set when nothing more may be written: a write failed, or the ledger is not the newest. */
  #refusal: ParleyError | null = null;
  #open = true;

  private constructor(fd: number, heads: HeadFile, owner: LedgerOwner, release: () => void) {
    this.#fd = fd;
    this.#heads = heads;
    this.#keys = owner.identity;
    this.#room = owner.room;
    this.#party = owner.party;
    this.#release = release;
  }

  /**
   * Opens or creates the ledger in `directory` and replays it, every hash anew. A last line cut
   * short by a crash was never acknowledged and is removed; anything else that does not verify
   * refuses to open.
   *
   * Cost: about 5 s and 60 MB for a million entries (`npm run bench -- ledger`).
   *
   * @throws ParleyError LEDGER_CORRUPT, LEDGER_ROLLED_BACK (older than its head file), LEDGER_FOREIGN
   *   (another room or party), LEDGER_LOCKED (another process has it), STORAGE_FAILED.
   */
  static open(directory: string, owner: LedgerOwner): Ledger {
    const release = lockLedger(directory);
    const opened: (() => void)[] = [release];
    try {
      const fd = openSync(join(directory, LEDGER_FILE), 'a+', 0o600);
      opened.push(() => closeSync(fd));
      const heads = HeadFile.open(directory, owner.identity.publicKey);
      opened.push(() => heads.close());
      // Also at later starts: a process may have been killed before it could.
      syncPath(directory);
      const ledger = new Ledger(fd, heads, owner, release);
      ledger.#replay();
      if (ledger.#state.tip.seq === 0) ledger.#begin(owner);
      expectOwner(ledger.#state.owner, owner);
      expectHeadKept(heads.newest, ledger.head.document, (seq) => ledger.#hashAt(seq));
      return ledger;
    } catch (thrown) {
      for (const undo of opened.reverse()) undo();
      const error = asParleyError(thrown);
      if (error.code !== 'INTERNAL') throw error;
      throw new ParleyError('STORAGE_FAILED', 'the ledger could not be read', {}, thrown);
    }
  }

  /** Number and hash of the last entry, signed. */
  get head(): SignedHead {
    const { seq, hash } = this.#state.tip;
    return signHead(
      {
        version: 1,
        room: this.#room,
        party: this.#party,
        identity_key: this.#keys.publicKey,
        seq,
        hash: hash.toString('hex'),
      },
      this.#keys.privateKey,
    );
  }

  /** What a dataset has spent in an epoch, over all rooms and analysts. */
  spentOf(charge: DatasetEpoch): Price {
    return this.#state.tally.account(charge).spent;
  }

  /** True when the id was ever reserved here; one id is one charge and one noise draw. */
  has(queryId: string): boolean {
    return this.#state.ids.has(queryId);
  }

  /** What was reserved for a query, among the newest reservations; null when there is none. */
  reserved(queryId: string): Reserved | null {
    return this.#state.reserved(queryId);
  }

  /** Reserved under a policy for queries in which that party takes part. */
  shared(policyDigest: string, peer: string): Price {
    return this.#state.tally.shared(policyDigest, peer);
  }

  /** What is kept of another party's ledger. */
  peerHeads(party: string, identityKey: string): readonly SignedHead[] {
    return this.#state.peerHeads.of(this.#room, party, identityKey);
  }

  /** @throws ParleyError POLICY_OUT_OF_RANGE when a policy changes what its datasets spend under. */
  expectTerms(terms: TermsOfPolicy): void {
    expectTerms(this.#state.tally, terms);
  }

  /** Looks without charging. @throws ParleyError BUDGET_EXHAUSTED, LEDGER_ROLLED_BACK, STORAGE_FAILED. */
  expectAffordable(charges: readonly DatasetEpoch[], price: Price, room: Room): void {
    this.#expectUsable();
    if (room.limits === null) return;
    for (const charge of charges) {
      const { spent } = this.#state.tally.account(charge);
      const over = overLimit(addPrices(addPrices(spent, room.missing), price), room.limits);
      if (over !== null) throw exhausted(over, charge);
    }
  }

  /**
   * Charges a query. On return the entry is on disk.
   * @throws ParleyError QUERY_ID_REUSED, BUDGET_EXHAUSTED, LEDGER_ROLLED_BACK (nothing written),
   *   STORAGE_FAILED.
   */
  reserve(reservation: Reservation, room: Room): Heads {
    if (this.has(reservation.queryId)) {
      throw new ParleyError('QUERY_ID_REUSED', 'this query id has been used before');
    }
    const { charges } = reservation;
    this.expectAffordable(charges, reservation, room);
    const terms = charges.flatMap((charge) => {
      const entry = termsToEnter(this.#state.tally, charge);
      return entry === null ? [] : [entry];
    });
    this.#append([
      ...terms,
      {
        kind: 'reserve',
        query_id: reservation.queryId,
        room: this.#room,
        plan_digest: reservation.planDigest,
        policy_digest: reservation.policyDigest,
        peers: [...reservation.peers],
        dataset: reservation.dataset,
        charges: charges.map(({ dataset, epoch }) => ({ dataset, epoch })),
        epsilon: formatRational(reservation.epsilon),
        delta: formatRational(reservation.delta),
        rho: formatRational(reservation.rho),
      },
    ]);
    const reserved = this.reserved(reservation.queryId);
    expect(reserved !== null, 'what was reserved is remembered');
    return reserved.heads;
  }

  /** Keeps the heads of the other parties of a run, before it begins. @throws ParleyError STORAGE_FAILED. */
  notePeers(queryId: string, notes: readonly PeerNote[]): void {
    this.#append(
      notes.map(({ head, continues }) => ({
        kind: 'peer_head',
        query_id: queryId,
        head,
        continues: [...continues],
      })),
    );
  }

  /** Records what was released under a reservation. @throws ParleyError STORAGE_FAILED. */
  commit(queryId: string, shareDigest: string): void {
    this.#append([{ kind: 'commit', query_id: queryId, share_digest: shareDigest }]);
  }

  /** That an entry is in the chain of a later one. */
  prove(from: number, to: number): ChainProof {
    const entryAt = (n: number): { readonly hash: Buffer; readonly digest: Buffer } => {
      const { hash, digest } = readLine(this.#index.read(this.#fd, n), n);
      return { hash: Buffer.from(hash, 'hex'), digest };
    };
    return { from, steps: proveBetween(from, to, entryAt) };
  }

  /**
   * Compares a head this party signed once, which another kept, with the chain as it is now. When
   * the chain does not hold it, the ledger lost entries: nothing more is reserved, now and after a
   * restart.
   * @throws ParleyError LEDGER_ROLLED_BACK.
   */
  expectHolds(head: SignedHead, keptBy: string): void {
    const { seq, hash } = head.document;
    if (seq <= this.#state.tip.seq && this.#hashAt(seq) === hash) return;
    this.#refusal = rolledBack(
      `the ledger lacks an entry of this party's own that ${keptBy} has kept the head of`,
    );
    // An older ledger in a folder that says so is refused at its next start.
    if (seq > (this.#heads.newest?.document.seq ?? 0)) this.#heads.write(head);
    throw this.#refusal;
  }

  close(): void {
    if (!this.#open) return;
    this.#open = false;
    closeSync(this.#fd);
    this.#heads.close();
    this.#release();
  }

  #hashAt(seq: number): string {
    return readLine(this.#index.read(this.#fd, seq), seq).hash;
  }

  #expectUsable(): void {
    if (this.#refusal !== null) throw this.#refusal;
    if (!this.#open) throw new ParleyError('STORAGE_FAILED', 'the ledger is closed');
  }

  /** All on disk, and the head beside them, when it returns. */
  #append(bodies: readonly EntryBody[]): void {
    this.#expectUsable();
    if (bodies.length === 0) return;
    const lines: Buffer[] = [];
    // Hashes depend on entries before them, so the state moves first; when the write fails, nothing
    // more is ever written from it.
    for (const body of bodies) {
      const { n, previous, jump } = this.#state.tip.next;
      const entry = { seq: n, ...body };
      const bytes = entryBytes(entry);
      const hash = linkHash(n, previous, jump, entryDigest(bytes));
      lines.push(formatLine(bytes, hash.toString('hex')));
      this.#state.apply(entry, hash);
    }
    try {
      appendDurably(this.#fd, Buffer.concat(lines));
      for (const line of lines) this.#index.push(line.length);
      this.#heads.write(this.head);
    } catch (error) {
      this.#refusal = new ParleyError(
        'STORAGE_FAILED',
        'the ledger could not be written',
        {},
        error,
      );
      throw this.#refusal;
    }
  }

  #begin({ party, room, shared, identity }: LedgerOwner): void {
    if (this.#heads.newest !== null) throw rolledBack('the ledger has a head and no entries');
    this.#append([
      {
        kind: 'open',
        version: 2,
        party,
        identity_key: identity.publicKey,
        room: shared ? null : room,
        nonce: randomBytes(32).toString('hex'),
      },
    ]);
  }

  #replay(): void {
    const rest = readLines(this.#fd, (line) => {
      this.#state.take(readLine(line, this.#state.tip.next.n));
      this.#index.push(line.length + 1);
    });
    if (rest.length > 0) this.#mendTail(rest);
  }

  /** A whole entry that lost only its line end counts; less than that was never acknowledged. */
  #mendTail(tail: Buffer): void {
    let whole = true;
    try {
      this.#state.take(readLine(tail, this.#state.tip.next.n));
    } catch {
      whole = false;
    }
    if (!whole) {
      // A first entry cut short is no ledger, and nothing was spent in it.
      cutDurably(this.#fd, this.#index.end);
      return;
    }
    appendDurably(this.#fd, Buffer.from('\n'));
    this.#index.push(tail.length + 1);
  }
}

function lockLedger(directory: string): () => void {
  let release: (() => void) | null;
  try {
    makeFolder(directory);
    release = takeLock(join(directory, 'ledger.lock'));
  } catch (error) {
    throw new ParleyError('STORAGE_FAILED', 'the ledger folder cannot be written', {}, error);
  }
  if (release !== null) return release;
  throw new ParleyError('LEDGER_LOCKED', 'another process is using this ledger', {
    hint: 'stop the other node first; two nodes on one ledger would spend its budget twice',
  });
}

/** What the asker may do about each amount; half of delta_budget is for queries under zcdp. */
const EXHAUSTED_HINT = {
  epsilon_budget: 'ask with a smaller epsilon, or agree on a new policy',
  rho_budget: 'ask with a smaller epsilon, or agree on a new policy',
  delta_budget: 'a smaller epsilon saves none of it; agree on a new policy',
} as const;

function exhausted(field: keyof typeof EXHAUSTED_HINT, charge: DatasetEpoch): ParleyError {
  return new ParleyError('BUDGET_EXHAUSTED', 'this query would exceed the privacy budget', {
    path: `rules.differential_privacy.${field}`,
    fragment: `${charge.dataset}, epoch ${charge.epoch}`,
    hint: `the budget is spent for good; ${EXHAUSTED_HINT[field]}`,
  });
}
