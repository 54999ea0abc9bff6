import type { ErrorCode } from '../core/errors.ts';
import { fromUtf8, utf8 } from '../core/bytes.ts';
import { ParleyError } from '../core/errors.ts';

export interface JsonLimits {
  /** Longest document, in bytes of UTF-8. */
  readonly bytesMax: number;
  /** Deepest nesting of arrays and objects; 32 unless told. */
  readonly depthMax?: number;
  /** Code of every refusal; REQUEST_MALFORMED unless told. */
  readonly code?: ErrorCode;
  /** Refuses numbers with a fraction or an exponent, which a double may not hold exactly. */
  readonly integersOnly?: boolean;
}

/** LOCAL. Deepest nesting a document of ours needs is 8. */
const DEPTH_MAX = 32;

const SPACE = /[ \t\n\r]*/y;
const NUMBER = /-?(?:0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?/y;
// A run of ordinary characters, or one escape (RFC 8259 section 7).
const PLAIN = /[^"\\\u0000-\u001f]*/y;
const ESCAPE = /\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/y;
const LONE_SURROGATE = /\p{Surrogate}/u;

interface Cursor {
  readonly text: string;
  readonly depthMax: number;
  readonly code: ErrorCode;
  readonly integersOnly: boolean;
  at: number;
}

function fail(cursor: Cursor, problem: string): never {
  throw new ParleyError(cursor.code, `the JSON document ${problem}`, {
    hint: `at character ${cursor.at}`,
  });
}

function match(cursor: Cursor, pattern: RegExp): RegExpExecArray | null {
  pattern.lastIndex = cursor.at;
  const found = pattern.exec(cursor.text);
  if (found !== null) cursor.at += found[0].length;
  return found;
}

/** Skips white space and says which character comes next; empty at the end. */
function peek(cursor: Cursor): string {
  match(cursor, SPACE);
  return cursor.text.charAt(cursor.at);
}

function take(cursor: Cursor, token: string): void {
  if (!cursor.text.startsWith(token, cursor.at)) fail(cursor, 'does not parse');
  cursor.at += token.length;
}

function parseString(cursor: Cursor): string {
  const start = cursor.at;
  take(cursor, '"');
  for (;;) {
    match(cursor, PLAIN);
    if (cursor.text.charAt(cursor.at) === '"') break;
    if (match(cursor, ESCAPE) === null) fail(cursor, 'does not parse');
  }
  cursor.at += 1;
  // The token is valid by now; the platform only decodes its escapes.
  const value = JSON.parse(cursor.text.slice(start, cursor.at)) as string;
  if (LONE_SURROGATE.test(value)) fail(cursor, 'holds a lone surrogate');
  return value;
}

function parseNumber(cursor: Cursor): number {
  const found = match(cursor, NUMBER);
  if (found === null) fail(cursor, 'does not parse');
  const value = Number(found[0]);
  const integer = found[1] === undefined && found[2] === undefined;
  if (!integer && cursor.integersOnly) {
    fail(cursor, 'holds a number that is not an integer; put decimals in quotes');
  }
  if (!Number.isFinite(value) || (integer && !Number.isSafeInteger(value))) {
    fail(cursor, 'holds a number that a double cannot hold');
  }
  return value;
}

function parseArray(cursor: Cursor, depth: number): unknown[] {
  take(cursor, '[');
  const items: unknown[] = [];
  if (peek(cursor) === ']') {
    cursor.at += 1;
    return items;
  }
  for (;;) {
    items.push(parseValue(cursor, depth));
    const next = peek(cursor);
    take(cursor, next === ']' ? ']' : ',');
    if (next === ']') return items;
  }
}

function parseObject(cursor: Cursor, depth: number): Record<string, unknown> {
  take(cursor, '{');
  const members: Record<string, unknown> = {};
  if (peek(cursor) === '}') {
    cursor.at += 1;
    return members;
  }
  for (;;) {
    peek(cursor);
    const key = parseString(cursor);
    if (key === '__proto__') fail(cursor, 'holds the key __proto__');
    if (Object.hasOwn(members, key)) fail(cursor, 'names a key twice in one object');
    peek(cursor);
    take(cursor, ':');
    members[key] = parseValue(cursor, depth);
    const next = peek(cursor);
    take(cursor, next === '}' ? '}' : ',');
    if (next === '}') return members;
  }
}

function parseValue(cursor: Cursor, depth: number): unknown {
  const next = peek(cursor);
  if ((next === '{' || next === '[') && depth >= cursor.depthMax) fail(cursor, 'is too deep');
  switch (next) {
    case '{':
      return parseObject(cursor, depth + 1);
    case '[':
      return parseArray(cursor, depth + 1);
    case '"':
      return parseString(cursor);
    case 't':
      take(cursor, 'true');
      return true;
    case 'f':
      take(cursor, 'false');
      return false;
    case 'n':
      take(cursor, 'null');
      return null;
    default:
      return parseNumber(cursor);
  }
}

/**
 * Reads one JSON document and nothing but JSON, where `JSON.parse` is lax: duplicate keys,
 * `__proto__`, lone surrogates, integers a double cannot hold and trailing data are refused, and
 * size and depth are limited.
 *
 * Source: RFC 8259 grammar with the restrictions of RFC 7493 (I-JSON) section 2.
 *
 * @throws ParleyError with `limits.code`. The sentence never repeats the document.
 */
export function parseJsonStrict(document: string | Uint8Array, limits: JsonLimits): unknown {
  const code = limits.code ?? 'REQUEST_MALFORMED';
  const bytes = typeof document === 'string' ? utf8(document) : document;
  if (bytes.length > limits.bytesMax) {
    throw new ParleyError(code, `the JSON document is longer than ${limits.bytesMax} bytes`);
  }
  let text: string;
  try {
    text = typeof document === 'string' ? document : fromUtf8(bytes);
  } catch (error) {
    throw new ParleyError(code, 'the JSON document is not UTF-8', {}, error);
  }
  const cursor: Cursor = {
    text,
    depthMax: limits.depthMax ?? DEPTH_MAX,
    code,
    integersOnly: limits.integersOnly ?? false,
    at: 0,
  };
  const value = parseValue(cursor, 0);
  if (peek(cursor) !== '') fail(cursor, 'goes on after its end');
  return value;
}
