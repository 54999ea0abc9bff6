/** Comparisons of values of any tables. */
import * as T from './terms.ts';
import { fragmentOf, mismatch } from './condition-errors.ts';
import { sizeOf } from './effort.ts';
import { enumerated } from './enumerate.ts';
import { refusal } from './hints.ts';
import { COMPARE_BITS_MAX, ENUMERATED_MAX } from './limits.ts';
import { NULL_VALUE } from './literal-values.ts';
import { type Logic, allOf, anyOf, constant, isNullLogic, not, taken } from './logic.ts';
import type { Scope, TableIndex } from './names.ts';
import { MIRRORED, NEGATED } from './operators.ts';
import { comparisonShape } from './pairs.ts';
import type { Comparison, Literal, LocalPredicate } from './plan.ts';
import { separate } from './separate.ts';
import type { Span } from './syntax.ts';
import { booleanType, familyOf } from './types.ts';
import {
  type LocalValue,
  type Value,
  isSingle,
  localValue,
  tableOfMask,
  tablesOfValue,
  toOneType,
} from './value.ts';

/** A boolean value as a condition. */
export function isTrueValue(scope: Scope, value: Value, span: Span): Logic {
  if (value.kind === 'local') return compareTerm(value, '=', { value: '1' });
  const one = localValue(null, T.literal(1n), booleanType(false));
  return compareValues(scope, '=', value, one, span);
}

export const ORDER_HINT = 'Text and booleans compare with = and <> only.';

export const isOrder = (op: Comparison): boolean => op !== '=' && op !== '<>';

/** A local value against a coded literal. */
export function compareTerm(value: LocalValue, op: Comparison, right: Literal): Logic {
  if (right.value === null) return constant(null);
  const left = value.term;
  if (value.table === null) {
    return constant(T.evaluatePredicate({ kind: 'compare', op, left, right }, () => null, true));
  }
  const test = (as: Comparison): LocalPredicate => {
    // One spelling per boolean test, so that equal conditions give equal plans.
    if (familyOf(value.type) !== 'boolean' || as === '=') {
      return { kind: 'compare', op: as, left, right };
    }
    return { kind: 'compare', op: '=', left, right: { value: right.value === '1' ? '0' : '1' } };
  };
  const { table } = value;
  const { nullable } = value.type;
  return { kind: 'local', table, predicate: test(op), negation: test(NEGATED[op]), nullable };
}

/**
 * Compares two values of any tables.
 * @throws ParleyError SQL_TYPE_MISMATCH, SQL_UNSUPPORTED, SQL_TOO_LARGE.
 */
export function compareValues(
  scope: Scope,
  op: Comparison,
  left: Value,
  right: Value,
  span: Span,
): Logic {
  const logic = comparison(scope, op, left, right, span);
  scope.effort.spend(sizeOf(logic), span);
  return logic;
}

function comparison(scope: Scope, op: Comparison, left: Value, right: Value, span: Span): Logic {
  if (left === NULL_VALUE || right === NULL_VALUE) return constant(null);
  const family = familyOf(left.type);
  if (family !== familyOf(right.type)) {
    throw mismatch(scope, span, `One is ${left.type.name}, the other ${right.type.name}.`);
  }
  if (isOrder(op) && (family === 'text' || family === 'boolean')) {
    throw mismatch(scope, span, ORDER_HINT);
  }
  for (const [value, other, as] of [
    [left, right, op],
    [right, left, MIRRORED[op]],
  ] as const) {
    const pieces = distribute(value);
    if (pieces === null) continue;
    return anyOf(
      pieces.map(({ when, then }) => allOf([when, compareValues(scope, as, then, other, span)])),
    );
  }
  const [a, b] = toOneType(scope, [left, right], span) as readonly [Value, Value];
  const mask = tablesOfValue(a) | tablesOfValue(b);
  if (a.kind === 'local' && b.kind === 'local') {
    return isSingle(mask)
      ? compareLocal(tableOfMask(mask), op, a, b)
      : crossComparison(scope, op, a, b, span);
  }
  const sides = separate(a, b);
  if (sides !== null) return crossComparison(scope, op, sides.left, sides.right, span);
  const cases = enumerated(scope, op, a, b, span);
  if (cases !== null) return cases;
  const hint =
    'A comparison takes sums and differences of columns of two parties; of products, and of three ' +
    `parties, one must have at most ${ENUMERATED_MAX} values, as LEAST(GREATEST(column, 0), 20) has.`;
  throw refusal('SQL_UNSUPPORTED', 'the comparison mixes too much', fragmentOf(scope, span), hint);
}

/** CASE and COALESCE across tables as alternatives of which one holds; null for anything else. */
function distribute(
  value: Value,
): readonly { readonly when: Logic; readonly then: Value }[] | null {
  if (value.kind === 'case') return taken(value);
  if (value.kind !== 'coalesce') return null;
  return value.values.map((then, i) => {
    const earlier = value.values.slice(0, i).map(isNullLogic);
    const last = i === value.values.length - 1;
    // The last may be NULL, and then so is the comparison.
    return { when: allOf([...earlier, ...(last ? [] : [not(isNullLogic(then))])]), then };
  });
}

function compareLocal(
  table: TableIndex | null,
  op: Comparison,
  a: LocalValue,
  b: LocalValue,
): Logic {
  if (T.isLiteralTerm(b.term)) return compareTerm(a, op, b.term);
  if (T.isLiteralTerm(a.term)) return compareTerm(b, MIRRORED[op], a.term);
  // One order of the operands, so that a = b and b = a give one plan.
  if (T.termKey(a.term) > T.termKey(b.term)) return compareLocal(table, MIRRORED[op], b, a);
  const test = (as: Comparison): LocalPredicate => ({
    kind: 'compare',
    op: as,
    left: a.term,
    right: b.term,
  });
  const nullable = a.type.nullable || b.type.nullable;
  return {
    kind: 'local',
    table: table!,
    predicate: test(op),
    negation: test(NEGATED[op]),
    nullable,
  };
}

function crossComparison(
  scope: Scope,
  op: Comparison,
  left: LocalValue,
  right: LocalValue,
  span: Span,
): Logic {
  if (comparisonShape(left, right).bits > COMPARE_BITS_MAX) {
    const hint =
      'Bring both to scales at most three digits apart, or bound them with LEAST and GREATEST.';
    throw mismatch(scope, span, hint);
  }
  return left.table! < right.table!
    ? { kind: 'cross', op, left, right }
    : { kind: 'cross', op: MIRRORED[op], left: right, right: left };
}
