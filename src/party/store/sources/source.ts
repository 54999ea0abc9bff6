import { open, stat } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { basename, extname } from 'node:path';
import { ParleyError } from '../../../core/errors.ts';
import type { OnProgress } from '../../../core/progress.ts';
import type { ImportLimits } from '../limits.ts';

/** Forms of a file that a table is imported from. */
export type SourceFormat = 'csv' | 'parquet' | 'json';

/** One row of a file; valid only during the callback. */
export interface SourceRow {
  /** Line on which the row starts in a text file, number of the row in a Parquet file; from 1. */
  readonly line: number;
  /** Text of needed column `index`; empty where the file holds nothing or NULL. */
  text(index: number): string;
}

/** What a source is asked for, and whom it tells. */
export interface SourceRequest {
  readonly file: string;
  /** Columns wanted, in the order of `SourceRow.text`; all others are not looked at. */
  readonly needed: readonly string[];
  readonly limits: ImportLimits;
  readonly onRow: (row: SourceRow) => void;
  /** A row that is malformed as a whole; reading goes on where it can. */
  readonly onProblem: (line: number, reason: string) => void;
  readonly onProgress?: OnProgress | undefined;
}

/** DATA_BAD_FILE about a file as a whole. */
export function badFile(file: string, reason: string, hint?: string): ParleyError {
  const detail = hint === undefined ? {} : { hint };
  return new ParleyError('DATA_BAD_FILE', `${basename(file)}: ${reason}`, detail);
}

const FORMATS: Readonly<Record<string, SourceFormat>> = {
  '.csv': 'csv',
  '.parquet': 'parquet',
  '.json': 'json',
  '.jsonl': 'json',
  '.ndjson': 'json',
};

/** Endings of the files a table is imported from, in the order they are looked for. */
export const SOURCE_ENDINGS: readonly string[] = Object.keys(FORMATS);

/** The form of a file by the ending of its name. @throws ParleyError DATA_BAD_FILE. */
export function formatOf(file: string): SourceFormat {
  const format = FORMATS[extname(file).toLowerCase()];
  if (format !== undefined) return format;
  throw badFile(
    file,
    'the ending of its name is not one of the known forms',
    `name it ${SOURCE_ENDINGS.join(', ')}`,
  );
}

/** @throws ParleyError FILE_NOT_FOUND, DATA_BAD_FILE. */
export async function openFile(
  file: string,
): Promise<{ readonly handle: FileHandle; readonly bytes: number }> {
  try {
    const stats = await stat(file);
    if (stats.isFile()) return { handle: await open(file, 'r'), bytes: stats.size };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') {
      throw new ParleyError('FILE_NOT_FOUND', `${basename(file)} does not exist`, {}, error);
    }
  }
  throw badFile(file, 'the file cannot be read');
}

/**
 * Pushes a text file through `push`, a block at a time; the last, empty block says the end. Reading
 * ends early once `enough` says so.
 * @throws ParleyError FILE_NOT_FOUND; DATA_BAD_FILE for an empty, unreadable or UTF-16 file.
 */
export async function readBlocks(
  { file, onProgress }: Pick<SourceRequest, 'file' | 'onProgress'>,
  blockBytes: number,
  push: (block: Uint8Array, last: boolean) => void,
  enough: () => boolean = () => false,
): Promise<void> {
  const { handle, bytes } = await openFile(file);
  const block = new Uint8Array(blockBytes);
  try {
    for (let done = 0; ;) {
      const { bytesRead } = await handle.read(block, 0, block.length, done).catch(() => {
        throw badFile(file, 'the file cannot be read');
      });
      if (done === 0 && bytesRead === 0) throw badFile(file, 'the file is empty');
      if (done === 0 && isUtf16(block)) throw badFile(file, 'the file is UTF-16; save it as UTF-8');
      push(block.subarray(0, bytesRead), bytesRead === 0);
      done += bytesRead;
      onProgress?.({ stage: 'import.read', done, total: Math.max(bytes, done) });
      if (bytesRead === 0 || enough()) return;
    }
  } finally {
    await handle.close();
  }
}

function isUtf16(block: Uint8Array): boolean {
  return (block[0] === 0xff && block[1] === 0xfe) || (block[0] === 0xfe && block[1] === 0xff);
}
