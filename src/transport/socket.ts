import type { WebSocket } from 'ws';
import { ParleyError } from '../core/errors.ts';
import { SEND_BUFFER_BYTES_MAX } from './limits.ts';

/** Writes to one WebSocket with back-pressure: a write resolves when there is room for more. */
export class SocketWriter {
  readonly #socket: WebSocket;
  #waiters: { resolve: () => void; reject: (error: ParleyError) => void }[] = [];

  constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.on('close', () => {
      for (const { reject } of this.#waiters.splice(0)) reject(lost());
    });
  }

  get hasRoom(): boolean {
    return this.#socket.bufferedAmount <= SEND_BUFFER_BYTES_MAX;
  }

  /** Queues the message at once. Rejects when the socket is not open or is lost while waiting. */
  async write(data: string | Uint8Array): Promise<void> {
    if (this.#socket.readyState !== this.#socket.OPEN) throw lost();
    this.#socket.send(data, { compress: false }, () => this.#written());
    if (!this.hasRoom) await this.room();
  }

  /** Resolves when less than the cap is waiting to be written. */
  room(): Promise<void> {
    if (this.hasRoom) return Promise.resolve();
    return new Promise((resolve, reject) => this.#waiters.push({ resolve, reject }));
  }

  #written(): void {
    if (this.#waiters.length === 0 || !this.hasRoom) return;
    for (const { resolve } of this.#waiters.splice(0)) resolve();
  }
}

function lost(): ParleyError {
  return new ParleyError('CHANNEL_CLOSED', 'the connection was lost');
}

/**
 * Sends a ping every beat and ends the socket at the `missedMax`-th beat in a row without any sign
 * of life, so at most that many beats after the last one (R9). Beats are counted, not timed: after a
 * long computation of our own only one is late.
 *
 * @returns what to call on every message of the other side; pings and pongs count by themselves.
 */
export function keepHeartbeat(
  socket: WebSocket,
  beatMs: number,
  missedMax: number,
): { alive(): void } {
  let missed = 0;
  const alive = (): void => {
    missed = 0;
  };
  const timer = setInterval(() => {
    // A paused socket is one we do not listen to; its silence is ours.
    if (socket.isPaused) missed = 0;
    else missed += 1;
    if (missed >= missedMax) socket.terminate();
    else if (socket.readyState === socket.OPEN) socket.ping();
  }, beatMs);
  socket.on('ping', alive);
  socket.on('pong', alive);
  socket.on('close', () => clearInterval(timer));
  return { alive };
}
