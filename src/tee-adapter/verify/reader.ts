import type { ErrorCode } from '../../core/errors.ts';
import { refuse } from './refuse.ts';

/** Little-endian fields of a fixed layout; every read is bounded. */
export interface Reader {
  readonly length: number;
  u8(at: number): number;
  u16(at: number): number;
  u32(at: number): number;
  u64(at: number): bigint;
  /** A copy, so that what was checked cannot change under the caller. */
  bytes(at: number, length: number): Uint8Array;
  /** True when every byte of the range is zero. */
  isZero(at: number, length: number): boolean;
}

/** @throws ParleyError `code` from any read that would leave the buffer. */
export function readerOf(bytes: Uint8Array, code: ErrorCode = 'EVIDENCE_MALFORMED'): Reader {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const within = (at: number, length: number): number => {
    if (at < 0 || length < 0 || at + length > bytes.length) refuse(code, 'a field is cut short');
    return at;
  };
  return {
    length: bytes.length,
    u8: (at) => view.getUint8(within(at, 1)),
    u16: (at) => view.getUint16(within(at, 2), true),
    u32: (at) => view.getUint32(within(at, 4), true),
    u64: (at) => view.getBigUint64(within(at, 8), true),
    bytes: (at, length) => bytes.slice(within(at, length), at + length),
    isZero: (at, length) => isZero(bytes.subarray(within(at, length), at + length)),
  };
}

export function isZero(bytes: Uint8Array): boolean {
  return bytes.every((byte) => byte === 0);
}
