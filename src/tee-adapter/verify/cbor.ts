// The subset of CBOR (RFC 8949) that Nitro documents use, read strictly: preferred lengths, no
// indefinite strings or arrays, no floats, no duplicate keys, bounded depth, whole input consumed.
import { fromUtf8 } from '../../core/bytes.ts';
import { check, refuse } from './refuse.ts';

export type Cbor = number | string | boolean | null | Uint8Array | Cbor[] | CborMap | CborTag;
export type CborMap = Map<number | string, Cbor>;
export interface CborTag {
  readonly tag: number;
  readonly value: Cbor;
}

/** LOCAL. A document nests 3 deep: array, payload map, map of PCRs. */
const DEPTH_MAX = 6;

interface Cursor {
  readonly bytes: Uint8Array;
  at: number;
}

const BREAK = 0xff;

function malformed(what: string): never {
  refuse('EVIDENCE_MALFORMED', `a CBOR item ${what}`);
}

function take(cursor: Cursor, length: number): Uint8Array {
  const end = cursor.at + length;
  if (end > cursor.bytes.length) malformed('is cut short');
  const taken = cursor.bytes.slice(cursor.at, end);
  cursor.at = end;
  return taken;
}

/** The argument of an initial byte, section 3; preferred serialisation only, section 4.1. */
function argument(cursor: Cursor, info: number): number {
  if (info < 24) return info;
  if (info > 27) malformed('has a reserved or indefinite length');
  const size = 2 ** (info - 24);
  const value = take(cursor, size).reduce((sum, byte) => sum * 256 + byte, 0);
  const least = size === 1 ? 24 : 2 ** (4 * size);
  if (value < least || !Number.isSafeInteger(value)) malformed('has a padded or huge number');
  return value;
}

/** Refuses a count that the bytes left cannot hold, before anything is allocated. */
function expectRoom(cursor: Cursor, items: number): number {
  if (items > cursor.bytes.length - cursor.at) malformed('claims more than there is');
  return items;
}

function map(cursor: Cursor, pairs: number | null, depth: number): CborMap {
  const members: CborMap = new Map();
  for (let i = 0; pairs === null || i < pairs; i++) {
    if (pairs === null && cursor.bytes[cursor.at] === BREAK) {
      cursor.at += 1;
      break;
    }
    const key = item(cursor, depth + 1);
    if (typeof key !== 'string' && typeof key !== 'number') malformed('has a key of another type');
    check(!members.has(key), 'EVIDENCE_DUPLICATE_KEY', 'a CBOR map names a key twice');
    members.set(key, item(cursor, depth + 1));
  }
  return members;
}

function simple(info: number): Cbor {
  if (info === 20 || info === 21) return info === 21;
  return info === 22 ? null : malformed('is of a type that documents do not use');
}

function text(bytes: Uint8Array): string {
  try {
    return fromUtf8(bytes);
  } catch {
    return malformed('holds text that is not UTF-8');
  }
}

function item(cursor: Cursor, depth: number): Cbor {
  if (depth > DEPTH_MAX) malformed('is too deep');
  const [initial] = take(cursor, 1);
  const major = initial! >> 5;
  const info = initial! & 0x1f;
  // 0xBF … 0xFF: Nitro documents of 2026 write their payload so.
  if (major === 5 && info === 31) return map(cursor, null, depth);
  if (major === 7) return simple(info);
  const value = argument(cursor, info);
  switch (major) {
    case 0:
      return value;
    case 1:
      return -1 - value;
    case 2:
      return take(cursor, value);
    case 3:
      return text(take(cursor, value));
    case 4:
      return Array.from({ length: expectRoom(cursor, value) }, () => item(cursor, depth + 1));
    case 5:
      return map(cursor, expectRoom(cursor, value), depth);
    default:
      return { tag: value, value: item(cursor, depth + 1) };
  }
}

/**
 * Reads one CBOR item and nothing after it.
 * @throws ParleyError EVIDENCE_MALFORMED, EVIDENCE_DUPLICATE_KEY, EVIDENCE_TRAILING_BYTES.
 */
export function readCbor(bytes: Uint8Array): Cbor {
  const cursor = { bytes, at: 0 };
  const value = item(cursor, 0);
  const whole = cursor.at === bytes.length;
  check(whole, 'EVIDENCE_TRAILING_BYTES', 'bytes follow the end of a CBOR item');
  return value;
}

export function isTag(value: Cbor | undefined): value is CborTag {
  return (
    typeof value === 'object' &&
    value !== null &&
    !Array.isArray(value) &&
    !(value instanceof Map) &&
    !(value instanceof Uint8Array)
  );
}
