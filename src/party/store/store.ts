import type { DuckDBConnection } from '@duckdb/node-api';
import { existsSync } from 'node:fs';
import { fromHex } from '../../core/bytes.ts';
import { ParleyError } from '../../core/errors.ts';
import { Redacted } from '../../core/redacted.ts';
import type { RowOpening } from '../../records/index.ts';
import type { TablePolicy } from '../../policy/types.ts';
import { openRow } from './commitment.ts';
import { guarded, openDatabase, readStrings, STORE_VERSION } from './database.ts';
import type { Database } from './database.ts';
import { tableLayout } from './layout.ts';
import { READ_MEMORY_MB } from './limits.ts';

/** A table of an open store. */
export interface StoredTable {
  readonly table: string;
  /** Name of the SQL table `(user_no INTEGER, unit BLOB)`, ordered by unit. */
  readonly usersTable: string;
  /** Name of the SQL table `(user_no, row_no, row_key, c0, c1, …)`, ordered by row_no. */
  readonly rowsTable: string;
  /** SQL column of each policy column. */
  readonly sqlColumns: ReadonlyMap<string, string>;
  readonly rows: number;
  readonly users: number;
  /** Lower-case hex; names the content, to its owner alone. See {@link importTable}. */
  readonly datasetDigest: string;
  /** Lower-case hex; what the party states as its content. See {@link commitTable}. */
  readonly commitment: string;
}

/** An open store: the party's partition of the room's data, units and coded integers only. */
export interface Store {
  /**
   * Reads with a connection of its own, so that queries may read at the same time.
   * @throws ParleyError STORAGE_FAILED for anything DuckDB throws.
   */
  read<T>(work: (connection: DuckDBConnection) => Promise<T>): Promise<T>;
  /** The names of the tables imported so far. */
  readonly tables: readonly string[];
  /**
   * A table, provided it was imported under this very layout.
   * @throws ParleyError STORE_MISMATCH when it was not, or was never imported.
   */
  table(tableName: string, table: TablePolicy, salt: Uint8Array): StoredTable;
  /**
   * Opens one row of a table towards its commitment; for whom the party chooses. Reads all rows.
   * @throws ParleyError STORE_MISMATCH, BAD_ARGUMENT when there is no such row, STORAGE_FAILED.
   */
  openRow(
    tableName: string,
    table: TablePolicy,
    salt: Uint8Array,
    index: number,
  ): Promise<RowOpening>;
  close(): void;
}

interface CatalogRow {
  readonly id: number;
  readonly layoutDigest: string;
  readonly rows: number;
  readonly users: number;
  readonly datasetDigest: string;
  readonly commitment: string;
  readonly secret: Redacted<Uint8Array>;
}

/** Bytes of the secret that hides a partition's rows in its commitment. */
export const SECRET_BYTES = 32;

/** The two SQL tables of a stored table. */
export const tableNames = (
  id: number,
): { readonly usersTable: string; readonly rowsTable: string } => ({
  usersTable: `users_${id}`,
  rowsTable: `rows_${id}`,
});

/** SQL that creates the catalog of an empty store. */
export const CATALOG_SQL = `
  CREATE TABLE parley_store (version INTEGER NOT NULL);
  INSERT INTO parley_store VALUES (${STORE_VERSION});
  CREATE TABLE parley_tables (
    id INTEGER NOT NULL, name VARCHAR NOT NULL, layout_digest VARCHAR NOT NULL,
    row_count BIGINT NOT NULL, user_count BIGINT NOT NULL, dataset_digest VARCHAR NOT NULL,
    commitment VARCHAR NOT NULL, secret VARCHAR NOT NULL);`;

/** @throws ParleyError STORE_MISMATCH when the file is no store of this version. */
export async function expectStoreVersion(
  connection: DuckDBConnection,
  schema: 'main' | 'old',
): Promise<void> {
  const mismatch = (cause?: unknown): ParleyError =>
    new ParleyError(
      'STORE_MISMATCH',
      'the file is not a store of this version of parley',
      { hint: 'import the data again into a new store' },
      cause,
    );
  let versions: readonly (readonly string[])[];
  try {
    versions = await readStrings(connection, `SELECT version FROM ${schema}.parley_store`);
  } catch (error) {
    throw mismatch(error);
  }
  if (versions.length !== 1 || versions[0]?.[0] !== String(STORE_VERSION)) throw mismatch();
}

async function readCatalog(connection: DuckDBConnection): Promise<ReadonlyMap<string, CatalogRow>> {
  const rows = await readStrings(
    connection,
    `SELECT name, id, layout_digest, row_count, user_count, dataset_digest, commitment, secret
     FROM parley_tables ORDER BY id`,
  );
  return new Map(
    rows.map(([name = '', id, layout = '', rowCount, userCount, ...rest]) => {
      const [datasetDigest = '', commitment = '', secret = ''] = rest;
      const counts = { rows: Number(rowCount), users: Number(userCount) };
      return [
        name,
        {
          ...{ id: Number(id), layoutDigest: layout, ...counts, datasetDigest, commitment },
          secret: new Redacted(fromHex(secret, SECRET_BYTES)),
        },
      ];
    }),
  );
}

function lookUp(
  catalog: ReadonlyMap<string, CatalogRow>,
  tableName: string,
  policy: TablePolicy,
  salt: Uint8Array,
): StoredTable & Pick<CatalogRow, 'secret' | 'layoutDigest'> {
  const found = catalog.get(tableName);
  const layout = tableLayout(tableName, policy, salt);
  if (found?.layoutDigest !== layout.digest) {
    const why = found === undefined ? 'was never imported' : 'was imported under another policy';
    throw new ParleyError('STORE_MISMATCH', `table ${tableName} ${why}`, {
      hint: 'import its CSV file again',
    });
  }
  return {
    table: tableName,
    ...tableNames(found.id),
    sqlColumns: new Map(layout.columns.map((name, i) => [name, `c${i}`])),
    ...found,
  };
}

function readWith<T>(
  database: Database,
  work: (connection: DuckDBConnection) => Promise<T>,
): Promise<T> {
  return guarded('the store cannot be read', async () => {
    const connection = await database.connect();
    try {
      return await work(connection);
    } finally {
      connection.closeSync();
    }
  });
}

/**
 * Opens a store file. Several processes may have it open read-only at once.
 *
 * @throws ParleyError FILE_NOT_FOUND, STORAGE_FAILED when DuckDB cannot open it, STORE_MISMATCH when
 *   it is no store of this version.
 */
export async function openStore(
  storePath: string,
  options: { readonly readOnly: boolean } = { readOnly: true },
): Promise<Store> {
  if (!existsSync(storePath)) {
    throw new ParleyError('FILE_NOT_FOUND', 'there is no store; no data has been imported', {
      hint: 'import the CSV file of every table first',
    });
  }
  const database: Database = await openDatabase({
    path: storePath,
    readOnly: options.readOnly,
    memoryMb: READ_MEMORY_MB,
  });
  try {
    const { connection } = database;
    await expectStoreVersion(connection, 'main');
    const catalog = await guarded('the store cannot be read', () => readCatalog(connection));
    return {
      read: (work) => readWith(database, work),
      tables: [...catalog.keys()],
      table: (tableName, table, salt) => lookUp(catalog, tableName, table, salt),
      openRow: (tableName, table, salt, index) => {
        const found = lookUp(catalog, tableName, table, salt);
        const { layoutDigest: layout, secret, datasetDigest } = found;
        const committed = { ...found, layout, columns: [...found.sqlColumns.values()] };
        return readWith(database, (reader) =>
          openRow(reader, committed, secret, datasetDigest, index),
        );
      },
      close: () => database.close(),
    };
  } catch (error) {
    database.close();
    throw error;
  }
}
