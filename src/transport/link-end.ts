import type { Channel } from '../core/channel.ts';
import { asParleyError, expect, ParleyError, type ErrorCode } from '../core/errors.ts';
import { decodeFrames, encodeAlive, encodeClose, isPath, isStep, type Frame } from './frames.ts';
import { Inbox } from './inbox.ts';
import { MESSAGE_BYTES_MAX, RECORD_LENGTH_BYTES, type LinkLimits } from './limits.ts';
import type { Link, LinkOptions, LinkStats } from './link.ts';
import { TAG_BYTES, type TransportCiphers } from './noise/index.ts';
import { Outbox, type Batch } from './outbox.ts';

/** LOCAL. Peers that run long computations stay in touch this often at least. */
const KEEP_ALIVE_MS_MAX = 10_000;

/** One side of an open link: records in and out of its pipe, channels on top, one end. */
export class LinkEnd implements Link {
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
  /** What the pipe is being given; the outbox no longer has its messages. */
  #leaving: Batch | null = null;
  #idle: (() => void) | null = null;
  #quietTicks = 0;
  #bytesSent: number;
  #bytesReceived: number;
  #messages = 0;

  /** @param handshakeBytes - what each side has sent so far. */
  constructor(
    options: LinkOptions,
    limits: LinkLimits,
    ciphers: TransportCiphers,
    handshakeBytes: number,
  ) {
    this.#options = options;
    this.#limits = limits;
    this.#ciphers = ciphers;
    this.#bytesSent = handshakeBytes;
    this.#bytesReceived = handshakeBytes;
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

  drop(name: string): void {
    this.#inbox.drop(name, cancelled());
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
    for (const message of this.#leaving?.finished ?? []) message.reject(error);
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
      this.#leaving = batch;
      await this.#options.raw.send(this.#seal(batch));
      this.#leaving = null;
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
      // The eighth: at most the whole of the timeout after the last word (R1), at least 7/8 of it.
      if (waiting && this.#quietTicks >= 8) {
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
