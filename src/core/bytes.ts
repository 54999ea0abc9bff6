import { timingSafeEqual } from 'node:crypto';
import { ParleyError } from './errors.ts';

const ENCODER = new TextEncoder();
const DECODER = new TextDecoder('utf-8', { fatal: true });

export function utf8(text: string): Uint8Array {
  return ENCODER.encode(text);
}

/** @throws TypeError when the bytes are not UTF-8; decoders at the edge wrap it. */
export function fromUtf8(bytes: Uint8Array): string {
  return DECODER.decode(bytes);
}

export function concat(parts: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(parts.reduce((n, p) => n + p.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

/** Constant-time equality; false at once when lengths differ. */
export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}

function view(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

export function toHex(bytes: Uint8Array): string {
  return view(bytes).toString('hex');
}

export function toBase64Url(bytes: Uint8Array): string {
  return view(bytes).toString('base64url');
}

/** Strict: lower-case hex of exactly `length` bytes. @throws ParleyError REQUEST_MALFORMED. */
export function fromHex(text: string, length: number): Uint8Array {
  if (text.length !== 2 * length || !/^[0-9a-f]*$/.test(text)) {
    throw new ParleyError('REQUEST_MALFORMED', `expected ${length} bytes of lower-case hex`);
  }
  return new Uint8Array(Buffer.from(text, 'hex'));
}

/** Strict: unpadded canonical base64url of `min` to `max` bytes. @throws REQUEST_MALFORMED. */
export function fromBase64Url(text: string, min: number, max = min): Uint8Array {
  const bytes = new Uint8Array(Buffer.from(text, 'base64url'));
  if (bytes.length < min || bytes.length > max || toBase64Url(bytes) !== text) {
    throw new ParleyError('REQUEST_MALFORMED', 'expected canonical base64url of the stated length');
  }
  return bytes;
}

export function u32be(n: number): Uint8Array {
  const out = new Uint8Array(4);
  new DataView(out.buffer).setUint32(0, n);
  return out;
}

/** Overwrites secrets. Best effort: the collector may have copied them before. */
export function wipe(...secrets: readonly Uint8Array[]): void {
  for (const secret of secrets) secret.fill(0);
}
