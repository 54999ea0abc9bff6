import {
  closeSync,
  fsyncSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { makeFolder, syncPath } from '../../core/durable.ts';
import { ParleyError } from '../../core/errors.ts';
import {
  approvalId,
  isSignedBy,
  signedApprovalSchema,
  type Approval,
  type SignedApproval,
} from './record.ts';

/** LOCAL. Approvals a node reads, and bytes of one. */
const APPROVALS_MAX = 4096;
const APPROVAL_BYTES_MAX = 4096;

const USED_FILE = 'used.log';
const USED_LINE = /^[0-9a-f]{64}$/;

/** Whose approvals count, and for which policy. */
export interface ApprovalOwner {
  readonly room: string;
  readonly policyDigest: string;
  readonly party: string;
  readonly identityKey: string;
}

/** A question that wants approval. */
export interface ApprovalRequest {
  readonly planDigest: string;
  readonly analyst: string;
}

/** An approval on disk and what is left of it. */
export interface HeldApproval {
  readonly id: string;
  readonly document: Approval;
  readonly used: number;
}

/**
 * A party's approvals: one signed file each, and a log with one line per run, durable before the
 * run begins. Files are read at every question, so an approval holds for a running node at once, and
 * deleting the file withdraws it. A file that does not verify is nobody's consent and is passed over.
 *
 * Only this node's own word counts here. That every party of the plan has approved follows from
 * each node doing the same: without all their goes there is no run.
 */
export class ApprovalBook {
  readonly #directory: string;
  readonly #owner: ApprovalOwner;

  constructor(directory: string, owner: ApprovalOwner) {
    this.#directory = directory;
    this.#owner = owner;
  }

  /** Looks without using it up. @throws ParleyError QUERY_NOT_APPROVED, STORAGE_FAILED. */
  expectApproved(request: ApprovalRequest): void {
    this.#find(request);
  }

  /**
   * Uses up one run. On return the use is on disk; a crash after it costs the run, never gives one.
   * @throws ParleyError QUERY_NOT_APPROVED, STORAGE_FAILED.
   */
  use(request: ApprovalRequest): void {
    const { id } = this.#find(request);
    appendDurably(join(this.#directory, USED_FILE), `${id}\n`);
  }

  /** Every approval that verifies, newest policy or not. @throws ParleyError STORAGE_FAILED. */
  list(): readonly HeldApproval[] {
    const uses = this.#uses();
    return this.#files().flatMap((file): HeldApproval[] => {
      const signed = readApproval(join(this.#directory, file));
      if (signed === null || !isSignedBy(signed, this.#owner.identityKey)) return [];
      const id = approvalId(signed.document);
      return [{ id, document: signed.document, used: uses.get(id) ?? 0 }];
    });
  }

  #find({ planDigest, analyst }: ApprovalRequest): HeldApproval {
    const { room, policyDigest, party } = this.#owner;
    const now = Date.now();
    const own = this.list().filter(
      ({ document: d }) =>
        d.room === room &&
        d.policy_digest === policyDigest &&
        d.party === party &&
        d.plan_digest === planDigest &&
        d.analyst === analyst,
    );
    const good = own.find(
      ({ document: d, used }) =>
        used < d.runs && (d.expires === null || Date.parse(d.expires) > now),
    );
    if (good !== undefined) return good;
    const what =
      own.length === 0 ? 'this party has not approved the query' : 'its approval is used up';
    throw new ParleyError('QUERY_NOT_APPROVED', what, {
      party,
      fragment: planDigest,
      hint: `ask ${party} to run parley approve with this plan digest; nothing was spent`,
    });
  }

  #files(): readonly string[] {
    let names: readonly string[];
    try {
      names = readdirSync(this.#directory).filter((file) => file.endsWith('.json'));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
      throw new ParleyError('STORAGE_FAILED', 'the approvals cannot be read', {}, error);
    }
    if (names.length <= APPROVALS_MAX) return [...names].sort();
    throw new ParleyError('STORAGE_FAILED', 'there are more approvals than a node reads', {
      hint: `delete those that are over; ${APPROVALS_MAX} may stay`,
    });
  }

  /** Runs by approval. A last line cut short by a crash was never acknowledged. */
  #uses(): ReadonlyMap<string, number> {
    const uses = new Map<string, number>();
    let text: string;
    try {
      text = readFileSync(join(this.#directory, USED_FILE), 'utf8');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return uses;
      throw new ParleyError('STORAGE_FAILED', 'the log of approvals cannot be read', {}, error);
    }
    const lines = text.split('\n');
    const torn = lines.pop() ?? '';
    // A torn line could be any approval's: whole or not, it must not hide one that follows.
    for (const line of torn === '' ? lines : [...lines, torn]) {
      if (USED_LINE.test(line)) uses.set(line, (uses.get(line) ?? 0) + 1);
    }
    return uses;
  }
}

function readApproval(path: string): SignedApproval | null {
  try {
    if (statSync(path).size > APPROVAL_BYTES_MAX) return null;
    const parsed = signedApprovalSchema.safeParse(JSON.parse(readFileSync(path, 'utf8')));
    return parsed.success ? parsed.data : null;
  } catch {
    return null;
  }
}

/** @throws ParleyError STORAGE_FAILED. */
function appendDurably(path: string, line: string): void {
  try {
    const created = openSync(path, 'a+', 0o600);
    try {
      // After a torn line the next one starts afresh.
      const before = readFileSync(path, 'utf8');
      const text = before === '' || before.endsWith('\n') ? line : `\n${line}`;
      if (writeSync(created, text) !== text.length) throw new Error('short write');
      fsyncSync(created);
    } finally {
      closeSync(created);
    }
    syncPath(join(path, '..'));
  } catch (error) {
    throw new ParleyError('STORAGE_FAILED', 'the use of an approval cannot be written', {}, error);
  }
}

/** Puts a signed approval where the node looks. @throws ParleyError STORAGE_FAILED. */
export function writeApproval(directory: string, signed: SignedApproval): string {
  const path = join(directory, `${approvalId(signed.document)}.json`);
  try {
    makeFolder(directory);
    const fd = openSync(`${path}.new`, 'w', 0o600);
    try {
      writeSync(fd, `${JSON.stringify(signed, null, 2)}\n`);
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    renameSync(`${path}.new`, path);
    syncPath(directory);
  } catch (error) {
    throw new ParleyError('STORAGE_FAILED', 'the approval cannot be written', {}, error);
  }
  return path;
}
