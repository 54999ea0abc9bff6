import type { Channel } from '../core/channel.ts';
import { concat, utf8 } from '../core/bytes.ts';
import { asParleyError, expect, ParleyError, type ErrorCode } from '../core/errors.ts';
import type { Redacted } from '../core/redacted.ts';
import { decodeFrames, encodeAlive, encodeClose, isPath, isStep, type Frame } from './frames.ts';
import { Inbox } from './inbox.ts';
import { LINK_LIMITS, MESSAGE_BYTES_MAX, RECORD_LENGTH_BYTES, type LinkLimits } from './limits.ts';
import {
  dhKeyPairOf,
  generateDhKeyPair,
  HandshakeState,
  KK,
  TAG_BYTES,
  type TransportCiphers,
} from './noise/index.ts';
import { Outbox, type Batch } from './outbox.ts';
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

export interface LinkOptions {
  readonly raw: RawPipe;
  readonly role: 'initiator' | 'responder';
  /** Own X25519 private key, 32 bytes. */
  readonly localStatic: Redacted<Uint8Array>;
  /** The peer's X25519 public key, 32 bytes, from the signed policy. */
  readonly remoteStatic: Uint8Array;
  /** What both ends must agree on: room, policy digest, query id, session. */
  readonly prologue: Uint8Array;
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
  /** Hands over what is queued, tells the peer and ends. */
  close(): Promise<void>;
  /** Ends at once; the peer's pending calls reject with PEER_ABORTED naming `code`. */
  abort(code: ErrorCode): void;
}

const LINK_VERSION = 1;
/** Sent instead of a handshake message: "I could not read yours". Carries no authority. */
const REFUSED = Uint8Array.of(0xff);
const HANDSHAKE_BYTES = 1 + 32 + TAG_BYTES;
/** LOCAL. Peers that run long computations stay in touch this often at least. */
const KEEP_ALIVE_MS_MAX = 10_000;

/** Noise section 6: version and suite are in the transcript, so there is nothing to fall back to. */
function prologueOf(own: Uint8Array): Uint8Array {
  return concat([utf8('parley/link/v1\0'), own]);
}

class LinkEnd implements Link {
  readonly root: Channel;
  readonly closed: Promise<ParleyError | null>;
  readonly #options: LinkOptions;
  readonly #limits: LinkLimits;
  readonly #ciphers: TransportCiphers;
  readonly #inbox: Inbox;
  readonly #outbox: Outbox;
  readonly #timers: NodeJS.Timeout[] = [];
  readonly #onAbort = (): void => this.#fail(cancelled(), 'CANCELLED');
  #settle: (error: ParleyError | null) => void = () => undefined;
  #ended: ParleyError | null = null;
  #pumping = false;
  #idle: (() => void) | null = null;
  #quietTicks = 0;
  #bytesSent: number;
  #bytesReceived: number;
  #messages = 0;

  constructor(options: LinkOptions, limits: LinkLimits, ciphers: TransportCiphers) {
    this.#options = options;
    this.#limits = limits;
    this.#ciphers = ciphers;
    this.#bytesSent = HANDSHAKE_BYTES;
    this.#bytesReceived = HANDSHAKE_BYTES;
    this.#outbox = new Outbox(limits.windowBytes);
    this.#inbox = new Inbox({
      windowBytes: limits.windowBytes,
      sendControl: (frame) => {
        this.#outbox.sendControl(frame);
        this.#pump();
      },
    });
    this.closed = new Promise((resolve) => (this.#settle = resolve));
    this.root = this.#channel('');
    options.signal?.addEventListener('abort', this.#onAbort, { once: true });
    this.#startTimers();
  }

  get stats(): LinkStats {
    return {
      bytesSent: this.#bytesSent,
      bytesReceived: this.#bytesReceived,
      messages: this.#messages,
    };
  }

  abort(code: ErrorCode): void {
    this.#fail(new ParleyError('CHANNEL_CLOSED', 'the link is closed'), code);
  }

  async close(): Promise<void> {
    if (this.#ended !== null) return;
    if (this.#outbox.busy || this.#pumping) await this.#flushed();
    this.#end(new ParleyError('CHANNEL_CLOSED', 'the link is closed'), null, null);
  }

  /** One payload from the pipe: whole records, each behind its length. */
  receive(payload: Uint8Array): void {
    if (this.#ended !== null) return;
    this.#bytesReceived += payload.length;
    try {
      if (payload.length === 0) throw truncated();
      let at = 0;
      while (at < payload.length) {
        const bytes = ((payload[at] ?? 0) << 8) | (payload[at + 1] ?? 0);
        at += RECORD_LENGTH_BYTES;
        if (bytes < TAG_BYTES || bytes > payload.length - at) throw truncated();
        const text = this.#ciphers.receiving.decryptMessage(payload.subarray(at, at + bytes));
        at += bytes;
        // Only what the peer itself said counts as a sign of life.
        this.#quietTicks = 0;
        for (const frame of decodeFrames(text)) this.#handle(frame);
        // Re-read: a frame may have ended the link.
        if (this.#hasEnded()) return;
      }
    } catch (error) {
      const cause = asParleyError(error);
      this.#fail(cause, cause.code);
    }
  }

  /** The pipe ended by itself. */
  pipeClosed(): void {
    this.#end(new ParleyError('CHANNEL_CLOSED', 'the connection to the peer was lost'), 'quiet');
  }

  #hasEnded(): boolean {
    return this.#ended !== null;
  }

  #handle(frame: Frame): void {
    switch (frame.kind) {
      case 'open':
      case 'start':
      case 'more':
        this.#inbox.accept(frame);
        break;
      case 'credit':
        this.#outbox.credit(frame.bytes);
        this.#pump();
        break;
      case 'want':
        this.#outbox.want(frame.channel, frame.sequence);
        this.#pump();
        break;
      case 'close':
        this.#peerClosed(frame.code);
        break;
      case 'alive':
        break;
    }
  }

  #peerClosed(code: ErrorCode | null): void {
    if (code === null) {
      this.#end(new ParleyError('CHANNEL_CLOSED', 'the peer closed the link'), 'quiet', null);
      return;
    }
    const hint = `the peer reported ${code}`;
    this.#end(new ParleyError('PEER_ABORTED', 'the peer gave up', { hint }), 'discard');
  }

  /** Everything pending rejects with `error`; the peer is told `code`. */
  #fail(error: ParleyError, code: ErrorCode): void {
    this.#end(error, code);
  }

  /**
   * @param tell - what the peer hears: a code, null for an orderly end; `quiet` says nothing and
   *   leaves complete messages readable, `discard` says nothing and drops them.
   */
  #end(
    error: ParleyError,
    tell: ErrorCode | 'quiet' | 'discard' | null,
    outcome: ParleyError | null = error,
  ): void {
    if (this.#ended !== null) return;
    this.#ended = error;
    for (const timer of this.#timers) clearInterval(timer);
    this.#options.signal?.removeEventListener('abort', this.#onAbort);
    this.#outbox.end(error);
    if (tell === 'quiet') this.#inbox.end(error);
    else this.#inbox.discard(error);
    if (tell !== 'quiet' && tell !== 'discard') this.#tell(tell);
    this.#ciphers.sending.destroy();
    this.#ciphers.receiving.destroy();
    this.#options.raw.close();
    this.#idle?.();
    this.#settle(outcome);
  }

  /** Last words; whether they arrive does not matter. */
  #tell(code: ErrorCode | null): void {
    try {
      const payload = this.#seal({ records: [[encodeClose(code)]], finished: [] });
      this.#options.raw.send(payload).catch(() => undefined);
    } catch {
      // The key is used up or the pipe is gone: the peer sees the pipe close.
    }
  }

  #seal(batch: Batch): Uint8Array {
    const textBytes = batch.records.map((parts) => parts.reduce((n, p) => n + p.length, 0));
    const overhead = RECORD_LENGTH_BYTES + TAG_BYTES;
    const payload = new Uint8Array(textBytes.reduce((n, bytes) => n + bytes + overhead, 0));
    let at = 0;
    for (const parts of batch.records) {
      const start = at + RECORD_LENGTH_BYTES;
      const bytes = this.#ciphers.sending.encryptMessageInto(parts, payload, start);
      payload[at] = bytes >> 8;
      payload[at + 1] = bytes & 0xff;
      at = start + bytes;
    }
    this.#bytesSent += payload.length;
    return payload;
  }

  #pump(): void {
    if (this.#pumping || this.#ended !== null) return;
    this.#pumping = true;
    this.#run().then(
      () => this.#pumped(),
      (error: unknown) => {
        this.#pumped();
        const cause = asParleyError(error);
        this.#end(cause, cause.code === 'CHANNEL_CLOSED' ? 'quiet' : cause.code);
      },
    );
  }

  #pumped(): void {
    this.#pumping = false;
    if (!this.#outbox.busy) this.#idle?.();
  }

  async #run(): Promise<void> {
    // Whatever else this turn of the event loop sends travels in the same payload.
    await Promise.resolve();
    for (;;) {
      if (this.#hasEnded()) return;
      const batch = this.#outbox.next();
      if (batch === null) return;
      await this.#options.raw.send(this.#seal(batch));
      for (const message of batch.finished) message.resolve();
    }
  }

  /** Resolves when nothing is queued, the link ended, or the patience for it is over. */
  #flushed(): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, this.#limits.closeTimeoutMs);
      this.#idle = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  /** Counts ticks, not time: after a long computation of our own one tick is late, not eight. */
  #startTimers(): void {
    const { idleTimeoutMs } = this.#limits;
    const watch = setInterval(() => {
      this.#quietTicks += 1;
      const waiting = this.#inbox.waiting || this.#outbox.busy;
      if (waiting && this.#quietTicks > 8) {
        this.#fail(new ParleyError('TIMEOUT', 'the peer has gone quiet'), 'TIMEOUT');
      }
    }, idleTimeoutMs / 8);
    const keepAlive = setInterval(
      () => {
        this.#outbox.sendControl(encodeAlive());
        this.#pump();
      },
      Math.min(idleTimeoutMs / 4, KEEP_ALIVE_MS_MAX),
    );
    for (const timer of [watch, keepAlive]) this.#timers.push(timer.unref());
  }

  #channel(path: string): Channel {
    const label = [this.#options.path ?? 'link', path].filter((p) => p !== '').join('/');
    const trace = (direction: 'out' | 'in', step: string, bytes: number): void => {
      this.#messages += 1;
      this.#options.trace?.({ direction, path: label, step, bytes });
    };
    return {
      path: label,
      send: async (step, bytes) => {
        expect(isStep(step), 'a step is 1 to 64 printable characters');
        expect(bytes.length <= MESSAGE_BYTES_MAX, 'a message is at most 256 MiB');
        if (this.#ended !== null) throw this.#ended;
        trace('out', step, bytes.length);
        const sent = this.#outbox.send(path, step, bytes);
        this.#pump();
        await sent;
      },
      recv: async (step, bytes) => {
        expect(isStep(step), 'a step is 1 to 64 printable characters');
        expect(bytes >= 0 && bytes <= MESSAGE_BYTES_MAX, 'a message is at most 256 MiB');
        const received = await this.#inbox.recv(path, step, bytes);
        trace('in', step, bytes);
        return received;
      },
      sub: (name) => {
        const child = path === '' ? name : `${path}/${name}`;
        expect(name !== '' && isPath(child), 'a path is at most 256 printable characters');
        return this.#channel(child);
      },
    };
  }
}

function cancelled(): ParleyError {
  return new ParleyError('CANCELLED', 'the operation was cancelled');
}

function truncated(): ParleyError {
  return new ParleyError('LINK_TAMPERED', 'a payload of the link is cut');
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
  // Below this a credit could be held back while the sender waits for it.
  expect(limits.windowBytes >= 1 << 20, 'a window is at least 1 MiB');
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
    const handshake = new HandshakeState({
      pattern: KK,
      initiator: options.role === 'initiator',
      prologue: prologueOf(options.prologue),
      localStatic: dhKeyPairOf(options.localStatic),
      remoteStatic: options.remoteStatic,
      ephemeral: generateDhKeyPair,
    });
    const say = (): void => {
      const message = concat([Uint8Array.of(LINK_VERSION), handshake.write(new Uint8Array(0))]);
      raw.send(message).catch(() => fail(lost()));
    };
    const hear = (payload: Uint8Array): void => {
      try {
        readHandshake(handshake, payload);
        if (!handshake.done) say();
        finish();
        link = new LinkEnd(options, limits, handshake.split());
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
