/**
 * WHERE and ON, by recursive descent. Precedence, loosest first, is PostgreSQL's (table 4.2):
 * OR, AND, NOT, IS, comparisons, BETWEEN and IN. Comparisons do not chain.
 */
import { refusal, hintOfAggregate, hintOfWord } from './hints.ts';
import type { Cursor } from './cursor.ts';
import { IN_LIST_MAX } from './limits.ts';
import type { Comparison } from './plan.ts';
import type { Condition, LiteralSyntax, Operand, Span } from './syntax.ts';

const COMPARISONS: Readonly<Partial<Record<string, Comparison>>> = {
  '=': '=',
  '<>': '<>',
  '!=': '<>',
  '<': '<',
  '<=': '<=',
  '>': '>',
  '>=': '>=',
};

const OPERAND_HINT = 'Compare a column with a literal or with another column.';

export function isOperand(condition: Condition): condition is Operand {
  return condition.kind === 'column' || isLiteral(condition);
}

export function isLiteral(condition: Condition): condition is LiteralSyntax {
  return ['number', 'string', 'date', 'boolean', 'null'].includes(condition.kind);
}

/** A condition, down to the first token that cannot continue it. */
export function parseCondition(cursor: Cursor): Condition {
  return parseChain(cursor, 'or');
}

function parseChain(cursor: Cursor, kind: 'and' | 'or'): Condition {
  const start = cursor.peek().from;
  const part = (): Condition => (kind === 'or' ? parseChain(cursor, 'and') : parseNot(cursor));
  const terms = [part()];
  while (cursor.accept(kind === 'or' ? 'OR' : 'AND')) terms.push(part());
  return terms.length === 1 ? terms[0]! : { kind, terms, span: cursor.spanFrom(start) };
}

function parseNot(cursor: Cursor): Condition {
  const starts: number[] = [];
  while (cursor.isAt('NOT')) {
    starts.push(cursor.next().from);
    cursor.enter();
  }
  let term = parsePredicate(cursor);
  cursor.leave(starts.length);
  for (const start of starts.reverse()) {
    term = { kind: 'not', term, span: cursor.spanFrom(start) };
  }
  return term;
}

function parsePredicate(cursor: Cursor): Condition {
  cursor.countCondition();
  const start = cursor.peek().from;
  const left = parsePrimary(cursor);
  const continued = isPredicateOperator(cursor);
  if (!continued) return left;
  if (!isOperand(left)) {
    throw cursor.refuse('a condition cannot be compared', start, OPERAND_HINT);
  }
  const predicate = parseTail(cursor, left, start);
  if (isPredicateOperator(cursor)) {
    throw cursor.unexpected('expected AND, OR or the end of the condition');
  }
  return predicate;
}

function isPredicateOperator(cursor: Cursor): boolean {
  const token = cursor.peek();
  if (token.kind === 'symbol') return COMPARISONS[token.text] !== undefined;
  if (token.kind !== 'word') return false;
  if (['IS', 'ISNULL', 'NOTNULL', 'BETWEEN', 'IN', 'NOT'].includes(token.text)) return true;
  return false;
}

function parseTail(cursor: Cursor, operand: Operand, start: number): Condition {
  const op = cursor.peek().kind === 'symbol' ? COMPARISONS[cursor.peek().text] : undefined;
  if (op !== undefined) {
    cursor.next();
    const right = parseOperand(cursor);
    return { kind: 'compare', op, left: operand, right, span: cursor.spanFrom(start) };
  }
  if (cursor.accept('IS')) {
    const negated = cursor.accept('NOT');
    if (!cursor.accept('NULL')) {
      const hint = 'Use IS NULL, IS NOT NULL, or the boolean column itself.';
      cursor.next();
      throw cursor.refuse('only IS NULL and IS NOT NULL are supported', start, hint);
    }
    return negate(cursor, negated, start, { kind: 'isNull', operand });
  }
  if (cursor.accept('ISNULL')) return negate(cursor, false, start, { kind: 'isNull', operand });
  if (cursor.accept('NOTNULL')) return negate(cursor, true, start, { kind: 'isNull', operand });
  const negated = cursor.accept('NOT');
  if (cursor.accept('BETWEEN')) {
    const low = parseOperand(cursor);
    cursor.require('AND');
    const high = parseOperand(cursor);
    return negate(cursor, negated, start, { kind: 'between', operand, low, high });
  }
  if (cursor.accept('IN')) {
    const list = parseList(cursor);
    return negate(cursor, negated, start, { kind: 'in', operand, list });
  }
  throw cursor.unexpected('expected BETWEEN or IN');
}

type Bare<T> = T extends { readonly span: Span } ? Omit<T, 'span'> : never;
type Negatable = Extract<Condition, { kind: 'isNull' | 'between' | 'in' }>;

function negate(
  cursor: Cursor,
  negated: boolean,
  start: number,
  predicate: Bare<Negatable>,
): Condition {
  const span = cursor.spanFrom(start);
  const term: Negatable = { ...predicate, span };
  return negated ? { kind: 'not', term, span } : term;
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
    const item = parseOperand(cursor);
    if (!isLiteral(item)) {
      throw cursor.refuse('an IN list holds literals only', start, 'Compare columns with =.');
    }
    list.push(item);
  } while (cursor.accept(','));
  cursor.require(')');
  return list;
}

function parseOperand(cursor: Cursor): Operand {
  const start = cursor.peek().from;
  const operand = parsePrimary(cursor);
  if (!isOperand(operand)) {
    throw cursor.refuse('a condition cannot be compared', start, OPERAND_HINT);
  }
  return operand;
}

/** A parenthesised condition, a column or a literal. */
function parsePrimary(cursor: Cursor): Condition {
  if (!cursor.isAt('(')) return parseAtom(cursor);
  const start = cursor.next().from;
  cursor.enter();
  const inside = parseCondition(cursor);
  if (cursor.isAt(',')) {
    throw cursor.refuse('row values are not supported', start, 'Compare one column at a time.');
  }
  cursor.require(')');
  cursor.leave();
  return inside;
}

function parseAtom(cursor: Cursor): Operand {
  const literal = parseLiteral(cursor);
  if (literal !== null) return literal;
  const { from } = cursor.peek();
  if (!cursor.isName()) throw cursor.unexpected('expected a column or a literal');
  expectNoCall(cursor);
  const path = cursor.path('a column', 3);
  const span = cursor.spanFrom(from);
  return { kind: 'column', path, span };
}

/** A literal when one comes next: a number with its sign, a string, DATE '…', TRUE, FALSE, NULL. */
export function parseLiteral(cursor: Cursor): LiteralSyntax | null {
  const { from, kind, text } = cursor.peek();
  if (kind === 'number') {
    cursor.next();
    return { kind: 'number', text, span: cursor.spanFrom(from) };
  }
  if (kind === 'string') {
    cursor.next();
    return { kind: 'string', text, span: cursor.spanFrom(from) };
  }
  if ((cursor.isAt('-') || cursor.isAt('+')) && cursor.peek(1).kind === 'number') {
    cursor.next();
    const digits = cursor.next().text;
    const sign = text === '-' ? '-' : '';
    return { kind: 'number', text: `${sign}${digits}`, span: cursor.spanFrom(from) };
  }
  if (kind === 'word' && cursor.peek(1).kind === 'string') return parseTyped(cursor);
  if (cursor.accept('TRUE')) return { kind: 'boolean', value: true, span: cursor.spanFrom(from) };
  if (cursor.accept('FALSE')) return { kind: 'boolean', value: false, span: cursor.spanFrom(from) };
  if (cursor.accept('NULL')) return { kind: 'null', span: cursor.spanFrom(from) };
  return null;
}

function parseTyped(cursor: Cursor): LiteralSyntax | null {
  const { from, text: type } = cursor.peek();
  if (type === 'DATE') {
    cursor.next();
    const { text } = cursor.next();
    return { kind: 'date', text, span: cursor.spanFrom(from) };
  }
  // TIMESTAMP '…' and the like are refused with their hint; other words end the operand.
  if (hintOfWord(type) !== undefined) throw cursor.unexpected('expected a literal');
  return null;
}

const AGGREGATES = new Set(['COUNT', 'SUM', 'AVG']);

/** @throws ParleyError when a function call comes next. */
export function expectNoCall(cursor: Cursor): void {
  let ahead = 0;
  while (cursor.isSymbol(ahead + 1, '.')) ahead += 2;
  if (!cursor.isSymbol(ahead + 1, '(')) return;
  const token = cursor.peek(ahead);
  const fragment = cursor.sql.slice(cursor.peek().from, token.to);
  const name = token.text.toUpperCase();
  if (AGGREGATES.has(name)) {
    const hint = 'WHERE sees rows, before any aggregate; filter the answer instead.';
    throw refusal('SQL_UNSUPPORTED', 'an aggregate cannot stand here', fragment, hint);
  }
  const hint = hintOfAggregate(name) ?? hintOfWord(name);
  if (hint !== undefined) {
    throw refusal('SQL_UNSUPPORTED', 'this function is not supported', fragment, hint);
  }
  const fallback = 'The only functions are COUNT, SUM and AVG in the SELECT list.';
  throw refusal('SQL_UNKNOWN_FUNCTION', 'an unknown function', fragment, fallback);
}
