import { createHash, hkdfSync } from 'node:crypto';
import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import type { Logger } from 'pino';
import { concat, utf8, wipe } from '../../core/bytes.ts';
import { makeFolder, syncPath } from '../../core/durable.ts';
import { asParleyError, ParleyError } from '../../core/errors.ts';
import { reveal, type Redacted } from '../../core/redacted.ts';
import { systemRng } from '../../core/rng.ts';
import { canonicalJson } from '../../policy/index.ts';
import { takeLock } from '../lock.ts';
import { Journal, usedError } from './journal.ts';
import { batchBytes, metaSchema, type BatchMeta } from './meta.ts';
import type { SealedFile } from './sealed.ts';

/** AGREEMENT. Most batches a party offers for one run. */
export const OFFERS_MAX = 16;

const SECRET_BYTES = 32;
const ROOT_LABEL = utf8('parley/stock/root/v1');
const BATCH_LABEL = utf8('parley/stock/batch/v1');
const FILE_LABEL = 'parley/stock/key/v1\0';

export interface StockOptions {
  readonly directory: string;
  readonly room: string;
  readonly policyDigest: string;
  readonly party: string;
  /** The party's private link key: files are of no use to who has the state folder alone. */
  readonly linkKey: Redacted<Uint8Array>;
  /** Most bytes of all batches on disk together. */
  readonly bytesMax: number;
  readonly log: Logger;
}

/** A batch whose files may be written or read: under its keys, outside of the index. */
export interface OpenBatch {
  readonly meta: BatchMeta;
  file(name: string): SealedFile;
}

/** A batch in the making; of no use until every party has kept it. */
export interface Draft extends OpenBatch {
  /** Makes it usable, durably. @throws ParleyError STORAGE_FAILED. */
  keep(): void;
  discard(): void;
}

/** A batch that has been consumed: nobody gets it again. */
export interface TakenBatch extends OpenBatch {
  /** Removes what is left of its files. */
  release(): void;
}

/**
 * A party's correlations made ahead, in batches: one batch serves one run and is consumed as a whole.
 *
 * A batch's keys follow from the party's link key and a random secret that lies beside its files
 * (HKDF-SHA-256, RFC 5869). `take` first writes the batch into an append-only journal (fsync), then
 * overwrites and removes the secret, and only then gives the keys out: after a crash at any point the
 * batch is either untouched or gone. A batch that the journal names is refused, whatever was copied
 * back. Batches of another policy, and unfinished ones, are erased when the stock opens.
 */
export class Stock {
  readonly #o: StockOptions;
  readonly #root: Uint8Array;
  readonly #journal: Journal;
  readonly #release: () => void;
  readonly #kept = new Map<string, BatchMeta>();
  /** Bytes of drafts, which count against the limit before they are kept. */
  readonly #drafts = new Map<string, number>();

  private constructor(options: StockOptions, journal: Journal, release: () => void) {
    this.#o = options;
    this.#journal = journal;
    this.#release = release;
    const ikm = reveal(options.linkKey);
    this.#root = new Uint8Array(hkdfSync('sha256', ikm, new Uint8Array(0), ROOT_LABEL, 32));
  }

  /** @throws ParleyError STOCK_CORRUPT, STORAGE_FAILED (another process has it, or the disk). */
  static open(options: StockOptions): Stock {
    const { directory, room, party } = options;
    let release: (() => void) | null;
    try {
      makeFolder(directory);
      release = takeLock(join(directory, 'stock.lock'));
    } catch (cause) {
      throw new ParleyError('STORAGE_FAILED', 'the stock folder cannot be written', {}, cause);
    }
    if (release === null) {
      throw new ParleyError('STORAGE_FAILED', 'another process is using this stock');
    }
    try {
      const journal = Journal.open(join(directory, 'used.jsonl'), { room, party });
      const stock = new Stock(options, journal, release);
      stock.#load();
      return stock;
    } catch (error) {
      release();
      throw error;
    }
  }

  get bytes(): number {
    const kept = [...this.#kept.values()].map(batchBytes);
    return [...kept, ...this.#drafts.values()].reduce((a, b) => a + b, 0);
  }

  /** Batches that would serve a run of the shape; sorted, at most OFFERS_MAX. */
  offers(shape: string): string[] {
    const fitting = [...this.#kept.values()].filter((meta) => meta.shape === shape);
    return fitting
      .map(({ batch }) => batch)
      .sort()
      .slice(0, OFFERS_MAX);
  }

  /**
   * Begins a batch. Its files are written by whoever is given `file(name)`.
   * @throws ParleyError STOCK_FULL, STOCK_USED, STORAGE_FAILED.
   */
  begin(meta: BatchMeta): Draft {
    const { batch } = meta;
    if (this.#journal.has(batch) || this.#kept.has(batch) || this.#drafts.has(batch)) {
      throw usedError();
    }
    const bytes = batchBytes(meta);
    if (this.bytes + bytes > this.#o.bytesMax) {
      throw new ParleyError('STOCK_FULL', 'the stock of a party has no room for this', {
        party: this.#o.party,
        hint: 'use up what was prepared, or give the node more room (--stock-bytes)',
      });
    }
    const folder = this.#folder(batch);
    const secret = systemRng(SECRET_BYTES);
    const open = this.#openBatch(meta, secret);
    storing(() => mkdirSync(folder, { mode: 0o700 }));
    this.#drafts.set(batch, bytes);
    return {
      ...open,
      keep: () => {
        storing(() => {
          writeDurably(join(folder, 'meta.json'), canonicalJson(meta));
          syncPath(folder);
          syncPath(this.#o.directory);
          // The batch exists from here on.
          writeDurably(join(folder, 'secret.tmp'), secret);
          renameSync(join(folder, 'secret.tmp'), join(folder, 'secret'));
          syncPath(folder);
        });
        wipe(secret);
        this.#drafts.delete(batch);
        this.#kept.set(batch, meta);
      },
      discard: () => {
        wipe(secret);
        if (!this.#drafts.delete(batch)) return;
        this.#remove(folder);
      },
    };
  }

  /**
   * Consumes a batch. When this returns, the batch is in the journal on disk and its secret is gone.
   * @throws ParleyError STOCK_USED for one that is used, erased or unknown; STORAGE_FAILED.
   */
  take(batch: string): TakenBatch {
    const meta = this.#kept.get(batch);
    if (meta === undefined || this.#journal.has(batch)) throw usedError();
    this.#kept.delete(batch);
    const path = join(this.#folder(batch), 'secret');
    const secret = storing(() => new Uint8Array(readFileSync(path)));
    this.#journal.append('taken', batch);
    storing(() => eraseFile(path));
    const open = this.#openBatch(meta, secret);
    wipe(secret);
    return {
      ...open,
      release: () => this.#remove(this.#folder(batch)),
    };
  }

  /** Erases batches that not every party has: they can never be used. */
  prune(lost: readonly string[]): void {
    for (const batch of lost) this.#erase(batch);
  }

  close(): void {
    wipe(this.#root);
    this.#journal.close();
    this.#release();
  }

  #folder(batch: string): string {
    return join(this.#o.directory, batch);
  }

  /** Best effort: a worker may still be writing. What stays has no secret and goes at the start. */
  #remove(folder: string): void {
    try {
      rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
    } catch {
      this.#o.log.warn({ code: 'STORAGE_FAILED' }, 'used stock files were not removed');
    }
  }

  #erase(batch: string): void {
    this.#kept.delete(batch);
    const folder = this.#folder(batch);
    if (!this.#journal.has(batch)) this.#journal.append('erased', batch);
    storing(() => {
      if (existsSync(join(folder, 'secret'))) eraseFile(join(folder, 'secret'));
      rmSync(folder, { recursive: true, force: true });
    });
  }

  /** The index is what lies there: whole, of this policy, and never used. */
  #load(): void {
    for (const name of storing(() => readdirSync(this.#o.directory))) {
      if (!/^[0-9a-f]{64}$/.test(name)) continue;
      if (this.#journal.has(name)) {
        this.#o.log.warn({ code: 'STOCK_USED', batch: name }, 'used stock was found and erased');
        this.#erase(name);
        continue;
      }
      const meta = this.#readMeta(name);
      if (meta === null) this.#erase(name);
      else this.#kept.set(name, meta);
    }
  }

  #readMeta(batch: string): BatchMeta | null {
    const folder = this.#folder(batch);
    try {
      if (!existsSync(join(folder, 'secret'))) return null;
      const text = readFileSync(join(folder, 'meta.json'), 'utf8');
      const meta = metaSchema.parse(JSON.parse(text));
      const { room, policyDigest, party } = this.#o;
      const own = meta.batch === batch && meta.room === room && meta.party === party;
      return own && meta.policy_digest === policyDigest ? meta : null;
    } catch (cause) {
      this.#o.log.warn({ code: asParleyError(cause).code, batch }, 'stock that cannot be read');
      return null;
    }
  }

  #openBatch(meta: BatchMeta, secret: Uint8Array): OpenBatch {
    // Another meta, for example of another policy, gives other keys.
    const digest = createHash('sha256').update(canonicalJson(meta)).digest();
    const salt = concat([secret, digest]);
    const key = new Uint8Array(hkdfSync('sha256', this.#root, salt, BATCH_LABEL, 32));
    const folder = this.#folder(meta.batch);
    return {
      meta,
      file: (name) => ({
        path: join(folder, name),
        key: new Uint8Array(hkdfSync('sha256', key, new Uint8Array(0), FILE_LABEL + name, 32)),
        label: `${meta.batch}/${name}`,
      }),
    };
  }
}

function storing<T>(body: () => T): T {
  try {
    return body();
  } catch (cause) {
    throw new ParleyError('STORAGE_FAILED', 'the stock folder failed', {}, cause);
  }
}

function writeDurably(path: string, bytes: Uint8Array): void {
  const fd = openSync(path, 'wx', 0o600);
  try {
    if (writeSync(fd, bytes) !== bytes.length) throw new Error('short write');
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** Overwrites and removes, both forced to disk. Media may keep old blocks; see README.md. */
function eraseFile(path: string): void {
  const fd = openSync(path, 'r+');
  try {
    writeSync(fd, new Uint8Array(SECRET_BYTES));
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
  unlinkSync(path);
  syncPath(join(path, '..'));
}
