import { createHash } from 'node:crypto';
import { concat, toHex, utf8 } from '../core/bytes.ts';
import { expect, ParleyError } from '../core/errors.ts';

/** LOCAL. Deepest value serialised; a plan of 100 nested predicates stays below 300. */
const DEPTH_MAX = 1000;

const LONE_SURROGATE = /\p{Surrogate}/u;

function refuse(what: string): never {
  throw new ParleyError('BAD_ARGUMENT', `${what} cannot be written as canonical JSON`);
}

function string(text: string): string {
  // RFC 8785 section 3.2.2.2: a lone surrogate MUST terminate with an error.
  if (LONE_SURROGATE.test(text)) refuse('a string with a lone surrogate');
  return JSON.stringify(text);
}

function isPlainObject(value: object): value is Readonly<Record<string, unknown>> {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || prototype === Object.prototype;
}

function object(value: object, depth: number): string {
  if (!isPlainObject(value)) refuse('an object that is not plain data');
  if (Object.getOwnPropertySymbols(value).length > 0) refuse('a symbol key');
  // Section 3.2.3: by UTF-16 code units, which is what sort() without a comparator does.
  const keys = Object.keys(value).sort();
  return `{${keys.map((key) => `${string(key)}:${serialise(value[key], depth + 1)}`).join(',')}}`;
}

function array(value: readonly unknown[], depth: number): string {
  // Array.from visits holes as undefined, which are refused; map would skip them.
  return `[${Array.from(value, (item) => serialise(item, depth + 1)).join(',')}]`;
}

function serialise(value: unknown, depth: number): string {
  if (depth > DEPTH_MAX) refuse('a value nested too deeply');
  switch (typeof value) {
    case 'string':
      return string(value);
    case 'number':
      // Section 3.2.2.3 adopts ECMAScript's number serialisation.
      return Number.isFinite(value) ? JSON.stringify(value) : refuse('a number that is not finite');
    case 'boolean':
      return value ? 'true' : 'false';
    case 'object':
      if (value === null) return 'null';
      return Array.isArray(value) ? array(value, depth) : object(value, depth);
    default:
      return refuse(`a value of type ${typeof value}`);
  }
}

/**
 * The canonical UTF-8 bytes of a JSON value: equal values give equal bytes.
 *
 * Source: RFC 8785 (JSON Canonicalization Scheme).
 *
 * @param value - null, booleans, finite numbers, well-formed strings, arrays without holes and
 *   plain objects of these. `undefined` is not JSON, not even as a property.
 * @throws ParleyError BAD_ARGUMENT for anything else, or deeper than 1,000 levels.
 */
export function canonicalJson(value: unknown): Uint8Array {
  return utf8(serialise(value, 0));
}

/**
 * Bytes that are digested or signed: `utf8(domain) ‖ 0x00 ‖ canonicalJson(value)`. The zero byte
 * ends the domain, so no two domains can produce the same bytes.
 */
export function domainSeparated(domain: string, value: unknown): Uint8Array {
  expect(domain.length > 0 && !domain.includes('\0'), 'a domain is non-empty and holds no NUL');
  return concat([utf8(domain), new Uint8Array(1), canonicalJson(value)]);
}

/**
 * Lower-case hex SHA-256 over {@link domainSeparated} bytes: the name of a document.
 * @throws ParleyError BAD_ARGUMENT when `value` is not JSON.
 */
export function digestOf(domain: string, value: unknown): string {
  return toHex(createHash('sha256').update(domainSeparated(domain, value)).digest());
}
