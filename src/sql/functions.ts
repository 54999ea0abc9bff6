/** Calls: aggregates and row functions by name; every other name is refused. */
import type { Cursor } from './cursor.ts';
import { FUNCTIONS_HINT, hintOfAggregate, hintOfWord, refusal } from './hints.ts';
import { parseInterval } from './literals.ts';
import {
  isLiteral,
  type AggregateFunction,
  type AggregateSyntax,
  type Expression,
  type LiteralSyntax,
  type ScalarFunction,
} from './syntax.ts';

type Parse = (cursor: Cursor) => Expression;

const AGGREGATES: Readonly<Partial<Record<string, AggregateFunction>>> = {
  COUNT: 'COUNT',
  SUM: 'SUM',
  AVG: 'AVG',
  MEAN: 'AVG',
  VAR_POP: 'VAR_POP',
  VAR_SAMP: 'VAR_SAMP',
  VARIANCE: 'VAR_SAMP',
  STDDEV_POP: 'STDDEV_POP',
  STDDEV_SAMP: 'STDDEV_SAMP',
  STDDEV: 'STDDEV_SAMP',
  APPROX_QUANTILE: 'QUANTILE',
};

const SCALARS: Readonly<Partial<Record<string, ScalarFunction>>> = {
  COALESCE: 'COALESCE',
  IFNULL: 'COALESCE',
  NULLIF: 'NULLIF',
  LEAST: 'LEAST',
  GREATEST: 'GREATEST',
  ABS: 'ABS',
  ROUND: 'ROUND',
  EXTRACT: 'EXTRACT',
  DATE_PART: 'EXTRACT',
  DATE_TRUNC: 'DATE_TRUNC',
  DATE_DIFF: 'DATE_DIFF',
  DATEDIFF: 'DATE_DIFF',
};

/** Functions that are EXTRACT of their own name. */
const DATE_PARTS = new Set(['YEAR', 'QUARTER', 'MONTH', 'WEEK', 'DAY', 'DAYOFWEEK', 'DAYOFYEAR']);

/**
 * A call or an interval, when one comes next.
 * @throws ParleyError SQL_UNKNOWN_FUNCTION, SQL_UNSUPPORTED for a call of anything else.
 */
export function callOf(cursor: Cursor, parse: Parse): Expression | null {
  const interval = parseInterval(cursor);
  if (interval !== null) return interval;
  const { kind, text } = cursor.peek();
  if (kind === 'word' && cursor.isSymbol(1, '(')) {
    const aggregate = Object.hasOwn(AGGREGATES, text) ? AGGREGATES[text] : undefined;
    if (aggregate !== undefined) return parseAggregate(cursor, aggregate, parse);
    const scalar = Object.hasOwn(SCALARS, text) ? SCALARS[text] : undefined;
    if (scalar !== undefined || DATE_PARTS.has(text)) return parseScalar(cursor, scalar, parse);
  }
  expectNoCall(cursor);
  return null;
}

function parseScalar(cursor: Cursor, name: ScalarFunction | undefined, parse: Parse): Expression {
  const { from, text } = cursor.next();
  cursor.require('(');
  cursor.enter();
  const args: Expression[] = [];
  if (name === undefined) {
    const part = text === 'DAYOFWEEK' ? 'dow' : text === 'DAYOFYEAR' ? 'doy' : text.toLowerCase();
    args.push({ kind: 'string', text: part, span: { from, to: from + text.length } });
  }
  if (text === 'EXTRACT') {
    args.push(partName(cursor));
    cursor.require('FROM');
  }
  do {
    cursor.countCondition();
    args.push(parse(cursor));
  } while (cursor.accept(','));
  cursor.require(')');
  cursor.leave();
  return { kind: 'call', name: name ?? 'EXTRACT', args, span: cursor.spanFrom(from) };
}

/** The field of EXTRACT (field FROM …), a word or a string. */
function partName(cursor: Cursor): LiteralSyntax {
  const { kind, text, from } = cursor.peek();
  if (kind !== 'word' && kind !== 'string') throw cursor.unexpected('expected a part of a date');
  cursor.next();
  return { kind: 'string', text: text.toLowerCase(), span: cursor.spanFrom(from) };
}

function parseAggregate(cursor: Cursor, name: AggregateFunction, parse: Parse): AggregateSyntax {
  const { from } = cursor.next();
  cursor.require('(');
  cursor.enter();
  const distinct = cursor.accept('DISTINCT');
  if (!distinct) cursor.accept('ALL');
  const argument = parseArgument(cursor, name, distinct, from, parse);
  const fraction = name === 'QUANTILE' ? parseFraction(cursor, from, parse) : null;
  if (cursor.isAt(',') || cursor.isAt('ORDER')) {
    cursor.next();
    throw cursor.refuse('this aggregate takes one argument', from, FUNCTIONS_HINT);
  }
  cursor.require(')');
  cursor.leave();
  const filter =
    cursor.isAt('FILTER') && cursor.isSymbol(1, '(') ? parseFilter(cursor, parse) : null;
  if (cursor.isAt('OVER') || cursor.isAt('FILTER') || cursor.isAt('WITHIN')) {
    throw cursor.unexpected('expected a comma or FROM');
  }
  return {
    kind: 'aggregate',
    name,
    distinct,
    argument,
    filter,
    fraction,
    span: cursor.spanFrom(from),
  };
}

function parseFilter(cursor: Cursor, parse: Parse): Expression {
  cursor.next();
  cursor.require('(');
  cursor.enter();
  cursor.require('WHERE');
  const condition = parse(cursor);
  cursor.require(')');
  cursor.leave();
  return condition;
}

function parseFraction(
  cursor: Cursor,
  start: number,
  parse: Parse,
): NonNullable<AggregateSyntax['fraction']> {
  const hint = 'Write APPROX_QUANTILE(column, 0.5): a fraction from 0 to 1.';
  if (!cursor.accept(',')) {
    throw cursor.refuse('a quantile needs a fraction', start, hint);
  }
  const fraction = parse(cursor);
  if (fraction.kind === 'number') return fraction;
  throw cursor.refuse('the fraction of a quantile is a number', start, hint);
}

function parseArgument(
  cursor: Cursor,
  name: AggregateFunction,
  distinct: boolean,
  start: number,
  parse: Parse,
): AggregateSyntax['argument'] {
  const { from } = cursor.peek();
  if (cursor.isAt('*')) {
    if (name === 'COUNT' && !distinct) {
      cursor.next();
      return { kind: 'star', span: cursor.spanFrom(from) };
    }
    cursor.next();
    throw cursor.refuse('this aggregate takes a column', start, 'Name a column of the tables.');
  }
  const argument = parse(cursor);
  // COUNT(1) is how some write COUNT(*): a literal that is not NULL counts every row.
  if (name === 'COUNT' && !distinct && isLiteral(argument) && argument.kind !== 'null') {
    return { kind: 'star', span: argument.span };
  }
  return argument;
}

/** @throws ParleyError when a function call comes next. */
function expectNoCall(cursor: Cursor): void {
  let ahead = 0;
  while (cursor.isSymbol(ahead + 1, '.')) ahead += 2;
  if (!cursor.isSymbol(ahead + 1, '(')) return;
  const token = cursor.peek(ahead);
  if (token.kind !== 'word' && token.kind !== 'quoted') return;
  const fragment = cursor.sql.slice(cursor.peek().from, token.to);
  const name = token.text.toUpperCase();
  const hint = hintOfAggregate(name) ?? hintOfWord(name);
  if (hint !== undefined) {
    throw refusal('SQL_UNSUPPORTED', 'this function is not supported', fragment, hint);
  }
  throw refusal('SQL_UNKNOWN_FUNCTION', 'an unknown function', fragment, FUNCTIONS_HINT);
}
