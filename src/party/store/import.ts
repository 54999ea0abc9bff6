import { basename } from 'node:path';
import { ParleyError } from '../../core/errors.ts';
import type { OnProgress } from '../../core/progress.ts';
import type { TablePolicy } from '../../policy/types.ts';
import { tableLayout } from './layout.ts';
import type { TableLayout } from './layout.ts';
import { IMPORT_LIMITS } from './limits.ts';
import type { ImportLimits } from './limits.ts';
import { lockImport } from './lock.ts';
import { problemList } from './problems.ts';
import type { ProblemList } from './problems.ts';
import { rowBuilder } from './rows.ts';
import type { RowBuilder } from './rows.ts';
import { readSource } from './sources/index.ts';
import { openStaging } from './staging.ts';
import type { Staging } from './staging.ts';

export interface ImportOptions {
  /** Path of a `.csv`, `.parquet`, `.json`, `.jsonl` or `.ndjson` file. */
  readonly file: string;
  readonly tableName: string;
  readonly table: TablePolicy;
  /** The room's identifier salt, 32 bytes. */
  readonly salt: Uint8Array;
  /** The party's store file; made when it does not exist. Other tables in it are kept. */
  readonly storePath: string;
  readonly onProgress?: OnProgress;
  /** Checks and counts everything and changes nothing. */
  readonly dryRun?: boolean;
  readonly limits?: Partial<ImportLimits>;
}

/** What the party is told about its own file. Nothing here is for anybody else. */
export interface ImportSummary {
  readonly table: string;
  /** Rows stored. */
  readonly rows: number;
  /** Distinct privacy units stored. */
  readonly users: number;
  /** Rows whose identifier was written another way than it is hashed: case, spaces, dots. */
  readonly normalisedRows: number;
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
  /**
   * What goes and receipts state of the table: binding, and hiding rows and their number. Lower-case
   * hex; equal for equal content as long as the store is kept.
   */
  readonly commitment: string;
  readonly durationMs: number;
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
  const { file, table, salt, onProgress } = options;
  const { limits, layout, staging, problems } = context;
  const builder = rowBuilder({ table, layout, salt, problems, hand: staging.append });
  await readSource({
    file,
    needed: [table.privacy_unit_column.name, ...layout.columns],
    limits,
    onRow(row) {
      builder.add(row);
      if (builder.rows <= limits.rowsMax) return;
      throw new ParleyError(
        'INPUT_TOO_LARGE',
        `${basename(file)} has more than ${limits.rowsMax} rows`,
      );
    },
    onProblem: (line, reason) => problems.add(line, null, reason),
    onProgress,
  });
  problems.throwIfAny();
  builder.flush();
  return builder;
}

/**
 * Imports one file as one table of the party's store, replacing that table as a whole.
 *
 * CSV must be RFC 4180 and UTF-8, JSON one object a row; `sources/` has each form's rules. Each
 * identifier is normalised and hashed under the room's
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
export async function importTable(options: ImportOptions): Promise<ImportSummary> {
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
    if (options.dryRun !== true) staging.commit();
    return {
      table: tableName,
      rows: staged.rows,
      users: staged.users,
      normalisedRows: read.normalised,
      repeatedRows: staged.rows - staged.users,
      unmatchableRows: read.unmatchable,
      usersOverBound: staged.usersOverBound,
      rowsOverBound: staged.rowsOverBound,
      datasetDigest: staged.datasetDigest,
      commitment: staged.commitment,
      durationMs: Math.round(performance.now() - started),
    };
  } finally {
    staging?.discard();
    unlock();
  }
}
