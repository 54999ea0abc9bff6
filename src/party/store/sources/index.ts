/** The forms of file a table is imported from, each read row by row. */
import { basename } from 'node:path';
import { ParleyError } from '../../../core/errors.ts';
import type { ImportLimits } from '../limits.ts';
import { csvColumns, readCsv } from './csv-source.ts';
import { jsonColumns, readJson } from './json-source.ts';
import { parquetColumns, readParquet } from './parquet-source.ts';
import { formatOf } from './source.ts';
import type { SourceFormat, SourceRequest } from './source.ts';

const READERS: Readonly<Record<SourceFormat, (request: SourceRequest) => Promise<void>>> = {
  csv: readCsv,
  json: readJson,
  parquet: readParquet,
};

/**
 * Reads a file of any known form, told by the ending of its name.
 * @throws ParleyError FILE_NOT_FOUND, DATA_BAD_FILE.
 */
export function readSource(request: SourceRequest): Promise<void> {
  return READERS[formatOf(request.file)](request);
}

const COLUMNS = { csv: csvColumns, json: jsonColumns, parquet: parquetColumns } as const;

/**
 * The names of a file's columns: its header, its schema, or the keys of its first objects.
 * @throws ParleyError FILE_NOT_FOUND, DATA_BAD_FILE.
 */
export async function columnsOf(file: string, limits: ImportLimits): Promise<readonly string[]> {
  const columns = await COLUMNS[formatOf(file)](file, limits);
  if (columns.length > 0) return columns;
  throw new ParleyError('DATA_BAD_FILE', `${basename(file)}: the file has no column`);
}

export { badFile, formatOf, SOURCE_ENDINGS } from './source.ts';
export type { SourceFormat, SourceRequest, SourceRow } from './source.ts';
