/**
 * Conditions with names and literals resolved: a three-valued tree whose leaves belong to one table
 * or compare values of two. Literals are coded in the compared value's units, exactly.
 */
import * as T from './terms.ts';
import { compareTerm, compareValues, isTrueValue } from './comparisons.ts';
import { fragmentOf, mismatch, notBoolean } from './condition-errors.ts';
import { sizeOf } from './effort.ts';
import { refusal } from './hints.ts';
import { likePattern } from './like.ts';
import {
  NO_NUMBER,
  NO_TEXT,
  codedLiteral,
  compareLiteral,
  foldLiterals,
} from './literal-comparisons.ts';
import { NULL_VALUE } from './literal-values.ts';
import { type Logic, allOf, anyOf, constant, isNullLogic, localLeaf, not } from './logic.ts';
import { resolveColumn } from './names.ts';
import { MIRRORED } from './operators.ts';
import type { Comparison, Literal } from './plan.ts';
import { type Expression, type Span, isLiteral } from './syntax.ts';
import { familyOf } from './types.ts';
import type { LocalValue } from './value.ts';
import { type Reading, resolveValue } from './values.ts';

/**
 * Resolves a condition.
 * @throws ParleyError SQL_TYPE_MISMATCH, SQL_BAD_LITERAL, SQL_PRIVACY_UNIT, SQL_UNKNOWN_COLUMN,
 *   SQL_AMBIGUOUS_COLUMN, SQL_UNKNOWN_TABLE, SQL_UNSUPPORTED, SQL_TOO_LARGE.
 */
export function resolveCondition(reading: Reading, condition: Expression): Logic {
  const logic = readCondition(reading, condition);
  reading.scope.effort.spend(sizeOf(logic), condition.span);
  return logic;
}

function readCondition(reading: Reading, condition: Expression): Logic {
  const { scope } = reading;
  switch (condition.kind) {
    case 'and':
    case 'or':
      return {
        kind: condition.kind,
        terms: condition.terms.map((term) => resolveCondition(reading, term)),
      };
    case 'not':
      return not(resolveCondition(reading, condition.term));
    case 'compare':
      return resolveCompare(reading, condition.op, condition.left, condition.right, condition.span);
    case 'between': {
      const { operand, low, high, span } = condition;
      return allOf([
        resolveCompare(reading, '>=', operand, low, span),
        resolveCompare(reading, '<=', operand, high, span),
      ]);
    }
    case 'in':
      return resolveIn(reading, condition);
    case 'like':
      return resolveLike(reading, condition);
    case 'isNull':
      return resolveIsNull(reading, condition.operand);
    case 'isTruth': {
      const inner = resolveCondition(reading, condition.operand);
      return { kind: 'isTrue', term: condition.value ? inner : not(inner) };
    }
    case 'boolean':
      return constant(condition.value);
    case 'null':
      return constant(null);
    case 'number':
    case 'string':
    case 'date':
      throw notBoolean(scope, condition.span);
    default: {
      const value = resolveValue(reading, condition);
      if (value === NULL_VALUE) return constant(null);
      if (familyOf(value.type) !== 'boolean') throw notBoolean(scope, condition.span);
      return isTrueValue(scope, value, condition.span);
    }
  }
}

function resolveCompare(
  reading: Reading,
  op: Comparison,
  left: Expression,
  right: Expression,
  span: Span,
): Logic {
  const { scope } = reading;
  if (isLiteral(left)) {
    if (isLiteral(right)) return constant(foldLiterals(scope, op, left, right, span));
    return resolveCompare(reading, MIRRORED[op], right, left, span);
  }
  const value = resolveValue(reading, left);
  if (isLiteral(right)) return compareLiteral(scope, value, op, right, span);
  return compareValues(scope, op, value, resolveValue(reading, right), span);
}

function resolveIn(reading: Reading, condition: Extract<Expression, { kind: 'in' }>): Logic {
  const { scope } = reading;
  const { operand, list, span } = condition;
  if (isLiteral(operand)) {
    return anyOf(list.map((item) => constant(foldLiterals(scope, '=', operand, item, span))));
  }
  const value = resolveValue(reading, operand);
  if (value.kind !== 'local' || value.table === null) {
    return anyOf(list.map((item) => compareLiteral(scope, value, '=', item, span)));
  }
  const coded = list.map((item) => codedLiteral(scope, value, item).value);
  const hasNull = coded.includes(null);
  const values = [...new Set(coded.filter((item) => item !== null))];
  const known = values.filter((item) => item !== NO_TEXT.value || familyOf(value.type) !== 'text');
  const match = oneOf(value, known, values);
  if (match === null) return constant(null);
  // x IN (…, NULL) is TRUE on a match and NULL otherwise.
  return hasNull ? anyOf([match, constant(null)]) : match;
}

/** @param all - more than `known`: one that never matches keeps NULL IN (...) NULL. */
function oneOf(value: LocalValue, known: readonly string[], all: readonly string[]): Logic | null {
  const plain = T.isColumnTerm(value.term) && familyOf(value.type) === 'number';
  const useful = plain ? known.filter((item) => item !== NO_NUMBER.value) : known;
  const kept = [...(useful.length > 0 ? useful : all.slice(0, 1))];
  kept.sort((a, b) => Number(a) - Number(b));
  const literals: readonly Literal[] = kept.map((item) => ({ value: item }));
  const [first, second] = literals;
  if (first === undefined) return null;
  if (second === undefined) return compareTerm(value, '=', first);
  return localLeaf(
    value.table!,
    { kind: 'in', term: value.term, list: literals },
    value.type.nullable,
  );
}

function resolveLike(reading: Reading, condition: Extract<Expression, { kind: 'like' }>): Logic {
  const { operand, pattern, anyCase, span } = condition;
  const { scope } = reading;
  const value = resolveValue(reading, operand);
  if (value === NULL_VALUE) return constant(null);
  if (value.type.domain === null) throw mismatch(scope, span, 'LIKE takes text.');
  if (value.kind !== 'local') {
    const hint = 'Test each party’s column by itself.';
    throw refusal('SQL_UNSUPPORTED', 'LIKE mixes parties', fragmentOf(scope, span), hint);
  }
  const matches = likePattern(pattern, anyCase);
  const known = value.type.domain.flatMap((text, i) => (matches(text) ? [`${i}`] : []));
  if (value.table === null) return constant(known.includes((value.term as Literal).value ?? ''));
  return oneOf(value, known, [...known, '-1'])!;
}

function resolveIsNull(reading: Reading, operand: Expression): Logic {
  if (isLiteral(operand)) return constant(operand.kind === 'null');
  if (operand.kind === 'column') {
    const found = resolveColumn(reading.scope, operand);
    // Whether LEFT JOIN found the user at all.
    if (
      found.kind === 'unit' &&
      found.table !== null &&
      reading.scope.tables[found.table]!.optional
    ) {
      return localLeaf(found.table, { kind: 'isNull', term: T.PRESENT }, false);
    }
  }
  return isNullLogic(resolveValue(reading, operand));
}
