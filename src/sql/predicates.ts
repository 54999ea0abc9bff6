/**
 * WHERE with its names and literals resolved: a three-valued tree whose leaves belong to one table
 * or compare columns of the two. Literals are coded in the compared column's units, exactly.
 */
import { compare as compareRational } from '../core/rational.ts';
import type { ColumnPolicy } from '../policy/types.ts';
import { daysOf, domainOf, exactNumber, scaledFloor, scaleOf, textIndex } from './coding.ts';
import { badLiteral, mismatch, notBoolean } from './condition-errors.ts';
import { COMPARE_BITS_MAX, HARD_RANGE } from './limits.ts';
import { resolvePlain, type ResolvedColumn, type Scope, type TableIndex } from './names.ts';
import { MIRRORED, NEGATED } from './operators.ts';
import { comparisonShape } from './pairs.ts';
import type { Comparison, Literal, LocalPredicate } from './plan.ts';
import type { Condition, LiteralSyntax, Operand, Span } from './syntax.ts';

/** A three-valued condition over both tables. */
export type Logic =
  | { readonly kind: 'constant'; readonly value: boolean | null }
  | { readonly kind: 'and' | 'or'; readonly terms: readonly Logic[] }
  | { readonly kind: 'not'; readonly term: Logic }
  | {
      readonly kind: 'local';
      readonly table: TableIndex;
      readonly predicate: LocalPredicate;
      /** True when the predicate is false, false when it is true, NULL when it is NULL. */
      readonly negation: LocalPredicate;
    }
  | CrossComparison;

/** `left op right`, with `left` of the table that comes first. */
export interface CrossComparison {
  readonly kind: 'cross';
  readonly op: Comparison;
  readonly left: ResolvedColumn;
  readonly right: ResolvedColumn;
}

const constant = (value: boolean | null): Logic => ({ kind: 'constant', value });

/** A coded value no text has. */
const NO_TEXT: Literal = { value: '-1' };
/** A coded value no number has: one past the largest that import admits. */
const NO_NUMBER: Literal = { value: `${HARD_RANGE}` };

type ValueFamily = 'number' | 'date' | 'text' | 'boolean';

function familyOf({ type }: ColumnPolicy): ValueFamily {
  return type === 'decimal' || type === 'integer' ? 'number' : type;
}

/**
 * Resolves a condition.
 * @throws ParleyError SQL_TYPE_MISMATCH, SQL_BAD_LITERAL, SQL_PRIVACY_UNIT, SQL_UNKNOWN_COLUMN,
 *   SQL_AMBIGUOUS_COLUMN, SQL_UNKNOWN_TABLE.
 */
export function resolveCondition(scope: Scope, condition: Condition): Logic {
  switch (condition.kind) {
    case 'and':
    case 'or':
      return {
        kind: condition.kind,
        terms: condition.terms.map((term) => resolveCondition(scope, term)),
      };
    case 'not':
      return { kind: 'not', term: resolveCondition(scope, condition.term) };
    case 'compare':
      return resolveCompare(scope, condition.op, condition.left, condition.right, condition.span);
    case 'between': {
      const { operand, low, high, span } = condition;
      return {
        kind: 'and',
        terms: [
          resolveCompare(scope, '>=', operand, low, span),
          resolveCompare(scope, '<=', operand, high, span),
        ],
      };
    }
    case 'in':
      return resolveIn(scope, condition);
    case 'isNull':
      return resolveIsNull(scope, condition.operand);
    case 'column': {
      const column = resolvePlain(scope, condition);
      if (column.policy.type !== 'boolean') throw notBoolean(scope, condition.span);
      return localCompare(column, '=', { value: '1' });
    }
    case 'boolean':
      return constant(condition.value);
    case 'null':
      return constant(null);
    default:
      throw notBoolean(scope, condition.span);
  }
}

const ORDER_HINT = 'Text and booleans compare with = and <> only.';
const isOrder = (op: Comparison): boolean => op !== '=' && op !== '<>';

function localCompare(column: ResolvedColumn, op: Comparison, right: Literal): Logic {
  if (right.value === null) return constant(null);
  const left = { column: column.name, scaleUp: 1 };
  const test = (as: Comparison): LocalPredicate => {
    // One spelling per boolean test, so that equal conditions give equal plans.
    if (column.policy.type !== 'boolean' || as === '=') {
      return { kind: 'compare', op: as, left, right };
    }
    return { kind: 'compare', op: '=', left, right: { value: right.value === '1' ? '0' : '1' } };
  };
  return { kind: 'local', table: column.table, predicate: test(op), negation: test(NEGATED[op]) };
}

/** A leaf whose only negation is NOT. */
function localLeaf(table: TableIndex, predicate: LocalPredicate): Logic {
  return { kind: 'local', table, predicate, negation: { kind: 'not', term: predicate } };
}

function resolveCompare(
  scope: Scope,
  op: Comparison,
  left: Operand,
  right: Operand,
  span: Span,
): Logic {
  if (left.kind === 'column') {
    const column = resolvePlain(scope, left);
    if (right.kind !== 'column') return compareLiteral(scope, column, op, right, span);
    return compareColumns(scope, column, op, resolvePlain(scope, right), span);
  }
  if (right.kind === 'column') {
    return compareLiteral(scope, resolvePlain(scope, right), MIRRORED[op], left, span);
  }
  return constant(foldLiterals(scope, op, left, right, span));
}

function compareLiteral(
  scope: Scope,
  column: ResolvedColumn,
  op: Comparison,
  literal: LiteralSyntax,
  span: Span,
): Logic {
  const family = familyOf(column.policy);
  if (isOrder(op) && (family === 'text' || family === 'boolean')) {
    throw mismatch(scope, span, ORDER_HINT);
  }
  if (literal.kind === 'null') return constant(null);
  if (family === 'number' && literal.kind === 'number') {
    return compareNumber(scope, column, op, literal);
  }
  return localCompare(column, op, codedLiteral(scope, column.policy, literal));
}

/**
 * A number against a column of fixed scale, without rounding. With t = literal · 10^scale between
 * two integers, `x > t` and `x >= t` mean `x > floor(t)`, `x < t` and `x <= t` mean
 * `x <= floor(t)`, and `x = t` is never true. Beyond the largest value of import, the literal may
 * as well be just past it.
 */
function compareNumber(
  scope: Scope,
  column: ResolvedColumn,
  op: Comparison,
  literal: Extract<LiteralSyntax, { kind: 'number' }>,
): Logic {
  const { floor, exact } = scaled(scope, column.policy, literal);
  if (!exact && !isOrder(op)) return localCompare(column, op, NO_NUMBER);
  const asOp = exact ? op : op === '>' || op === '>=' ? '>' : '<=';
  const clipped = floor > HARD_RANGE ? HARD_RANGE : floor < -HARD_RANGE ? -HARD_RANGE : floor;
  return localCompare(column, asOp, { value: `${clipped}` });
}

function scaled(
  scope: Scope,
  column: ColumnPolicy,
  literal: Extract<LiteralSyntax, { kind: 'number' }>,
): { floor: bigint; exact: boolean } {
  const value = exactNumber(literal.text);
  if (value === null) throw badLiteral(scope, literal.span, 'The exponent is out of range.');
  return scaledFloor(value, scaleOf(column));
}

/** The coded value to test for equality; for dates, also for order. */
function codedLiteral(scope: Scope, column: ColumnPolicy, literal: LiteralSyntax): Literal {
  if (literal.kind === 'null') return { value: null };
  switch (familyOf(column)) {
    case 'number': {
      if (literal.kind !== 'number') {
        throw mismatch(scope, literal.span, 'Write the number without quotes.');
      }
      const { floor, exact } = scaled(scope, column, literal);
      const held = exact && floor < HARD_RANGE && floor > -HARD_RANGE;
      return held ? { value: `${floor}` } : NO_NUMBER;
    }
    case 'date':
      return { value: `${dateLiteral(scope, literal)}` };
    case 'text': {
      if (literal.kind !== 'string') {
        throw mismatch(scope, literal.span, 'Write the text in single quotes.');
      }
      const index = textIndex(column, literal.text);
      return index < 0 ? NO_TEXT : { value: `${index}` };
    }
    case 'boolean':
      if (literal.kind !== 'boolean') throw mismatch(scope, literal.span, 'Write TRUE or FALSE.');
      return { value: literal.value ? '1' : '0' };
  }
}

const DATE_HINT = 'Write an existing date as DATE ‘YYYY-MM-DD’ or ‘YYYY-MM-DD’ in quotes.';

function dateLiteral(scope: Scope, literal: LiteralSyntax): number {
  if (literal.kind !== 'date' && literal.kind !== 'string') {
    throw mismatch(scope, literal.span, DATE_HINT);
  }
  const days = daysOf(literal.text);
  if (days === null) throw badLiteral(scope, literal.span, DATE_HINT);
  return days;
}

function resolveIn(scope: Scope, condition: Extract<Condition, { kind: 'in' }>): Logic {
  const { operand, list, span } = condition;
  if (operand.kind !== 'column') {
    const terms = list.map((item) => constant(foldLiterals(scope, '=', operand, item, span)));
    return { kind: 'or', terms };
  }
  const column = resolvePlain(scope, operand);
  const coded = list.map((item) => codedLiteral(scope, column.policy, item).value);
  const hasNull = coded.includes(null);
  const values = [...new Set(coded.filter((value) => value !== null))];
  const never = familyOf(column.policy) === 'text' ? NO_TEXT.value : NO_NUMBER.value;
  const known = values.filter((value) => value !== never);
  // With nothing left to find, one value that never matches keeps NULL IN (...) NULL.
  const kept = known.length > 0 ? known : values.slice(0, 1);
  kept.sort((a, b) => Number(a) - Number(b));
  const literals: readonly Literal[] = kept.map((value) => ({ value }));
  const [first, second] = literals;
  const match =
    first === undefined
      ? null
      : second === undefined
        ? localCompare(column, '=', first)
        : inLeaf(column, literals);
  if (match === null) return constant(null);
  // x IN (…, NULL) is TRUE on a match and NULL otherwise.
  return hasNull ? { kind: 'or', terms: [match, constant(null)] } : match;
}

function inLeaf(column: ResolvedColumn, list: readonly Literal[]): Logic {
  const term = { column: column.name, scaleUp: 1 };
  return localLeaf(column.table, { kind: 'in', term, list });
}

function resolveIsNull(scope: Scope, operand: Operand): Logic {
  if (operand.kind !== 'column') return constant(operand.kind === 'null');
  const column = resolvePlain(scope, operand);
  return column.policy.nullable ? isNull(column) : constant(false);
}

function isNull({ table, name }: ResolvedColumn): Logic {
  return localLeaf(table, { kind: 'isNull', term: { column: name, scaleUp: 1 } });
}

function compareColumns(
  scope: Scope,
  left: ResolvedColumn,
  op: Comparison,
  right: ResolvedColumn,
  span: Span,
): Logic {
  const family = familyOf(left.policy);
  if (family !== familyOf(right.policy)) {
    throw mismatch(scope, span, `One is ${left.policy.type}, the other ${right.policy.type}.`);
  }
  if (isOrder(op) && (family === 'text' || family === 'boolean')) {
    throw mismatch(scope, span, ORDER_HINT);
  }
  if (left.table !== right.table) {
    if (comparisonShape(left.policy, right.policy).bits > COMPARE_BITS_MAX) {
      const hint = 'The policy must give both columns scales at most three digits apart.';
      throw mismatch(scope, span, hint);
    }
    return left.table < right.table
      ? { kind: 'cross', op, left, right }
      : { kind: 'cross', op: MIRRORED[op], left: right, right: left };
  }
  // One order of the operands, so that a = b and b = a give one plan.
  if (left.name > right.name) return compareColumns(scope, right, MIRRORED[op], left, span);
  if (family === 'text' && !sameDomain(left.policy, right.policy)) {
    throw mismatch(scope, span, 'The policy declares different domains for the two columns.');
  }
  const scale = Math.max(scaleOf(left.policy), scaleOf(right.policy));
  const term = ({ name, policy }: ResolvedColumn): { column: string; scaleUp: number } => ({
    column: name,
    scaleUp: 10 ** (scale - scaleOf(policy)),
  });
  const test = (as: Comparison): LocalPredicate => ({
    kind: 'compare',
    op: as,
    left: term(left),
    right: term(right),
  });
  return { kind: 'local', table: left.table, predicate: test(op), negation: test(NEGATED[op]) };
}

function sameDomain(a: ColumnPolicy, b: ColumnPolicy): boolean {
  const [left, right] = [domainOf(a), domainOf(b)];
  return left.length === right.length && left.every((value, i) => value === right[i]);
}

/** A comparison of two literals. */
function foldLiterals(
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
  switch (op) {
    case '=':
      return order === 0;
    case '<>':
      return order !== 0;
    case '<':
      return order < 0;
    case '<=':
      return order <= 0;
    case '>':
      return order > 0;
    case '>=':
      return order >= 0;
  }
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
