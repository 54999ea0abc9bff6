import {
  BLOB,
  DOUBLE,
  DuckDBBlobValue,
  DuckDBBlobVector,
  DuckDBDataChunk,
  DuckDBDoubleVector,
} from '@duckdb/node-api';
import type { DuckDBConnection } from '@duckdb/node-api';
import { expect } from '../../core/errors.ts';
import { breathe } from '../../core/progress.ts';

/** LOCAL. Chunks visited before sockets and timers get their turn. */
const CHUNKS_PER_TURN = 8;

/** Streams a result chunk by chunk, in the query's order, without keeping it. */
export async function visitChunks(
  connection: DuckDBConnection,
  sql: string,
  visit: (chunk: DuckDBDataChunk) => void,
): Promise<void> {
  const result = await connection.stream(sql);
  for (let n = 1; ; n += 1) {
    const chunk = await result.fetchChunk();
    if (chunk === null || chunk.rowCount === 0) return;
    visit(chunk);
    if (n % CHUNKS_PER_TURN === 0) await breathe();
  }
}

/** Copies a DOUBLE column without NULLs into `into` from `at`. */
export function readDoubles(
  chunk: DuckDBDataChunk,
  column: number,
  into: Float64Array,
  at = 0,
): void {
  const vector = chunk.getColumnVector(column);
  expect(vector instanceof DuckDBDoubleVector, 'the column was cast to DOUBLE');
  // Read once: every access to it calls into DuckDB.
  const { rowCount } = chunk;
  for (let i = 0; i < rowCount; i += 1) into[at + i] = vector.getItem(i) ?? NaN;
}

/** Visits the bytes of a BLOB column without NULLs. */
export function visitBlobs(
  chunk: DuckDBDataChunk,
  column: number,
  visit: (bytes: Uint8Array, row: number) => void,
): void {
  const vector = chunk.getColumnVector(column);
  expect(vector instanceof DuckDBBlobVector, 'the column is a BLOB');
  const { rowCount } = chunk;
  for (let i = 0; i < rowCount; i += 1) {
    const bytes = vector.getItemBytes(i);
    expect(bytes !== null, 'a unit is never NULL');
    visit(bytes, i);
  }
}

/** A chunk of one BLOB column and DOUBLE columns, ready for an appender. */
export function makeChunk(
  blobs: readonly Uint8Array[],
  doubles: readonly (readonly (number | null)[])[],
): DuckDBDataChunk {
  const chunk = DuckDBDataChunk.create([BLOB, ...doubles.map(() => DOUBLE)], blobs.length);
  chunk.setColumnValues(
    0,
    blobs.map((bytes) => new DuckDBBlobValue(bytes)),
  );
  doubles.forEach((values, i) => chunk.setColumnValues(i + 1, values));
  return chunk;
}
