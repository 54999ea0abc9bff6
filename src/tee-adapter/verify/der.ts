// A strict reader of the part of DER that certificates, revocation lists and their extensions use:
// definite minimal lengths, low tag numbers, no trailing bytes. X.690 sections 8 and 10.
import { refuse } from './refuse.ts';

/** One tag-length-value. */
export interface Der {
  readonly tag: number;
  /** The content octets. */
  readonly body: Uint8Array;
  /** Tag, length and content: what is signed or compared. */
  readonly whole: Uint8Array;
}

export const TAG = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  oid: 0x06,
  enumerated: 0x0a,
  utf8String: 0x0c,
  printableString: 0x13,
  ia5String: 0x16,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
} as const;

/** Context-specific constructed tag `[n]`. */
export function contextTag(n: number): number {
  return 0xa0 | n;
}

/** LOCAL. Members of one sequence; Intel's longest revocation list holds 57 entries today. */
const CHILDREN_MAX = 20_000;

function malformed(what: string): never {
  refuse('ENDORSEMENT_MALFORMED', `a DER structure ${what}`);
}

function lengthAt(bytes: Uint8Array, at: number): { length: number; start: number } {
  const first = bytes[at];
  if (first === undefined) malformed('is cut short');
  if (first < 0x80) return { length: first, start: at + 1 };
  const octets = first & 0x7f;
  // Section 10.1: definite form, as few octets as possible.
  if (octets === 0 || octets > 3) malformed('has a length it may not have');
  let length = 0;
  for (let i = 1; i <= octets; i++) {
    const octet = bytes[at + i];
    if (octet === undefined) malformed('is cut short');
    length = length * 256 + octet;
  }
  if (length < (octets === 1 ? 0x80 : 256 ** (octets - 1))) malformed('has a padded length');
  return { length, start: at + 1 + octets };
}

function elementAt(bytes: Uint8Array, at: number): Der {
  const tag = bytes[at];
  if (tag === undefined) malformed('is cut short');
  if ((tag & 0x1f) === 0x1f) malformed('has a long tag');
  const { length, start } = lengthAt(bytes, at + 1);
  const end = start + length;
  if (end > bytes.length) malformed('is cut short');
  return { tag, body: bytes.subarray(start, end), whole: bytes.subarray(at, end) };
}

/** Reads exactly one element. @throws ParleyError ENDORSEMENT_MALFORMED. */
export function readDer(bytes: Uint8Array, tag?: number): Der {
  const element = elementAt(bytes, 0);
  if (element.whole.length !== bytes.length) malformed('has trailing bytes');
  return tag === undefined ? element : expectTag(element, tag);
}

export function expectTag(element: Der | undefined, tag: number): Der {
  if (element?.tag !== tag) malformed('holds another type than it should');
  return element;
}

/** Members of a constructed element. */
export function childrenOf(element: Der): Der[] {
  const children: Der[] = [];
  for (let at = 0; at < element.body.length;) {
    const child = elementAt(element.body, at);
    children.push(child);
    if (children.length > CHILDREN_MAX) malformed('has too many members');
    at += child.whole.length;
  }
  return children;
}

/** Members of a SEQUENCE. */
export function sequenceOf(element: Der | undefined): Der[] {
  return childrenOf(expectTag(element, TAG.sequence));
}

/** Content octets of a non-negative INTEGER or ENUMERATED without the sign octet. */
export function naturalOf(element: Der | undefined, tag: number = TAG.integer): Uint8Array {
  const { body } = expectTag(element, tag);
  const [first, second] = body;
  if (first === undefined || first >= 0x80) malformed('holds a negative or empty integer');
  if (first !== 0 || body.length === 1) return body;
  // Section 8.3.2: a leading zero octet stands only before a set top bit.
  if (second === undefined || second < 0x80) malformed('holds a padded integer');
  return body.subarray(1);
}

/** A natural number below 2^31. */
export function smallNaturalOf(element: Der | undefined, tag: number = TAG.integer): number {
  const octets = naturalOf(element, tag);
  const value = octets.reduce((sum, octet) => sum * 256 + octet, 0);
  if (octets.length > 4 || value > 0x7fffffff) malformed('holds an integer that is too large');
  return value;
}

export function booleanOf(element: Der): boolean {
  const { body } = expectTag(element, TAG.boolean);
  // Section 11.1: TRUE is 0xFF.
  if (body.length !== 1 || (body[0] !== 0 && body[0] !== 0xff)) malformed('holds a bad boolean');
  return body[0] === 0xff;
}

export function octetsOf(element: Der | undefined): Uint8Array {
  return expectTag(element, TAG.octetString).body;
}

/** Octets of a BIT STRING whose length is a whole number of octets. */
export function bitOctetsOf(element: Der | undefined): Uint8Array {
  const { body } = expectTag(element, TAG.bitString);
  if (body[0] !== 0) malformed('holds a bit string of part octets');
  return body.subarray(1);
}

/** The first bits of a BIT STRING as a number, bit 0 lowest, as named bit lists are numbered. */
export function namedBitsOf(element: Der): number {
  const { body } = expectTag(element, TAG.bitString);
  const [unused, ...octets] = body;
  if (unused === undefined || unused > 7 || octets.length > 2) malformed('holds a bad bit list');
  let bits = 0;
  octets.forEach((octet, i) => {
    for (let bit = 0; bit < 8; bit++) if ((octet & (0x80 >> bit)) !== 0) bits |= 1 << (8 * i + bit);
  });
  return bits;
}

/** Dotted form of an OBJECT IDENTIFIER. */
export function oidOf(element: Der | undefined): string {
  const { body } = expectTag(element, TAG.oid);
  if (body.length === 0 || body.length > 32) malformed('holds a bad object identifier');
  const arcs: number[] = [];
  let arc = 0;
  for (const [i, octet] of body.entries()) {
    if (arc === 0 && octet === 0x80) malformed('holds a padded object identifier');
    arc = arc * 128 + (octet & 0x7f);
    if (arc > 0xffffffff) malformed('holds an object identifier that is too large');
    if (octet >= 0x80) {
      if (i === body.length - 1) malformed('holds a cut object identifier');
      continue;
    }
    arcs.push(arc);
    arc = 0;
  }
  const [head, ...rest] = arcs;
  const top = Math.min(Math.floor(head! / 40), 2);
  return [top, head! - 40 * top, ...rest].join('.');
}

const TIME = /^(\d{2}|\d{4})(\d{2})(\d{2})(\d{2})(\d{2})(\d{2})Z$/;

/** A UTCTime or GeneralizedTime in the form RFC 5280 section 4.1.2.5 allows, in ms since 1970. */
export function timeOf(element: Der | undefined): number {
  const long = element?.tag === TAG.generalizedTime;
  const { body } = expectTag(element, long ? TAG.generalizedTime : TAG.utcTime);
  const found = TIME.exec(String.fromCharCode(...body.subarray(0, 20)));
  if (found?.[1]?.length !== (long ? 4 : 2)) malformed('holds a bad time');
  const [, year, month, day, hour, minute, second] = found;
  const short = Number(year);
  const full = long ? short : short < 50 ? 2000 + short : 1900 + short;
  const text = `${String(full).padStart(4, '0')}-${month!}-${day!}T${hour!}:${minute!}:${second!}`;
  const ms = Date.parse(`${text}Z`);
  if (Number.isNaN(ms) || !new Date(ms).toISOString().startsWith(text)) {
    malformed('holds a time that does not exist');
  }
  return ms;
}

const STRINGS: readonly number[] = [TAG.utf8String, TAG.printableString, TAG.ia5String];

/** A character string of ASCII. */
export function asciiOf(element: Der | undefined): string {
  if (element === undefined || !STRINGS.includes(element.tag)) malformed('holds no string');
  if (element.body.length > 256 || element.body.some((c) => c < 0x20 || c > 0x7e)) {
    malformed('holds a string that is not printable ASCII');
  }
  return String.fromCharCode(...element.body);
}
