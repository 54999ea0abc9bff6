import { createHash } from 'node:crypto';
import type { DuckDBConnection, DuckDBDataChunk } from '@duckdb/node-api';
import { toBase64Url, toHex } from '../../core/bytes.ts';
import { ParleyError } from '../../core/errors.ts';
import type { Redacted } from '../../core/redacted.ts';
import { digestOf } from '../../policy/canonical.ts';
import { commitmentOf, HASH_BYTES, type RowOpening } from '../../records/index.ts';
import { readDoubles, visitBlobs, visitChunks } from './chunks.ts';
import { UNIT_BYTES } from './identifiers.ts';
import { CHUNK_ROWS } from './limits.ts';
import { blindsOf, growTree } from './tree.ts';

/** A stored table as it is committed to. */
export interface CommittedTable {
  readonly table: string;
  readonly usersTable: string;
  readonly rowsTable: string;
  /** SQL columns in the layout's order. */
  readonly columns: readonly string[];
  /** Digest of the layout. */
  readonly layout: string;
}

/** Bytes of a column in a row: whether it is there, and a big-endian two's complement int64. */
const CELL_BYTES = 9;

const cellsOf = (columns: readonly string[]): string[] =>
  columns.flatMap((c) => [`coalesce(${c}, 0)::DOUBLE`, `(${c} IS NOT NULL)::DOUBLE`]);

/**
 * SHA-256 over a table's content in its sorted order, column by column, so that neither the file's
 * order nor DuckDB's chunks enter it. It hides nothing from whoever guesses the content, and so
 * never leaves the party.
 */
export async function contentDigest(
  connection: DuckDBConnection,
  { usersTable, rowsTable, columns, layout }: CommittedTable,
): Promise<string> {
  const units = createHash('sha256');
  await visitChunks(connection, `SELECT unit FROM ${usersTable} ORDER BY user_no`, (chunk) =>
    visitBlobs(chunk, 0, (bytes) => units.update(bytes)),
  );
  const selected = ['user_no::DOUBLE', ...cellsOf(columns)];
  const hashes = selected.map(() => createHash('sha256'));
  const values = new Float64Array(CHUNK_ROWS);
  const sql = `SELECT ${selected.join(', ')} FROM ${rowsTable} ORDER BY row_no`;
  await visitChunks(connection, sql, (chunk) => {
    hashes.forEach((hash, i) => {
      readDoubles(chunk, i, values);
      hash.update(new Uint8Array(values.buffer, 0, 8 * chunk.rowCount));
    });
  });
  return digestOf('parley/dataset/v1', {
    layout,
    units: toHex(units.digest()),
    columns: hashes.map((hash) => toHex(hash.digest())),
  });
}

/** Calls `visit` with every row's canonical bytes in row order; the buffer is used again. */
async function visitRows(
  connection: DuckDBConnection,
  { usersTable, rowsTable, columns }: CommittedTable,
  begin: (rows: number) => void,
  visit: (row: Uint8Array, at: number) => void,
): Promise<void> {
  const selected = ['unit', ...cellsOf(columns)];
  const row = new Uint8Array(UNIT_BYTES + CELL_BYTES * columns.length);
  const view = new DataView(row.buffer);
  const cells = selected.slice(1).map(() => new Float64Array(CHUNK_ROWS));
  const write = (units: Uint8Array, at: number): void => {
    row.set(units);
    for (let c = 0; c < columns.length; c += 1) {
      const value = cells[2 * c]![at]!;
      const offset = UNIT_BYTES + CELL_BYTES * c;
      // Coded values are integers below 2^53: two words, without a BigInt a cell.
      const high = Math.floor(value / 2 ** 32);
      row[offset] = cells[2 * c + 1]![at]!;
      view.setInt32(offset + 1, high);
      view.setUint32(offset + 5, value - high * 2 ** 32);
    }
  };
  const chunkOf = (chunk: DuckDBDataChunk): void => {
    begin(chunk.rowCount);
    cells.forEach((into, i) => readDoubles(chunk, i + 1, into));
    visitBlobs(chunk, 0, (unit, at) => {
      write(unit, at);
      visit(row, at);
    });
  };
  const sql = `SELECT ${selected.join(', ')} FROM ${rowsTable} JOIN ${usersTable} USING (user_no)
    ORDER BY row_no`;
  await visitChunks(connection, sql, chunkOf);
}

/**
 * The commitment to a table's content that goes and receipts state: binding, and hiding everything,
 * the number of rows too. Equal content under an equal secret gives an equal commitment.
 *
 * Cost: one ordered pass, two SHA-256 a row, memory for a chunk.
 *
 * @param secret - the partition's own 32 random bytes.
 * @param content - {@link contentDigest} of the same table.
 */
export async function commitTable(
  connection: DuckDBConnection,
  table: CommittedTable,
  secret: Redacted<Uint8Array>,
  content: string,
): Promise<string> {
  const { root } = await treeOf(connection, table, secret, content, null);
  return commitmentOf(table.table, table.layout, root);
}

/**
 * Opens one row: whoever is given it can check it against the commitment, and learns that row, its
 * position, and so that there are at least so many rows. Of the other rows it shows nothing.
 *
 * @param index - in the store's order, from 0.
 * @throws ParleyError BAD_ARGUMENT when there is no such row.
 */
export async function openRow(
  connection: DuckDBConnection,
  table: CommittedTable,
  secret: Redacted<Uint8Array>,
  content: string,
  index: number,
): Promise<RowOpening> {
  const { watched, path } = await treeOf(connection, table, secret, content, index);
  if (watched === null) throw new ParleyError('BAD_ARGUMENT', 'the table has no row of this index');
  return { version: 1, table: table.table, layout: table.layout, index, ...watched, path };
}

async function treeOf(
  connection: DuckDBConnection,
  table: CommittedTable,
  secret: Redacted<Uint8Array>,
  content: string,
  watch: number | null,
): Promise<{
  readonly root: Uint8Array;
  readonly watched: { readonly row: string; readonly blind: string } | null;
  readonly path: readonly string[];
}> {
  const blinds = blindsOf(secret, content);
  const tree = growTree(blinds.empty, watch);
  let watched: { readonly row: string; readonly blind: string } | null = null;
  let ready: Uint8Array = new Uint8Array(0);
  let rows = 0;
  await visitRows(
    connection,
    table,
    (count) => (ready = blinds.next(count)),
    (row, at) => {
      const blind = ready.subarray(HASH_BYTES * at, HASH_BYTES * (at + 1));
      if (rows === watch) watched = { row: toBase64Url(row), blind: toHex(blind) };
      tree.add(blind, row);
      rows += 1;
    },
  );
  return { root: tree.finish(), watched, path: tree.path };
}
