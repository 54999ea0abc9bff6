import type { Channel } from '../core/channel.ts';
import { concat, utf8 } from '../core/bytes.ts';
import { asParleyError, expect, ParleyError, type ErrorCode } from '../core/errors.ts';
import type { Redacted } from '../core/redacted.ts';
import { LINK_LIMITS, WINDOW_BYTES_MIN, type LinkLimits } from './limits.ts';
import { LinkEnd } from './link-end.ts';
import {
  DH_BYTES,
  dhKeyPairOf,
  generateDhKeyPair,
  HandshakeState,
  KK,
  TAG_BYTES,
} from './noise/index.ts';
import type { RawPipe } from './raw-pipe.ts';

/** One message that crossed the link, as shape tests and metrics see it. */
export interface TraceEvent {
  readonly direction: 'out' | 'in';
  readonly path: string;
  readonly step: string;
  readonly bytes: number;
}

export interface LinkStats {
  /** Payload bytes given to and taken from the pipe, handshake and keep-alives included. */
  readonly bytesSent: number;
  readonly bytesReceived: number;
  /** Channel messages sent and received. */
  readonly messages: number;
}

/** Who is at an end of a link and for what: everything the handshake depends on. */
export interface LinkEndpoint {
  readonly role: 'initiator' | 'responder';
  /** Own X25519 private key, 32 bytes. */
  readonly localStatic: Redacted<Uint8Array>;
  /** The peer's X25519 public key, 32 bytes, from the signed policy. */
  readonly remoteStatic: Uint8Array;
  /** What both ends must agree on: room, policy digest, query id, session. */
  readonly prologue: Uint8Array;
}

export interface LinkOptions extends LinkEndpoint {
  readonly raw: RawPipe;
  /** Path of `root`, prefixed to every channel's path. Not sent. */
  readonly path?: string;
  readonly limits?: Partial<LinkLimits>;
  readonly signal?: AbortSignal;
  readonly trace?: (event: TraceEvent) => void;
}

/** An authenticated, encrypted connection between two parties for one query. */
export interface Link {
  readonly root: Channel;
  readonly stats: LinkStats;
  /** Settles when the link is over: null after an orderly end of either side. Never rejects. */
  readonly closed: Promise<ParleyError | null>;
  /**
   * Gives up every channel below `root.sub(name)`, for good: their calls reject with CANCELLED and
   * what the peer still sends there is thrown away without holding up other channels.
   */
  drop(name: string): void;
  /** Hands over what is queued, tells the peer and ends. */
  close(): Promise<void>;
  /** Ends at once; the peer's pending calls reject with PEER_ABORTED naming `code`. */
  abort(code: ErrorCode): void;
}

const LINK_VERSION = 1;
/** Sent instead of a handshake message: "I could not read yours". Carries no authority. */
const REFUSED = Uint8Array.of(0xff);
const HANDSHAKE_BYTES = 1 + DH_BYTES + TAG_BYTES;

/** Noise section 6: version and suite are in the transcript, so there is nothing to fall back to. */
function prologueOf(own: Uint8Array): Uint8Array {
  return concat([utf8('parley/link/v1\0'), own]);
}

function cancelled(): ParleyError {
  return new ParleyError('CANCELLED', 'the operation was cancelled');
}

/**
 * Opens a link over a raw pipe: Noise_KK_25519_AESGCM_SHA256 with keys pinned by the caller, then
 * channels inside its transport messages.
 *
 * Neither end learns anything but what channels carry. Whoever carries the pipe sees payload sizes
 * and times; anything it changes, repeats, reorders, reflects, drops from the middle or takes from
 * another link ends the link. Source: noiseprotocol.org revision 34; PROTOCOL.md lists departures.
 *
 * Cost: one round trip, two 49-byte payloads, three X25519 operations a side.
 *
 * @returns once both keys are proven to the initiator; the responder's first received message
 *   proves that the initiator is live.
 * @throws ParleyError LINK_AUTH_FAILED (another key or prologue on the other side), TIMEOUT,
 *   CHANNEL_CLOSED (the pipe ended), CANCELLED.
 */
export function openLink(options: LinkOptions): Promise<Link> {
  const limits = { ...LINK_LIMITS, ...options.limits };
  expect(limits.windowBytes >= WINDOW_BYTES_MIN, 'a window is at least 1 MiB');
  return new Promise<Link>((resolve, reject) => {
    const { raw, signal } = options;
    let link: LinkEnd | null = null;
    let over = false;
    const finish = (): void => {
      over = true;
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
    };
    const fail = (error: ParleyError): void => {
      if (over) return;
      finish();
      raw.close();
      reject(error);
    };
    const onAbort = (): void => fail(cancelled());
    const timer = setTimeout(
      () => fail(new ParleyError('TIMEOUT', 'the peer did not open its end of the link')),
      limits.handshakeTimeoutMs,
    );
    signal?.addEventListener('abort', onAbort, { once: true });
    if (signal?.aborted === true) {
      fail(cancelled());
      return;
    }
    const handshake = handshakeOf(options);
    const say = (): void => {
      const message = concat([Uint8Array.of(LINK_VERSION), handshake.write(new Uint8Array(0))]);
      raw.send(message).catch(() => fail(lost()));
    };
    const hear = (payload: Uint8Array): void => {
      try {
        readHandshake(handshake, payload);
        if (!handshake.done) say();
        finish();
        link = new LinkEnd(options, limits, handshake.split(), HANDSHAKE_BYTES);
        resolve(link);
      } catch (error) {
        if (payload.length !== REFUSED.length) raw.send(REFUSED.slice()).catch(() => undefined);
        fail(asParleyError(error));
      }
    };
    raw.onClose(() => (link === null ? fail(lost()) : link.pipeClosed()));
    raw.onMessage((payload) => {
      if (link !== null) link.receive(payload);
      else if (!over) hear(payload);
    });
    try {
      if (options.role === 'initiator') say();
    } catch (error) {
      fail(asParleyError(error));
    }
  });
}

/**
 * Whether `first` is the first payload of a link to this responder by whoever holds the peer's key,
 * for the same prologue. It may be a replay: KK's first message proves nothing about when it was
 * said. Changes nothing; three X25519 operations.
 */
export function provesPeer(endpoint: LinkEndpoint, first: Uint8Array): boolean {
  expect(endpoint.role === 'responder', 'the responder hears the first payload');
  try {
    readHandshake(handshakeOf(endpoint), first);
    return true;
  } catch {
    return false;
  }
}

function handshakeOf(options: LinkEndpoint): HandshakeState {
  return new HandshakeState({
    pattern: KK,
    initiator: options.role === 'initiator',
    prologue: prologueOf(options.prologue),
    localStatic: dhKeyPairOf(options.localStatic),
    remoteStatic: options.remoteStatic,
    ephemeral: generateDhKeyPair,
  });
}

function readHandshake(handshake: HandshakeState, payload: Uint8Array): void {
  if (payload.length !== HANDSHAKE_BYTES || payload[0] !== LINK_VERSION) {
    throw new ParleyError(
      'LINK_AUTH_FAILED',
      'the peer refused the link or speaks another version',
    );
  }
  const text = handshake.read(payload.subarray(1));
  if (text.length !== 0) throw new ParleyError('FRAME_MALFORMED', 'a handshake carries no payload');
}

function lost(): ParleyError {
  return new ParleyError('CHANNEL_CLOSED', 'the connection to the peer was lost');
}
