/** Row functions. */
import { ParleyError } from '../core/errors.ts';
import { DATE_MAX, DATE_MIN, partOfDate, truncDate } from './calendar.ts';
import { fragmentOf, mismatch } from './condition-errors.ts';
import { refusal } from './hints.ts';
import type { DatePart, DatePeriod } from './plan.ts';
import { compareValues } from './comparisons.ts';
import { isNullLogic } from './logic.ts';
import type { Expression, Span } from './syntax.ts';
import { literal, negateTerm, variadicTerm } from './terms.ts';
import { dateType, extremeType, familyOf, larger, magnitudeOf, numberType } from './types.ts';
import {
  addOrSubtract,
  caseValue,
  coalesceValue,
  constantValue,
  isSingle,
  localValue,
  multiply,
  tableOfMask,
  tablesOfValue,
  type LocalValue,
  type Value,
} from './value.ts';
import { resolveTogether, resolveValue, type Reading } from './values.ts';
import { NULL_VALUE } from './literal-values.ts';

type Call = Extract<Expression, { kind: 'call' }>;

/** @throws ParleyError SQL_UNSUPPORTED, SQL_TYPE_MISMATCH and those of the arguments. */
export function callValue(reading: Reading, call: Call): Value {
  const { name, args, span } = call;
  const { scope } = reading;
  const arity = ([least, most]: readonly [number, number]): void => {
    if (args.length >= least && args.length <= most) return;
    const count = least === most ? `${least}` : `${least} or more`;
    const fragment = fragmentOf(scope, span);
    throw refusal('SQL_UNSUPPORTED', 'a wrong number of arguments', fragment, `Give it ${count}.`);
  };
  switch (name) {
    case 'COALESCE':
      arity([1, 100]);
      return coalesceValue(resolveTogether(reading, args, span));
    case 'LEAST':
    case 'GREATEST':
      arity([1, 100]);
      return extreme(reading, name === 'LEAST' ? 'least' : 'greatest', args, span);
    case 'NULLIF': {
      arity([2, 2]);
      const [value, other] = resolveTogether(reading, args, span) as readonly [Value, Value];
      const when = compareValues(scope, '=', value, other, span);
      return caseValue([{ when, then: NULL_VALUE }], value);
    }
    case 'ABS':
      arity([1, 1]);
      return absolute(reading, args[0]!, span);
    case 'ROUND': {
      const hint = 'Round aggregates, as in ROUND(AVG(a), 2); rows are exact.';
      throw refusal('SQL_UNSUPPORTED', 'rows are not rounded', fragmentOf(scope, span), hint);
    }
    case 'EXTRACT':
      arity([2, 2]);
      return extract(reading, args[0]!, args[1]!, span);
    case 'DATE_TRUNC':
      arity([2, 2]);
      return truncate(reading, args[0]!, args[1]!, span);
    case 'DATE_DIFF':
      arity([3, 3]);
      return difference(reading, call);
  }
}

/** LEAST and GREATEST of one table; across tables, CASE. */
function extreme(
  reading: Reading,
  op: 'least' | 'greatest',
  args: readonly Expression[],
  span: Span,
): Value {
  const { scope } = reading;
  const values = resolveTogether(reading, args, span);
  const known = values.filter((value) => value !== NULL_VALUE);
  const [first, ...rest] = known;
  if (first === undefined) return NULL_VALUE;
  const family = familyOf(first.type);
  if (family === 'text' || family === 'boolean') {
    throw mismatch(scope, span, 'LEAST and GREATEST take numbers and dates.');
  }
  const mask = known.reduce((all, value) => all | tablesOfValue(value), 0);
  const locals = known.flatMap((value) => (value.kind === 'local' ? [value] : []));
  if (isSingle(mask) && locals.length === known.length) return extremeOf(op, locals, mask);
  return rest.reduce<Value>((a, b) => {
    // NULLs are skipped: b when a is NULL, a when b is.
    const better = compareValues(scope, op === 'least' ? '<' : '>', b, a, span);
    const when = { kind: 'or', terms: [better, isNullLogic(a)] } as const;
    return { ...caseValue([{ when, then: b }], a), type: extremeType(op, [a.type, b.type]) };
  }, first);
}

function extremeOf(op: 'least' | 'greatest', values: readonly LocalValue[], mask: number): Value {
  const type = extremeType(
    op,
    values.map((value) => value.type),
  );
  const term = variadicTerm(
    op,
    values.map((value) => value.term),
  );
  return localValue(tableOfMask(mask), term, type);
}

function absolute(reading: Reading, arg: Expression, span: Span): Value {
  const value = resolveValue(reading, arg);
  if (familyOf(value.type) !== 'number') {
    throw mismatch(reading.scope, span, `ABS takes a number; this is ${value.type.name}.`);
  }
  const { min, max, nullable, scale, name, loose } = value.type;
  const any = loose.low || loose.high;
  const type = {
    ...numberType({ min: 0n, max: larger(magnitudeOf({ min, max }), 0n) }, scale, nullable),
    name,
    loose: { low: false, high: any },
  };
  if (value.kind === 'local') {
    const when = { kind: 'compare', op: '<', left: value.term, right: literal(0n) } as const;
    const term = {
      op: 'case',
      branches: [{ when, then: negateTerm(value.term) }],
      otherwise: value.term,
    } as const;
    return localValue(value.table, term, type);
  }
  const negative = compareValues(reading.scope, '<', value, constantValue(0n), span);
  const negated = multiply(reading.scope, value, constantValue(-1n), span);
  return { ...caseValue([{ when: negative, then: negated }], value), type };
}

const PARTS: Readonly<Partial<Record<string, DatePart>>> = {
  year: 'year',
  years: 'year',
  quarter: 'quarter',
  month: 'month',
  week: 'week',
  day: 'day',
  dow: 'dow',
  dayofweek: 'dow',
  weekday: 'dow',
  isodow: 'isodow',
  doy: 'doy',
  dayofyear: 'doy',
};
const PERIODS = new Set<string>(['day', 'week', 'month', 'quarter', 'year']);

function wordOf(reading: Reading, written: Expression, known: string): string {
  if (written.kind === 'string') return written.text.toLowerCase();
  throw mismatch(reading.scope, written.span, `Name ${known} in single quotes.`);
}

/** A date that one table computes. */
function dateOf(reading: Reading, written: Expression, span: Span): LocalValue {
  const like = dateType(BigInt(DATE_MIN), BigInt(DATE_MAX), false);
  const value = resolveValue(reading, written, like);
  if (familyOf(value.type) !== 'date') throw mismatch(reading.scope, span, 'This takes a date.');
  if (value.kind === 'local') return value;
  const hint = 'Take the part of each party’s date by itself.';
  const fragment = fragmentOf(reading.scope, span);
  throw refusal('SQL_UNSUPPORTED', 'the date mixes parties', fragment, hint);
}

const FIXED_RANGE: Readonly<Partial<Record<DatePart, readonly [number, number]>>> = {
  quarter: [1, 4],
  month: [1, 12],
  week: [1, 53],
  day: [1, 31],
  dow: [0, 6],
  isodow: [1, 7],
  doy: [1, 366],
};

function extract(reading: Reading, field: Expression, arg: Expression, span: Span): Value {
  const known = 'year, quarter, month, week, day, dow, isodow or doy';
  const word = wordOf(reading, field, known);
  const part = Object.hasOwn(PARTS, word) ? PARTS[word] : undefined;
  if (part === undefined) {
    const fragment = fragmentOf(reading.scope, span);
    throw refusal('SQL_UNSUPPORTED', 'no such part of a date', fragment, `Name ${known}.`);
  }
  const { table, term, type } = dateOf(reading, arg, span);
  const ends = [Number(type.min), Number(type.max)].map((days) => partOfDate(part, days));
  const [min, max] = FIXED_RANGE[part] ?? [ends[0]!, ends[1]!];
  const held = numberType({ min: BigInt(min), max: BigInt(max) }, 0, type.nullable);
  return localValue(table, { op: 'part', part, of: term }, held);
}

function truncate(reading: Reading, field: Expression, arg: Expression, span: Span): Value {
  const word = wordOf(reading, field, 'day, week, month, quarter or year');
  if (!PERIODS.has(word)) {
    const fragment = fragmentOf(reading.scope, span);
    const hint = 'Name day, week, month, quarter or year.';
    throw refusal('SQL_UNSUPPORTED', 'no such period', fragment, hint);
  }
  const period = word as DatePeriod;
  const { table, term, type } = dateOf(reading, arg, span);
  const [min, max] = [type.min, type.max].map((days) => BigInt(truncDate(period, Number(days))));
  if (min! < BigInt(DATE_MIN)) {
    throw new ParleyError('OVERFLOW_POSSIBLE', 'a date could leave the calendar', {
      fragment: fragmentOf(reading.scope, span),
      hint: 'Declare a later first day in the policy.',
    });
  }
  const held = dateType(min!, max!, type.nullable);
  return localValue(table, period === 'day' ? term : { op: 'trunc', part: period, of: term }, held);
}

/** DATE_DIFF('day', from, to). */
function difference(reading: Reading, { args, span }: Call): Value {
  const { scope } = reading;
  const word = wordOf(reading, args[0]!, 'day, week, month, quarter or year');
  const like = dateType(BigInt(DATE_MIN), BigInt(DATE_MAX), false);
  if (word !== 'day' && word !== 'days') {
    const hint = 'DATE_DIFF counts days: DATE_DIFF(‘day’, from, to).';
    throw refusal('SQL_UNSUPPORTED', 'only days are counted', fragmentOf(scope, span), hint);
  }
  const [from, to] = [resolveValue(reading, args[1]!, like), resolveValue(reading, args[2]!, like)];
  if ([from, to].some(({ type }) => familyOf(type) !== 'date')) {
    throw mismatch(scope, span, 'DATE_DIFF takes two dates.');
  }
  return addOrSubtract(scope, '-', to, from, span);
}
