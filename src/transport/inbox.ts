import { ParleyError } from '../core/errors.ts';
import { encodeCredit, encodeWant, type Frame } from './frames.ts';
import { CHANNELS_MAX, FRAME_COST_BYTES } from './limits.ts';

interface Waiter {
  readonly step: string;
  readonly bytes: number;
  readonly resolve: (bytes: Uint8Array) => void;
  readonly reject: (error: ParleyError) => void;
}

/** One message on its way in. `into` is set once somebody receives it; until then it is unread. */
interface Arrival {
  readonly step: string;
  readonly total: number;
  received: number;
  unread: Uint8Array[];
  into: Uint8Array | null;
}

/** The receiving half of one channel. */
interface Stream {
  readonly path: string;
  /** The peer's number for it, once the peer opened it. */
  channel: number | null;
  readonly arrivals: Arrival[];
  readonly waiters: Waiter[];
  /** Sequence number of the next message to start, and of the first one not yet taken. */
  nextStart: number;
  nextTake: number;
  /** Messages before this number may come regardless of the window. */
  wantedBelow: number;
  /** A channel whose peer misbehaved stays broken. */
  broken: ParleyError | null;
}

/** What an inbox asks of its link. */
export interface InboxPort {
  /** Queues a control frame to the peer. */
  sendControl(frame: Uint8Array): void;
  readonly windowBytes: number;
}

/**
 * The receiving half of a link: puts fragments together, matches messages with `recv`, and bounds
 * what is unread.
 *
 * Unread bytes of all channels share one window. When it is half full, a pending `recv` asks for
 * its message by number (`want`), which the peer may then send regardless of the window; it goes
 * straight into the caller's buffer. So a full window never keeps back the message that would
 * drain it.
 */
export class Inbox {
  readonly #port: InboxPort;
  readonly #byPath = new Map<string, Stream>();
  readonly #byChannel = new Map<number, Stream>();
  #unread = 0;
  #owed = 0;
  #waiting = 0;
  #ended: ParleyError | null = null;
  readonly #dropped: { readonly path: string; readonly error: ParleyError }[] = [];

  constructor(port: InboxPort) {
    this.#port = port;
  }

  /** Whether any `recv` is pending. */
  get waiting(): boolean {
    return this.#waiting > 0;
  }

  get unreadBytes(): number {
    return this.#unread;
  }

  /** @throws (rejects) as `Channel.recv`. */
  recv(path: string, step: string, bytes: number): Promise<Uint8Array> {
    return new Promise((resolve, reject) => {
      const stream = this.#stream(path);
      if (stream.broken !== null) {
        reject(stream.broken);
        return;
      }
      stream.waiters.push({ step, bytes, resolve, reject });
      this.#waiting += 1;
      this.#match(stream);
      if (this.#ended !== null) this.#rejectAll(stream, this.#ended);
      else this.#want(stream);
    });
  }

  /** @throws ParleyError FRAME_MALFORMED, FRAME_TOO_LARGE: the link must be given up. */
  accept(frame: Extract<Frame, { kind: 'open' | 'start' | 'more' }>): void {
    if (frame.kind === 'open') {
      this.#open(frame.channel, frame.path);
      return;
    }
    const stream = this.#byChannel.get(frame.channel);
    if (stream === undefined) throw malformed('a message on a channel it did not open');
    this.#charge(FRAME_COST_BYTES + frame.fragment.length);
    const arrival = frame.kind === 'start' ? this.#start(stream, frame) : stream.arrivals.at(-1);
    if (arrival === undefined) throw malformed('a continuation of nothing');
    this.#append(stream, arrival, frame.fragment);
    if (this.#unread > this.#port.windowBytes) {
      throw new ParleyError('FRAME_TOO_LARGE', 'the peer sent more than the window allows');
    }
  }

  /** No more frames will come. What is complete stays readable; every other `recv` rejects. */
  end(error: ParleyError): void {
    this.#ended ??= error;
    for (const stream of this.#byPath.values()) this.#rejectAll(stream, error);
  }

  /** As `end`, but nothing stays readable. */
  discard(error: ParleyError): void {
    this.#ended = error;
    for (const stream of this.#byPath.values()) {
      stream.broken = error;
      stream.arrivals.length = 0;
      this.#rejectAll(stream, error);
    }
  }

  /** Breaks every stream at or below `path`, those that come later included. */
  drop(path: string, error: ParleyError): void {
    this.#dropped.push({ path, error });
    for (const stream of this.#byPath.values()) {
      if (stream.broken === null && isBelow(stream.path, path)) this.#break(stream, error);
    }
  }

  #break(stream: Stream, error: ParleyError): void {
    stream.broken = error;
    for (const { unread } of stream.arrivals) {
      for (const fragment of unread.splice(0)) this.#release(FRAME_COST_BYTES + fragment.length);
    }
    this.#rejectAll(stream, error);
  }

  #stream(path: string): Stream {
    let stream = this.#byPath.get(path);
    if (stream === undefined) {
      stream = {
        path,
        channel: null,
        arrivals: [],
        waiters: [],
        nextStart: 0,
        nextTake: 0,
        wantedBelow: 0,
        broken: this.#dropped.find((dropped) => isBelow(path, dropped.path))?.error ?? null,
      };
      this.#byPath.set(path, stream);
    }
    return stream;
  }

  #open(channel: number, path: string): void {
    const stream = this.#stream(path);
    if (stream.channel !== null || this.#byChannel.has(channel)) {
      throw malformed('one channel twice');
    }
    if (this.#byChannel.size >= CHANNELS_MAX) {
      throw new ParleyError('FRAME_TOO_LARGE', 'the peer opened too many channels');
    }
    stream.channel = channel;
    this.#byChannel.set(channel, stream);
    this.#want(stream);
  }

  #start(stream: Stream, frame: Extract<Frame, { kind: 'start' }>): Arrival {
    const last = stream.arrivals.at(-1);
    const unfinished = last !== undefined && last.received < last.total;
    if (unfinished || frame.sequence !== stream.nextStart) throw malformed('a message out of turn');
    stream.nextStart += 1;
    const { step, total } = frame;
    const arrival: Arrival = { step, total, received: 0, unread: [], into: null };
    if (stream.broken !== null) stream.arrivals.length = 0;
    stream.arrivals.push(arrival);
    // From the header alone: a pending recv refuses a wrong step or length before any byte is kept.
    this.#match(stream);
    return arrival;
  }

  #append(stream: Stream, arrival: Arrival, fragment: Uint8Array): void {
    if (fragment.length > arrival.total - arrival.received) throw malformed('too many bytes');
    if (arrival.into === null && stream.broken === null) {
      arrival.unread.push(keep(fragment));
      arrival.received += fragment.length;
      return;
    }
    arrival.into?.set(fragment, arrival.received);
    arrival.received += fragment.length;
    this.#release(FRAME_COST_BYTES + fragment.length);
    this.#match(stream);
  }

  /** Gives arrivals to waiters, in order, as far as they go. */
  #match(stream: Stream): void {
    while (stream.arrivals.length > 0 && stream.waiters.length > 0 && stream.broken === null) {
      const arrival = stream.arrivals[0]!;
      const waiter = stream.waiters[0]!;
      arrival.into ??= this.#take(stream, arrival, waiter);
      if (arrival.into === null || arrival.received < arrival.total) return;
      stream.arrivals.shift();
      stream.waiters.shift();
      stream.nextTake += 1;
      this.#waiting -= 1;
      waiter.resolve(arrival.into);
    }
  }

  /** The buffer of a message somebody receives now, or null when it is not the one expected. */
  #take(stream: Stream, arrival: Arrival, waiter: Waiter): Uint8Array | null {
    const refusal = mismatch(stream.path, arrival, waiter);
    const unread = arrival.unread;
    arrival.unread = [];
    if (refusal !== null) {
      stream.broken = refusal;
      for (const kept of stream.arrivals) {
        unread.push(...kept.unread);
        kept.unread = [];
      }
    }
    for (const fragment of unread) this.#release(FRAME_COST_BYTES + fragment.length);
    if (refusal !== null) {
      this.#rejectAll(stream, refusal);
      return null;
    }
    const into = new Uint8Array(arrival.total);
    let at = 0;
    for (const fragment of unread) {
      into.set(fragment, at);
      at += fragment.length;
    }
    return into;
  }

  #rejectAll(stream: Stream, error: ParleyError): void {
    for (const waiter of stream.waiters.splice(0)) {
      this.#waiting -= 1;
      waiter.reject(error);
    }
  }

  #charge(cost: number): void {
    const half = this.#port.windowBytes / 2;
    const before = this.#unread;
    this.#unread += cost;
    if (before < half && this.#unread >= half) {
      for (const stream of this.#byPath.values()) this.#want(stream);
    }
  }

  #release(cost: number): void {
    this.#unread -= cost;
    this.#owed += cost;
    // An eighth: small enough that a sender never waits for credit nobody will announce.
    if (this.#owed >= this.#port.windowBytes / 8) {
      this.#port.sendControl(encodeCredit(this.#owed));
      this.#owed = 0;
    }
  }

  /** Asks for the messages that pending receives wait for, while the window is half full. */
  #want(stream: Stream): void {
    if (this.#unread < this.#port.windowBytes / 2 || stream.channel === null) return;
    const below = stream.nextTake + stream.waiters.length;
    if (below <= stream.wantedBelow) return;
    stream.wantedBelow = below;
    this.#port.sendControl(encodeWant(stream.channel, below - 1));
  }
}

function isBelow(path: string, root: string): boolean {
  return path === root || path.startsWith(`${root}/`);
}

/** LOCAL. A smaller fragment is copied, so that it does not pin the record it came in. */
const PIN_BYTES_MIN = 32_768;

function keep(fragment: Uint8Array): Uint8Array {
  return fragment.length >= PIN_BYTES_MIN ? fragment : fragment.slice();
}

function mismatch(path: string, arrival: Arrival, waiter: Waiter): ParleyError | null {
  const where = { step: path === '' ? waiter.step : `${path}/${waiter.step}` };
  if (arrival.step !== waiter.step) {
    return new ParleyError('PEER_OUT_OF_STEP', 'the peer sent another message', where);
  }
  if (arrival.total !== waiter.bytes) {
    return new ParleyError('PEER_BAD_LENGTH', 'the peer sent a message of another length', where);
  }
  return null;
}

function malformed(what: string): ParleyError {
  return new ParleyError('FRAME_MALFORMED', `the peer sent ${what}`);
}
