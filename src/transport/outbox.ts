import { expect, ParleyError } from '../core/errors.ts';
import {
  encodeMore,
  encodeOpen,
  encodeStart,
  MORE_HEADER_BYTES,
  startHeaderBytes,
} from './frames.ts';
import {
  CHANNELS_MAX,
  FRAME_COST_BYTES,
  RECORD_TEXT_BYTES_MAX,
  RECORDS_PER_PAYLOAD,
} from './limits.ts';

interface Departure {
  readonly sequence: number;
  readonly step: string;
  readonly bytes: Uint8Array;
  sent: number;
  readonly resolve: () => void;
  readonly reject: (error: ParleyError) => void;
}

/** The sending half of one channel. */
interface Stream {
  readonly channel: number;
  readonly queue: Departure[];
  nextSequence: number;
  /** Messages before this number go regardless of the window. */
  wantedBelow: number;
}

/** Plaintext of one record, in parts that are not joined before they are encrypted. */
type RecordParts = readonly Uint8Array[];

/** Up to a payload's worth of records, and whoever waits for them to be handed over. */
export interface Batch {
  readonly records: readonly RecordParts[];
  readonly finished: readonly Departure[];
}

/**
 * The sending half of a link: cuts messages into fragments, takes channels in turn, and stops at
 * the peer's window. Control frames go first and cost nothing.
 */
export class Outbox {
  readonly #windowBytes: number;
  readonly #streams = new Map<string, Stream>();
  readonly #byChannel: Stream[] = [];
  /** Streams with something queued; the first is next. */
  readonly #ready: Stream[] = [];
  #control: Uint8Array[] = [];
  /** Cost of data frames sent and not yet credited. */
  #outstanding = 0;
  #queued = 0;

  constructor(windowBytes: number) {
    this.#windowBytes = windowBytes;
  }

  /** Whether messages are queued, sendable or not. */
  get busy(): boolean {
    return this.#queued > 0;
  }

  sendControl(frame: Uint8Array): void {
    this.#control.push(frame);
  }

  /** Resolves when the last byte was handed over; see `next`. */
  send(path: string, step: string, bytes: Uint8Array): Promise<void> {
    return new Promise((resolve, reject) => {
      const stream = this.#stream(path);
      const sequence = stream.nextSequence;
      stream.nextSequence += 1;
      stream.queue.push({ sequence, step, bytes, sent: 0, resolve, reject });
      this.#queued += 1;
      if (stream.queue.length === 1) this.#ready.push(stream);
    });
  }

  /** @throws ParleyError FRAME_MALFORMED for credit that was never due. */
  credit(bytes: number): void {
    if (bytes > this.#outstanding) {
      throw new ParleyError('FRAME_MALFORMED', 'the peer gave credit for bytes it never got');
    }
    this.#outstanding -= bytes;
  }

  /** @throws ParleyError FRAME_MALFORMED for a channel this side did not open. */
  want(channel: number, sequence: number): void {
    const stream = this.#byChannel[channel];
    if (stream === undefined) {
      throw new ParleyError('FRAME_MALFORMED', 'the peer asked for a channel that is not open');
    }
    stream.wantedBelow = Math.max(stream.wantedBelow, sequence + 1);
  }

  /** The next payload's records, or null when nothing may be sent now. */
  next(): Batch | null {
    const records: RecordParts[] = [];
    const finished: Departure[] = [];
    while (records.length < RECORDS_PER_PAYLOAD) {
      const record = this.#nextRecord(finished);
      if (record.length === 0) break;
      records.push(record);
    }
    return records.length === 0 ? null : { records, finished };
  }

  /** Rejects everything queued. */
  end(error: ParleyError): void {
    this.#control = [];
    this.#ready.length = 0;
    this.#queued = 0;
    for (const stream of this.#streams.values()) {
      for (const departure of stream.queue.splice(0)) departure.reject(error);
    }
  }

  #stream(path: string): Stream {
    let stream = this.#streams.get(path);
    if (stream === undefined) {
      const channel = this.#byChannel.length;
      expect(channel < CHANNELS_MAX, 'a link carries at most 4,096 channels');
      stream = { channel, queue: [], nextSequence: 0, wantedBelow: 0 };
      this.#streams.set(path, stream);
      this.#byChannel.push(stream);
      this.#control.push(encodeOpen(channel, path));
    }
    return stream;
  }

  #nextRecord(finished: Departure[]): RecordParts {
    const parts: Uint8Array[] = [];
    let room = RECORD_TEXT_BYTES_MAX;
    while (this.#control[0] !== undefined && this.#control[0].length <= room) {
      room -= this.#control[0].length;
      parts.push(this.#control.shift()!);
    }
    if (this.#control.length > 0) return parts;
    // Each turn takes one fragment, so every ready stream is looked at until none moves.
    for (let stalled = 0; stalled < this.#ready.length;) {
      const stream = this.#ready.shift()!;
      const taken = this.#takeFragment(stream, room, parts, finished);
      if (stream.queue.length > 0) this.#ready.push(stream);
      room -= taken;
      stalled = taken > 0 ? 0 : stalled + 1;
    }
    return parts;
  }

  /** Moves one fragment of the stream's first message; returns the record bytes it took. */
  #takeFragment(stream: Stream, room: number, parts: Uint8Array[], finished: Departure[]): number {
    const message = stream.queue[0]!;
    const first = message.sent === 0;
    const headerBytes = first ? startHeaderBytes(message.step) : MORE_HEADER_BYTES;
    const left = message.bytes.length - message.sent;
    const size = Math.min(left, room - headerBytes);
    if (size < 0 || (size === 0 && left > 0)) return 0;
    // A sliver at a record's end is not worth a header: leave it to the next record.
    if (size < left && size < FRAGMENT_BYTES_MIN && room < RECORD_TEXT_BYTES_MAX) return 0;
    const cost = FRAME_COST_BYTES + size;
    const wanted = message.sequence < stream.wantedBelow;
    if (!wanted && this.#outstanding + cost > this.#windowBytes) return 0;
    this.#outstanding += cost;
    parts.push(
      first
        ? encodeStart(stream.channel, message.sequence, message.bytes.length, message.step, size)
        : encodeMore(stream.channel, size),
      message.bytes.subarray(message.sent, message.sent + size),
    );
    message.sent += size;
    if (message.sent === message.bytes.length) {
      stream.queue.shift();
      this.#queued -= 1;
      finished.push(message);
    }
    return headerBytes + size;
  }
}

/** LOCAL. Smallest fragment put at the end of a record that already holds something. */
const FRAGMENT_BYTES_MIN = 4096;
