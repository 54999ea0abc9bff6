import { isErrorCode, ParleyError, type ErrorCode } from '../core/errors.ts';
import { utf8 } from '../core/bytes.ts';
import { MESSAGE_BYTES_MAX, PATH_CHARS_MAX, STEP_CHARS_MAX } from './limits.ts';

/**
 * What a record's plaintext is made of, back to back. Integers are big-endian. Records arrive in
 * order, so a continuation names its channel only. Table in PROTOCOL.md.
 */
export type Frame =
  | { readonly kind: 'open'; readonly channel: number; readonly path: string }
  | {
      readonly kind: 'start';
      readonly channel: number;
      readonly sequence: number;
      readonly total: number;
      readonly step: string;
      readonly fragment: Uint8Array;
    }
  | { readonly kind: 'more'; readonly channel: number; readonly fragment: Uint8Array }
  | { readonly kind: 'credit'; readonly bytes: number }
  | { readonly kind: 'want'; readonly channel: number; readonly sequence: number }
  | { readonly kind: 'close'; readonly code: ErrorCode | null }
  | { readonly kind: 'alive' };

const TYPE = { open: 1, start: 2, more: 3, credit: 4, want: 5, close: 6, alive: 7 } as const;

/** Header of a continuation: type, channel, fragment length. */
export const MORE_HEADER_BYTES = 5;

/** Header of a first fragment whose step is `step`. */
export function startHeaderBytes(step: string): number {
  return 14 + step.length;
}

// Paths and steps are printable ASCII, so characters are bytes.
const PATH = new RegExp(`^[!-~]{0,${PATH_CHARS_MAX}}$`);
const STEP = new RegExp(`^[!-~]{1,${STEP_CHARS_MAX}}$`);

export function isPath(path: string): boolean {
  return PATH.test(path);
}

export function isStep(step: string): boolean {
  return STEP.test(step);
}

/** A frame of known size under construction. */
function header(type: number, bytes: number): { out: Uint8Array; view: DataView } {
  const out = new Uint8Array(bytes);
  out[0] = type;
  return { out, view: new DataView(out.buffer) };
}

export function encodeOpen(channel: number, path: string): Uint8Array {
  const { out, view } = header(TYPE.open, 5 + path.length);
  view.setUint16(1, channel);
  view.setUint16(3, path.length);
  out.set(utf8(path), 5);
  return out;
}

/** The header only; the fragment follows it in the record. */
export function encodeStart(
  channel: number,
  sequence: number,
  total: number,
  step: string,
  fragmentBytes: number,
): Uint8Array {
  const { out, view } = header(TYPE.start, startHeaderBytes(step));
  view.setUint16(1, channel);
  view.setUint32(3, sequence);
  view.setUint32(7, total);
  view.setUint8(11, step.length);
  out.set(utf8(step), 12);
  view.setUint16(12 + step.length, fragmentBytes);
  return out;
}

/** The header only. */
export function encodeMore(channel: number, fragmentBytes: number): Uint8Array {
  const { out, view } = header(TYPE.more, MORE_HEADER_BYTES);
  view.setUint16(1, channel);
  view.setUint16(3, fragmentBytes);
  return out;
}

export function encodeCredit(bytes: number): Uint8Array {
  const { out, view } = header(TYPE.credit, 5);
  view.setUint32(1, bytes);
  return out;
}

export function encodeWant(channel: number, sequence: number): Uint8Array {
  const { out, view } = header(TYPE.want, 7);
  view.setUint16(1, channel);
  view.setUint32(3, sequence);
  return out;
}

/** @param code - why the link is given up; null for an orderly end. */
export function encodeClose(code: ErrorCode | null): Uint8Array {
  const text = code ?? '';
  const { out, view } = header(TYPE.close, 2 + text.length);
  view.setUint8(1, text.length);
  out.set(utf8(text), 2);
  return out;
}

export function encodeAlive(): Uint8Array {
  return Uint8Array.of(TYPE.alive);
}

function malformed(): ParleyError {
  return new ParleyError('FRAME_MALFORMED', 'the peer sent a frame that does not decode');
}

/** A reader that never leaves its bytes. */
interface Cursor {
  take(bytes: number): Uint8Array;
  uint(bytes: 1 | 2 | 4): number;
  ascii(bytes: number): string;
}

function cursorOver(text: Uint8Array, from: number): Cursor & { at(): number } {
  let at = from;
  const take = (bytes: number): Uint8Array => {
    if (text.length - at < bytes) throw malformed();
    at += bytes;
    return text.subarray(at - bytes, at);
  };
  return {
    at: () => at,
    take,
    uint: (bytes) => take(bytes).reduce((n, byte) => n * 256 + byte, 0),
    ascii: (bytes) => String.fromCharCode(...take(bytes)),
  };
}

function decodeBody(type: number, c: Cursor): Frame {
  switch (type) {
    case TYPE.open: {
      const channel = c.uint(2);
      const length = c.uint(2);
      if (length > PATH_CHARS_MAX) throw malformed();
      const path = c.ascii(length);
      if (!isPath(path)) throw malformed();
      return { kind: 'open', channel, path };
    }
    case TYPE.start: {
      const channel = c.uint(2);
      const sequence = c.uint(4);
      const total = c.uint(4);
      const step = c.ascii(c.uint(1));
      const fragment = c.take(c.uint(2));
      if (total > MESSAGE_BYTES_MAX) {
        throw new ParleyError('FRAME_TOO_LARGE', 'the peer announced a message that is too long');
      }
      // A first fragment carries something, unless there is nothing to carry.
      const empty = fragment.length === 0;
      if (!isStep(step) || fragment.length > total || empty !== (total === 0)) throw malformed();
      return { kind: 'start', channel, sequence, total, step, fragment };
    }
    case TYPE.more: {
      const channel = c.uint(2);
      const fragment = c.take(c.uint(2));
      if (fragment.length === 0) throw malformed();
      return { kind: 'more', channel, fragment };
    }
    case TYPE.credit:
      return { kind: 'credit', bytes: c.uint(4) };
    case TYPE.want:
      return { kind: 'want', channel: c.uint(2), sequence: c.uint(4) };
    case TYPE.close: {
      const code = c.ascii(c.uint(1));
      if (code === '') return { kind: 'close', code: null };
      if (!isErrorCode(code)) throw malformed();
      return { kind: 'close', code };
    }
    case TYPE.alive:
      return { kind: 'alive' };
    default:
      throw malformed();
  }
}

/**
 * The frames of one record, in order; fragments are views into it.
 * @throws ParleyError FRAME_MALFORMED; FRAME_TOO_LARGE for a message above MESSAGE_BYTES_MAX.
 */
export function decodeFrames(text: Uint8Array): Frame[] {
  const frames: Frame[] = [];
  const cursor = cursorOver(text, 0);
  while (cursor.at() < text.length) frames.push(decodeBody(cursor.uint(1), cursor));
  return frames;
}
