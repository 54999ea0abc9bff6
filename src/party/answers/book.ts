import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Logger } from 'pino';
import { makeFolder } from '../../core/durable.ts';
import { asParleyError, ParleyError } from '../../core/errors.ts';
import type { Owner } from '../checkpoints/index.ts';
import { openBytes, sealBytes, writeDurably, type Label } from '../checkpoints/sealed-file.ts';
import { decodeGiven, encodeGiven, type GivenAnswer } from './record.ts';

/** What a node keeps of answers it has given. */
export interface AnswerLimits {
  readonly answersMax: number;
  readonly bytesMax: number;
}

/** LOCAL. A day of a busy room's dashboards; answers are a few KiB but for very wide ones. */
export const ANSWER_LIMITS: AnswerLimits = { answersMax: 1_024, bytesMax: 256 * 2 ** 20 };

/** LOCAL. Longest file: a sealed share of 720 KiB in base64, a question of 64 KiB, receipt, goes. */
const FILE_BYTES_MAX = 4 * 2 ** 20;

/** Order of arrival, what the answer is looked up by, and which query it was of. */
const FILE_NAME = /^(\d{15})-([0-9a-f]{64})-([0-9a-f]{64})$/;

interface Kept {
  readonly name: string;
  readonly order: number;
  readonly lookup: string;
  readonly query: string;
  readonly bytes: number;
}

interface Arriving {
  readonly lookup: string;
  readonly given: GivenAnswer;
}

const digestOfId = (queryId: string): string => createHash('sha256').update(queryId).digest('hex');
const idOf = ({ submission }: GivenAnswer): string => submission.document.query_id;

/**
 * The answers a party has given, each in a sealed file of its own, so that an identical question
 * gets the same bytes again: also after a restart. Bounded; the oldest go first. What is lost here
 * costs budget (the question is run again), never privacy.
 */
export class AnswerBook {
  readonly #directory: string;
  readonly #owner: Owner;
  readonly #limits: AnswerLimits;
  readonly #log: Logger;
  /** In the order they were given. */
  readonly #kept = new Map<string, Kept>();
  #bytes = 0;
  /** On their way to the disk, in that order. */
  readonly #arriving = new Set<Arriving>();
  #last: Promise<void> = Promise.resolve();

  private constructor(directory: string, owner: Owner, limits: AnswerLimits, log: Logger) {
    this.#directory = directory;
    this.#owner = owner;
    this.#limits = limits;
    this.#log = log;
  }

  /** Reads names only. @throws ParleyError STORAGE_FAILED. */
  static open(
    directory: string,
    owner: Owner,
    log: Logger,
    limits: AnswerLimits = ANSWER_LIMITS,
  ): AnswerBook {
    const book = new AnswerBook(directory, owner, limits, log);
    try {
      makeFolder(directory);
      for (const name of readdirSync(directory).sort()) {
        const [, order, lookup, query] = FILE_NAME.exec(name) ?? [];
        const path = join(directory, name);
        // What a crash left half written.
        if (order === undefined) rmSync(path, { force: true, recursive: true });
        else {
          const { size: bytes } = statSync(path);
          book.#note({ name, order: Number(order), lookup: lookup!, query: query!, bytes });
        }
      }
      for (const kept of book.#surplus()) rmSync(join(directory, kept.name), { force: true });
    } catch (error) {
      throw new ParleyError('STORAGE_FAILED', 'the folder of answers cannot be used', {}, error);
    }
    return book;
  }

  /** The newest answer of this lookup key, or null. One that does not open is removed. */
  find(lookup: string): GivenAnswer | null {
    const [arriving] = [...this.#arriving].filter((a) => a.lookup === lookup).reverse();
    if (arriving !== undefined) return arriving.given;
    const [newest] = [...this.#kept.values()].filter((k) => k.lookup === lookup).reverse();
    return newest === undefined ? null : this.#read(newest);
  }

  /** The answer given to this very query id, or null. */
  ofQuery(queryId: string): GivenAnswer | null {
    const isOf = ({ given }: Arriving): boolean => idOf(given) === queryId;
    const arriving = [...this.#arriving].find(isOf);
    if (arriving !== undefined) return arriving.given;
    const query = digestOfId(queryId);
    const [kept] = [...this.#kept.values()].filter((k) => k.query === query);
    return kept === undefined ? null : this.#read(kept);
  }

  /**
   * Keeps an answer, durably; the oldest make room. Nothing happens for a query id kept already.
   * It is found from the call on: an analyst may ask again before a disk has done its work.
   * @throws ParleyError STORAGE_FAILED.
   */
  keep(lookup: string, given: GivenAnswer): Promise<void> {
    const arriving = { lookup, given };
    this.#arriving.add(arriving);
    const work = this.#last
      .then(() => this.#keep(lookup, given))
      .finally(() => this.#arriving.delete(arriving));
    this.#last = work.catch(() => undefined);
    return work;
  }

  async #keep(lookup: string, given: GivenAnswer): Promise<void> {
    const query = digestOfId(idOf(given));
    const all = [...this.#kept.values()];
    if (all.some((kept) => kept.query === query)) return;
    const order = 1 + Math.max(-1, ...all.map((kept) => kept.order));
    const name = `${String(order).padStart(15, '0')}-${lookup}-${query}`;
    const sealed = sealBytes(this.#owner.secret, this.#label(name), encodeGiven(given));
    await writeDurably(join(this.#directory, name), sealed);
    this.#note({ name, order, lookup, query, bytes: sealed.length });
    for (const { name: old } of this.#surplus()) {
      await rm(join(this.#directory, old), { force: true }).catch(() => undefined);
    }
  }

  #note(kept: Kept): void {
    this.#kept.set(kept.name, kept);
    this.#bytes += kept.bytes;
  }

  #forget(kept: Kept): void {
    if (this.#kept.delete(kept.name)) this.#bytes -= kept.bytes;
  }

  /** Takes out of the book what is beyond the limits, oldest first; the caller removes the files. */
  #surplus(): readonly Kept[] {
    const out: Kept[] = [];
    for (const kept of [...this.#kept.values()]) {
      const { answersMax, bytesMax } = this.#limits;
      if (this.#kept.size <= answersMax && this.#bytes <= bytesMax) break;
      this.#forget(kept);
      out.push(kept);
    }
    return out;
  }

  #read(kept: Kept): GivenAnswer | null {
    const path = join(this.#directory, kept.name);
    try {
      if (statSync(path).size > FILE_BYTES_MAX) throw new Error('longer than any answer');
      const sealed = new Uint8Array(readFileSync(path));
      return decodeGiven(openBytes(this.#owner.secret, this.#label(kept.name), sealed));
    } catch (error) {
      const { code } = asParleyError(error);
      this.#log.warn({ code }, 'a kept answer is not used');
      this.#forget(kept);
      rmSync(path, { force: true });
      return null;
    }
  }

  #label(name: string): Label {
    const { room, policyDigest, party } = this.#owner;
    return [room, policyDigest, party, 'answer', name];
  }
}
