/** Aggregates: which quantities per group each needs, and how the answer is made of them. */
import * as T from './terms.ts';
import { ParleyError } from '../core/errors.ts';
import { mul, parseDecimal, type Rational } from '../core/rational.ts';
import type { AggregateName, Policy } from '../policy/types.ts';
import { type Clamp, clampOf, groupSumOf } from './coding.ts';
import { fragmentOf } from './condition-errors.ts';
import { UNIT_HINT, refusal } from './hints.ts';
import { LIMB_BITS_MAX, SUM_MAX } from './limits.ts';
import { NULL_VALUE } from './literal-values.ts';
import type { Logic } from './logic.ts';
import { type Scope, resolveColumn, resolvePlain } from './names.ts';
import type { ColumnTypeName, OutputExpression } from './plan.ts';
import { centredPolynomial, expectExact, polynomialOf } from './polynomials.ts';
import { resolveCondition } from './predicates.ts';
import { quantileValue } from './quantiles.ts';
import { aggregateWeight, type Quantities, type Quantity } from './quantities.ts';
import { normalise } from './rewrite.ts';
import {
  type AggregateFunction,
  type AggregateSyntax,
  type Expression,
  type Span,
  isLiteral,
} from './syntax.ts';
import { type ValueType, familyOf, magnitudeOf, numberType } from './types.ts';
import {
  type LocalValue,
  type Value,
  addOrSubtract,
  caseValue,
  constantValue,
  localValue,
  multiply,
} from './value.ts';
import { resolveValue } from './values.ts';

/** What aggregates are read under. */
export interface Asking {
  readonly scope: Scope;
  readonly policy: Policy;
  readonly quantities: Quantities;
}

/** An aggregate's value in coded units of 10^-scale. */
export interface AggregateOutput {
  readonly value: OutputExpression;
  readonly scale: number;
  readonly type: ColumnTypeName;
}

const isPrivate = ({ policy }: Asking): boolean => policy.rules.differential_privacy !== 'off';

const NEEDED: Readonly<Record<AggregateFunction, AggregateName>> = {
  COUNT: 'COUNT',
  SUM: 'SUM',
  AVG: 'AVG',
  VAR_POP: 'VARIANCE',
  VAR_SAMP: 'VARIANCE',
  STDDEV_POP: 'VARIANCE',
  STDDEV_SAMP: 'VARIANCE',
  QUANTILE: 'QUANTILE',
};

const neededFor = ({ name, distinct }: AggregateSyntax): AggregateName =>
  name === 'COUNT' && distinct ? 'COUNT_DISTINCT' : NEEDED[name];

function expectAllowed({ scope, policy }: Asking, aggregate: AggregateSyntax): void {
  const { span } = aggregate;
  const needed = neededFor(aggregate);
  if (policy.rules.allowed_aggregates.includes(needed)) return;
  const hint = `The policy allows ${policy.rules.allowed_aggregates.join(', ')}.`;
  const message = 'the policy does not allow this aggregate';
  throw refusal('AGGREGATE_NOT_ALLOWED', message, fragmentOf(scope, span), hint);
}

/**
 * Resolves an aggregate.
 * @throws ParleyError AGGREGATE_NOT_ALLOWED, COLUMN_UNBOUNDED, OVERFLOW_POSSIBLE, SQL_UNSUPPORTED,
 *   SQL_TYPE_MISMATCH, SQL_TOO_LARGE and those of row expressions.
 */
export function aggregateValue(asking: Asking, aggregate: AggregateSyntax): AggregateOutput {
  const weight = weightOf(asking, aggregate);
  return asking.quantities.weighed(weight, () => resolveAggregate(asking, aggregate));
}

/** The aggregate's weight in the policy, times its column's when it is of a plain column. */
function weightOf({ scope, policy }: Asking, aggregate: AggregateSyntax): Rational {
  const weight = aggregateWeight(policy, neededFor(aggregate));
  if (aggregate.argument.kind !== 'column') return weight;
  const found = resolveColumn(scope, aggregate.argument);
  if (found.kind === 'unit') return weight;
  return mul(weight, parseDecimal(found.policy.budget_weight ?? '1'));
}

function resolveAggregate(asking: Asking, aggregate: AggregateSyntax): AggregateOutput {
  const { name, distinct, span } = aggregate;
  const { scope } = asking;
  expectAllowed(asking, aggregate);
  if (name === 'COUNT') return countValue(asking, aggregate);
  if (distinct) {
    const hint = 'Only COUNT takes DISTINCT, and only of the privacy unit.';
    const fragment = fragmentOf(scope, span);
    throw refusal('SQL_UNSUPPORTED', `this aggregate cannot take DISTINCT`, fragment, hint);
  }
  const argument = numericArgument(asking, aggregate);
  if (name === 'SUM') return sumValue(asking, argument, span);
  if (name === 'AVG') return averageValue(asking, argument, span);
  if (name === 'QUANTILE') return quantileValue(asking, argument, aggregate);
  return varianceValue(asking, argument, aggregate);
}

const filterOf = ({ scope }: Asking, { filter }: AggregateSyntax): Logic | null =>
  filter === null ? null : resolveCondition({ scope, clamp: false }, filter);

/** The value where the filter holds, else NULL. */
function filtered(value: Value, filter: Logic | null): Value {
  return filter === null ? value : caseValue([{ when: filter, then: value }], NULL_VALUE);
}

function countValue(asking: Asking, aggregate: AggregateSyntax): AggregateOutput {
  const { scope, quantities } = asking;
  const { argument, distinct, span } = aggregate;
  const filter = filterOf(asking, aggregate);
  const output = (quantity: Quantity): AggregateOutput => ({
    value: { kind: 'measure', measure: quantities.add(quantity, true) },
    scale: 0,
    type: 'integer',
  });
  if (distinct) return output(distinctQuantity(asking, aggregate, filter));
  if (argument.kind === 'star') return output(presence(scope, filtered(ROW, filter), span));
  const unit = argument.kind === 'column' ? unitOf(scope, argument) : null;
  const value = unit ?? resolveValue({ scope, clamp: false }, argument);
  return output(presence(scope, filtered(value, filter), span));
}

/** A value that every row has. */
const ROW: LocalValue = constantValue(1n);

/** The privacy unit as a value that is there or not; null for another column. */
function unitOf(scope: Scope, column: Extract<Expression, { kind: 'column' }>): LocalValue | null {
  const found = resolveColumn(scope, column);
  if (found.kind !== 'unit') return null;
  if (found.table === null || !scope.tables[found.table]!.optional) return ROW;
  return localValue(found.table, T.PRESENT, numberType({ min: 1n, max: 1n }, 0, true));
}

/** How many rows have a value: all of them when it cannot be NULL. */
function presence(scope: Scope, value: Value, span: Span): Quantity {
  if (value !== NULL_VALUE && !value.type.nullable) return { kind: 'rows' };
  if (value.kind === 'local' && value.table !== null) {
    return { kind: 'nonNull', column: value, clamp: null };
  }
  const { present } = polynomialOf(scope, value, span);
  return {
    kind: 'terms',
    monomials: present,
    range: { lower: 0n, upper: 1n },
    clamp: null,
    counts: true,
  };
}

/** COUNT(DISTINCT unit), of all users, of those whom LEFT JOIN found, or of those in a CASE. */
function distinctQuantity(
  { scope }: Asking,
  { argument, span }: AggregateSyntax,
  filter: Logic | null,
): Quantity {
  const bad = (): ParleyError => {
    const hint = `COUNT(DISTINCT ...) counts the privacy unit alone. ${UNIT_HINT}`;
    const fragment = fragmentOf(scope, span);
    return refusal('SQL_UNSUPPORTED', 'only privacy units can be counted distinct', fragment, hint);
  };
  const terms: Logic[] = filter === null ? [] : [filter];
  let unit = argument;
  if (argument.kind === 'case') {
    const [branch, second] = argument.branches;
    const plain = argument.operand === null && second === undefined;
    const elseNull = argument.otherwise === null || argument.otherwise.kind === 'null';
    if (!plain || !elseNull || branch === undefined) throw bad();
    terms.push(resolveCondition({ scope, clamp: false }, branch.when));
    unit = branch.then;
  }
  if (unit.kind !== 'column') throw bad();
  const value = unitOf(scope, unit);
  if (value === null) throw bad();
  if (value.table !== null) {
    const predicate = { kind: 'isNull', term: T.PRESENT } as const;
    const negation = { kind: 'not', term: predicate } as const;
    const table = value.table;
    terms.push({ kind: 'local', table, predicate: negation, negation: predicate, nullable: false });
  }
  const guard = normalise({ kind: 'and', terms });
  if (guard.kind === 'constant' && guard.value) return { kind: 'users' };
  return { kind: 'usersIf', guard };
}

/** What SUM, AVG and the rest aggregate. */
export interface Argument {
  /** Under noise with every column in its bounds. */
  readonly value: Value;
  /** A plain column, clamped by the engine under noise. */
  readonly plain: {
    readonly column: LocalValue;
    readonly clamp: Clamp | null;
    readonly groupSum: Clamp | null;
  } | null;
}

function numericArgument(asking: Asking, aggregate: AggregateSyntax): Argument {
  const { scope } = asking;
  const { argument, span } = aggregate;
  const fragment = fragmentOf(scope, span);
  if (argument.kind === 'star') {
    throw refusal('SQL_UNSUPPORTED', 'this aggregate takes a column', fragment, 'Name a column.');
  }
  const reading = { scope, clamp: isPrivate(asking) };
  const filter = filterOf(asking, aggregate);
  const value = resolveValue(reading, argument);
  if (familyOf(value.type) !== 'number' || (isLiteral(argument) && argument.kind !== 'number')) {
    const days = familyOf(value.type) === 'date' ? ' Count days: date - DATE ‘2025-01-01’.' : '';
    const hint = `It takes numbers; this is ${value.type.name}.${days}`;
    throw refusal('SQL_TYPE_MISMATCH', 'the argument is not a number', fragment, hint);
  }
  const groupSum = groupSumIn(asking, aggregate);
  if (isPrivate(asking) && groupSum === null && (value.type.loose.low || value.type.loose.high)) {
    const hint =
      'The policy must declare lower and upper for it, or bound it with LEAST(GREATEST(column, lower), upper).';
    throw refusal('COLUMN_UNBOUNDED', 'the column has no clamp bounds', fragment, hint);
  }
  if (argument.kind !== 'column' || filter !== null) {
    return { value: filtered(value, filter), plain: null };
  }
  const column = resolveValue({ scope, clamp: false }, argument) as LocalValue;
  const { policy } = resolvePlain(scope, argument);
  const clamp = isPrivate(asking) ? clampOf(policy) : null;
  return { value, plain: { column, clamp, groupSum } };
}

/** Bounds on one user's sum in a group: SUM of a plain column that declares them, under noise. */
function groupSumIn(asking: Asking, { name, argument, filter }: AggregateSyntax): Clamp | null {
  if (!isPrivate(asking) || name !== 'SUM' || argument.kind !== 'column' || filter !== null) {
    return null;
  }
  return groupSumOf(resolvePlain(asking.scope, argument).policy);
}

export const rangeOf = ({ min, max }: ValueType): Clamp => ({ lower: min, upper: max });

/** The sum of a value, or of `2x − (lower + upper)`. */
function sumQuantity(
  asking: Asking,
  { value, plain }: Argument,
  centred: boolean,
  span: Span,
): Quantity {
  const { scope } = asking;
  const kind = centred ? 'centredSum' : 'sum';
  if (plain !== null) {
    const { column, clamp, groupSum } = plain;
    return { kind, column, clamp, groupSum: centred ? null : groupSum };
  }
  const clamp = isPrivate(asking) ? rangeOf(value.type) : null;
  if (value.kind === 'local' && value.table !== null) {
    expectExact(scope, value.type, span);
    return { kind, column: value, clamp };
  }
  const polynomial = polynomialOf(scope, value, span);
  for (const { factors } of polynomial.value) {
    for (const { type } of factors) expectExact(scope, type, span);
  }
  if (!centred) {
    const range = rangeOf(value.type);
    return { kind: 'terms', monomials: polynomial.value, range, clamp: null, counts: false };
  }
  const { min, max } = value.type;
  const monomials = centredPolynomial(scope, polynomial, min + max, span);
  const range = { lower: min - max, upper: max - min };
  return { kind: 'terms', monomials, range, clamp: { lower: min, upper: max }, counts: false };
}

/** A sum; without noise it must still tell "all NULL" from 0, by a count that may stay hidden. */
function addSum(asking: Asking, argument: Argument, span: Span): number {
  const { scope, quantities } = asking;
  const { value } = argument;
  const wide = !isPrivate(asking) && isWide(scope, value);
  const sum = wide
    ? addWideSum(asking, value, span)
    : quantities.add(sumQuantity(asking, argument, false, span), true);
  if (!isPrivate(asking) && value.type.nullable) {
    const count = quantities.add(presence(scope, argument.plain?.column ?? value, span), false);
    const draft = quantities.wanted[sum]!;
    draft.nonNullIndex = count;
    if (draft.low !== null) quantities.wanted[draft.low.measure]!.nonNullIndex = count;
  }
  return sum;
}

/** Rows that can be joined at most. */
function joinedRows({ tables }: Scope): bigint {
  const sure = tables.filter(({ optional }) => !optional);
  const users = Math.min(...sure.map(({ maxUsers }) => maxUsers));
  return tables.reduce((n, { maxRows }) => n * BigInt(maxRows), BigInt(users));
}

/** Whether a sum of one table's values could leave one ring element, or a value a double. */
function isWide(scope: Scope, value: Value): boolean {
  if (value.kind !== 'local' || value.table === null) return false;
  const most = magnitudeOf(value.type);
  return most >= 1n << 53n || most * joinedRows(scope) >= SUM_MAX;
}

/** Two sums: of the values' low bits and of what is above them. */
function addWideSum(asking: Asking, value: Value, span: Span): number {
  const { quantities, scope } = asking;
  const { table, term, type } = value as LocalValue;
  // As many as their sum over all rows leaves room for.
  const bits = Math.min(LIMB_BITS_MAX, 60 - joinedRows(scope).toString(2).length);
  const by = 1n << BigInt(bits);
  const floor = (x: bigint): bigint => (x - (((x % by) + by) % by)) / by;
  const high = numberType({ min: floor(type.min), max: floor(type.max) }, 0, type.nullable);
  const low = numberType({ min: 0n, max: by - 1n }, 0, type.nullable);
  expectExact(scope, high, span);
  const limb = (op: 'div' | 'mod', of: ValueType): Quantity => ({
    kind: 'sum',
    column: localValue(table, { op, by: `${by}`, of: term }, of),
    clamp: null,
  });
  const measure = quantities.add(limb('mod', low), true);
  const index = quantities.add(limb('div', high), true);
  quantities.wanted[index]!.low = { measure, bits };
  return index;
}

function sumValue(asking: Asking, argument: Argument, span: Span): AggregateOutput {
  const { scale, name } = argument.value.type;
  const measure = addSum(asking, argument, span);
  return { value: { kind: 'measure', measure }, scale, type: name };
}

function countOf({ scope, quantities }: Asking, { value, plain }: Argument, span: Span): number {
  return quantities.add(presence(scope, plain?.column ?? value, span), true);
}

function averageValue(asking: Asking, argument: Argument, span: Span): AggregateOutput {
  const { quantities } = asking;
  const centred = isPrivate(asking);
  const count = countOf(asking, argument, span);
  const sum = centred
    ? quantities.add(sumQuantity(asking, argument, true, span), true)
    : addSum(asking, argument, span);
  const { scale } = argument.value.type;
  return { value: { kind: 'average', sum, count, centred }, scale, type: 'double' };
}

function varianceValue(
  asking: Asking,
  argument: Argument,
  { name, span }: AggregateSyntax,
): AggregateOutput {
  const { scope, quantities } = asking;
  const centred = isPrivate(asking);
  const { value } = argument;
  const count = countOf(asking, argument, span);
  const shift = constantValue(value.type.min + value.type.max, value.type.scale);
  const spread = centred
    ? addOrSubtract(scope, '-', multiply(scope, value, constantValue(2n), span), shift, span)
    : value;
  const square: Argument = { value: multiply(scope, spread, spread, span), plain: null };
  const sum = centred
    ? quantities.add(sumQuantity(asking, argument, true, span), true)
    : addSum(asking, argument, span);
  const squares = addSum(asking, square, span);
  const root = name.startsWith('STDDEV');
  const of = name.endsWith('POP') ? 'population' : 'sample';
  const { scale } = value.type;
  return {
    value: { kind: 'variance', of, root, sum, squares, count, centred },
    scale: root ? scale : 2 * scale,
    type: 'double',
  };
}
