import { createHash } from 'node:crypto';
import { closeSync, fsyncSync, ftruncateSync, openSync, readFileSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { z } from 'zod';
import { syncPath } from '../../core/durable.ts';
import { ParleyError } from '../../core/errors.ts';
import { canonicalJson } from '../../policy/index.ts';

const hex32 = z.string().regex(/^[0-9a-f]{64}$/);
const lineSchema = z.strictObject({
  entry: z.discriminatedUnion('kind', [
    z.strictObject({
      kind: z.literal('open'),
      seq: z.literal(0),
      previous: hex32,
      room: z.string(),
      party: z.string(),
    }),
    z.strictObject({
      kind: z.enum(['taken', 'erased']),
      seq: z.int().min(1),
      previous: hex32,
      batch: hex32,
    }),
  ]),
  hash: hex32,
});
type Line = z.infer<typeof lineSchema>;

/** SECURITY. Domain of an entry's hash. */
const DOMAIN = 'parley/stock/journal/v1\0';
const GENESIS = '0'.repeat(64);

/**
 * Which batches this party has ever taken or erased: append-only, each line hashed over its canonical
 * bytes and the line before, on disk (fsync) before `append` returns. It only grows, so a batch that is
 * in it never comes back, whatever is copied into the folder.
 */
export class Journal {
  readonly #fd: number;
  readonly #gone = new Set<string>();
  #head = GENESIS;
  #seq = 0;
  /** Set when a write failed: what is on disk is then unknown, and nothing more is taken. */
  #broken = false;

  private constructor(fd: number) {
    this.#fd = fd;
  }

  /**
   * Opens or creates the journal. A last line cut short was never acknowledged: it is dropped unless
   * it is whole but for its end. Anything else that does not verify refuses to open.
   * @throws ParleyError STOCK_CORRUPT, STORAGE_FAILED.
   */
  static open(path: string, owner: { readonly room: string; readonly party: string }): Journal {
    let fd: number;
    let text: string;
    try {
      fd = openSync(path, 'a+', 0o600);
      text = readFileSync(path, 'utf8');
      // Also when it is not new: a process may have been killed before it could.
      syncPath(dirname(path));
    } catch (cause) {
      throw new ParleyError('STORAGE_FAILED', 'the stock folder cannot be written', {}, cause);
    }
    const journal = new Journal(fd);
    try {
      journal.#replay(text, owner);
      if (journal.#seq === 0) journal.#write({ kind: 'open', ...owner });
    } catch (error) {
      closeSync(fd);
      throw error;
    }
    return journal;
  }

  has(batch: string): boolean {
    return this.#gone.has(batch);
  }

  /** @throws ParleyError STOCK_USED when the batch is in the journal; STORAGE_FAILED. */
  append(kind: 'taken' | 'erased', batch: string): void {
    if (this.#gone.has(batch)) throw usedError();
    // Before the write: when that fails, the batch is as good as taken.
    this.#gone.add(batch);
    this.#write({ kind, batch });
  }

  close(): void {
    this.#broken = true;
    closeSync(this.#fd);
  }

  #write(
    body:
      | { readonly kind: 'open'; readonly room: string; readonly party: string }
      | { readonly kind: 'taken' | 'erased'; readonly batch: string },
  ): void {
    if (this.#broken) throw new ParleyError('STORAGE_FAILED', 'the stock cannot be written');
    const entry = { seq: this.#seq, previous: this.#head, ...body } as Line['entry'];
    const hash = hashOf(entry);
    const line = Buffer.from(`${JSON.stringify({ entry, hash })}\n`);
    try {
      if (writeSync(this.#fd, line) !== line.length) throw new Error('short write');
      fsyncSync(this.#fd);
    } catch (cause) {
      this.#broken = true;
      throw new ParleyError('STORAGE_FAILED', 'the stock journal was not written', {}, cause);
    }
    this.#head = hash;
    this.#seq += 1;
  }

  #replay(text: string, owner: { readonly room: string; readonly party: string }): void {
    const end = text.lastIndexOf('\n') + 1;
    for (const line of text.slice(0, end).split('\n').slice(0, -1)) this.#replayLine(line, owner);
    const tail = text.slice(end);
    if (tail === '') return;
    let whole = true;
    try {
      this.#replayLine(tail, owner);
    } catch {
      whole = false;
    }
    if (whole) writeSync(this.#fd, '\n');
    else ftruncateSync(this.#fd, Buffer.byteLength(text.slice(0, end)));
    fsyncSync(this.#fd);
  }

  #replayLine(text: string, owner: { readonly room: string; readonly party: string }): void {
    let line: Line;
    try {
      line = lineSchema.parse(JSON.parse(text));
    } catch (cause) {
      throw corrupt('a line of the stock journal cannot be read', cause);
    }
    const { entry, hash } = line;
    const chained = entry.seq === this.#seq && entry.previous === this.#head;
    if (!chained || hashOf(entry) !== hash) throw corrupt('the stock journal does not follow');
    if (entry.kind === 'open') {
      if (entry.room !== owner.room || entry.party !== owner.party) {
        throw corrupt('the stock belongs to another room or party');
      }
    } else {
      this.#gone.add(entry.batch);
    }
    this.#head = hash;
    this.#seq += 1;
  }
}

export function usedError(): ParleyError {
  return new ParleyError('STOCK_USED', 'this stock has been used before and is never used again');
}

function corrupt(message: string, cause?: unknown): ParleyError {
  const hint = 'stop the node and remove its whole stock folder; it holds nothing but stock';
  return new ParleyError('STOCK_CORRUPT', message, { hint }, cause);
}

function hashOf(entry: Line['entry']): string {
  return createHash('sha256').update(DOMAIN).update(canonicalJson(entry)).digest('hex');
}
