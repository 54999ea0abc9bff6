/**
 * Row expressions with their names, types and ranges resolved. What one table can compute is a term
 * of that table; what mixes tables stays a tree.
 */
import * as T from './terms.ts';
import { DATE_MAX, DATE_MIN } from './calendar.ts';
import { clampOf } from './coding.ts';
import { fragmentOf, mismatch } from './condition-errors.ts';
import { sizeOf } from './effort.ts';
import { refusal } from './hints.ts';
import { literalType, literalValue } from './literal-values.ts';
import { booleanValue } from './logic.ts';
import { type Scope, resolvePlain } from './names.ts';
import type { Term } from './plan.ts';
import { resolveCondition } from './predicates.ts';
import { callValue } from './scalar-functions.ts';
import { type CaseBranch, type Expression, type Operator, type Span, isLiteral } from './syntax.ts';
import { type ValueType, columnType, dateType, familyOf } from './types.ts';
import {
  type Value,
  addOrSubtract,
  caseValue,
  constantValue,
  expectModest,
  expectNumber,
  isNullValue,
  localValue,
  multiply,
  toOneType,
} from './value.ts';

/** How an expression is read. */
export interface Reading {
  readonly scope: Scope;
  /** Number columns are moved into their declared bounds, as private aggregates have it. */
  readonly clamp: boolean;
}

/**
 * Resolves a row expression.
 * @param like - the type a bare literal should have, when something settles it.
 * @throws ParleyError SQL_TYPE_MISMATCH, SQL_BAD_LITERAL, SQL_UNSUPPORTED, SQL_TOO_LARGE,
 *   OVERFLOW_POSSIBLE and those of name resolution.
 */
export function resolveValue(
  reading: Reading,
  expression: Expression,
  like: ValueType | null = null,
): Value {
  const value = readValue(reading, expression, like);
  reading.scope.effort.spend(sizeOf(value), expression.span);
  return value;
}

function readValue(reading: Reading, expression: Expression, like: ValueType | null): Value {
  const { scope } = reading;
  if (isLiteral(expression)) return literalValue(scope, expression, like);
  switch (expression.kind) {
    case 'column':
      return columnValue(reading, expression);
    case 'negate': {
      const value = resolveValue(reading, expression.operand);
      expectNumber(scope, value, expression.span);
      return multiply(scope, value, constantValue(-1n), expression.span);
    }
    case 'arithmetic':
      return resolveArithmetic(
        reading,
        expression.op,
        expression.left,
        expression.right,
        expression.span,
      );
    case 'case':
      return expectModest(scope, resolveCase(reading, expression), expression.span);
    case 'call':
      return expectModest(scope, callValue(reading, expression), expression.span);
    case 'interval': {
      const hint = 'Add an interval to a date or take it from one.';
      throw mismatch(scope, expression.span, hint);
    }
    case 'aggregate': {
      const hint = 'Aggregates stand in the SELECT list, HAVING and ORDER BY; WHERE sees rows.';
      const fragment = fragmentOf(scope, expression.span);
      throw refusal('SQL_UNSUPPORTED', 'an aggregate cannot stand here', fragment, hint);
    }
    default:
      return booleanValue(resolveCondition({ scope, clamp: false }, expression));
  }
}

function columnValue(
  { scope, clamp }: Reading,
  expression: Extract<Expression, { kind: 'column' }>,
): Value {
  const { table, name, policy } = resolvePlain(scope, expression);
  const term: Term = { column: name, scaleUp: 1 };
  const type = columnType(policy);
  const bounds = clamp && familyOf(type) === 'number' ? clampOf(policy) : null;
  if (bounds === null) return localValue(table, term, type);
  const { lower, upper } = bounds;
  const held = { ...type, min: lower, max: upper, loose: { low: false, high: false } };
  return localValue(table, T.clampTerm(term, lower, upper), held);
}

/** Values of one type: numbers of one scale, texts of one domain. Bare literals follow the rest. */
export function resolveTogether(
  reading: Reading,
  expressions: readonly Expression[],
  span: Span,
): readonly Value[] {
  const { scope } = reading;
  const typed = expressions.map((e) => (isLiteral(e) ? null : resolveValue(reading, e)));
  const lead =
    typed.find((value) => value !== null && !isNullValue(value))?.type ??
    expressions.map((e) => (isLiteral(e) ? literalType(scope, e) : null)).find((t) => t !== null) ??
    null;
  const values = expressions.map((e, i) => typed[i] ?? resolveValue(reading, e, lead));
  return toOneType(scope, values, span);
}

function resolveArithmetic(
  reading: Reading,
  op: Operator,
  left: Expression,
  right: Expression,
  span: Span,
): Value {
  const { scope } = reading;
  if (op === '/') {
    const hint =
      'Divide aggregates, as in SUM(a) / COUNT(*), or multiply by a decimal such as 0.5.';
    throw refusal('SQL_UNSUPPORTED', 'rows are not divided', fragmentOf(scope, span), hint);
  }
  if (left.kind === 'interval' || right.kind === 'interval') {
    return shiftDate(reading, op, left, right, span);
  }
  const likeDate = (other: Expression): ValueType | null =>
    other.kind === 'string' ? dateType(BigInt(DATE_MIN), BigInt(DATE_MAX), false) : null;
  const [a, b] = [
    resolveValue(reading, left, likeDate(left)),
    resolveValue(reading, right, likeDate(right)),
  ];
  if (op === '*') {
    for (const value of [a, b]) expectNumber(scope, value, span);
    return multiply(scope, a, b, span);
  }
  return addOrSubtract(scope, op, a, b, span);
}

function shiftDate(
  reading: Reading,
  op: Operator,
  left: Expression,
  right: Expression,
  span: Span,
): Value {
  const [date, interval] = left.kind === 'interval' ? [right, left] : [left, right];
  const value = resolveValue(reading, date, dateType(BigInt(DATE_MIN), BigInt(DATE_MAX), false));
  const bad = op === '*' || (op === '-' && left.kind === 'interval');
  if (bad || interval.kind !== 'interval' || familyOf(value.type) !== 'date') {
    throw mismatch(reading.scope, span, 'Add an interval to a date or take it from one.');
  }
  const days = BigInt(op === '-' ? -interval.days : interval.days);
  return addOrSubtract(reading.scope, '+', value, constantValue(days), span);
}

function resolveCase(reading: Reading, expression: Extract<Expression, { kind: 'case' }>): Value {
  const { operand, branches, otherwise, span } = expression;
  const whenOf = ({ when }: CaseBranch): Expression =>
    operand === null ? when : { kind: 'compare', op: '=', left: operand, right: when, span };
  const conditions = branches.map((branch) =>
    resolveCondition({ scope: reading.scope, clamp: false }, whenOf(branch)),
  );
  const results = [
    ...branches.map(({ then }) => then),
    otherwise ?? ({ kind: 'null', span } as const),
  ];
  const values = resolveTogether(reading, results, span);
  return caseValue(
    conditions.map((when, i) => ({ when, then: values[i]! })),
    values.at(-1)!,
  );
}
