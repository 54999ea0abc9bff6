import { utf8 } from '../core/bytes.ts';
import type { ErrorCode, ParleyError } from '../core/errors.ts';
import { hintOfSymbol, refusal } from './hints.ts';
import {
  NAME_CHARS_MAX,
  NUMBER_CHARS_MAX,
  SQL_BYTES_MAX,
  SQL_DEPTH_MAX,
  TOKENS_MAX,
} from './limits.ts';

/**
 * One lexical element of the text. `text` is a word in upper case, an identifier or string without
 * its quotes, a number or symbol as written, and empty at the end of the text.
 */
export interface Token {
  readonly kind: 'word' | 'quoted' | 'number' | 'string' | 'symbol' | 'end';
  readonly text: string;
  /** Code-unit offsets into the text. */
  readonly from: number;
  readonly to: number;
}

const SPACE = /[ \t\r\n\f]+/y;
const LINE_COMMENT = /--[^\r\n]*/y;
const WORD = /[A-Za-z_][A-Za-z0-9_]*/y;
const NUMBER = /(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?/y;
const STRING = /'[^']*(?:''[^']*)*'/y;
const QUOTED = /"[^"]*(?:""[^"]*)*"/y;
const SYMBOL = /<>|!=|<=|>=|->>|->|::|\|\||!~|[-()=<>,.;*+/%^~?[\]]/y;
/** Quoted forms whose body has other rules than a plain string (PostgreSQL 4.1.2). */
const STRING_PREFIX = /(?:[eEbBxXnN]|[uU]&)'|[uU]&"/y;

const FORBIDDEN_ANYWHERE = /[^\P{Cc}\t\r\n\f]|\p{Cs}/u;
/** Controls and formatting marks (zero-width, bidirectional): unseen, or change how names read. */
const FORBIDDEN_IN_NAMES = /[\p{C}\p{Zl}\p{Zp}]/u;

/** `line L, column C`, both from 1, of an offset. */
export function positionOf(sql: string, at: number): string {
  const before = sql.slice(0, at).split(/\r\n|\r|\n/);
  return `line ${before.length}, column ${(before.at(-1) ?? '').length + 1}`;
}

function match(pattern: RegExp, sql: string, at: number): string | null {
  pattern.lastIndex = at;
  return pattern.exec(sql)?.[0] ?? null;
}

function refuseAt(
  sql: string,
  at: number,
  what: string,
  code: ErrorCode = 'SQL_SYNTAX',
  hint?: string,
): ParleyError {
  const fragment = /^\S+/u.exec(sql.slice(at, at + 200))?.[0] ?? '';
  return refusal(code, `${what} at ${positionOf(sql, at)}`, fragment, hint);
}

/** End of a comment that may nest, as in PostgreSQL. */
function endOfBlockComment(sql: string, at: number): number {
  let depth = 0;
  for (let i = at; i < sql.length; i += 1) {
    const pair = sql.slice(i, i + 2);
    if (pair === '/*') depth += 1;
    else if (pair === '*/') depth -= 1;
    else continue;
    i += 1;
    if (depth === 0) return i + 1;
  }
  throw refuseAt(sql, at, 'a comment is not closed');
}

function skipSpace(sql: string, start: number): number {
  let at = start;
  for (;;) {
    const skipped = match(SPACE, sql, at) ?? match(LINE_COMMENT, sql, at);
    if (skipped !== null) at += skipped.length;
    else if (sql.startsWith('/*', at)) at = endOfBlockComment(sql, at);
    else return at;
  }
}

function quotedName(sql: string, at: number, raw: string): string {
  const name = raw.slice(1, -1).replaceAll('""', '"');
  if (name === '' || name.length > NAME_CHARS_MAX || FORBIDDEN_IN_NAMES.test(name)) {
    throw refuseAt(
      sql,
      at,
      'a quoted name is empty, too long or holds invisible characters',
      'SQL_SYNTAX',
      `Use a visible name of at most ${NAME_CHARS_MAX} characters.`,
    );
  }
  return name;
}

function numberAt(sql: string, at: number, raw: string): string {
  if (/^[\p{L}\p{N}_]/u.test(sql.slice(at + raw.length))) {
    throw refuseAt(sql, at, 'a number runs into a word');
  }
  if (raw.length > NUMBER_CHARS_MAX) {
    const hint = `Write at most ${NUMBER_CHARS_MAX} digits.`;
    throw refuseAt(sql, at, 'a number is too long', 'SQL_BAD_LITERAL', hint);
  }
  return raw;
}

function wordAt(sql: string, at: number, raw: string): string {
  if (/^[\p{L}\p{M}\p{N}\p{Cf}]/u.test(sql.slice(at + raw.length))) {
    throw refuseAt(sql, at, 'a name holds a character outside ASCII');
  }
  if (raw.length > NAME_CHARS_MAX) throw refuseAt(sql, at, 'a name is too long');
  return raw.toUpperCase();
}

function unknownCharacter(sql: string, at: number): ParleyError {
  const c = sql[at] ?? '';
  if (c === "'") return refuseAt(sql, at, 'a string is not closed');
  if (c === '"') return refuseAt(sql, at, 'a quoted name is not closed');
  if (c === '`') {
    return refuseAt(sql, at, 'unexpected character', 'SQL_SYNTAX', 'Quote names with ".');
  }
  if (c === '$' || c === '@' || c === ':') {
    const what = 'a parameter, variable or dollar quote is not allowed';
    return refuseAt(sql, at, what, 'SQL_UNSUPPORTED', hintOfSymbol('?'));
  }
  const hint =
    c.charCodeAt(0) > 0x7f
      ? 'Characters outside ASCII may only stand in strings, quoted names and comments.'
      : undefined;
  return refuseAt(sql, at, 'unexpected character', 'SQL_SYNTAX', hint);
}

function tokenAt(sql: string, at: number): Token {
  if (match(STRING_PREFIX, sql, at) !== null) {
    const hint = 'Write a plain string in single quotes.';
    throw refuseAt(sql, at, 'prefixed strings are not allowed', 'SQL_UNSUPPORTED', hint);
  }
  const forms = [
    ['word', WORD, (raw: string) => wordAt(sql, at, raw)],
    ['number', NUMBER, (raw: string) => numberAt(sql, at, raw)],
    ['string', STRING, (raw: string) => raw.slice(1, -1).replaceAll("''", "'")],
    ['quoted', QUOTED, (raw: string) => quotedName(sql, at, raw)],
    ['symbol', SYMBOL, (raw: string) => raw],
  ] as const;
  for (const [kind, pattern, read] of forms) {
    const raw = match(pattern, sql, at);
    if (raw !== null) return { kind, text: read(raw), from: at, to: at + raw.length };
  }
  throw unknownCharacter(sql, at);
}

function expectFits(sql: string): void {
  if (sql.length > SQL_BYTES_MAX || utf8(sql).length > SQL_BYTES_MAX) {
    const hint = `A query has at most ${SQL_BYTES_MAX / 1024} KiB.`;
    throw refusal('SQL_TOO_LARGE', 'the SQL text is too large', undefined, hint);
  }
  const at = sql.search(FORBIDDEN_ANYWHERE);
  if (at >= 0) throw refusal('SQL_SYNTAX', `a control character at ${positionOf(sql, at)}`);
}

/**
 * The tokens of a SQL text, the last of kind `end`. Comments and white space go. Lexical rules are
 * PostgreSQL's (chapter 4.1) with standard-conforming strings, less what nothing here needs:
 * escape, bit, national and Unicode strings, dollar quotes, parameters, names outside ASCII unless
 * quoted.
 *
 * @throws ParleyError SQL_TOO_LARGE, SQL_SYNTAX, SQL_UNSUPPORTED, SQL_BAD_LITERAL. SQL_TOO_DEEP
 *   when parentheses nest beyond SQL_DEPTH_MAX. SQL_MULTIPLE_STATEMENTS when a token follows a `;`.
 */
export function tokenise(sql: string): readonly Token[] {
  expectFits(sql);
  const tokens: Token[] = [];
  let [depth, count] = [0, 0];
  let ended = false;
  for (let at = skipSpace(sql, 0); at < sql.length;) {
    const token = tokenAt(sql, at);
    const symbol = token.kind === 'symbol' ? token.text : '';
    if (ended && symbol !== ';') {
      const hint = 'Send one statement at a time.';
      throw refuseAt(sql, at, 'a second statement', 'SQL_MULTIPLE_STATEMENTS', hint);
    }
    count += 1;
    if (count > TOKENS_MAX) {
      const hint = `A query has at most ${TOKENS_MAX} words and symbols.`;
      throw refusal('SQL_TOO_LARGE', 'the SQL text is too long', undefined, hint);
    }
    if (symbol === '(') depth += 1;
    if (symbol === ')') depth -= 1;
    if (depth > SQL_DEPTH_MAX) throw tooDeep(sql, at);
    if (symbol !== ';') tokens.push(token);
    else if (tokens.length === 0) throw refuseAt(sql, at, 'an empty statement');
    else ended = true;
    at = skipSpace(sql, token.to);
  }
  tokens.push({ kind: 'end', text: '', from: sql.length, to: sql.length });
  return tokens;
}

/** The refusal of text nested beyond SQL_DEPTH_MAX. */
export function tooDeep(sql: string, at: number): ParleyError {
  const hint = `Nest parentheses and NOT at most ${SQL_DEPTH_MAX} deep.`;
  return refuseAt(sql, at, 'the query nests too deeply', 'SQL_TOO_DEEP', hint);
}
