/**
 * Values as coded integers: a date is days since 1970-01-01, a decimal is scaled by 10^scale, text
 * is its index in the declared domain, a boolean is 0 or 1. Everything is exact.
 */
import { expect, ParleyError } from '../core/errors.ts';
import { parseDecimal, rational, type Rational } from '../core/rational.ts';
import type { ColumnPolicy } from '../policy/types.ts';
import { daysOf } from './calendar.ts';
import { HARD_RANGE, NUMBER_EXPONENT_MAX } from './limits.ts';

/** Inclusive bounds of a column's coded values; below 2^53 in magnitude. */
export interface CodedRange {
  readonly min: number;
  readonly max: number;
}

const HARD_MAX = Number(HARD_RANGE) - 1;

/**
 * The bounds that import enforces on a column's coded values. `lower` and `upper` are clamps, not
 * bounds, so numbers without a domain may have any value below HARD_RANGE in magnitude.
 */
export function columnRange(column: ColumnPolicy): CodedRange {
  switch (column.type) {
    case 'boolean':
      return { min: 0, max: 1 };
    case 'date': {
      const [min, max] = [daysOf(column.min ?? ''), daysOf(column.max ?? '')];
      expect(min !== null && max !== null, 'a date column has real bounds');
      return { min, max };
    }
    case 'text':
      return { min: 0, max: domainOf(column).length - 1 };
    case 'integer':
      return column.values === undefined
        ? { min: -HARD_MAX, max: HARD_MAX }
        : spread(column.values);
    case 'decimal':
      return { min: -HARD_MAX, max: HARD_MAX };
  }
}

function spread(values: readonly string[]): CodedRange {
  const coded = values.map(Number);
  return { min: Math.min(...coded), max: Math.max(...coded) };
}

/** The declared values of a text column. */
export function domainOf(column: ColumnPolicy): readonly string[] {
  expect(column.values !== undefined && column.values.length > 0, 'a text column has values');
  return column.values;
}

export const scaleOf = (column: ColumnPolicy): number => column.scale ?? 0;

/** A number literal exactly, or null when its exponent is beyond any use. */
export function exactNumber(text: string): Rational | null {
  const m = /^(-?)(\d*)\.?(\d*)(?:[eE]([+-]?\d+))?$/.exec(text);
  expect(m !== null, 'the lexer lets only numbers through');
  const [, sign = '', whole = '', fraction = '', exponent = '0'] = m;
  if (exponent.replace(/^[+-]?0*/, '').length > 4) return null;
  const power = Number(exponent);
  if (Math.abs(power) > NUMBER_EXPONENT_MAX) return null;
  const shift = power - fraction.length;
  const digits = BigInt(`${whole}${fraction}`) * (sign === '-' ? -1n : 1n);
  return shift >= 0
    ? rational(digits * 10n ** BigInt(shift))
    : rational(digits, 10n ** BigInt(-shift));
}

/** The largest integer at most `value · 10^scale`, and whether it is equal to it. */
export function scaledFloor(value: Rational, scale: number): { floor: bigint; exact: boolean } {
  const num = value.num * 10n ** BigInt(scale);
  const quotient = num / value.den;
  const exact = quotient * value.den === num;
  return { floor: exact || num > 0n ? quotient : quotient - 1n, exact };
}

/** Index of a text in a column's domain, -1 when it is not in it. Compared in NFC, as at import. */
export function textIndex(column: ColumnPolicy, text: string): number {
  const wanted = text.normalize('NFC');
  return domainOf(column).findIndex((value) => value.normalize('NFC') === wanted);
}

/**
 * The coded value of a plain text: `2025-10-06`, `-12.50`, a member of the domain, `true`, `false`.
 * @returns null when the column can hold no such value.
 */
export function codeLiteral(column: ColumnPolicy, text: string): number | null {
  const coded = codeOf(column, text);
  const { min, max } = columnRange(column);
  return coded === null || coded < min || coded > max ? null : coded;
}

function codeOf(column: ColumnPolicy, text: string): number | null {
  switch (column.type) {
    case 'boolean':
      return text === 'true' ? 1 : text === 'false' ? 0 : null;
    case 'date':
      return daysOf(text);
    case 'text': {
      const index = textIndex(column, text);
      return index < 0 ? null : index;
    }
    case 'integer':
    case 'decimal': {
      if (!/^-?\d{1,30}(\.\d{1,30})?$/.test(text)) return null;
      const { floor, exact } = scaledFloor(parseDecimal(text), scaleOf(column));
      const listed = column.values?.some((value) => BigInt(value) === floor) ?? true;
      return exact && listed ? Number(floor) : null;
    }
  }
}

/** Clamp bounds of a numeric column in coded units. */
export interface Clamp {
  readonly lower: bigint;
  readonly upper: bigint;
}

/** Bounds on one user's sum of the column in a group, in coded units; null when it has none. */
export function groupSumOf(column: ColumnPolicy): Clamp | null {
  const { min_sum_per_partition: min, max_sum_per_partition: max } = column;
  if (min === undefined || max === undefined) return null;
  const [lower, upper] = [min, max].map((text) => scaledFloor(parseDecimal(text), scaleOf(column)));
  expect(lower!.exact && upper!.exact, 'the policy was checked');
  return { lower: lower!.floor, upper: upper!.floor };
}

/**
 * The declared clamp bounds of a numeric column; for an integer domain without them its extremes.
 * @returns null when the policy declares none.
 * @throws ParleyError POLICY_OUT_OF_RANGE when a bound has more digits than the column's scale, is
 *   beyond what import admits, or the bounds are reversed.
 */
export function clampOf(column: ColumnPolicy): Clamp | null {
  const range = columnRange(column);
  if (column.lower === undefined || column.upper === undefined) {
    if (column.values === undefined) return null;
    return { lower: BigInt(range.min), upper: BigInt(range.max) };
  }
  const lower = scaledFloor(parseDecimal(column.lower), scaleOf(column));
  const upper = scaledFloor(parseDecimal(column.upper), scaleOf(column));
  const inside = lower.floor > -HARD_RANGE && upper.floor < HARD_RANGE;
  if (!lower.exact || !upper.exact || lower.floor > upper.floor || !inside) {
    throw new ParleyError('POLICY_OUT_OF_RANGE', 'a column’s clamp bounds do not fit its type');
  }
  return { lower: lower.floor, upper: upper.floor };
}
