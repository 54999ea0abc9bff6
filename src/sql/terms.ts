/** Terms of local rows: building them in one spelling, and what they evaluate to. */
import { expect } from '../core/errors.ts';
import { partOfDate, truncDate } from './calendar.ts';
import type { Comparison, Literal, LocalPredicate, Term } from './plan.ts';

/** The value of a column in a row: a coded integer, or null for NULL. */
export type ReadColumn = (column: string) => bigint | null;

export const literal = (value: bigint | null): Literal => ({
  value: value === null ? null : `${value}`,
});

export const isLiteralTerm = (term: Term): term is Literal => 'value' in term;
export const isColumnTerm = (term: Term): term is Extract<Term, { column: string }> =>
  'column' in term;

/** Equal for equal terms: builders give every term one spelling. */
export const termKey = (term: Term): string => JSON.stringify(term);

/** Whether a term reads anything of its row. */
export function isConstantTerm(term: Term): boolean {
  if (isLiteralTerm(term)) return true;
  if (isColumnTerm(term)) return false;
  switch (term.op) {
    case '+':
    case '-':
    case '*':
      return isConstantTerm(term.left) && isConstantTerm(term.right);
    case 'least':
    case 'greatest':
    case 'coalesce':
      return term.terms.every(isConstantTerm);
    case 'case':
    case 'present':
    // Of as many rows as there are.
    case 'total':
      return false;
    default:
      return isConstantTerm(term.of);
  }
}

const NO_ROW: ReadColumn = () => null;

/** Evaluates what reads no row; gives the rest back. */
function folded(term: Term): Term {
  return isConstantTerm(term) ? literal(evaluateTerm(term, NO_ROW, true)) : term;
}

export function addTerms(op: '+' | '-', left: Term, right: Term): Term {
  if (isLiteralTerm(right) && right.value === '0') return left;
  if (op === '+' && isLiteralTerm(left) && left.value === '0') return right;
  const swap = op === '+' && termKey(right) < termKey(left);
  return folded(swap ? { op, left: right, right: left } : { op, left, right });
}

export function multiplyTerms(left: Term, right: Term): Term {
  if (isLiteralTerm(left) && !isLiteralTerm(right)) return multiplyTerms(right, left);
  if (isLiteralTerm(right) && right.value === '1') return left;
  const swap = !isLiteralTerm(right) && termKey(right) < termKey(left);
  return folded(swap ? { op: '*', left: right, right: left } : { op: '*', left, right });
}

/** The term times 10^digits. */
export function scaleTerm(term: Term, digits: number): Term {
  if (digits === 0) return term;
  if (isColumnTerm(term) && digits + Math.log10(term.scaleUp) <= 12) {
    return { ...term, scaleUp: term.scaleUp * 10 ** digits };
  }
  return multiplyTerms(term, literal(10n ** BigInt(digits)));
}

export function negateTerm(term: Term): Term {
  return multiplyTerms(term, literal(-1n));
}

/** A term of an operator that takes its operands in any order, or in the given one. */
export function variadicTerm(op: 'least' | 'greatest' | 'coalesce', terms: readonly Term[]): Term {
  const sorted =
    op === 'coalesce' ? terms : [...terms].sort((a, b) => (termKey(a) < termKey(b) ? -1 : 1));
  return sorted.length === 1 ? sorted[0]! : folded({ op, terms: sorted });
}

export function clampTerm(of: Term, lower: bigint, upper: bigint): Term {
  return { op: 'clamp', lower: `${lower}`, upper: `${upper}`, of };
}

export function mapTerm(of: Term, table: readonly number[]): Term {
  return table.every((value, i) => value === i) ? of : folded({ op: 'map', table, of });
}

export const PRESENT: Term = { op: 'present' };

/** 1 where the predicate is TRUE, else 0. */
export function indicatorTerm(when: LocalPredicate): Term {
  return { op: 'case', branches: [{ when, then: literal(1n) }], otherwise: literal(0n) };
}

/** 1 where the term is not NULL, else 0. */
export function presenceTerm(term: Term): Term {
  const [one, zero] = [literal(1n), literal(0n)];
  return { op: 'case', branches: [{ when: { kind: 'isNull', term }, then: zero }], otherwise: one };
}

const floorDiv = (a: bigint, n: bigint): bigint => (a - (((a % n) + n) % n)) / n;

/**
 * The value of a term in a row; of a total, what the row adds to it.
 * @param present - False on the row that LEFT JOIN invents, where every column is NULL.
 */
export function evaluateTerm(term: Term, read: ReadColumn, present: boolean): bigint | null {
  if (isLiteralTerm(term)) return term.value === null ? null : BigInt(term.value);
  if (isColumnTerm(term)) {
    const value = read(term.column);
    return value === null ? null : value * BigInt(term.scaleUp);
  }
  const of = (inner: Term): bigint | null => evaluateTerm(inner, read, present);
  switch (term.op) {
    case 'present':
      return present ? 1n : null;
    case '+':
    case '-':
    case '*': {
      const [a, b] = [of(term.left), of(term.right)];
      if (a === null || b === null) return null;
      return term.op === '+' ? a + b : term.op === '-' ? a - b : a * b;
    }
    case 'least':
    case 'greatest': {
      const known = term.terms.map(of).filter((value) => value !== null);
      const [first, ...rest] = known;
      if (first === undefined) return null;
      return rest.reduce((a, b) => ((term.op === 'least') === a < b ? a : b), first);
    }
    case 'coalesce':
      return term.terms.map(of).find((value) => value !== null) ?? null;
    case 'case': {
      const taken = term.branches.find(
        ({ when }) => evaluatePredicate(when, read, present) === true,
      );
      return of(taken?.then ?? term.otherwise);
    }
    case 'total':
      return of(term.of) ?? 0n;
    default: {
      const value = of(term.of);
      return value === null ? null : unary(term, value);
    }
  }
}

function unary(
  term: Extract<Term, { op: 'clamp' | 'div' | 'mod' | 'part' | 'trunc' | 'map' }>,
  value: bigint,
): bigint {
  switch (term.op) {
    case 'clamp': {
      const [lower, upper] = [BigInt(term.lower), BigInt(term.upper)];
      return value < lower ? lower : value > upper ? upper : value;
    }
    case 'div':
      return floorDiv(value, BigInt(term.by));
    case 'mod':
      return value - floorDiv(value, BigInt(term.by)) * BigInt(term.by);
    case 'part':
      return BigInt(partOfDate(term.part, Number(value)));
    case 'trunc':
      return BigInt(truncDate(term.part, Number(value)));
    case 'map': {
      const mapped = term.table[Number(value)];
      expect(mapped !== undefined, 'a mapped value is an index of its table');
      return BigInt(mapped);
    }
  }
}

/** Whether two numbers of one kind compare so. */
export function holds<T extends bigint | number>(op: Comparison, a: T, b: T): boolean {
  switch (op) {
    case '=':
      return a === b;
    case '<>':
      return a !== b;
    case '<':
      return a < b;
    case '<=':
      return a <= b;
    case '>':
      return a > b;
    case '>=':
      return a >= b;
  }
}

/** Three-valued truth of a predicate in a row. */
export function evaluatePredicate(
  predicate: LocalPredicate,
  read: ReadColumn,
  present: boolean,
): boolean | null {
  const of = (term: Term): bigint | null => evaluateTerm(term, read, present);
  switch (predicate.kind) {
    case 'constant':
      return predicate.value;
    case 'not': {
      const truth = evaluatePredicate(predicate.term, read, present);
      return truth === null ? null : !truth;
    }
    case 'and':
    case 'or': {
      const decisive = predicate.kind === 'or';
      const truths = predicate.terms.map((term) => evaluatePredicate(term, read, present));
      return truths.includes(decisive) ? decisive : truths.includes(null) ? null : !decisive;
    }
    case 'isNull':
      return of(predicate.term) === null;
    case 'in': {
      const value = of(predicate.term);
      if (value === null) return null;
      return predicate.list.some((item) => item.value !== null && BigInt(item.value) === value);
    }
    case 'compare': {
      const [a, b] = [of(predicate.left), of(predicate.right)];
      return a === null || b === null ? null : holds(predicate.op, a, b);
    }
  }
}

/** Operators and leaves of a term, counted up to `most`. */
export function termSize(term: Term, most: number): number {
  let size = 0;
  const walk = (inner: Term): void => {
    size += 1;
    if (size > most || isLiteralTerm(inner) || isColumnTerm(inner)) return;
    switch (inner.op) {
      case '+':
      case '-':
      case '*':
        walk(inner.left);
        {
          walk(inner.right);
          return;
        }
      case 'least':
      case 'greatest':
      case 'coalesce': {
        inner.terms.forEach(walk);
        return;
      }
      case 'case':
        for (const { when, then } of inner.branches) {
          walkPredicate(when);
          walk(then);
        }
        {
          walk(inner.otherwise);
          return;
        }
      case 'present':
        return;
      default: {
        walk(inner.of);
        return;
      }
    }
  };
  const walkPredicate = (predicate: LocalPredicate): void => {
    size += 1;
    if (size > most) return;
    switch (predicate.kind) {
      case 'and':
      case 'or': {
        predicate.terms.forEach(walkPredicate);
        return;
      }
      case 'not': {
        walkPredicate(predicate.term);
        return;
      }
      case 'compare':
        walk(predicate.left);
        {
          walk(predicate.right);
          return;
        }
      case 'in':
      case 'isNull': {
        walk(predicate.term);
        return;
      }
      case 'constant':
    }
  };
  walk(term);
  return size;
}
