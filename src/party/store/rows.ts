import { hash } from 'node:crypto';
import { concat, utf8 } from '../../core/bytes.ts';
import type { TablePolicy } from '../../policy/types.ts';
import { cellCoder } from './cells.ts';
import type { CellCoder } from './cells.ts';
import { normaliseIdentifier, unitHasher, UNIT_BYTES } from './identifiers.ts';
import type { TableLayout } from './layout.ts';
import { CHUNK_ROWS } from './limits.ts';
import type { ProblemList } from './problems.ts';
import type { SourceRow } from './sources/index.ts';

/** Domain of the row keys, apart from every identifier kind. */
const ROW_DOMAIN = utf8('row\0');

/** Turns rows of a file into coded rows and hands them on a chunk at a time. */
export interface RowBuilder {
  add(row: SourceRow): void;
  /** Hands on the rows that do not fill a chunk. */
  flush(): void;
  /** Rows left out because their identifier is empty. */
  readonly unmatchable: number;
  /** Rows whose identifier is hashed in another form than it was written. */
  readonly normalised: number;
  /** Well-formed rows kept so far. */
  readonly rows: number;
}

interface Target {
  readonly index: number;
  readonly name: string;
  readonly code: CellCoder;
}

/**
 * The key by which a user's surplus rows are dropped: SHA-256 over the salt, the unit and the row's
 * own coded values, of which 64 bits are kept as two 32-bit words. It depends on nothing but that
 * row, so neither other users nor the file's order decide what is kept. All messages of a layout
 * have one length, so the salted prefix is as good as HMAC here, at half its cost.
 */
function rowKeyer(salt: Uint8Array, columns: number) {
  const prefix = concat([ROW_DOMAIN, salt]);
  const message = new Uint8Array(prefix.length + UNIT_BYTES + 9 * columns);
  const view = new DataView(message.buffer);
  const tag = Buffer.alloc(32);
  const tagView = new DataView(tag.buffer, tag.byteOffset, tag.byteLength);
  message.set(prefix);
  return (unit: Uint8Array, values: readonly (number | null)[]): DataView => {
    message.set(unit, prefix.length);
    let at = prefix.length + UNIT_BYTES;
    for (const value of values) {
      message[at] = value === null ? 0 : 1;
      view.setFloat64(at + 1, value ?? 0, true);
      at += 9;
    }
    tag.write(hash('sha256', message, 'binary'), 'latin1');
    return tagView;
  };
}

/**
 * A source row's first text is the identifier, then come the layout's columns in order.
 *
 * @param hand - takes a chunk: units, then the two words of the row keys and the coded columns.
 */
export function rowBuilder(options: {
  readonly table: TablePolicy;
  readonly layout: TableLayout;
  readonly salt: Uint8Array;
  readonly problems: ProblemList;
  readonly hand: (
    units: readonly Uint8Array[],
    columns: readonly (readonly (number | null)[])[],
  ) => void;
}): RowBuilder {
  const { table, layout, salt, problems, hand } = options;
  const unitColumn = table.privacy_unit_column;
  const targets: readonly Target[] = layout.columns.map((name, i) => ({
    index: i + 1,
    name,
    code: cellCoder(table.columns[name]!),
  }));
  const unitOf = unitHasher(salt, unitColumn.kind);
  const keyOf = rowKeyer(salt, targets.length);
  const row: (number | null)[] = targets.map(() => null);
  let units: Uint8Array[] = [];
  let columns: (number | null)[][] = [];
  let rows = 0;
  let unmatchable = 0;
  let rewritten = 0;

  const start = (): void => {
    units = [];
    columns = Array.from({ length: targets.length + 2 }, () => []);
  };
  const flush = (): void => {
    if (units.length > 0) hand(units, columns);
    start();
  };
  /** Codes every cell, so that one reading of the file finds every problem. */
  const codeCells = (source: SourceRow): void => {
    for (let i = 0; i < targets.length; i += 1) {
      const { index, name, code } = targets[i]!;
      const coded = code(source.text(index));
      if (typeof coded === 'string') problems.add(source.line, name, coded);
      else row[i] = coded;
    }
  };
  const keep = (normalised: string): void => {
    const unit = unitOf(normalised);
    const key = keyOf(unit, row);
    units.push(unit);
    columns[0]!.push(key.getUint32(0));
    columns[1]!.push(key.getUint32(4));
    for (let i = 0; i < row.length; i += 1) columns[i + 2]!.push(row[i]!);
    if (units.length === CHUNK_ROWS) flush();
  };

  start();
  return {
    add(source) {
      const raw = source.text(0);
      const normalised = normaliseIdentifier(unitColumn.kind, raw);
      if (normalised === null) {
        const what = { email: 'an e-mail address', phone: 'an E.164 phone number', exact: 'valid' };
        problems.add(source.line, unitColumn.name, `not ${what[unitColumn.kind]}`);
      }
      codeCells(source);
      if (normalised === '') unmatchable += 1;
      else {
        rows += 1;
        if (normalised !== raw) rewritten += 1;
      }
      // Once a problem is found nothing will be imported: only the checking goes on.
      if (normalised !== null && normalised !== '' && problems.total === 0) keep(normalised);
    },
    flush,
    get unmatchable() {
      return unmatchable;
    },
    get normalised() {
      return rewritten;
    },
    get rows() {
      return rows;
    },
  };
}
