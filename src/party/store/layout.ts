import { toHex } from '../../core/bytes.ts';
import { expect, ParleyError } from '../../core/errors.ts';
import { digestOf } from '../../policy/canonical.ts';
import type { ColumnPolicy, TablePolicy } from '../../policy/types.ts';
import { SALT_BYTES } from './identifiers.ts';

/** What a stored table was imported under. Stores of different layouts do not mix. */
export interface TableLayout {
  readonly table: string;
  /** Policy columns in the order of the stored columns `c0`, `c1`, …: sorted by name. */
  readonly columns: readonly string[];
  /** SHA-256, lower-case hex, over everything of the policy that the import enforced. */
  readonly digest: string;
}

/** AGREEMENT. Bump when the coding of a value, a unit or a row key changes. */
const LAYOUT_VERSION = 1;

function columnDocument(name: string, column: ColumnPolicy): unknown {
  const { type, nullable, min = null, max = null, values = null } = column;
  return { name, type, nullable, min, max, scale: column.scale ?? 0, values };
}

/**
 * The layout of a table under a policy and a salt. It covers the identifier kind, the salt, the
 * columns and the values they may take; not the clamps, bounds and rules, which no import applies.
 */
export function tableLayout(tableName: string, table: TablePolicy, salt: Uint8Array): TableLayout {
  expect(salt.length === SALT_BYTES, 'the salt has 32 bytes');
  const columns = Object.keys(table.columns).sort();
  if (columns.includes(table.privacy_unit_column.name)) {
    throw new ParleyError('POLICY_MALFORMED', 'a privacy-unit column is also a declared column');
  }
  const document = {
    version: LAYOUT_VERSION,
    table: tableName,
    salt: toHex(salt),
    unit: { ...table.privacy_unit_column },
    columns: columns.map((name) => columnDocument(name, table.columns[name]!)),
  };
  return { table: tableName, columns, digest: digestOf('parley/store-layout/v1', document) };
}
