import { concat, utf8 } from '../core/bytes.ts';

/** What a party signs to prove who it is to the coordinator. */
export interface Hello {
  readonly room: string;
  readonly policy_digest: string;
  readonly party: string;
  /** The coordinator's challenge, 64 hex characters, good for this connection only. */
  readonly nonce: string;
}

export const HELLO_VERSION = 1;

/**
 * Bytes under a hello's Ed25519 signature: `"parley/hello/v1" ‖ 0x00 ‖ JSON`.
 *
 * The JSON is RFC 8785's for these fields: keys sorted, strings without characters it would escape
 * otherwise than `JSON.stringify`, a small integer.
 */
export function helloBytes(hello: Hello): Uint8Array {
  const { nonce, party, policy_digest, room } = hello;
  const json = JSON.stringify({ nonce, party, policy_digest, room, version: HELLO_VERSION });
  return concat([utf8('parley/hello/v1\0'), utf8(json)]);
}
