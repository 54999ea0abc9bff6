import { createHash, randomUUID } from 'node:crypto';
import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { makeFolder, replaceFile } from '../core/durable.ts';
import { ParleyError } from '../core/errors.ts';
import { parseJsonStrict } from '../policy/index.ts';
import { QUERY_RECORD_BYTES_MAX, queryRecordSchema, type QueryRecord } from '../records/index.ts';
import type { CoordinatorLimits } from './limits.ts';

/** A record and the submission it belongs to. */
export interface StoredRecord {
  readonly submissionDigest: string;
  readonly record: QueryRecord;
}

const fileSchema = z.strictObject({
  version: z.literal(1),
  submission_digest: z.string().regex(/^[0-9a-f]{64}$/),
  record: queryRecordSchema,
});

/** Room for the envelope around a record. */
const FILE_BYTES_MAX = QUERY_RECORD_BYTES_MAX + 1024;

/**
 * Query records, one JSON file each under `records/`, replaced whole by rename and on disk (fsync)
 * when `save` resolves: after a power cut an id has the record it had. Finished ones are kept in
 * memory too, oldest out first, within the limits. Answers in them are sealed to analysts.
 */
export class RecordStore {
  readonly #dir: string;
  readonly #limits: Pick<CoordinatorLimits, 'recordsMax' | 'recordBytesMax'>;
  readonly #cache = new Map<string, { readonly stored: StoredRecord; readonly bytes: number }>();
  #cacheBytes = 0;

  private constructor(dir: string, limits: CoordinatorLimits) {
    this.#dir = dir;
    this.#limits = limits;
  }

  /** @throws ParleyError STORAGE_FAILED when the directory cannot be made. */
  static async open(dataDir: string, limits: CoordinatorLimits): Promise<RecordStore> {
    const dir = join(dataDir, 'records');
    try {
      makeFolder(dir);
      for (const name of await readdir(dir)) {
        // What a crash left half written.
        if (name.endsWith('.tmp')) await rm(join(dir, name), { force: true });
      }
    } catch (error) {
      throw new ParleyError('STORAGE_FAILED', 'the data directory cannot be used', {}, error);
    }
    return new RecordStore(dir, limits);
  }

  /** On disk when it resolves. @throws ParleyError STORAGE_FAILED. */
  async save(stored: StoredRecord, finished: boolean): Promise<void> {
    const { record, submissionDigest } = stored;
    const file = { version: 1, submission_digest: submissionDigest, record };
    const text = JSON.stringify(file);
    const path = this.#pathOf(record.query_id);
    const fresh = `${path}.${randomUUID()}.tmp`;
    try {
      await replaceFile(path, text, fresh);
    } catch (error) {
      throw new ParleyError('STORAGE_FAILED', 'a query record cannot be stored', {}, error);
    }
    if (finished) this.#keep(stored, text.length);
  }

  /**
   * The record of an id, or null when there never was one.
   * @throws ParleyError STORAGE_FAILED when there is a file that is not a record.
   */
  async load(queryId: string): Promise<StoredRecord | null> {
    const kept = this.#cache.get(queryId);
    if (kept !== undefined) return kept.stored;
    let bytes: Uint8Array;
    try {
      bytes = await readFile(this.#pathOf(queryId));
    } catch (error) {
      if ((error as { readonly code?: unknown }).code === 'ENOENT') return null;
      throw new ParleyError('STORAGE_FAILED', 'a query record cannot be read', {}, error);
    }
    const parsed = fileSchema.safeParse(
      parseJsonStrict(bytes, { bytesMax: FILE_BYTES_MAX, code: 'STORAGE_FAILED' }),
    );
    if (!parsed.success || parsed.data.record.query_id !== queryId) {
      throw new ParleyError('STORAGE_FAILED', 'a stored query record is damaged');
    }
    const { record, submission_digest } = parsed.data;
    return { submissionDigest: submission_digest, record };
  }

  #keep(stored: StoredRecord, bytes: number): void {
    this.#cache.set(stored.record.query_id, { stored, bytes });
    this.#cacheBytes += bytes;
    for (const [id, oldest] of this.#cache) {
      const { recordsMax, recordBytesMax } = this.#limits;
      if (this.#cache.size <= recordsMax && this.#cacheBytes <= recordBytesMax) break;
      this.#cache.delete(id);
      this.#cacheBytes -= oldest.bytes;
    }
  }

  /** Ids differ in case and file names may not, so files are named by digest. */
  #pathOf(queryId: string): string {
    return join(this.#dir, `${createHash('sha256').update(queryId).digest('hex')}.json`);
  }
}
