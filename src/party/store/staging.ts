import type { DuckDBAppender } from '@duckdb/node-api';
import { chmodSync, existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { fromHex, toHex } from '../../core/bytes.ts';
import { ParleyError } from '../../core/errors.ts';
import { Redacted, reveal } from '../../core/redacted.ts';
import { systemRng } from '../../core/rng.ts';
import { syncPath } from '../../core/durable.ts';
import { makeChunk } from './chunks.ts';
import { commitTable, contentDigest } from './commitment.ts';
import { guarded, openDatabase, readStrings } from './database.ts';
import type { Database } from './database.ts';
import type { TableLayout } from './layout.ts';
import { CATALOG_SQL, expectStoreVersion, SECRET_BYTES, tableNames } from './store.ts';

/** What the finished table holds. */
export interface StagedTable {
  readonly rows: number;
  readonly users: number;
  /** Users with more rows than the bound, and their rows beyond it. */
  readonly usersOverBound: number;
  readonly rowsOverBound: number;
  readonly datasetDigest: string;
  readonly commitment: string;
}

/**
 * A new store file beside the old one. Rows gather in memory, and beyond the limit in a folder
 * beside the file, which holds units and coded values like the file itself and is removed whatever
 * happens; {@link Staging.finish} sorts them into the file, which has the old store's other tables
 * already, and {@link Staging.commit} puts it in the old one's place.
 */
export interface Staging {
  readonly append: (
    units: readonly Uint8Array[],
    columns: readonly (readonly (number | null)[])[],
  ) => void;
  /** Writes the table; the store at `storePath` is still the old one. */
  finish(maxRowsPerUser: number): Promise<StagedTable>;
  /** Makes the new file durable and renames it over the old one. */
  commit(): void;
  /** Removes what is left of the new file. Harmless after {@link Staging.commit}. */
  discard(): void;
}

const spillOf = (path: string): string => `${path}.spill`;

function removeFile(path: string): void {
  for (const file of [path, `${path}.wal`]) rmSync(file, { force: true });
  rmSync(spillOf(path), { force: true, recursive: true });
}

/** Copies every other table of the attached old store; @returns the id for the new table. */
async function copyOthers(database: Database, table: string): Promise<number> {
  const { connection } = database;
  await expectStoreVersion(connection, 'old');
  const others = await readStrings(
    connection,
    'SELECT id FROM old.parley_tables WHERE name <> ? ORDER BY id',
    [table],
  );
  for (const [id] of others) {
    for (const name of Object.values(tableNames(Number(id)))) {
      await connection.run(`CREATE TABLE ${name} AS FROM old.${name}`);
    }
    await connection.run(
      `INSERT INTO parley_tables SELECT * FROM old.parley_tables WHERE id = ${id ?? ''}`,
    );
  }
  return 1 + Math.max(-1, ...others.map(([id]) => Number(id)));
}

/** The old store's secret of a table, so that equal content keeps its commitment; else a new one. */
async function secretOf(
  { connection }: Database,
  table: string,
  old: boolean,
): Promise<Redacted<Uint8Array>> {
  const sql = 'SELECT secret FROM old.parley_tables WHERE name = ?';
  const [kept] = old ? await readStrings(connection, sql, [table]) : [];
  const [hex] = kept ?? [];
  return new Redacted(hex === undefined ? systemRng(SECRET_BYTES) : fromHex(hex, SECRET_BYTES));
}

/** Sorts the staged rows by unit and row key into the two tables of the store. */
async function sortRows(database: Database, id: number, columns: number): Promise<void> {
  const names = Array.from({ length: columns }, (_, i) => `c${i}`);
  const coded = names.map((c) => `, CAST(${c} AS BIGINT) AS ${c}`).join('');
  // Rows equal in key are equal in content but for a collision, which the columns then order.
  const order = ['user_no', 'k0', 'k1', ...names.map((c) => `${c} NULLS FIRST`)].join(', ');
  await database.connection.run(`
    CREATE TABLE users_${id} AS
      SELECT CAST(row_number() OVER (ORDER BY unit) - 1 AS INTEGER) AS user_no, unit
      FROM (SELECT DISTINCT unit FROM staged) ORDER BY user_no;
    CREATE TABLE rows_${id} AS
      SELECT user_no, CAST(row_number() OVER (ORDER BY ${order}) - 1 AS INTEGER) AS row_no,
        (CAST(k0 AS UBIGINT) << 32) + CAST(k1 AS UBIGINT) AS row_key ${coded}
      FROM staged JOIN users_${id} USING (unit) ORDER BY row_no;`);
}

async function countRows(
  database: Database,
  id: number,
  maxRowsPerUser: number,
): Promise<Omit<StagedTable, 'datasetDigest' | 'commitment'>> {
  const over = `n > ${maxRowsPerUser}`;
  const [counts = []] = await readStrings(
    database.connection,
    `SELECT coalesce(sum(n), 0), count(*), count(*) FILTER (${over}),
       coalesce(sum(n - ${maxRowsPerUser}) FILTER (${over}), 0)
     FROM (SELECT count(*) AS n FROM rows_${id} GROUP BY user_no)`,
  );
  const [rows = 0, users = 0, usersOverBound = 0, rowsOverBound = 0] = counts.map(Number);
  return { rows, users, usersOverBound, rowsOverBound };
}

async function commit(
  { connection }: Database,
  id: number,
  layout: TableLayout,
  secret: Redacted<Uint8Array>,
): Promise<Pick<StagedTable, 'datasetDigest' | 'commitment'>> {
  const columns = layout.columns.map((_, i) => `c${i}`);
  const table = { table: layout.table, layout: layout.digest, columns, ...tableNames(id) };
  const datasetDigest = await contentDigest(connection, table);
  return { datasetDigest, commitment: await commitTable(connection, table, secret, datasetDigest) };
}

async function prepare(
  database: Database,
  layout: TableLayout,
  old: boolean,
): Promise<{
  readonly id: number;
  readonly secret: Redacted<Uint8Array>;
  readonly appender: DuckDBAppender;
}> {
  const { connection } = database;
  await connection.run(CATALOG_SQL);
  const id = old ? await copyOthers(database, layout.table) : 0;
  const secret = await secretOf(database, layout.table, old);
  const columns = layout.columns.map((_, i) => `, c${i} DOUBLE`).join('');
  // A temporary table: it is in memory, and in the spill folder beyond that, but never in the store.
  await connection.run(`CREATE TEMP TABLE staged (unit BLOB, k0 DOUBLE, k1 DOUBLE ${columns})`);
  return { id, secret, appender: await connection.createAppender('staged', null, 'temp') };
}

/**
 * Starts a new store file for one table's rows.
 * @throws ParleyError STORAGE_FAILED, STORE_MISMATCH when the old store is of another version.
 */
export async function openStaging(
  storePath: string,
  layout: TableLayout,
  memoryMb: number,
): Promise<Staging> {
  const path = `${storePath}.importing`;
  removeFile(path);
  const old = existsSync(storePath);
  let open: Database | null = null;
  const close = (): void => {
    open?.close();
    open = null;
  };
  const discard = (): void => {
    close();
    removeFile(path);
  };
  try {
    const attach = old ? { attach: storePath } : {};
    const spill = spillOf(path);
    mkdirSync(spill, { mode: 0o700 });
    const database = await openDatabase({ path, readOnly: false, memoryMb, spill, ...attach });
    open = database;
    chmodSync(path, 0o600);
    const { id, secret, appender } = await guarded('the store cannot be prepared', () =>
      prepare(database, layout, old),
    );
    return {
      append(units, columns) {
        try {
          appender.appendDataChunk(makeChunk(units, columns));
        } catch (error) {
          throw new ParleyError('STORAGE_FAILED', 'the rows could not be put aside', {}, error);
        }
      },
      finish: (maxRowsPerUser) =>
        guarded('the imported rows cannot be stored', async () => {
          appender.closeSync();
          await sortRows(database, id, layout.columns.length);
          const counts = await countRows(database, id, maxRowsPerUser);
          const committed = await commit(database, id, layout, secret);
          await database.connection.run(
            'INSERT INTO parley_tables VALUES (?, ?, ?, ?, ?, ?, ?, ?)',
            [
              ...[id, layout.table, layout.digest, counts.rows, counts.users],
              ...[committed.datasetDigest, committed.commitment, toHex(reveal(secret))],
            ],
          );
          return { ...counts, ...committed };
        }),
      commit() {
        close();
        rmSync(spillOf(path), { force: true, recursive: true });
        syncPath(path);
        renameSync(path, storePath);
        syncPath(dirname(storePath));
      },
      discard,
    };
  } catch (error) {
    discard();
    throw error;
  }
}
