import { READ_BYTES } from '../limits.ts';
import type { ImportLimits } from '../limits.ts';
import { CsvScanner } from './csv.ts';
import type { CsvRecord } from './csv.ts';
import type { SourceRequest } from './source.ts';
import { badFile, readBlocks } from './source.ts';

/** Where each needed column stands. @throws ParleyError DATA_BAD_FILE naming what is missing. */
function readHeader(file: string, record: CsvRecord, needed: readonly string[]): readonly number[] {
  if (record.blank) throw badFile(file, 'the first line must be the header, and it is empty');
  const found = headerOf(record);
  return needed.map((column) => {
    const index = found.indexOf(column);
    if (index < 0) {
      const hint = 'the header must name every column that the policy declares, letter for letter';
      throw badFile(file, `column ${column} is missing`, hint);
    }
    if (found.includes(column, index + 1)) throw badFile(file, `column ${column} occurs twice`);
    return index;
  });
}

/** The names in a header record. */
function headerOf(record: CsvRecord): readonly string[] {
  return Array.from({ length: record.fields }, (_, i) => record.text(i).trim());
}

/**
 * Reads a CSV file (RFC 4180, UTF-8, a header) row by row.
 * @throws ParleyError FILE_NOT_FOUND; DATA_BAD_FILE when the file is empty, not readable, UTF-16, or
 *   its header is malformed, lacks or repeats a needed column.
 */
export async function readCsv(request: SourceRequest): Promise<void> {
  const { file, needed, limits, onRow, onProblem } = request;
  let at: readonly number[] | null = null;
  let width = 0;
  const onRecord = (record: CsvRecord): void => {
    if (at === null) {
      at = readHeader(file, record, needed);
      width = record.fields;
      return;
    }
    // A line without a byte carries no row, except where a row is one field.
    if (record.blank && width > 1) return;
    if (record.fields !== width) {
      onProblem(record.line, `${record.fields} fields where the header has ${width}`);
      return;
    }
    const places = at;
    onRow({ line: record.line, text: (index) => record.text(places[index]!) });
  };
  const onBadRecord = (line: number, reason: string): void => {
    if (at === null) throw badFile(file, `the header is malformed: ${reason}`);
    onProblem(line, reason);
  };
  const scanner = new CsvScanner(limits, onRecord, onBadRecord);
  await readBlocks(request, READ_BYTES, (block, last) => scanner.push(block, last));
  // A file of a byte order mark alone has no record.
  if ((at as readonly number[] | null) === null) throw badFile(file, 'the file is empty');
}

/** The names in the header. @throws ParleyError as {@link readCsv}. */
export async function csvColumns(file: string, limits: ImportLimits): Promise<readonly string[]> {
  let names: readonly string[] = [];
  const onBad = (_line: number, reason: string): void => {
    if (names.length === 0) throw badFile(file, `the header is malformed: ${reason}`);
  };
  const scanner = new CsvScanner(
    limits,
    (record) => {
      if (names.length === 0) names = headerOf(record);
    },
    onBad,
  );
  const push = (block: Uint8Array, last: boolean): void => scanner.push(block, last);
  await readBlocks({ file, onProgress: undefined }, READ_BYTES, push, () => names.length > 0);
  return names;
}
