import { ParleyError } from '../../src/core/errors.ts';
import type { RawPipe } from '../../src/transport/raw-pipe.ts';

/** What becomes of one payload in flight: nothing, itself, something else, several. */
export type PayloadTap = (payload: Uint8Array, index: number) => readonly Uint8Array[];

export interface PipePair {
  readonly ends: readonly [RawPipe, RawPipe];
  /** Payloads as they were sent, by sender. */
  readonly sent: readonly [Uint8Array[], Uint8Array[]];
  /** Delivers bytes to an end as if the other had sent them. */
  inject(to: 0 | 1, payload: Uint8Array): void;
  /** Ends the pipe under both links. */
  cut(): void;
}

/** Two ends of a pipe in memory: every payload is copied and delivered in a later turn. */
export function pipePair(taps: readonly [PayloadTap?, PayloadTap?] = []): PipePair {
  const handlers: [((p: Uint8Array) => void) | null, ((p: Uint8Array) => void) | null] = [
    null,
    null,
  ];
  const early: [Uint8Array[], Uint8Array[]] = [[], []];
  const onClose: (() => void)[] = [];
  const sent: [Uint8Array[], Uint8Array[]] = [[], []];
  const closed = [false, false];
  const deliver = (to: 0 | 1, payload: Uint8Array): void => {
    const copy = payload.slice();
    setImmediate(() => {
      if (closed[to] === true) return;
      const handler = handlers[to];
      if (handler === null) early[to].push(copy);
      else handler(copy);
    });
  };
  const end = (me: 0 | 1): RawPipe => ({
    async send(payload) {
      if (closed[me] === true) throw new ParleyError('CHANNEL_CLOSED', 'the pipe is closed');
      const index = sent[me].push(payload.slice()) - 1;
      for (const p of taps[me]?.(payload, index) ?? [payload]) deliver(me === 0 ? 1 : 0, p);
      // One turn of the event loop per payload, as a socket that is written to.
      await new Promise((resolve) => setImmediate(resolve));
    },
    onMessage(handler) {
      handlers[me] = handler;
      for (const payload of early[me].splice(0)) handler(payload);
    },
    onClose(handler) {
      onClose[me] = handler;
    },
    close() {
      closed[me] = true;
    },
  });
  return {
    ends: [end(0), end(1)],
    sent,
    inject: deliver,
    cut() {
      closed.fill(true);
      for (const handler of onClose) handler();
    },
  };
}
