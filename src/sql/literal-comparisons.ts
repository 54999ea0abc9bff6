/** Comparisons with literals, coded in the units of what they are compared with, exactly. */
import * as T from './terms.ts';
import { compare as compareRational } from '../core/rational.ts';
import { exactNumber, scaledFloor } from './coding.ts';
import { ORDER_HINT, compareTerm, compareValues, isOrder } from './comparisons.ts';
import { badLiteral, mismatch } from './condition-errors.ts';
import { HARD_RANGE } from './limits.ts';
import { NULL_VALUE, dateLiteral, literalValue } from './literal-values.ts';
import { type Logic, constant } from './logic.ts';
import type { Scope } from './names.ts';
import type { Comparison, Literal } from './plan.ts';
import type { LiteralSyntax, Span } from './syntax.ts';
import { familyOf } from './types.ts';
import type { LocalValue, Value } from './value.ts';

/** A coded value no text has. */
export const NO_TEXT: Literal = { value: '-1' };

/** A coded value no column has: one past the largest that import admits. */
export const NO_NUMBER: Literal = { value: `${HARD_RANGE}` };

export function compareLiteral(
  scope: Scope,
  value: Value,
  op: Comparison,
  literal: LiteralSyntax,
  span: Span,
): Logic {
  const family = familyOf(value.type);
  if (isOrder(op) && (family === 'text' || family === 'boolean')) {
    throw mismatch(scope, span, ORDER_HINT);
  }
  if (literal.kind === 'null' || value === NULL_VALUE) return constant(null);
  if (value.kind !== 'local') {
    codedLiteral(scope, value, literal);
    return compareValues(scope, op, value, literalValue(scope, literal, value.type), span);
  }
  if (family === 'number' && literal.kind === 'number') {
    return compareNumber(scope, value, op, literal);
  }
  return compareTerm(value, op, codedLiteral(scope, value, literal));
}

/**
 * A number against a value of fixed scale, without rounding. With t = literal · 10^scale between
 * two integers, `x > t` and `x >= t` mean `x > floor(t)`, `x < t` and `x <= t` mean
 * `x <= floor(t)`, and `x = t` is never true. Beyond the largest value there can be, the literal may
 * as well be just past it.
 */
function compareNumber(
  scope: Scope,
  value: LocalValue,
  op: Comparison,
  literal: Extract<LiteralSyntax, { kind: 'number' }>,
): Logic {
  const { floor, exact } = scaled(scope, value.type.scale, literal);
  const past = beyond(value);
  if (!exact && !isOrder(op)) return compareTerm(value, op, { value: `${past}` });
  const asOp = exact ? op : op === '>' || op === '>=' ? '>' : '<=';
  const clipped = floor > past ? past : floor < -past ? -past : floor;
  return compareTerm(value, asOp, { value: `${clipped}` });
}

/** A magnitude that no value reaches. */
function beyond({ type, term }: LocalValue): bigint {
  if (T.isColumnTerm(term)) return HARD_RANGE;
  const [low, high] = [-type.min, type.max];
  return 1n + (low > high ? low : high);
}

function scaled(
  scope: Scope,
  scale: number,
  literal: Extract<LiteralSyntax, { kind: 'number' }>,
): { floor: bigint; exact: boolean } {
  const value = exactNumber(literal.text);
  if (value === null) throw badLiteral(scope, literal.span, 'The exponent is out of range.');
  return scaledFloor(value, scale);
}

/** The coded value to test for equality; for dates, also for order. */
export function codedLiteral(scope: Scope, value: Value, literal: LiteralSyntax): Literal {
  if (literal.kind === 'null') return { value: null };
  switch (familyOf(value.type)) {
    case 'number': {
      if (literal.kind !== 'number') {
        throw mismatch(scope, literal.span, 'Write the number without quotes.');
      }
      const { floor, exact } = scaled(scope, value.type.scale, literal);
      if (value.kind === 'local' && !T.isColumnTerm(value.term)) {
        return { value: `${exact ? floor : beyond(value)}` };
      }
      const held = exact && floor < HARD_RANGE && floor > -HARD_RANGE;
      return held ? { value: `${floor}` } : NO_NUMBER;
    }
    case 'date':
      return { value: `${dateLiteral(scope, literal)}` };
    case 'text': {
      if (literal.kind !== 'string') {
        throw mismatch(scope, literal.span, 'Write the text in single quotes.');
      }
      const wanted = literal.text.normalize('NFC');
      const index = value.type.domain!.findIndex((known) => known.normalize('NFC') === wanted);
      return index < 0 ? NO_TEXT : { value: `${index}` };
    }
    case 'boolean':
      if (literal.kind !== 'boolean') throw mismatch(scope, literal.span, 'Write TRUE or FALSE.');
      return { value: literal.value ? '1' : '0' };
  }
}

/** A comparison of two literals. */
export function foldLiterals(
  scope: Scope,
  op: Comparison,
  left: LiteralSyntax,
  right: LiteralSyntax,
  span: Span,
): boolean | null {
  if (left.kind === 'null' || right.kind === 'null') return null;
  const order = orderOfLiterals(scope, left, right, span);
  if (
    isOrder(op) &&
    (left.kind === 'boolean' || (left.kind === 'string' && right.kind === 'string'))
  ) {
    throw mismatch(scope, span, ORDER_HINT);
  }
  return T.holds(op, order, 0);
}

function orderOfLiterals(
  scope: Scope,
  left: LiteralSyntax,
  right: LiteralSyntax,
  span: Span,
): number {
  if (left.kind === 'number' && right.kind === 'number') {
    const [a, b] = [exactNumber(left.text), exactNumber(right.text)];
    if (a === null || b === null) throw badLiteral(scope, span, 'The exponent is out of range.');
    return compareRational(a, b);
  }
  if (left.kind === 'string' && right.kind === 'string') {
    return left.text.normalize('NFC') === right.text.normalize('NFC') ? 0 : 1;
  }
  if (left.kind === 'boolean' && right.kind === 'boolean') {
    return left.value === right.value ? 0 : 1;
  }
  if (left.kind === 'date' || right.kind === 'date') {
    return dateLiteral(scope, left) - dateLiteral(scope, right);
  }
  throw mismatch(scope, span, 'Compare literals of one type.');
}
