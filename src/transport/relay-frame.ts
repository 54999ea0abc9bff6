import { concat, utf8 } from '../core/bytes.ts';
import { ParleyError } from '../core/errors.ts';
import { NAME_BYTES_MAX, PAYLOAD_BYTES_MAX } from './limits.ts';

/**
 * A binary message between a party and the coordinator:
 * `[1 version] [1 length] [peer name] [1 length] [query id] [payload]`.
 * Going up the name is the recipient's; the coordinator replaces it by the authenticated sender's.
 */
export interface RelayFrame {
  readonly peer: string;
  readonly queryId: string;
  /** A view into the message. */
  readonly payload: Uint8Array;
}

const VERSION = 1;
const NAME = /^[a-z][a-z0-9_-]{0,62}$/;
const QUERY_ID = /^[A-Za-z0-9_-]{16,64}$/;

/** Longest header: version, two lengths, two names. */
export const RELAY_HEADER_BYTES_MAX = 3 + 2 * NAME_BYTES_MAX;

export function encodeRelayHeader(peer: string, queryId: string): Uint8Array {
  return concat([
    Uint8Array.of(VERSION, peer.length),
    utf8(peer),
    Uint8Array.of(queryId.length),
    utf8(queryId),
  ]);
}

function malformed(): ParleyError {
  return new ParleyError('FRAME_MALFORMED', 'a relay frame does not decode');
}

function text(message: Uint8Array, at: number, form: RegExp): string {
  const bytes = message[at];
  if (bytes === undefined || bytes > NAME_BYTES_MAX) throw malformed();
  const name = String.fromCharCode(...message.subarray(at + 1, at + 1 + bytes));
  if (name.length !== bytes || !form.test(name)) throw malformed();
  return name;
}

/** @throws ParleyError FRAME_MALFORMED; FRAME_TOO_LARGE when the payload is. */
export function decodeRelayFrame(message: Uint8Array): RelayFrame {
  if (message[0] !== VERSION) throw malformed();
  const peer = text(message, 1, NAME);
  const queryId = text(message, 2 + peer.length, QUERY_ID);
  const payload = message.subarray(3 + peer.length + queryId.length);
  if (payload.length > PAYLOAD_BYTES_MAX) {
    throw new ParleyError('FRAME_TOO_LARGE', 'a relay frame is too large');
  }
  return { peer, queryId, payload };
}

/**
 * The message with another peer name. Written over the old header when it is not longer, so that
 * the payload is not copied; `message` is spent either way.
 */
export function readdressed(message: Uint8Array, frame: RelayFrame, peer: string): Uint8Array {
  const header = encodeRelayHeader(peer, frame.queryId);
  const at = message.length - frame.payload.length - header.length;
  if (at < 0) return concat([header, frame.payload]);
  message.set(header, at);
  return message.subarray(at);
}
