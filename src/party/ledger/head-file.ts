import { closeSync, fstatSync, fsyncSync, openSync, readSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import type { SignedHead } from '../../records/index.ts';
import { isSignedHead, signedHeadSchema } from '../../records/index.ts';

/** LOCAL. Bytes of a slot: a signed head has about 400. */
const SLOT_BYTES = 1024;
const SLOTS = 2;

/**
 * The newest head of a ledger beside it, signed: two slots written in turn, so that one is whole at
 * any moment. It notices a ledger that lost its end, or was copied back alone; one that was copied
 * back with it is noticed by the other parties.
 */
export class HeadFile {
  readonly #fd: number;
  #next = 0;
  #newest: SignedHead | null;

  private constructor(fd: number, newest: SignedHead | null, next: number) {
    this.#fd = fd;
    this.#newest = newest;
    this.#next = next;
  }

  /** @throws the file system's own error. */
  static open(directory: string, identityKey: string): HeadFile {
    const fd = openSync(join(directory, HEAD_FILE), 'a', 0o600);
    closeSync(fd);
    const file = openSync(join(directory, HEAD_FILE), 'r+');
    const heads = readSlots(file, identityKey);
    const newest = newestOf(heads);
    return new HeadFile(file, newest, newest === heads[0] ? 1 : 0);
  }

  /** Null when no slot holds a head of this party. */
  get newest(): SignedHead | null {
    return this.#newest;
  }

  /** On disk when it returns. @throws the file system's own error. */
  write(head: SignedHead): void {
    const slot = Buffer.alloc(SLOT_BYTES, ' ');
    slot.write(JSON.stringify(head));
    slot.write('\n', SLOT_BYTES - 1);
    if (writeSync(this.#fd, slot, 0, SLOT_BYTES, this.#next * SLOT_BYTES) !== SLOT_BYTES) {
      throw new Error('short write');
    }
    fsyncSync(this.#fd);
    this.#next = (this.#next + 1) % SLOTS;
    this.#newest = head;
  }

  close(): void {
    closeSync(this.#fd);
  }
}

const HEAD_FILE = 'head';

/** The newest head in a ledger's folder, without taking hold of it. */
export function readHeadFile(directory: string, identityKey: string): SignedHead | null {
  let fd: number;
  try {
    fd = openSync(join(directory, HEAD_FILE), 'r');
  } catch {
    return null;
  }
  try {
    return newestOf(readSlots(fd, identityKey));
  } finally {
    closeSync(fd);
  }
}

function newestOf(heads: readonly (SignedHead | null)[]): SignedHead | null {
  return heads.reduce((a, b) => {
    if (a === null || b === null) return a ?? b;
    return b.document.seq > a.document.seq ? b : a;
  }, null);
}

/** What does not read as a head signed with this key counts as torn. */
function readSlots(fd: number, identityKey: string): readonly (SignedHead | null)[] {
  const bytes = Buffer.alloc(SLOTS * SLOT_BYTES);
  const size = Math.min(fstatSync(fd).size, bytes.length);
  readSync(fd, bytes, 0, size, 0);
  return Array.from({ length: SLOTS }, (_, slot) => {
    try {
      const text = bytes.toString('utf8', slot * SLOT_BYTES, (slot + 1) * SLOT_BYTES);
      const head = signedHeadSchema.parse(JSON.parse(text));
      return head.document.identity_key === identityKey && isSignedHead(head) ? head : null;
    } catch {
      return null;
    }
  });
}
