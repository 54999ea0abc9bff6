import { expect } from '../../core/errors.ts';
import { holds } from '../../sql/index.ts';
import type { Comparison, Literal, LocalPredicate, Term } from '../../sql/plan.ts';
import { termSql } from './terms.ts';

/** SQL column of each policy column that a predicate may name. */
export type SqlColumns = ReadonlyMap<string, string>;

const OPERATORS: Readonly<Record<Comparison, string>> = {
  '=': '=',
  '<>': '<>',
  '<': '<',
  '<=': '<=',
  '>': '>',
  '>=': '>=',
};

const INTEGER = /^-?\d{1,1000}$/;
const INT64_MAX = (1n << 63n) - 1n;

/**
 * LOCAL. Literals further out are moved here. No column reaches it: a coded value is below 10^12
 * and a scale factor at most 10^6.
 */
const LITERAL_MAX = 10n ** 30n;

function isLiteral(term: Term): term is Literal {
  return 'value' in term;
}

function integerOf(literal: Literal): bigint | null {
  if (literal.value === null) return null;
  expect(INTEGER.test(literal.value), 'a literal of a plan is an integer');
  return BigInt(literal.value);
}

export function literalSql(literal: Literal): string {
  const value = integerOf(literal);
  if (value === null) return 'CAST(NULL AS BIGINT)';
  const held = value > LITERAL_MAX ? LITERAL_MAX : value < -LITERAL_MAX ? -LITERAL_MAX : value;
  const type = held <= INT64_MAX && held >= -INT64_MAX ? 'BIGINT' : 'HUGEINT';
  return `CAST('${held}' AS ${type})`;
}

/** Two literals are compared here, before the far ones are moved. */
function compareLiterals(op: Comparison, left: Literal, right: Literal): boolean | null {
  const a = integerOf(left);
  const b = integerOf(right);
  if (a === null || b === null) return null;
  return holds(op, a, b);
}

function constantSql(value: boolean | null): string {
  return value === null ? 'CAST(NULL AS BOOLEAN)' : value ? 'TRUE' : 'FALSE';
}

/** Joins in a balanced tree, so that a thousand terms nest ten deep. */
function joinSql(terms: readonly string[], operator: 'AND' | 'OR'): string {
  if (terms.length <= 2) return `(${terms.join(` ${operator} `)})`;
  const half = terms.length >> 1;
  const parts = [joinSql(terms.slice(0, half), operator), joinSql(terms.slice(half), operator)];
  return `(${parts.join(` ${operator} `)})`;
}

function inSql(term: Term, list: readonly Literal[], columns: SqlColumns): string {
  if (list.length === 0) return 'FALSE';
  if (isLiteral(term)) {
    const equal = list.map((item) => constantSql(compareLiterals('=', term, item)));
    return joinSql(equal, 'OR');
  }
  return `(${termSql(term, columns)} IN (${list.map(literalSql).join(', ')}))`;
}

/**
 * The predicate as an SQL condition over a store's row table, with SQL's three-valued logic.
 *
 * Nothing of a plan enters the text but integers that were parsed, operators of a fixed list and
 * the store's own column names, so there is nothing to escape.
 *
 * @throws ParleyError INTERNAL when the plan breaks its own contract: an undeclared column, a
 *   literal that is no integer.
 */
export function predicateSql(predicate: LocalPredicate, columns: SqlColumns): string {
  switch (predicate.kind) {
    case 'and':
    case 'or': {
      const terms = predicate.terms.map((term) => predicateSql(term, columns));
      if (terms.length === 0) return predicate.kind === 'and' ? 'TRUE' : 'FALSE';
      return joinSql(terms, predicate.kind === 'and' ? 'AND' : 'OR');
    }
    case 'not':
      return `(NOT ${predicateSql(predicate.term, columns)})`;
    case 'compare': {
      const { op, left, right } = predicate;
      if (isLiteral(left) && isLiteral(right)) return constantSql(compareLiterals(op, left, right));
      return `(${termSql(left, columns)} ${OPERATORS[op]} ${termSql(right, columns)})`;
    }
    case 'in':
      return inSql(predicate.term, predicate.list, columns);
    case 'isNull':
      return `(${termSql(predicate.term, columns)} IS NULL)`;
    case 'constant':
      return constantSql(predicate.value);
  }
}
