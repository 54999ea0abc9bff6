import { columnName } from './columns.ts';
import type { Comparison, PairComparison, PairOperand, Side } from './plan.ts';
import { MIRRORED } from './operators.ts';
import { isColumnTerm, isLiteralTerm } from './terms.ts';
import { larger, smaller } from './types.ts';
import type { LocalValue } from './value.ts';

/** How two values of one scale or domain become unsigned integers of one width that compare alike. */
export interface ComparisonShape {
  readonly base: bigint;
  readonly bits: number;
}

/** Bits of the largest of `count` consecutive values from 0; at least 1. */
export function bitsOf(largest: bigint): number {
  return Math.max(1, largest.toString(2).length);
}

/** The shape of comparing two values, from their ranges. */
export function comparisonShape(a: LocalValue, b: LocalValue): ComparisonShape {
  const base = smaller(a.type.min, b.type.min);
  const top = larger(a.type.max, b.type.max);
  return { base, bits: bitsOf(top - base) };
}

/** A plain column may be scaled or mapped on its way in; anything else is a derived column. */
function operandShape({ term }: LocalValue): Pick<PairOperand, 'column' | 'scaleUp' | 'map'> {
  if (isColumnTerm(term)) return { column: term.column, scaleUp: term.scaleUp, map: null };
  if (!isLiteralTerm(term) && term.op === 'map' && isColumnTerm(term.of)) {
    return { column: term.of.column, scaleUp: 1, map: term.table };
  }
  return { column: columnName(term), scaleUp: 1, map: null };
}

/** A value of a comparison with the side that owns it. */
export interface SidedValue {
  readonly side: Side;
  readonly value: LocalValue;
}

/** The name of the column that an operand needs of its side. */
export const operandColumn = (value: LocalValue): string => operandShape(value).column;

/** The planned comparison `left op right`, the smaller side on the left. */
export function pairComparison(
  op: Comparison,
  left: SidedValue,
  right: SidedValue,
): PairComparison {
  if (left.side > right.side) return pairComparison(MIRRORED[op], right, left);
  const { base, bits } = comparisonShape(left.value, right.value);
  const operand = ({ side, value }: SidedValue): PairOperand => {
    const { column, scaleUp, map } = operandShape(value);
    return { side, column, nullable: value.type.nullable, scaleUp, map };
  };
  return { kind: 'compare', op, left: operand(left), right: operand(right), base: `${base}`, bits };
}
