/**
 * Expressions, by recursive descent over a whitelist. Precedence, loosest first, is PostgreSQL's
 * (table 4.2): OR, AND, NOT, IS, comparisons, BETWEEN IN LIKE, + −, * /, sign. Comparisons do not
 * chain.
 */
import type { Cursor } from './cursor.ts';
import { callOf } from './functions.ts';
import { refusal } from './hints.ts';
import { IN_LIST_MAX } from './limits.ts';
import type { Comparison } from './plan.ts';
import { isLiteral, type CaseBranch, type Expression, type LiteralSyntax } from './syntax.ts';
import { parseLiteral } from './literals.ts';

const COMPARISONS: Readonly<Partial<Record<string, Comparison>>> = {
  '=': '=',
  '<>': '<>',
  '!=': '<>',
  '<': '<',
  '<=': '<=',
  '>': '>',
  '>=': '>=',
};

/** An expression, down to the first token that cannot continue it. */
export function parseExpression(cursor: Cursor): Expression {
  return parseChain(cursor, 'or');
}

function parseChain(cursor: Cursor, kind: 'and' | 'or'): Expression {
  const start = cursor.peek().from;
  const part = (): Expression => (kind === 'or' ? parseChain(cursor, 'and') : parseNot(cursor));
  const terms = [part()];
  while (cursor.accept(kind === 'or' ? 'OR' : 'AND')) terms.push(part());
  return terms.length === 1 ? terms[0]! : { kind, terms, span: cursor.spanFrom(start) };
}

function parseNot(cursor: Cursor): Expression {
  const starts: number[] = [];
  while (cursor.isAt('NOT')) {
    starts.push(cursor.next().from);
    cursor.enter();
  }
  let term = parseIs(cursor);
  cursor.leave(starts.length);
  for (const start of starts.reverse()) {
    term = { kind: 'not', term, span: cursor.spanFrom(start) };
  }
  return term;
}

function parseIs(cursor: Cursor): Expression {
  cursor.countCondition();
  const start = cursor.peek().from;
  let operand = parseComparison(cursor);
  for (;;) {
    const negated = cursor.isAt('IS', 'NOT');
    let test: Expression;
    if (cursor.accept('ISNULL')) test = { kind: 'isNull', operand, span: cursor.spanFrom(start) };
    else if (cursor.accept('NOTNULL')) {
      const span = cursor.spanFrom(start);
      test = { kind: 'not', term: { kind: 'isNull', operand, span }, span };
    } else if (cursor.accept('IS')) {
      cursor.accept('NOT');
      test = parseIsTail(cursor, operand, start);
    } else return operand;
    cursor.countCondition();
    operand = negated ? { kind: 'not', term: test, span: cursor.spanFrom(start) } : test;
  }
}

function parseIsTail(cursor: Cursor, operand: Expression, start: number): Expression {
  const isNull = cursor.accept('NULL') || cursor.accept('UNKNOWN');
  if (isNull) return { kind: 'isNull', operand, span: cursor.spanFrom(start) };
  const value = cursor.isAt('TRUE');
  if (cursor.accept('TRUE') || cursor.accept('FALSE')) {
    return { kind: 'isTruth', operand, value, span: cursor.spanFrom(start) };
  }
  cursor.next();
  const hint = 'Use IS [NOT] NULL, IS [NOT] TRUE or IS [NOT] FALSE.';
  throw cursor.refuse('only NULL, TRUE and FALSE can follow IS', start, hint);
}

const comparisonAt = (cursor: Cursor): Comparison | undefined =>
  cursor.peek().kind === 'symbol' ? COMPARISONS[cursor.peek().text] : undefined;

function parseComparison(cursor: Cursor): Expression {
  const start = cursor.peek().from;
  const left = parseRange(cursor);
  const op = comparisonAt(cursor);
  if (op === undefined) return left;
  cursor.next();
  const right = parseRange(cursor);
  if (comparisonAt(cursor) !== undefined) {
    throw cursor.unexpected('expected AND, OR or the end of the condition');
  }
  return { kind: 'compare', op, left, right, span: cursor.spanFrom(start) };
}

/** BETWEEN, IN and LIKE. */
function parseRange(cursor: Cursor): Expression {
  const start = cursor.peek().from;
  const operand = parseSum(cursor);
  const negated = cursor.isAt('NOT');
  if (negated && !['BETWEEN', 'IN', 'LIKE', 'ILIKE'].includes(cursor.peek(1).text)) {
    cursor.next();
    throw cursor.unexpected('expected BETWEEN, IN or LIKE');
  }
  if (negated) cursor.next();
  const test = parseRangeTail(cursor, operand, start);
  if (test === null) return operand;
  return negated ? { kind: 'not', term: test, span: cursor.spanFrom(start) } : test;
}

function parseRangeTail(cursor: Cursor, operand: Expression, start: number): Expression | null {
  if (cursor.accept('BETWEEN')) {
    const low = parseSum(cursor);
    cursor.require('AND');
    const high = parseSum(cursor);
    return { kind: 'between', operand, low, high, span: cursor.spanFrom(start) };
  }
  if (cursor.accept('IN')) {
    const list = parseList(cursor);
    return { kind: 'in', operand, list, span: cursor.spanFrom(start) };
  }
  const anyCase = cursor.isAt('ILIKE');
  if (!cursor.accept('LIKE') && !cursor.accept('ILIKE')) return null;
  const pattern = cursor.peek();
  if (pattern.kind !== 'string') {
    cursor.next();
    throw cursor.refuse('LIKE takes a pattern in quotes', start, "Write LIKE 'abc%'.");
  }
  cursor.next();
  if (cursor.isAt('ESCAPE')) {
    cursor.next();
    throw cursor.refuse('LIKE takes no ESCAPE', start, 'Only % and _ have a meaning in a pattern.');
  }
  return { kind: 'like', operand, pattern: pattern.text, anyCase, span: cursor.spanFrom(start) };
}

function parseList(cursor: Cursor): readonly LiteralSyntax[] {
  cursor.require('(');
  const list: LiteralSyntax[] = [];
  do {
    const start = cursor.peek().from;
    if (list.length === IN_LIST_MAX) {
      const hint = `An IN list holds at most ${IN_LIST_MAX} literals.`;
      throw refusal('SQL_LIST_TOO_LONG', 'an IN list is too long', undefined, hint);
    }
    const item = parseSum(cursor);
    if (!isLiteral(item)) {
      throw cursor.refuse('an IN list holds literals only', start, 'Compare columns with =.');
    }
    list.push(item);
  } while (cursor.accept(','));
  cursor.require(')');
  return list;
}

function parseSum(cursor: Cursor): Expression {
  const start = cursor.peek().from;
  let left = parseProduct(cursor);
  let links = 0;
  // A chain nests to the left, one level a link.
  for (; cursor.isAt('+') || cursor.isAt('-'); links += 1) {
    cursor.countCondition();
    cursor.enter();
    const op = cursor.next().text as '+' | '-';
    const right = parseProduct(cursor);
    left = { kind: 'arithmetic', op, left, right, span: cursor.spanFrom(start) };
  }
  cursor.leave(links);
  return left;
}

function parseProduct(cursor: Cursor): Expression {
  const start = cursor.peek().from;
  let left = parseSigned(cursor);
  let links = 0;
  for (; cursor.isAt('*') || cursor.isAt('/'); links += 1) {
    cursor.countCondition();
    cursor.enter();
    const op = cursor.next().text as '*' | '/';
    const right = parseSigned(cursor);
    left = { kind: 'arithmetic', op, left, right, span: cursor.spanFrom(start) };
  }
  cursor.leave(links);
  return left;
}

function parseSigned(cursor: Cursor): Expression {
  const literal = parseLiteral(cursor);
  if (literal !== null) return literal;
  const { from } = cursor.peek();
  const negative = cursor.isAt('-');
  if (!negative && !cursor.isAt('+')) return parsePrimary(cursor);
  cursor.next();
  cursor.enter();
  const operand = parseSigned(cursor);
  cursor.leave();
  return negative ? { kind: 'negate', operand, span: cursor.spanFrom(from) } : operand;
}

function parsePrimary(cursor: Cursor): Expression {
  const { from } = cursor.peek();
  if (cursor.isAt('(')) return parseParenthesised(cursor);
  if (cursor.isAt('CASE')) return parseCase(cursor);
  const call = callOf(cursor, parseExpression);
  if (call !== null) return call;
  if (!cursor.isName()) throw cursor.unexpected('expected a column or a literal');
  const path = cursor.path('a column', 3);
  return { kind: 'column', path, span: cursor.spanFrom(from) };
}

function parseParenthesised(cursor: Cursor): Expression {
  const start = cursor.next().from;
  cursor.enter();
  const inside = parseExpression(cursor);
  if (cursor.isAt(',')) {
    throw cursor.refuse('row values are not supported', start, 'Compare one column at a time.');
  }
  cursor.require(')');
  cursor.leave();
  return inside;
}

function parseCase(cursor: Cursor): Expression {
  const { from } = cursor.next();
  cursor.enter();
  const operand = cursor.isAt('WHEN') ? null : parseExpression(cursor);
  const branches: CaseBranch[] = [];
  while (cursor.accept('WHEN')) {
    cursor.countCondition();
    const when = parseExpression(cursor);
    cursor.require('THEN');
    branches.push({ when, then: parseExpression(cursor) });
  }
  if (branches.length === 0) throw cursor.unexpected('expected WHEN');
  const otherwise = cursor.accept('ELSE') ? parseExpression(cursor) : null;
  cursor.require('END');
  cursor.leave();
  return { kind: 'case', operand, branches, otherwise, span: cursor.spanFrom(from) };
}
