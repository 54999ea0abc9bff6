import { expect } from '../core/errors.ts';
import { comparisonsIn, guardsOfPlan, labelsOfPlan } from '../sql/index.ts';
import type {
  Measure,
  MeasureFactor,
  PairComparison,
  Plan,
  PlannedMeasure,
  PlanSide,
  Side,
} from '../sql/plan.ts';
import type { LocalTable } from './types.ts';

/** Where a measure's per-row value comes from. */
export type ValueSource =
  /** Counts users: not a sum over row pairs. */
  | { readonly kind: 'users' }
  /** A sum of products: see `MeasureTerm`. */
  | { readonly kind: 'terms' }
  /** 1 for every qualifying pair. */
  | { readonly kind: 'one' }
  /** A number that `side` knows per slot. */
  | { readonly kind: 'owned'; readonly side: Side };

/** A column that cannot be NULL counts like COUNT(*); public, from the policy-derived plan. */
export function sourceOf(measure: Measure): ValueSource {
  switch (measure.kind) {
    case 'users':
    case 'usersIf':
      return { kind: 'users' };
    case 'terms':
      return { kind: 'terms' };
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

/** The value of a factor per slot and user, slot-major: 0 where NULL or empty. */
export function factorValues({ column }: MeasureFactor, table: LocalTable): Float64Array {
  const [values, present] = columnOf(table, column);
  return values.map((value, i) => (present[i] === 0 ? 0 : value));
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

/**
 * Comparisons whose operands the sides bring: those of WHERE, then of the measures' guards, then of the
 * labels of mixed keys, of which those of the same operands are one.
 */
export function comparisonsOf(plan: Plan): readonly PairComparison[] {
  const all = [plan.pair, ...guardsOfPlan(plan)].flatMap(comparisonsIn);
  const known = new Set(all.map(operandsKey));
  for (const comparison of labelsOfPlan(plan).flatMap(comparisonsIn)) {
    if (known.has(operandsKey(comparison))) continue;
    known.add(operandsKey(comparison));
    all.push(comparison);
  }
  return all;
}

/** Equal for comparisons of the same operands, whatever the operator. */
export function operandsKey({ left, right, base, bits }: PairComparison): string {
  return JSON.stringify([left, right, base, bits]);
}

/** Where the operands of a comparison of the plan are among {@link comparisonsOf}. */
export function operandsIndex(plan: Plan, comparison: PairComparison): number {
  const all = comparisonsOf(plan);
  const own = all.indexOf(comparison);
  const key = operandsKey(comparison);
  return own >= 0 ? own : all.findIndex((other) => operandsKey(other) === key);
}

/** A factor of the plan with where it stands. */
export interface PlacedFactor {
  readonly measure: number;
  readonly term: number;
  readonly factor: MeasureFactor;
  /** The first of a term's factors is multiplied whole, the others bit by bit. */
  readonly whole: boolean;
}

/** Every factor of the plan's measures, in order. */
export function factorsOf(plan: Plan): readonly PlacedFactor[] {
  return plan.measures.flatMap(({ measure }, m) =>
    measure.kind !== 'terms'
      ? []
      : measure.terms.flatMap(({ factors }, term) =>
          factors.map((factor, f) => ({ measure: m, term, factor, whole: f === 0 })),
        ),
  );
}

/** Slots of a side's rows in a combination: the row of NULLs is one more. */
export function slotsOf({ slots, absent }: PlanSide): number {
  return slots + (absent === null ? 0 : 1);
}

/** The row of NULLs of a side as a table of one user, for reading its values like any row's. */
export function absentTable(side: PlanSide): LocalTable {
  const { absent } = side;
  expect(absent !== null, 'the side may be absent');
  const byColumn = <T>(of: (value: number | null) => T): Record<string, T> =>
    Object.fromEntries(side.columns.map((name, i) => [name, of(absent.values[i]!)]));
  return {
    users: 1,
    ids: new Uint8Array(0),
    slots: 1,
    valid: Uint8Array.of(1),
    values: byColumn((value) => Float64Array.of(value ?? 0)),
    present: byColumn((value) => Uint8Array.of(value === null ? 0 : 1)),
    bits: absent.bits.map((bit) => Uint8Array.of(bit ? 1 : 0)),
  };
}
