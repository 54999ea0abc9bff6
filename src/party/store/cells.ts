import type { ColumnPolicy } from '../../policy/types.ts';
import { expect } from '../../core/errors.ts';
import { daysOf } from '../../sql/index.ts';
import { CELL_CACHE_MAX, CODED_DIGITS_MAX } from './limits.ts';

/** A cell's coded integer, null for SQL NULL, or the reason why the cell is refused. */
export type Coded = number | null | string;

/** Codes the text of one cell by its column's policy. */
export type CellCoder = (text: string) => Coded;

const DECIMAL = /^([+-]?)(\d+)(?:\.(\d+))?$/;

/**
 * A decimal text as an integer scaled by `10^scale`, exactly: digits are moved, never multiplied.
 * @returns the integer, or the reason why there is none.
 */
export function codeDecimal(text: string, scale: number): number | string {
  const m = DECIMAL.exec(text);
  if (m === null) return scale === 0 ? 'not an integer' : 'not a decimal number';
  const fraction = m[3] ?? '';
  if (fraction.length > scale) {
    return scale === 0 ? 'not an integer' : `more than ${scale} digits after the point`;
  }
  const digits = `${m[2] ?? ''}${fraction.padEnd(scale, '0')}`.replace(/^0+/, '');
  if (digits.length > CODED_DIGITS_MAX) {
    return `out of range: more than ${CODED_DIGITS_MAX - scale} digits before the point`;
  }
  const magnitude = Number(digits);
  // The sum avoids negative zero.
  return m[1] === '-' ? 0 - magnitude : magnitude;
}

function dateCoder(column: ColumnPolicy): CellCoder {
  const min = column.min === undefined ? -Infinity : daysOf(column.min);
  const max = column.max === undefined ? Infinity : daysOf(column.max);
  expect(min !== null && max !== null, 'date bounds of a valid policy are real dates');
  const outside = `outside ${column.min ?? '0001-01-01'} to ${column.max ?? '9999-12-31'}`;
  const code = (text: string): Coded => {
    const days = daysOf(text);
    if (days === null) return 'not a real date of the form YYYY-MM-DD';
    return days < min || days > max ? outside : days;
  };
  const cache = new Map<string, Coded>();
  return (text) => {
    let coded = cache.get(text);
    if (coded === undefined) {
      coded = code(text);
      if (cache.size < CELL_CACHE_MAX) cache.set(text, coded);
    }
    return coded;
  };
}

function integerCoder(column: ColumnPolicy): CellCoder {
  const declared = column.values?.map((value) => codeDecimal(value, 0));
  const allowed = declared === undefined ? null : new Set(declared);
  return (text) => {
    const coded = codeDecimal(text, 0);
    if (typeof coded === 'string' || allowed === null || allowed.has(coded)) return coded;
    return 'not one of the declared values';
  };
}

function textCoder(column: ColumnPolicy): CellCoder {
  const index = new Map((column.values ?? []).map((value, i) => [value.normalize('NFC'), i]));
  return (text) =>
    index.get(text) ?? index.get(text.normalize('NFC')) ?? 'not one of the declared values';
}

function booleanCoder(): CellCoder {
  const index = new Map([
    ['true', 1],
    ['1', 1],
    ['false', 0],
    ['0', 0],
  ]);
  return (text) => index.get(text.toLowerCase()) ?? 'not true, false, 1 or 0';
}

function coderOfType(column: ColumnPolicy): CellCoder {
  switch (column.type) {
    case 'date':
      return dateCoder(column);
    case 'decimal':
      return (text) => codeDecimal(text, column.scale ?? 0);
    case 'integer':
      return integerCoder(column);
    case 'text':
      return textCoder(column);
    case 'boolean':
      return booleanCoder();
  }
}

/**
 * The coder of a column. Nothing is trimmed or guessed: a cell is coded exactly or refused. An
 * empty cell is NULL when the column is nullable and refused otherwise.
 */
export function cellCoder(column: ColumnPolicy): CellCoder {
  const code = coderOfType(column);
  const empty = column.nullable ? null : 'empty, and the column is not nullable';
  return (text) => (text === '' ? empty : code(text));
}
