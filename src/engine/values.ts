import { expect } from '../core/errors.ts';
import type { Measure, PairComparison, Plan, PlannedMeasure, Side } from '../sql/plan.ts';
import type { LocalTable } from './types.ts';

/** Where a measure's per-row value comes from. */
export type ValueSource =
  /** Counts users: not a sum over row pairs. */
  | { readonly kind: 'users' }
  /** 1 for every qualifying pair. */
  | { readonly kind: 'one' }
  /** A number that `side` knows per slot. */
  | { readonly kind: 'owned'; readonly side: Side };

/** A column that cannot be NULL counts like COUNT(*); public, from the policy-derived plan. */
export function sourceOf(measure: Measure): ValueSource {
  switch (measure.kind) {
    case 'users':
      return { kind: 'users' };
    case 'rows':
      return { kind: 'one' };
    default:
      return { kind: 'owned', side: measure.side };
  }
}

function columnOf(table: LocalTable, name: string): readonly [Float64Array, Uint8Array] {
  const values = table.values[name];
  const present = table.present[name];
  expect(values !== undefined && present !== undefined, 'plan columns are in the local table');
  return [values, present];
}

/**
 * The measure's value per slot and user, slot-major, exact integers: 0 or 1 for a count of non-NULL
 * values, the (clamped) value for a sum, 2x − (lower + upper) for a centred sum, and 0 where the
 * column is NULL or the slot empty.
 */
export function measureValues(planned: PlannedMeasure, table: LocalTable): Float64Array {
  const { measure, clamp } = planned;
  expect('column' in measure, 'only column measures have values');
  const [values, present] = columnOf(table, measure.column);
  const out = new Float64Array(values.length);
  const low = clamp === null ? -Infinity : Number(clamp.lower);
  const high = clamp === null ? Infinity : Number(clamp.upper);
  for (let i = 0; i < out.length; i += 1) {
    if (present[i] === 0) continue;
    const x = Math.min(high, Math.max(low, values[i]!));
    out[i] = measure.kind === 'nonNull' ? 1 : measure.kind === 'sum' ? x : 2 * x - (low + high);
  }
  return out;
}

/** Coded operands stay exact in a double. */
const EXACT = Number.MAX_SAFE_INTEGER;

/**
 * One side's operand of a comparison per slot and user, slot-major: an unsigned integer below
 * 2^bits, and whether it is present (not NULL, slot not empty).
 */
export function operandValues(
  comparison: PairComparison,
  side: Side,
  table: LocalTable,
): { readonly values: Float64Array; readonly present: Uint8Array } {
  const operand = comparison.left.side === side ? comparison.left : comparison.right;
  expect(operand.side === side, 'the side has an operand in the comparison');
  const [values, present] = columnOf(table, operand.column);
  const base = Number(comparison.base);
  const limit = 2 ** comparison.bits;
  expect(comparison.bits <= 53 && Math.abs(base) <= EXACT, 'comparison operands fit 53 bits');
  const out = new Float64Array(values.length);
  for (let i = 0; i < out.length; i += 1) {
    if (present[i] === 0) continue;
    const x = values[i]!;
    const coded = (operand.map === null ? x * operand.scaleUp : operand.map[x]!) - base;
    expect(coded >= 0 && coded < limit, 'comparison operands lie in their declared range');
    out[i] = coded;
  }
  return { values: out, present };
}

/** Every comparison of the plan's pair predicate, in the order of a depth-first walk. */
export function comparisonsOf(plan: Plan): readonly PairComparison[] {
  const found: PairComparison[] = [];
  const walk = (node: Plan['pair']): void => {
    if (node === null || node.kind === 'bit') return;
    if (node.kind === 'compare') found.push(node);
    else node.terms.forEach(walk);
  };
  walk(plan.pair);
  return found;
}
