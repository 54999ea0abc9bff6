import { closeSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { asParleyError, ParleyError } from '../../core/errors.ts';
import type { SignedHead } from '../../records/index.ts';
import { isSignedHead } from '../../records/index.ts';
import type { Line, OpenEntry } from './entry.ts';
import { corrupt, expectStrict, readLine } from './entry.ts';
import { readFirstLine, readLines } from './file.ts';
import { readHeadFile } from './head-file.ts';
import { expectHeadKept, LEDGER_FILE } from './owner.ts';
import { LedgerState } from './state.ts';
import type { DatasetAccount } from './tally.ts';

/** A ledger as it was read, without taking hold of it: a node may be writing it. */
export interface LedgerReport {
  readonly owner: OpenEntry;
  readonly entries: number;
  readonly queries: number;
  /** Of the last entry. */
  readonly hash: string;
  readonly accounts: readonly DatasetAccount[];
  /** Heads of other parties that are kept and not yet shown to be continued. */
  readonly peerHeads: readonly SignedHead[];
  /** The head beside the entries. */
  readonly head: SignedHead | null;
  /** Bytes after the last line end: an entry that is being written, or was cut short. */
  readonly unfinished: number;
}

export interface ReadOptions {
  /** Gets every entry that follows, in order. */
  readonly onLine?: (line: Line) => void;
  /**
   * Checks also what the chain makes needless at a start: form and canonical bytes of every entry,
   * signatures of other parties' heads, that an id is charged once and released after its charge.
   */
  readonly strict?: boolean;
  /** Heads that this party signed once, which others kept; each must be in the chain. */
  readonly kept?: readonly SignedHead[];
}

/**
 * Reads and checks a ledger: every hash anew, and the head beside it.
 * @throws ParleyError FILE_NOT_FOUND, LEDGER_CORRUPT, LEDGER_ROLLED_BACK, LEDGER_FOREIGN (a head of
 *   another party among `kept`).
 */
export function readLedger(
  directory: string,
  { onLine, strict = false, kept = [] }: ReadOptions = {},
): LedgerReport {
  const fd = openEntries(directory);
  try {
    const owner = ownerIn(fd);
    // The head first: what is written meanwhile is behind it.
    const head = readHeadFile(directory, owner.identity_key);
    const wanted = [...(head === null ? [] : [head]), ...expectOwn(kept, owner)];
    const numbers = new Set(wanted.map(({ document }) => document.seq));
    const hashes = new Map<number, string>();
    const state = new LedgerState();
    const ids = strict ? new Set<string>() : null;
    const rest = readLines(fd, (bytes) => {
      const line = readLine(bytes, state.tip.next.n);
      if (ids !== null) expectSound(bytes, line, state, ids);
      state.take(line);
      if (numbers.has(line.entry.seq)) hashes.set(line.entry.seq, line.hash);
      onLine?.(line);
    });
    const { seq, hash } = state.tip;
    const present = { seq, hash: hash.toString('hex') };
    for (const one of [head, ...kept]) {
      expectHeadKept(one, present, (n) => hashes.get(n) ?? '');
    }
    return {
      owner,
      entries: seq,
      queries: state.ids.size,
      hash: present.hash,
      accounts: state.tally.accounts(),
      peerHeads: state.peerHeads.all(),
      head,
      unfinished: rest.length,
    };
  } catch (thrown) {
    const error = asParleyError(thrown);
    if (error.code !== 'INTERNAL') throw error;
    throw new ParleyError('STORAGE_FAILED', 'the ledger could not be read', {}, thrown);
  } finally {
    closeSync(fd);
  }
}

function openEntries(directory: string): number {
  try {
    return openSync(join(directory, LEDGER_FILE), 'r');
  } catch (error) {
    throw new ParleyError('FILE_NOT_FOUND', 'there is no ledger in that folder', {}, error);
  }
}

/** The first entry alone. @throws ParleyError LEDGER_CORRUPT. */
function ownerIn(fd: number): OpenEntry {
  const line = readFirstLine(fd);
  const entry = line === null ? null : readLine(line, 1).entry;
  if (entry?.kind === 'open') return entry;
  throw new ParleyError('LEDGER_CORRUPT', 'the ledger has no first entry');
}

function expectOwn(kept: readonly SignedHead[], owner: OpenEntry): readonly SignedHead[] {
  for (const head of kept) {
    const { party, identity_key: key, room } = head.document;
    const own = party === owner.party && key === owner.identity_key;
    if (!own || !isSignedHead(head) || (owner.room !== null && owner.room !== room)) {
      throw new ParleyError('LEDGER_FOREIGN', 'a head is not signed by the owner of this ledger', {
        party,
      });
    }
  }
  return kept;
}

function expectSound(bytes: Buffer, line: Line, state: LedgerState, released: Set<string>): void {
  const { entry } = line;
  expectStrict(bytes, line);
  if (entry.kind === 'peer_head' && !isSignedHead(entry.head)) {
    throw corrupt(entry.seq, 'keeps a head that is not signed');
  }
  if (entry.kind === 'reserve' && state.ids.has(entry.query_id)) {
    throw corrupt(entry.seq, 'charges an id again');
  }
  if (entry.kind !== 'commit') return;
  if (!state.ids.has(entry.query_id)) throw corrupt(entry.seq, 'releases what was not charged');
  if (released.has(entry.query_id)) throw corrupt(entry.seq, 'releases twice');
  released.add(entry.query_id);
}
