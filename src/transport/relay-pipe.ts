import { ParleyError } from '../core/errors.ts';
import { ANNOUNCED_MAX, EARLY_BYTES_MAX } from './limits.ts';
import type { RawPipe } from './raw-pipe.ts';

/** What a pipe needs of the connection under it. */
export interface PipePort {
  /** Hands one payload to the socket; resolves when there is room for more. */
  send(peer: string, queryId: string, payload: Uint8Array): Promise<void>;
  readonly connected: boolean;
}

interface OpenPipe {
  deliver: ((payload: Uint8Array) => void) | null;
  closed: (() => void) | null;
}

/** Frames of one announced query for which no pipe is open yet. */
interface Early {
  bytes: number;
  readonly frames: Map<string, Uint8Array[]>;
}

/**
 * The pipes of one party's connection, by query and peer. The peer may be faster: its frames are
 * kept, within EARLY_BYTES_MAX per query, from the moment the coordinator announced the query.
 */
export class PipeTable {
  readonly #port: PipePort;
  readonly #open = new Map<string, OpenPipe>();
  readonly #early = new Map<string, Early>();

  constructor(port: PipePort) {
    this.#port = port;
  }

  announce(queryId: string): void {
    this.#early.delete(queryId);
    this.#early.set(queryId, { bytes: 0, frames: new Map() });
    for (const oldest of this.#early.keys()) {
      if (this.#early.size <= ANNOUNCED_MAX) break;
      this.#early.delete(oldest);
    }
  }

  forget(queryId: string): void {
    this.#early.delete(queryId);
  }

  /** One frame from the coordinator; for nobody, it is dropped. */
  deliver(peer: string, queryId: string, payload: Uint8Array): void {
    const pipe = this.#open.get(keyOf(queryId, peer));
    if (pipe?.deliver != null) {
      pipe.deliver(payload);
      return;
    }
    const early = this.#early.get(queryId);
    // What does not fit is lost, and the link on top notices: no honest peer says so much unheard.
    if (early === undefined || early.bytes + payload.length > EARLY_BYTES_MAX) return;
    early.bytes += payload.length;
    const frames = early.frames.get(peer) ?? [];
    frames.push(payload.slice());
    early.frames.set(peer, frames);
  }

  /** The connection was lost: so are all pipes. */
  closeAll(): void {
    this.#early.clear();
    for (const pipe of [...this.#open.values()]) pipe.closed?.();
    this.#open.clear();
  }

  open(queryId: string, peer: string): RawPipe {
    const key = keyOf(queryId, peer);
    const own: OpenPipe = { deliver: null, closed: null };
    const isOpen = (): boolean => this.#open.get(key) === own;
    if (this.#port.connected) this.#open.set(key, own);
    return {
      send: async (payload) => {
        if (!isOpen()) throw new ParleyError('CHANNEL_CLOSED', 'the connection was lost');
        await this.#port.send(peer, queryId, payload);
      },
      onMessage: (deliver) => {
        own.deliver = deliver;
        const early = this.#early.get(queryId);
        const frames = early?.frames.get(peer) ?? [];
        early?.frames.delete(peer);
        for (const payload of frames) if (isOpen()) deliver(payload);
      },
      onClose: (closed) => {
        own.closed = closed;
        if (!isOpen()) queueMicrotask(closed);
      },
      close: () => {
        if (isOpen()) this.#open.delete(key);
      },
    };
  }
}

function keyOf(queryId: string, peer: string): string {
  return `${queryId} ${peer}`;
}
