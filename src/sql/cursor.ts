import type { ParleyError } from '../core/errors.ts';
import { hintOfSymbol, hintOfWord, refusal } from './hints.ts';
import { positionOf, tokenise, tooDeep, type Token } from './lexer.ts';
import { CONDITIONS_MAX, SQL_DEPTH_MAX } from './limits.ts';
import type { Span } from './syntax.ts';

/** Words that cannot name anything without quotes (PostgreSQL's reserved words, appendix C). */
const RESERVED = new Set(
  `ALL ANALYSE ANALYZE AND ANY ARRAY AS ASC ASYMMETRIC AUTHORIZATION BETWEEN BINARY BOTH CASE CAST
  CHECK COLLATE COLUMN CONSTRAINT CREATE CROSS CURRENT_DATE CURRENT_TIME CURRENT_TIMESTAMP DEFAULT
  DEFERRABLE DESC DISTINCT DO ELSE END EXCEPT EXISTS FALSE FETCH FOR FOREIGN FREEZE FROM FULL GRANT
  GROUP HAVING ILIKE IN INITIALLY INNER INTERSECT INTO IS ISNULL JOIN LATERAL LEADING LEFT LIKE
  LIMIT LOCALTIME LOCALTIMESTAMP NATURAL NOT NOTNULL NULL OFFSET ON ONLY OR ORDER OUTER OVERLAPS
  PLACING PRIMARY QUALIFY REFERENCES RETURNING RIGHT SELECT SIMILAR SOME SYMMETRIC TABLE TABLESAMPLE
  THEN TO TRAILING TRUE UNION UNIQUE USER USING VARIADIC VERBOSE WHEN WHERE WINDOW WITH`.split(
    /\s+/,
  ),
);

/** Reads tokens from left to right and makes the refusals of the parser. */
export class Cursor {
  readonly sql: string;
  readonly #tokens: readonly Token[];
  #at = 0;
  #depth = 0;
  #conditions = 0;

  constructor(sql: string) {
    this.sql = sql;
    this.#tokens = tokenise(sql);
  }

  peek(ahead = 0): Token {
    return this.#tokens[Math.min(this.#at + ahead, this.#tokens.length - 1)]!;
  }

  next(): Token {
    const token = this.peek();
    if (token.kind !== 'end') this.#at += 1;
    return token;
  }

  /** True when the next tokens are these words or symbols. */
  isAt(...texts: readonly string[]): boolean {
    return texts.every((text, i) => {
      const token = this.peek(i);
      return (token.kind === 'word' || token.kind === 'symbol') && token.text === text;
    });
  }

  /** True when the token `ahead` of the next is this symbol. */
  isSymbol(ahead: number, text: string): boolean {
    const token = this.peek(ahead);
    return token.kind === 'symbol' && token.text === text;
  }

  /** Steps over these words or symbols when they come next. */
  accept(...texts: readonly string[]): boolean {
    const found = this.isAt(...texts);
    if (found) this.#at += texts.length;
    return found;
  }

  require(text: string): void {
    if (!this.accept(text)) throw this.unexpected(`expected ${text}`);
  }

  /** True when the token can name something: quoted, or a word that is not reserved. */
  isName(ahead = 0): boolean {
    const token = this.peek(ahead);
    return token.kind === 'quoted' || (token.kind === 'word' && !RESERVED.has(token.text));
  }

  /** A name; unquoted ones fold to lower case. */
  name(what: string): string {
    if (!this.isName()) throw this.unexpected(`expected ${what}`);
    const token = this.next();
    return token.kind === 'quoted' ? token.text : token.text.toLowerCase();
  }

  /** `a`, `a.b` and so on, at most `partsMax` names. */
  path(what: string, partsMax: number): readonly string[] {
    const parts = [this.name(what)];
    while (this.isAt('.')) {
      if (parts.length === partsMax) throw this.unexpected(`expected the end of ${what}`);
      this.next();
      parts.push(this.name(what));
    }
    return parts;
  }

  /** From `start` to the end of the last token read. */
  spanFrom(start: number): Span {
    const last = this.#tokens[Math.max(0, this.#at - 1)]!;
    return { from: start, to: Math.max(start, last.to) };
  }

  textOf(span: Span): string {
    return this.sql.slice(span.from, span.to);
  }

  /** Goes one level deeper. @throws ParleyError SQL_TOO_DEEP. */
  enter(): void {
    this.#depth += 1;
    if (this.#depth > SQL_DEPTH_MAX) throw tooDeep(this.sql, this.peek().from);
  }

  /** Counts one more expression or operator. @throws ParleyError SQL_TOO_LARGE. */
  countCondition(): void {
    this.#conditions += 1;
    if (this.#conditions <= CONDITIONS_MAX) return;
    const hint = `Write at most ${CONDITIONS_MAX} conditions and operators; IN takes a list.`;
    throw refusal('SQL_TOO_LARGE', 'there are too many conditions', undefined, hint);
  }

  leave(levels = 1): void {
    this.#depth -= levels;
  }

  /**
   * The refusal of the next token: SQL_UNSUPPORTED with its hint when SQL knows it there, else
   * SQL_SYNTAX.
   */
  unexpected(what: string): ParleyError {
    const token = this.peek();
    const fragment = this.textOf(token);
    const known =
      token.kind === 'word'
        ? hintOfWord(token.text)
        : token.kind === 'symbol'
          ? hintOfSymbol(token.text)
          : undefined;
    const where = positionOf(this.sql, token.from);
    if (known !== undefined) {
      return refusal('SQL_UNSUPPORTED', `not supported here, at ${where}`, fragment, known);
    }
    const found = token.kind === 'end' ? ' but the text ends' : '';
    return refusal('SQL_SYNTAX', `${what}${found} at ${where}`, fragment);
  }

  /** A refusal of what was read from `from`. */
  refuse(message: string, from: number, hint: string): ParleyError {
    return refusal('SQL_UNSUPPORTED', message, this.textOf(this.spanFrom(from)), hint);
  }
}
