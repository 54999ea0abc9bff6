import { ParleyError } from '../../core/errors.ts';
import type { KeyPair } from '../../policy/index.ts';
import type { SignedHead } from '../../records/index.ts';
import type { OpenEntry } from './entry.ts';

/** The file of entries in a ledger's folder. */
export const LEDGER_FILE = 'ledger.jsonl';

/** Who opens a ledger, and for which room. */
export interface LedgerOwner {
  readonly party: string;
  readonly room: string;
  /** Made for all rooms of the party, when it has to be made. */
  readonly shared: boolean;
  readonly identity: KeyPair;
}

export function rolledBack(message: string): ParleyError {
  return new ParleyError('LEDGER_ROLLED_BACK', message, {
    hint: 'put the newest copy of the ledger folder back; an older one forgets what was spent',
  });
}

/** @throws ParleyError LEDGER_FOREIGN with the field that differs. */
export function expectOwner(
  first: OpenEntry | null,
  {
    party,
    room,
    identity,
  }: Pick<LedgerOwner, 'party' | 'room'> & {
    readonly identity: Pick<KeyPair, 'publicKey'>;
  },
): void {
  const refuse = (path: string, what: string): never => {
    throw new ParleyError('LEDGER_FOREIGN', `the ledger belongs to another ${what}`, { path });
  };
  if (first === null) throw new ParleyError('LEDGER_CORRUPT', 'the ledger has no first entry');
  if (first.party !== party) refuse('party', 'party');
  if (first.identity_key !== identity.publicKey) refuse('identity_key', 'key of this party');
  if (first.room !== null && first.room !== room) refuse('room', 'room');
}

/**
 * Compares the ledger with the head beside it. The head is written after the entries, so it may be
 * behind them and never before them.
 * @param hashAt - of an entry, by number.
 * @throws ParleyError LEDGER_ROLLED_BACK, LEDGER_CORRUPT.
 */
export function expectHeadKept(
  kept: SignedHead | null,
  present: { readonly seq: number; readonly hash: string },
  hashAt: (seq: number) => string,
): void {
  const { seq, hash } = present;
  if (kept === null) {
    // Between the first entry and its head a crash leaves no head.
    if (seq === 1) return;
    throw new ParleyError(
      'LEDGER_CORRUPT',
      'the head file of the ledger is missing or not signed',
      {
        hint: 'restore the whole folder from a copy that is at least as new',
      },
    );
  }
  const { document: before } = kept;
  const found = before.seq === seq ? hash : before.seq < seq ? hashAt(before.seq) : '';
  if (found !== before.hash) {
    throw rolledBack('the ledger is older than its head, or another than the one it was made for');
  }
}
