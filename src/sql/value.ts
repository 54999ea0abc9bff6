/**
 * Row values: what one table can compute is a term of that table; what mixes tables stays a tree.
 */
import * as T from './terms.ts';
import { ParleyError } from '../core/errors.ts';
import { DATE_MAX, DATE_MIN } from './calendar.ts';
import { fragmentOf, mismatch } from './condition-errors.ts';
import { refusal } from './hints.ts';
import { ROW_OPERATORS_MAX, ROW_VALUE_BITS_MAX } from './limits.ts';
import { NULL_VALUE } from './literal-values.ts';
import { type Logic, tablesOfLogic } from './logic.ts';
import type { Scope, TableIndex } from './names.ts';
import type { Term } from './plan.ts';
import { localTruth } from './rewrite.ts';
import type { Span } from './syntax.ts';
import {
  type ValueType,
  familyOf,
  jointDomain,
  magnitudeOf,
  mapInto,
  numberType,
  productType,
  rescaled,
  sumType,
  textType,
  unionType,
} from './types.ts';

/** A value that one table's owner computes per row; of no table when it is constant. */
export interface LocalValue {
  readonly kind: 'local';
  readonly table: TableIndex | null;
  readonly term: Term;
  readonly type: ValueType;
}

/** A row expression. */
export type Value =
  | LocalValue
  | {
      readonly kind: 'arithmetic';
      readonly op: '+' | '-' | '*';
      readonly left: Value;
      readonly right: Value;
      readonly type: ValueType;
    }
  | {
      readonly kind: 'case';
      readonly branches: readonly { readonly when: Logic; readonly then: Value }[];
      readonly otherwise: Value;
      readonly type: ValueType;
    }
  | { readonly kind: 'coalesce'; readonly values: readonly Value[]; readonly type: ValueType };

/** Tables a value reads, as bits. */
export function tablesOfValue(value: Value): number {
  switch (value.kind) {
    case 'local':
      return value.table === null ? 0 : 1 << value.table;
    case 'arithmetic':
      return tablesOfValue(value.left) | tablesOfValue(value.right);
    case 'case':
      return value.branches.reduce(
        (mask, { when, then }) => mask | tablesOfLogic(when) | tablesOfValue(then),
        tablesOfValue(value.otherwise),
      );
    case 'coalesce':
      return value.values.reduce((mask, inner) => mask | tablesOfValue(inner), 0);
  }
}

/** The one table of a mask; null for none. */
export const tableOfMask = (mask: number): TableIndex | null =>
  mask === 0 ? null : 31 - Math.clz32(mask);

export const isSingle = (mask: number): boolean => (mask & (mask - 1)) === 0;

export const localValue = (table: TableIndex | null, term: Term, type: ValueType): LocalValue => ({
  kind: 'local',
  table: T.isConstantTerm(term) ? null : table,
  term,
  type,
});

/** Operators and leaves of a value, counted up to `most`: some functions use an operand twice. */
function valueSize(value: Value, most: number): number {
  if (value.kind === 'local') return T.termSize(value.term, most);
  let size = 1;
  const parts =
    value.kind === 'arithmetic'
      ? [value.left, value.right]
      : value.kind === 'coalesce'
        ? value.values
        : [...value.branches.map(({ then }) => then), value.otherwise];
  for (const part of parts) if (size <= most) size += valueSize(part, most - size);
  return size;
}

/** @throws ParleyError SQL_TOO_LARGE when an expression grows beyond what anybody writes. */
export function expectModest(scope: Scope, value: Value, span: Span): Value {
  if (valueSize(value, ROW_OPERATORS_MAX) <= ROW_OPERATORS_MAX) return value;
  const hint = `It comes to more than ${ROW_OPERATORS_MAX} operators; nest fewer functions.`;
  const fragment = fragmentOf(scope, span);
  throw refusal('SQL_TOO_LARGE', 'a row expression is too large', fragment, hint);
}

export const constantValue = (value: bigint, scale = 0): LocalValue =>
  localValue(null, T.literal(value), numberType({ min: value, max: value }, scale));

export const isNullValue = (value: Value): boolean =>
  value.kind === 'local' && T.isLiteralTerm(value.term) && value.term.value === null;

/** Brings values to one scale or domain. @throws ParleyError SQL_TYPE_MISMATCH. */
export function toOneType(scope: Scope, values: readonly Value[], span: Span): readonly Value[] {
  const known = values.filter((value) => !isNullValue(value));
  const families = [...new Set(known.map(({ type }) => familyOf(type)))];
  if (families.length > 1) throw mismatch(scope, span, `One is ${families.join(', another ')}.`);
  if (families[0] === 'number') {
    const scale = Math.max(...known.map(({ type }) => type.scale));
    return values.map((value) => (isNullValue(value) ? value : rescale(value, scale)));
  }
  if (families[0] === 'text') {
    const joint = jointOf(known.map(({ type }) => type.domain ?? []));
    return values.map((value) => (isNullValue(value) ? value : intoDomain(value, joint)));
  }
  return values;
}

/** One domain when all are alike, so that plain columns stay plain. */
function jointOf(domains: readonly (readonly string[])[]): readonly string[] {
  const [first, ...rest] = domains;
  const alike = rest.every((d) => d.length === first!.length && d.every((v, i) => v === first![i]));
  return alike ? first! : jointDomain(domains);
}

/** Rewrites every leaf of a value. */
function mapLeaves(value: Value, type: ValueType, leaf: (value: LocalValue) => Value): Value {
  const inner = (part: Value): Value => mapLeaves(part, type, leaf);
  switch (value.kind) {
    case 'local':
      return leaf(value);
    case 'case': {
      const branches = value.branches.map(({ when, then }) => ({ when, then: inner(then) }));
      return { ...value, branches, otherwise: inner(value.otherwise), type };
    }
    case 'coalesce':
      return { ...value, values: value.values.map(inner), type };
    case 'arithmetic':
      return value;
  }
}

function intoDomain(value: Value, joint: readonly string[]): Value {
  const type = (of: ValueType): ValueType => textType(joint, of.nullable);
  return mapLeaves(value, type(value.type), (leaf) => {
    if (leaf.type.domain === joint || isNullValue(leaf)) return leaf;
    const table = mapInto(joint, leaf.type.domain ?? []);
    return localValue(leaf.table, T.mapTerm(leaf.term, table), type(leaf.type));
  });
}

/** The same number in units of 10^-scale, which must be as fine or finer. */
export function rescale(value: Value, scale: number): Value {
  const digits = scale - value.type.scale;
  if (digits === 0) return value;
  const type = rescaled(value.type, scale);
  if (value.kind === 'arithmetic') {
    const left = rescale(value.left, value.left.type.scale + digits);
    // A sum is rescaled in both parts, a product in one.
    const right =
      value.op === '*' ? value.right : rescale(value.right, value.right.type.scale + digits);
    return { ...value, left, right, type };
  }
  return mapLeaves(value, type, (leaf) =>
    isNullValue(leaf)
      ? leaf
      : localValue(leaf.table, T.scaleTerm(leaf.term, digits), rescaled(leaf.type, scale)),
  );
}

export function expectNumber(scope: Scope, value: Value, span: Span): void {
  if (familyOf(value.type) === 'number') return;
  throw mismatch(scope, span, `Arithmetic takes numbers and dates; this is ${value.type.name}.`);
}

/** Refuses values that their owner could not compute exactly. */
function expectHolds(scope: Scope, type: ValueType, span: Span): void {
  if (magnitudeOf(type) < 1n << BigInt(ROW_VALUE_BITS_MAX) && type.scale <= 18) return;
  throw new ParleyError('OVERFLOW_POSSIBLE', 'a row value could be too large', {
    fragment: fragmentOf(scope, span),
    hint: 'Bound its parts with LEAST(GREATEST(column, lower), upper).',
  });
}

/** Sums and differences of numbers, of dates and days, and the days between dates. */
export function addOrSubtract(
  scope: Scope,
  op: '+' | '-',
  left: Value,
  right: Value,
  span: Span,
): Value {
  const families = [familyOf(left.type), familyOf(right.type)];
  const dates = families.filter((family) => family === 'date').length;
  if (dates === 0) {
    for (const value of [left, right]) expectNumber(scope, value, span);
    const scale = Math.max(left.type.scale, right.type.scale);
    const [a, b] = [rescale(left, scale), rescale(right, scale)];
    return arithmetic(scope, op, a, b, sumType(op, a.type, b.type), span);
  }
  const plain = sumType(op, left.type, right.type);
  const days = families.includes('number') && [left, right].every(({ type }) => type.scale === 0);
  if (dates === 2 && op === '-') {
    return arithmetic(scope, op, left, right, { ...plain, name: 'integer' }, span);
  }
  if (!days || (op === '-' && families[0] !== 'date')) {
    throw mismatch(scope, span, 'Add whole days to a date, or take a date from a date.');
  }
  const inside = plain.min >= BigInt(DATE_MIN) && plain.max <= BigInt(DATE_MAX);
  if (!inside) {
    throw new ParleyError('OVERFLOW_POSSIBLE', 'a date could leave the calendar', {
      fragment: fragmentOf(scope, span),
      hint: 'Bound the days with LEAST(GREATEST(days, lower), upper).',
    });
  }
  return arithmetic(scope, op, left, right, { ...plain, name: 'date' }, span);
}

export function multiply(scope: Scope, left: Value, right: Value, span: Span): Value {
  const square =
    left.kind === 'local' &&
    right.kind === 'local' &&
    left.table === right.table &&
    T.termKey(left.term) === T.termKey(right.term);
  return arithmetic(scope, '*', left, right, productType(left.type, right.type, square), span);
}

function arithmetic(
  scope: Scope,
  op: '+' | '-' | '*',
  left: Value,
  right: Value,
  type: ValueType,
  span: Span,
): Value {
  expectHolds(scope, type, span);
  const mask = tablesOfValue(left) | tablesOfValue(right);
  if (left.kind !== 'local' || right.kind !== 'local' || !isSingle(mask)) {
    return { kind: 'arithmetic', op, left, right, type };
  }
  const term =
    op === '*' ? T.multiplyTerms(left.term, right.term) : T.addTerms(op, left.term, right.term);
  return localValue(tableOfMask(mask), term, type);
}

/** CASE over values of one type. */
export function caseValue(
  branches: readonly { readonly when: Logic; readonly then: Value }[],
  otherwise: Value,
): Value {
  const results = [...branches.map(({ then }) => then), otherwise];
  const known = results.filter((value) => !isNullValue(value));
  if (known.length === 0) return NULL_VALUE;
  const nullable = results.some((value) => isNullValue(value) || value.type.nullable);
  const type = unionType(
    known.map((value) => value.type),
    nullable,
  );
  const whole: Value = { kind: 'case', branches, otherwise, type };
  const mask = tablesOfValue(whole);
  if (!isSingle(mask)) return whole;
  const term = caseTerm(branches, otherwise);
  return term === null ? whole : localValue(tableOfMask(mask), term, type);
}

/** CASE of one table as a term; null when a part of it is no term. */
function caseTerm(
  branches: readonly { readonly when: Logic; readonly then: Value }[],
  otherwise: Value,
): Term | null {
  const kept: { when: ReturnType<typeof localTruth>; then: Term }[] = [];
  let last: Term | null = otherwise.kind === 'local' ? otherwise.term : null;
  for (const { when, then } of branches) {
    const truth = localTruth(when);
    if (truth.kind === 'constant' && truth.value !== true) continue;
    if (then.kind !== 'local') return null;
    if (truth.kind === 'constant') {
      last = then.term;
      break;
    }
    kept.push({ when: truth, then: then.term });
  }
  if (last === null) return null;
  return kept.length === 0 ? last : { op: 'case', branches: kept, otherwise: last };
}

/** COALESCE over values of one type. */
export function coalesceValue(values: readonly Value[]): Value {
  const firstSure = values.findIndex((value) => !value.type.nullable && !isNullValue(value));
  const reached = firstSure < 0 ? values : values.slice(0, firstSure + 1);
  const known = reached.filter((value) => !isNullValue(value));
  if (known.length === 0) return NULL_VALUE;
  if (known.length === 1) return known[0]!;
  const type = unionType(
    known.map((value) => value.type),
    firstSure < 0,
  );
  const whole: Value = { kind: 'coalesce', values: known, type };
  const mask = tablesOfValue(whole);
  const locals = known.flatMap((value) => (value.kind === 'local' ? [value.term] : []));
  if (!isSingle(mask) || locals.length < known.length) return whole;
  return localValue(tableOfMask(mask), T.variadicTerm('coalesce', locals), type);
}
