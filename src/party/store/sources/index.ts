/** The forms of file a table is imported from, each read row by row. */
import { readCsv } from './csv-source.ts';
import { readJson } from './json-source.ts';
import { readParquet } from './parquet-source.ts';
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

export { badFile, formatOf, SOURCE_ENDINGS } from './source.ts';
export type { SourceFormat, SourceRequest, SourceRow } from './source.ts';
