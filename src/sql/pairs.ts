import type { ColumnPolicy } from '../policy/types.ts';
import { columnRange, domainOf, scaleOf } from './coding.ts';
import type { ResolvedColumn } from './names.ts';
import { MIRRORED } from './operators.ts';
import type { Comparison, PairComparison, PairOperand, Side } from './plan.ts';

/** How the values of two columns become unsigned integers of one width that compare alike. */
export interface ComparisonShape {
  readonly base: bigint;
  readonly bits: number;
  readonly operands: readonly [OperandShape, OperandShape];
}

type OperandShape = Pick<PairOperand, 'scaleUp' | 'map'>;

/** Bits of the largest of `count` consecutive values from 0; at least 1. */
function bitsOf(largest: bigint): number {
  return Math.max(1, largest.toString(2).length);
}

/** The joint domain of two text columns, sorted by code units, in NFC as at import. */
function jointDomain(a: ColumnPolicy, b: ColumnPolicy): readonly string[] {
  const all = [...domainOf(a), ...domainOf(b)].map((value) => value.normalize('NFC'));
  return [...new Set(all)].sort();
}

function mapInto(joint: ReadonlyMap<string, number>, column: ColumnPolicy): number[] | null {
  const map = domainOf(column).map((value) => joint.get(value.normalize('NFC')) ?? 0);
  return map.every((value, i) => value === i) ? null : map;
}

/** Joint domains hold thousands of values and a query may compare the same columns often. */
const TEXT_SHAPES = new WeakMap<ColumnPolicy, WeakMap<ColumnPolicy, ComparisonShape>>();

function textShape(a: ColumnPolicy, b: ColumnPolicy): ComparisonShape {
  const ofA = TEXT_SHAPES.get(a) ?? new WeakMap<ColumnPolicy, ComparisonShape>();
  TEXT_SHAPES.set(a, ofA);
  const shape = ofA.get(b) ?? newTextShape(a, b);
  ofA.set(b, shape);
  return shape;
}

function newTextShape(a: ColumnPolicy, b: ColumnPolicy): ComparisonShape {
  const values = jointDomain(a, b);
  const joint = new Map(values.map((value, i) => [value, i]));
  const operand = (column: ColumnPolicy): OperandShape => ({
    scaleUp: 1,
    map: mapInto(joint, column),
  });
  return {
    base: 0n,
    bits: bitsOf(BigInt(values.length - 1)),
    operands: [operand(a), operand(b)],
  };
}

/** The shape of comparing two columns of one family, from their declared ranges. */
export function comparisonShape(a: ColumnPolicy, b: ColumnPolicy): ComparisonShape {
  if (a.type === 'text') return textShape(a, b);
  const scale = Math.max(scaleOf(a), scaleOf(b));
  const parts = [a, b].map((column) => {
    const scaleUp = 10 ** (scale - scaleOf(column));
    const { min, max } = columnRange(column);
    return { scaleUp, min: BigInt(min) * BigInt(scaleUp), max: BigInt(max) * BigInt(scaleUp) };
  });
  const [left, right] = [parts[0]!, parts[1]!];
  const base = left.min < right.min ? left.min : right.min;
  const top = left.max > right.max ? left.max : right.max;
  const operands = [
    { scaleUp: left.scaleUp, map: null },
    { scaleUp: right.scaleUp, map: null },
  ] as const;
  return { base, bits: bitsOf(top - base), operands };
}

/** A column of a comparison with the side that owns it. */
export interface SidedColumn {
  readonly side: Side;
  readonly column: ResolvedColumn;
}

/** The planned comparison `left op right`, the smaller side on the left. */
export function pairComparison(
  op: Comparison,
  left: SidedColumn,
  right: SidedColumn,
): PairComparison {
  if (left.side > right.side) return pairComparison(MIRRORED[op], right, left);
  const { base, bits, operands } = comparisonShape(left.column.policy, right.column.policy);
  const operand = ({ side, column }: SidedColumn, shape: OperandShape): PairOperand => ({
    side,
    column: column.name,
    nullable: column.policy.nullable,
    ...shape,
  });
  return {
    kind: 'compare',
    op,
    left: operand(left, operands[0]),
    right: operand(right, operands[1]),
    base: `${base}`,
    bits,
  };
}
