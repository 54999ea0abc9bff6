import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Logger } from 'pino';
import { syncFolder } from '../../core/durable.ts';
import { asParleyError, ParleyError } from '../../core/errors.ts';
import type { Redacted } from '../../core/redacted.ts';
import type { AnswerReport, RunRecord } from './run-record.ts';
import { decodeAnswer, decodeRecord, encodeJson } from './run-record.ts';
import type { Label } from './sealed-file.ts';
import {
  corrupt,
  openBytes,
  readBounded,
  SEAL_BYTES,
  sealBytes,
  writeDurably,
} from './sealed-file.ts';

/** LOCAL. Longest record and longest answer. */
const JSON_BYTES_MAX = 2 * 1024 * 1024;

const SHARD_FILE = /^shard\.(0|[1-9]\d{0,5})\.a(0|[1-9]\d{0,3})$/;

/** Whose checkpoints they are; part of every label. */
export interface Owner {
  readonly room: string;
  readonly policyDigest: string;
  readonly party: string;
  readonly secret: Redacted<Uint8Array>;
}

/** A finished shard: this party's share of its totals, uniformly random by itself. */
export interface HeldShard {
  readonly attempt: number;
  readonly totals: Uint8Array;
}

/** Ids differ in case and file names may not, so folders are named by digest. */
export function folderNameOf(queryId: string): string {
  return createHash('sha256').update(queryId).digest('hex');
}

/**
 * What a party keeps of one run until it ends, sealed: the signed records, the highest epoch it
 * entered, finished shards, whether the finish began, and the answer. Nothing that generates
 * correlations is ever written: no base OTs, no Delta, no PRG state, no triples.
 *
 * Writes happen one after the other. Every write is durable when its promise resolves.
 */
export class RunFolder {
  readonly #path: string;
  readonly #owner: Owner;
  readonly #label: Label;
  readonly #shards = new Map<number, HeldShard>();
  #epoch = -1;
  #last: Promise<void> = Promise.resolve();
  #removed: Promise<void> | null = null;

  /** @param session - of the run; every label but the record's names it. */
  private constructor(path: string, owner: Owner, name: string, session: string) {
    this.#path = path;
    this.#owner = owner;
    this.#label = [...labelOf(owner, name), session];
  }

  /** @throws ParleyError STORAGE_FAILED, also when the folder is there already. */
  static async create(
    directory: string,
    owner: Owner,
    record: RunRecord,
    session: string,
  ): Promise<RunFolder> {
    const name = folderNameOf(record.query_id);
    const path = join(directory, name);
    try {
      await mkdir(path, { mode: 0o700 });
      await syncFolder(directory);
    } catch (error) {
      throw new ParleyError('STORAGE_FAILED', 'a run cannot be checkpointed', {}, error);
    }
    const folder = new RunFolder(path, owner, name, session);
    try {
      const label = [...labelOf(owner, name), 'record'];
      await writeDurably(join(path, 'record'), sealBytes(owner.secret, label, encodeJson(record)));
    } catch (error) {
      await folder.remove();
      throw error;
    }
    return folder;
  }

  /** The record in a folder. @throws ParleyError CHECKPOINT_CORRUPT, STORAGE_FAILED. */
  static async readRecord(directory: string, owner: Owner, name: string): Promise<RunRecord> {
    const sealed = await readBounded(join(directory, name, 'record'), JSON_BYTES_MAX);
    if (sealed === null) throw corrupt();
    const label = [...labelOf(owner, name), 'record'];
    const record = decodeRecord(openBytes(owner.secret, label, sealed));
    if (folderNameOf(record.query_id) !== name) throw corrupt();
    return record;
  }

  /**
   * Opens what a former process left. Shards that do not open are left out and run again.
   * @param shape - shards of the plan and bytes of each one's totals.
   * @throws ParleyError CHECKPOINT_CORRUPT when the epoch does not open, STORAGE_FAILED.
   */
  static async reopen(
    directory: string,
    owner: Owner,
    record: RunRecord,
    session: string,
    shape: { readonly shards: number; readonly totalsBytes: number },
    log: Logger,
  ): Promise<RunFolder> {
    const name = folderNameOf(record.query_id);
    const folder = new RunFolder(join(directory, name), owner, name, session);
    const epoch = await folder.#read('epoch', ['epoch'], SEAL_BYTES + 1);
    folder.#epoch = epoch === null ? -1 : epoch[0]!;
    for (const file of await readdir(folder.#path)) {
      const [, shard, attempt] = (SHARD_FILE.exec(file) ?? []).map(Number);
      if (shard === undefined || attempt === undefined || shard >= shape.shards) continue;
      try {
        await folder.#loadShard(shard, attempt, shape.totalsBytes);
      } catch (error) {
        const { code } = asParleyError(error);
        log.warn({ query_id: record.query_id, shard, code }, 'a checkpoint is not used');
      }
    }
    return folder;
  }

  /** Highest epoch this party ever entered; -1 before the first. */
  get epoch(): number {
    return this.#epoch;
  }

  /** Finished shards, by index. */
  get shards(): ReadonlyMap<number, HeldShard> {
    return this.#shards;
  }

  /** Before the first byte of an epoch: no epoch is entered twice, through any crash. */
  async enterEpoch(epoch: number): Promise<void> {
    this.#epoch = epoch;
    await this.#write('epoch', ['epoch'], Uint8Array.of(epoch));
  }

  /** Keeps a finished shard; an earlier attempt than the one kept changes nothing. */
  async saveShard(shard: number, attempt: number, totals: Uint8Array): Promise<void> {
    const former = this.#shards.get(shard);
    if (former !== undefined && former.attempt >= attempt) return;
    this.#shards.set(shard, { attempt, totals });
    await this.#write(fileOf(shard, attempt), ['shard', shard, attempt], totals);
    if (former === undefined) return;
    await rm(join(this.#path, fileOf(shard, former.attempt)), { force: true }).catch(
      () => undefined,
    );
  }

  /** Before the first byte of the finish: from here on the run is never repeated. */
  beginFinish(): Promise<void> {
    return this.#write('finish', ['finish'], new Uint8Array(0));
  }

  /** Whether the finish may have begun. A file that does not open says yes. */
  async finishBegan(): Promise<boolean> {
    return (await readBounded(join(this.#path, 'finish'), Infinity)) !== null;
  }

  saveAnswer(answer: AnswerReport): Promise<void> {
    return this.#write('answer', ['answer'], encodeJson(answer));
  }

  /** @throws ParleyError CHECKPOINT_CORRUPT, STORAGE_FAILED. */
  async loadAnswer(): Promise<AnswerReport | null> {
    const bytes = await this.#read('answer', ['answer'], JSON_BYTES_MAX);
    return bytes === null ? null : decodeAnswer(bytes);
  }

  /** Removes everything; what cannot be removed is swept at the next start. */
  remove(): Promise<void> {
    return (this.#removed ??= this.#last.then(async () => {
      for (const { totals } of this.#shards.values()) totals.fill(0);
      this.#shards.clear();
      await removeRun(this.#path).catch(() => undefined);
    }));
  }

  async #loadShard(shard: number, attempt: number, totalsBytes: number): Promise<void> {
    const label: Label = ['shard', shard, attempt];
    const totals = await this.#read(fileOf(shard, attempt), label, SEAL_BYTES + totalsBytes);
    if (totals?.length !== totalsBytes) throw corrupt();
    const known = this.#shards.get(shard);
    if (known === undefined || known.attempt < attempt)
      this.#shards.set(shard, { attempt, totals });
  }

  async #read(file: string, label: Label, bytesMax: number): Promise<Uint8Array | null> {
    const sealed = await readBounded(join(this.#path, file), bytesMax);
    if (sealed === null) return null;
    return openBytes(this.#owner.secret, [...this.#label, ...label], sealed);
  }

  #write(file: string, label: Label, plain: Uint8Array): Promise<void> {
    if (this.#removed !== null) {
      return Promise.reject(new ParleyError('CANCELLED', 'the run is over'));
    }
    const sealed = sealBytes(this.#owner.secret, [...this.#label, ...label], plain);
    const written = this.#last.then(() => writeDurably(join(this.#path, file), sealed));
    this.#last = written.catch(() => undefined);
    return written;
  }
}

/**
 * The record goes first, durably: nothing is taken up without it, and a run that is half removed must not
 * be, because what says that its finish began may be gone.
 */
export async function removeRun(path: string): Promise<void> {
  await rm(join(path, 'record'), { force: true });
  if (existsSync(path)) await syncFolder(path);
  await rm(path, { recursive: true, force: true });
}

function labelOf({ room, policyDigest, party }: Owner, name: string): Label {
  return [room, policyDigest, party, name];
}

function fileOf(shard: number, attempt: number): string {
  return `shard.${shard}.a${attempt}`;
}
