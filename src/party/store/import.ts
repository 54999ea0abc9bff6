import { open, stat } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { basename } from 'node:path';
import { ParleyError } from '../../core/errors.ts';
import type { OnProgress } from '../../core/progress.ts';
import type { TablePolicy } from '../../policy/types.ts';
import { CsvScanner } from './csv.ts';
import type { CsvRecord } from './csv.ts';
import { tableLayout } from './layout.ts';
import type { TableLayout } from './layout.ts';
import { IMPORT_LIMITS, READ_BYTES } from './limits.ts';
import type { ImportLimits } from './limits.ts';
import { lockImport } from './lock.ts';
import { problemList } from './problems.ts';
import type { ProblemList } from './problems.ts';
import { rowBuilder } from './rows.ts';
import type { RowBuilder } from './rows.ts';
import { openStaging } from './staging.ts';
import type { Staging } from './staging.ts';

export interface ImportOptions {
  /** Path of the CSV file: RFC 4180, UTF-8, comma, a header. */
  readonly file: string;
  readonly tableName: string;
  readonly table: TablePolicy;
  /** The room's identifier salt, 32 bytes. */
  readonly salt: Uint8Array;
  /** The party's store file; made when it does not exist. Other tables in it are kept. */
  readonly storePath: string;
  readonly onProgress?: OnProgress;
  readonly limits?: Partial<ImportLimits>;
}

/** What the party is told about its own file. Nothing here is for anybody else. */
export interface ImportSummary {
  readonly table: string;
  /** Rows stored. */
  readonly rows: number;
  /** Distinct privacy units stored. */
  readonly users: number;
  /** Rows beyond the first of each user. */
  readonly repeatedRows: number;
  /** Rows left out because their identifier is empty: they could match nobody. */
  readonly unmatchableRows: number;
  /** Users with more than `max_rows_per_user` rows, and their rows beyond it. Every query drops
   * such a surplus, by a rule that looks at that user's rows alone. */
  readonly usersOverBound: number;
  readonly rowsOverBound: number;
  /** Lower-case hex; equal for equal content under equal rules, whatever the file's row order. */
  readonly datasetDigest: string;
  readonly durationMs: number;
}

function badFile(name: string, reason: string, hint?: string): ParleyError {
  return new ParleyError('DATA_BAD_FILE', `${name}: ${reason}`, hint === undefined ? {} : { hint });
}

/** Where each needed column stands. @throws ParleyError DATA_BAD_FILE naming what is missing. */
function readHeader(
  name: string,
  record: CsvRecord,
  needed: readonly string[],
): ReadonlyMap<string, number> {
  if (record.blank) throw badFile(name, 'the first line must be the header, and it is empty');
  const found = Array.from({ length: record.fields }, (_, i) => record.text(i).trim());
  const indexOf = new Map<string, number>();
  for (const column of needed) {
    const index = found.indexOf(column);
    if (index < 0) {
      const hint = 'the header must name every column that the policy declares, letter for letter';
      throw badFile(name, `column ${column} is missing`, hint);
    }
    if (found.includes(column, index + 1)) throw badFile(name, `column ${column} occurs twice`);
    indexOf.set(column, index);
  }
  return indexOf;
}

async function openFile(file: string): Promise<{ handle: FileHandle; bytes: number }> {
  try {
    const { size } = await stat(file);
    return { handle: await open(file, 'r'), bytes: size };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') {
      throw new ParleyError('FILE_NOT_FOUND', `${basename(file)} does not exist`, {}, error);
    }
    throw badFile(basename(file), 'the file cannot be read');
  }
}

/** Pushes the whole file through the scanner, a block at a time. */
async function scanFile(options: ImportOptions, scanner: CsvScanner): Promise<void> {
  const name = basename(options.file);
  const { handle, bytes } = await openFile(options.file);
  const block = new Uint8Array(READ_BYTES);
  try {
    for (let done = 0; ;) {
      const { bytesRead } = await handle.read(block, 0, block.length, done).catch(() => {
        throw badFile(name, 'the file cannot be read');
      });
      if (done === 0 && bytesRead === 0) throw badFile(name, 'the file is empty');
      if (done === 0 && isUtf16(block)) throw badFile(name, 'the file is UTF-16; save it as UTF-8');
      scanner.push(block.subarray(0, bytesRead), bytesRead === 0);
      done += bytesRead;
      options.onProgress?.({ stage: 'import.read', done, total: Math.max(bytes, done) });
      if (bytesRead === 0) return;
    }
  } finally {
    await handle.close();
  }
}

function isUtf16(block: Uint8Array): boolean {
  return (block[0] === 0xff && block[1] === 0xfe) || (block[0] === 0xfe && block[1] === 0xff);
}

/** Reads, checks and stages every row. @throws BadRowsError, ParleyError; nothing is committed. */
async function readRows(
  options: ImportOptions,
  context: {
    readonly limits: ImportLimits;
    readonly layout: TableLayout;
    readonly staging: Staging;
    readonly problems: ProblemList;
  },
): Promise<RowBuilder> {
  const { table, salt } = options;
  const { limits, layout, staging, problems } = context;
  const name = basename(options.file);
  const needed = [table.privacy_unit_column.name, ...layout.columns];
  let builder: RowBuilder | null = null;
  let width = 0;
  const onRecord = (record: CsvRecord): void => {
    if (builder === null) {
      const indexOf = readHeader(name, record, needed);
      width = record.fields;
      builder = rowBuilder({ table, layout, salt, indexOf, problems, hand: staging.append });
      return;
    }
    // A line without a byte carries no row, except where a row is one field.
    if (record.blank && width > 1) return;
    if (record.fields !== width) {
      problems.add(record.line, null, `${record.fields} fields where the header has ${width}`);
      return;
    }
    builder.add(record);
    if (builder.rows > limits.rowsMax) {
      throw new ParleyError('INPUT_TOO_LARGE', `${name} has more than ${limits.rowsMax} rows`);
    }
  };
  const onProblem = (line: number, reason: string): void => {
    if (builder === null) throw badFile(name, `the header is malformed: ${reason}`);
    problems.add(line, null, reason);
  };
  await scanFile(options, new CsvScanner(limits, onRecord, onProblem));
  // A file of a byte order mark alone has no record.
  const done = builder as RowBuilder | null;
  if (done === null) throw badFile(name, 'the file is empty');
  problems.throwIfAny();
  done.flush();
  return done;
}

/**
 * Imports one CSV file as one table of the party's store, replacing that table as a whole.
 *
 * The file must be RFC 4180 and UTF-8. Each identifier is normalised and hashed under the room's
 * salt, each declared column coded to integers and checked against the policy; other columns and
 * the raw identifiers are never stored, and they never enter the database engine. Either every row
 * is good and the store changes atomically and durably, or nothing changes. Rows whose identifier
 * is empty are left out and counted.
 *
 * Cost: one pass over the file; memory for the coded rows while they are sorted.
 *
 * @throws BadRowsError (DATA_BAD_ROWS) listing file, line, column and reason of the bad rows.
 * @throws ParleyError FILE_NOT_FOUND; DATA_BAD_FILE when the file is empty, not readable, not UTF-8
 *   or its header lacks or repeats a declared column; INPUT_TOO_LARGE when it holds more users than
 *   `max_users` or more rows than the limit; STORE_MISMATCH when `storePath` is no store of this
 *   version; STORAGE_FAILED.
 */
export async function importCsv(options: ImportOptions): Promise<ImportSummary> {
  const started = performance.now();
  const { table, tableName, storePath } = options;
  const limits: ImportLimits = { ...IMPORT_LIMITS, ...options.limits };
  const name = basename(options.file);
  const layout = tableLayout(tableName, table, options.salt);
  const problems = problemList(name, limits.problemsListed);
  const unlock = lockImport(`${storePath}.lock`);
  let staging: Staging | null = null;
  try {
    staging = await openStaging(storePath, layout, limits.databaseMemoryMb);
    const read = await readRows(options, { limits, layout, staging, problems });
    const staged = await staging.finish(table.max_rows_per_user);
    if (staged.users > table.max_users) {
      throw new ParleyError(
        'INPUT_TOO_LARGE',
        `${name} holds more than the ${table.max_users} users declared for ${tableName}`,
        { hint: 'sign a policy with a larger max_users, or import fewer users' },
      );
    }
    staging.commit();
    return {
      table: tableName,
      rows: staged.rows,
      users: staged.users,
      repeatedRows: staged.rows - staged.users,
      unmatchableRows: read.unmatchable,
      usersOverBound: staged.usersOverBound,
      rowsOverBound: staged.rowsOverBound,
      datasetDigest: staged.datasetDigest,
      durationMs: Math.round(performance.now() - started),
    };
  } finally {
    staging?.discard();
    unlock();
  }
}
