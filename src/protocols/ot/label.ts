import { createHash } from 'node:crypto';
import { concat, u32be, utf8 } from '../../core/bytes.ts';

/** Bytes of the session identifier the caller agrees with its peer. */
export const SESSION_ID_BYTES = 32;

/**
 * What every hash of one direction is bound to: session id and channel path, length-prefixed so
 * that no two labels share a reading.
 */
export function bindingOf(sessionId: Uint8Array, path: string): Uint8Array {
  const name = utf8(path);
  return concat([u32be(sessionId.length), sessionId, u32be(name.length), name]);
}

/** SHA-256 of a domain string, which no other use shares, and fixed-length parts. */
export function hash(domain: string, parts: readonly Uint8Array[]): Uint8Array {
  return digest('sha256', domain, parts);
}

/** SHA-512 in the same way, for what needs 64 uniform bytes. */
export function hashWide(domain: string, parts: readonly Uint8Array[]): Uint8Array {
  return digest('sha512', domain, parts);
}

function digest(algorithm: string, domain: string, parts: readonly Uint8Array[]): Uint8Array {
  const state = createHash(algorithm);
  const name = utf8(`parley/ot/1/${domain}`);
  state.update(u32be(name.length)).update(name);
  for (const part of parts) state.update(part);
  return new Uint8Array(state.digest());
}
