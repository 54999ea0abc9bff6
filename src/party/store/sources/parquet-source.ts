import { DuckDBInstance, DuckDBVarCharVector } from '@duckdb/node-api';
import type { DuckDBConnection, DuckDBDataChunk } from '@duckdb/node-api';
import { expect, ParleyError } from '../../../core/errors.ts';
import { visitChunks } from '../chunks.ts';
import { readStrings, sqlString } from '../database.ts';
import type { SourceRequest } from './source.ts';
import { badFile, openFile } from './source.ts';

/** LOCAL. Memory the reading engine may use, beside that of the store being written. */
const MEMORY_MB = 256;

/** What DuckDB would expand as a pattern instead of opening. */
const PATTERN = /[*?[\]{}]/;

/** Types whose text is a cell; the others are lists, structs and bytes. */
const SCALAR = new RegExp(
  `^(${[
    'VARCHAR|BOOLEAN|DATE|TIMESTAMP|UUID|FLOAT|DOUBLE',
    'U?(TINYINT|SMALLINT|INTEGER|BIGINT|HUGEINT)',
    'DECIMAL\\(\\d+,\\d+\\)',
    'ENUM\\(.*\\)',
  ].join('|')})$`,
);

const quoted = (name: string): string => `"${name.replaceAll('"', '""')}"`;

/** A column of a Parquet file. */
export interface ParquetColumn {
  readonly name: string;
  /** DuckDB's name of its type. */
  readonly type: string;
}

/**
 * Opens a Parquet file in an engine of its own, in memory: nothing of it is written anywhere, and
 * the store's engine never sees a raw identifier.
 * @throws ParleyError FILE_NOT_FOUND; DATA_BAD_FILE for what is no Parquet file.
 */
export async function withParquet<T>(
  file: string,
  work: (
    connection: DuckDBConnection,
    from: string,
    columns: readonly ParquetColumn[],
  ) => Promise<T>,
): Promise<T> {
  if (PATTERN.test(file)) {
    throw badFile(file, 'the path holds one of * ? [ ] { }', 'rename the file or its folder');
  }
  const { handle } = await openFile(file);
  await handle.close();
  const instance = await DuckDBInstance.create(':memory:', {
    autoinstall_known_extensions: 'false',
    autoload_known_extensions: 'false',
    memory_limit: `${MEMORY_MB}MB`,
    temp_directory: '',
  });
  const connection = await instance.connect();
  try {
    const from = `read_parquet(${sqlString(file)}, hive_partitioning = false)`;
    const described = await readStrings(connection, `DESCRIBE SELECT * FROM ${from}`);
    const columns = described.map(([name = '', type = '']) => ({ name, type }));
    return await work(connection, from, columns);
  } catch (error) {
    if (error instanceof ParleyError) throw error;
    // DuckDB's message may quote values; it stays in `cause`, which nothing prints.
    throw new ParleyError('DATA_BAD_FILE', badFile(file, 'not a Parquet file').message, {}, error);
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
}

function expectColumns(file: string, columns: readonly ParquetColumn[], needed: readonly string[]) {
  for (const name of needed) {
    const column = columns.find((c) => c.name === name);
    if (column === undefined) throw badFile(file, `column ${name} is missing`);
    if (!SCALAR.test(column.type)) {
      throw badFile(file, `column ${name} has a type that is no single value`, column.type);
    }
  }
}

/**
 * Reads a Parquet file row by row, in its order. Every value is taken as the text DuckDB casts it
 * to, and coded like a CSV cell: a date as YYYY-MM-DD, a decimal with its own scale, a double with
 * the fewest digits that name it. `line` counts rows from 1.
 *
 * @throws ParleyError FILE_NOT_FOUND; DATA_BAD_FILE when it is no Parquet file or lacks a column.
 */
export async function readParquet(request: SourceRequest): Promise<void> {
  const { file, needed, onRow, onProgress } = request;
  await withParquet(file, async (connection, from, columns) => {
    expectColumns(file, columns, needed);
    const [[total = '0'] = []] = await readStrings(connection, `SELECT count(*) FROM ${from}`);
    const texts = needed.map((name) => `coalesce(CAST(${quoted(name)} AS VARCHAR), '')`);
    let done = 0;
    await visitChunks(connection, `SELECT ${texts.join(', ')} FROM ${from}`, (chunk) => {
      handRows(chunk, needed.length, done, onRow);
      done += chunk.rowCount;
      onProgress?.({ stage: 'import.read', done, total: Math.max(Number(total), done) });
    });
  });
}

function handRows(
  chunk: DuckDBDataChunk,
  columns: number,
  before: number,
  onRow: SourceRequest['onRow'],
): void {
  const { rowCount } = chunk;
  const texts = Array.from({ length: columns }, (_, c) => {
    const vector = chunk.getColumnVector(c);
    expect(vector instanceof DuckDBVarCharVector, 'the column was cast to VARCHAR');
    return Array.from({ length: rowCount }, (__, r) => vector.getItem(r) ?? '');
  });
  for (let r = 0; r < rowCount; r += 1) {
    onRow({ line: before + r + 1, text: (index) => texts[index]![r]! });
  }
}

/** The columns that hold single values. @throws ParleyError as {@link readParquet}. */
export function parquetColumns(file: string): Promise<readonly string[]> {
  return withParquet(file, (_connection, _from, columns) =>
    Promise.resolve(columns.filter(({ type }) => SCALAR.test(type)).map(({ name }) => name)),
  );
}
