import { setTimeout as sleep } from 'node:timers/promises';
import { WebSocket, type RawData } from 'ws';
import { toBase64Url } from '../core/bytes.ts';
import { expect, ParleyError } from '../core/errors.ts';
import { FIRST_PAYLOAD_BYTES_MAX, PAYLOAD_BYTES_MAX, type DirectLimits } from './limits.ts';
import type { RawPipe } from './raw-pipe.ts';
import { keepHeartbeat, SocketWriter } from './socket.ts';

/**
 * Carries the first payload of the end that dials, base64url. It is there before the WebSocket is,
 * so a stranger is turned away as an HTTP request, without any state of its own.
 */
export const FIRST_PAYLOAD_HEADER = 'parley-link';

/** What to do when the owner of a pipe is ready to hear, and when it gives the pipe up. */
export interface PipeEvents {
  /** Called with the first payload of an end that dials. Resolves once the peer has taken it. */
  readonly onFirst?: (payload: Uint8Array) => Promise<void>;
  readonly onReady?: () => void;
  readonly onClose: () => void;
}

/**
 * One pipe over a WebSocket of its own. It waits for its socket: the end that dials gets it with
 * its first payload, the other one when a connection came that proved the peer's key.
 */
export class DirectPipe implements RawPipe {
  readonly #events: PipeEvents;
  readonly #limits: DirectLimits;
  #writer: SocketWriter | null = null;
  #socket: WebSocket | null = null;
  #deliver: ((payload: Uint8Array) => void) | null = null;
  #closed: (() => void) | null = null;
  #started = false;
  #over = false;

  constructor(events: PipeEvents, limits: DirectLimits) {
    this.#events = events;
    this.#limits = limits;
  }

  get over(): boolean {
    return this.#over;
  }

  async send(payload: Uint8Array): Promise<void> {
    if (this.#over) throw lost();
    if (this.#writer !== null) return this.#writer.write(payload);
    expect(this.#events.onFirst !== undefined && !this.#started, 'the first payload goes alone');
    this.#started = true;
    return this.#events.onFirst(payload);
  }

  onMessage(deliver: (payload: Uint8Array) => void): void {
    this.#deliver = deliver;
    this.#events.onReady?.();
  }

  onClose(closed: () => void): void {
    this.#closed = closed;
    if (this.#over) queueMicrotask(closed);
  }

  close(): void {
    if (this.#over) return;
    this.#over = true;
    // What was handed over still goes out; ws itself ends a socket whose peer does not answer.
    this.#socket?.close(1000);
    this.#events.onClose();
  }

  /** The pipe ended by itself: its socket was lost, or the node goes down. */
  end(): void {
    if (this.#over) return;
    this.#over = true;
    this.#socket?.terminate();
    this.#events.onClose();
    this.#closed?.();
  }

  /** From here on `socket` carries the pipe. `first` is what the end that dialled said with it. */
  attach(socket: WebSocket, first: Uint8Array | null): void {
    this.#socket = socket;
    this.#writer = new SocketWriter(socket);
    const { heartbeatMs, heartbeatsMissedMax } = this.#limits;
    const heartbeat = keepHeartbeat(socket, heartbeatMs, heartbeatsMissedMax);
    socket.on('error', () => socket.terminate());
    socket.on('close', () => this.end());
    socket.on('message', (data: RawData, isBinary) => {
      heartbeat.alive();
      if (this.#over) return;
      if (isBinary) this.#deliver?.(data as Uint8Array);
      else this.end();
    });
    if (first !== null) this.#deliver?.(first);
  }
}

function lost(): ParleyError {
  return new ParleyError('CHANNEL_CLOSED', 'the connection to the peer was lost');
}

/** `<address>/v1/link/<query id>/<who dials>`. */
export function linkUrl(address: string, queryId: string, party: string): URL {
  return new URL(`v1/link/${queryId}/${party}`, address.endsWith('/') ? address : `${address}/`);
}

/**
 * Dials until the peer takes the first payload: it refuses as long as it does not run the query
 * yet, and refuses everybody else in the same words. Ends when the pipe is given up.
 * @throws ParleyError CHANNEL_CLOSED once the pipe is over.
 */
export async function dialUntilTaken(
  pipe: DirectPipe,
  url: URL,
  first: Uint8Array,
  limits: DirectLimits,
  keep: (socket: WebSocket) => void,
): Promise<void> {
  expect(first.length <= FIRST_PAYLOAD_BYTES_MAX, 'a first payload fits a header');
  const { redialMsMin, redialMsMax } = limits;
  for (let waitMs = redialMsMin; !pipe.over; waitMs = Math.min(2 * waitMs, redialMsMax)) {
    if (await dial(pipe, url, first, limits, keep)) return;
    await sleep(waitMs);
  }
  throw lost();
}

/** One attempt; true once the peer switched protocols, and so holds the first payload. */
function dial(
  pipe: DirectPipe,
  url: URL,
  first: Uint8Array,
  limits: DirectLimits,
  keep: (socket: WebSocket) => void,
): Promise<boolean> {
  const socket = new WebSocket(url, {
    headers: { [FIRST_PAYLOAD_HEADER]: toBase64Url(first) },
    handshakeTimeout: limits.openTimeoutMs,
    maxPayload: PAYLOAD_BYTES_MAX,
    perMessageDeflate: false,
    followRedirects: false,
    // PROTOCOL.md, departures: every message is ciphertext under a fresh key, which nobody chooses.
    generateMask: (key) => key.fill(0),
  });
  keep(socket);
  return new Promise((resolve) => {
    socket.on('error', () => resolve(false));
    socket.on('close', () => resolve(false));
    socket.on('open', () => {
      if (pipe.over) socket.terminate();
      // At once: the peer's answer may be in the same packet.
      else pipe.attach(socket, null);
      resolve(!pipe.over);
    });
  });
}
