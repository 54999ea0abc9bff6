/** Literals as the text writes them. */
import type { Cursor } from './cursor.ts';
import { hintOfWord } from './hints.ts';
import type { Expression, LiteralSyntax } from './syntax.ts';

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
  if (type !== 'INTERVAL' && hintOfWord(type) !== undefined) {
    throw cursor.unexpected('expected a literal');
  }
  return null;
}

const DAYS_PER_UNIT: Readonly<Partial<Record<string, number>>> = {
  DAY: 1,
  DAYS: 1,
  WEEK: 7,
  WEEKS: 7,
};
/** LOCAL. No two dates are further apart. */
const INTERVAL_DAYS_MAX = 3_700_000;

const INTERVAL_HINT = "Write INTERVAL '7 days' or INTERVAL '2 weeks'; months have no fixed length.";

/** INTERVAL '7 days', INTERVAL '7' DAY and INTERVAL 7 DAY, when one comes next. */
export function parseInterval(cursor: Cursor): Expression | null {
  const { from } = cursor.peek();
  const kind = cursor.peek(1).kind;
  if (!cursor.isAt('INTERVAL') || (kind !== 'string' && kind !== 'number')) return null;
  cursor.next();
  const written = cursor.next().text;
  const outside = DAYS_PER_UNIT[cursor.peek().text] !== undefined && cursor.peek().kind === 'word';
  const text = outside ? `${written} ${cursor.next().text}` : written;
  const m = /^([+-]?\d{1,7})\s+([A-Za-z]+)$/.exec(text.trim());
  const perUnit = DAYS_PER_UNIT[(m?.[2] ?? '').toUpperCase()];
  const days = m === null || perUnit === undefined ? NaN : Number(m[1]) * perUnit;
  if (!(Math.abs(days) <= INTERVAL_DAYS_MAX)) {
    throw cursor.refuse('an interval is a number of days or weeks', from, INTERVAL_HINT);
  }
  return { kind: 'interval', days, span: cursor.spanFrom(from) };
}
