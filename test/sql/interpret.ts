import { expect as contract } from '../../src/core/errors.ts';
import type { LocalPredicate, PairPredicate, Plan, Term } from '../../src/sql/plan.ts';

/** A row: coded values, null for SQL NULL. */
export type Row = Readonly<Record<string, number | null>>;

type Truth = boolean | null;

const not = (x: Truth): Truth => (x === null ? null : !x);
const all = (xs: readonly Truth[]): Truth =>
  xs.includes(false) ? false : xs.includes(null) ? null : true;
const any = (xs: readonly Truth[]): Truth => not(all(xs.map(not)));

export function compareValues(op: string, a: bigint, b: bigint): boolean {
  const outcomes: Readonly<Record<string, boolean>> = {
    '=': a === b,
    '<>': a !== b,
    '<': a < b,
    '<=': a <= b,
    '>': a > b,
    '>=': a >= b,
  };
  const outcome = outcomes[op];
  contract(outcome !== undefined, `operator ${op}`);
  return outcome;
}

function valueOf(term: Term, row: Row): bigint | null {
  if ('value' in term) return term.value === null ? null : BigInt(term.value);
  contract('column' in term, 'these conditions compare columns and literals');
  const value = row[term.column];
  contract(value !== undefined, `column ${term.column} is in the row`);
  return value === null ? null : BigInt(value) * BigInt(term.scaleUp);
}

/** Three-valued evaluation of a local predicate, straight from the comments of plan.ts. */
export function evaluateLocal(p: LocalPredicate, row: Row): Truth {
  switch (p.kind) {
    case 'and':
      return all(p.terms.map((t) => evaluateLocal(t, row)));
    case 'or':
      return any(p.terms.map((t) => evaluateLocal(t, row)));
    case 'not':
      return not(evaluateLocal(p.term, row));
    case 'compare': {
      const [a, b] = [valueOf(p.left, row), valueOf(p.right, row)];
      return a === null || b === null ? null : compareValues(p.op, a, b);
    }
    case 'in': {
      const a = valueOf(p.term, row);
      if (a === null) return null;
      return any(p.list.map(({ value }) => (value === null ? null : BigInt(value) === a)));
    }
    case 'isNull':
      return valueOf(p.term, row) === null;
    case 'constant':
      return p.value;
  }
}

function evaluatePair(p: PairPredicate, plan: Plan, rows: readonly Row[]): boolean {
  switch (p.kind) {
    case 'and':
      return p.terms.every((t) => evaluatePair(t, plan, rows));
    case 'or':
      return p.terms.some((t) => evaluatePair(t, plan, rows));
    case 'not':
      return !evaluatePair(p.term, plan, rows);
    case 'bit':
      return evaluateLocal(plan.sides[p.side]!.bits[p.index]!, rows[p.side]!) === true;
    case 'compare': {
      const coded = [p.left, p.right].map((operand) => {
        const { side } = operand;
        const value = rows[side]![operand.column];
        contract(value !== undefined, `column ${operand.column} is in the row`);
        contract(value !== null || operand.nullable, 'only nullable operands are NULL');
        contract(plan.sides[side]!.columns.includes(operand.column), 'operands are in columns');
        if (value === null) return null;
        const mapped = operand.map === null ? value : operand.map[value]!;
        const unsigned = BigInt(mapped) * BigInt(operand.scaleUp) - BigInt(p.base);
        contract(unsigned >= 0n && unsigned < 1n << BigInt(p.bits), 'operands fit their bits');
        return unsigned;
      });
      const [a, b] = [coded[0]!, coded[1]!];
      return coded[0] !== null && coded[1] !== null && compareValues(p.op, a, b);
    }
  }
}

/** Whether a joined pair of rows qualifies; rows in the order of the plan's sides. */
export function qualifies(plan: Plan, rows: readonly Row[]): boolean {
  const local = rows.every((row, side) => {
    const { filter } = plan.sides[side]!;
    return filter === null || evaluateLocal(filter, row) === true;
  });
  return local && (plan.pair === null || evaluatePair(plan.pair, plan, rows));
}
