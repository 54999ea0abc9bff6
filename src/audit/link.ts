import type { Channel } from '../core/channel.ts';
import { ParleyError } from '../core/errors.ts';

interface Lane {
  readonly queue: { readonly step: string; readonly bytes: Uint8Array }[];
  wake: (() => void) | null;
}

/** Two ends of one link within a process; every message is copied. */
export interface LocalLink {
  readonly ends: readonly [Channel, Channel];
  /** Makes every pending and later call throw CHANNEL_CLOSED. */
  close(): void;
}

/** A link for parties that share a process: the audit plays all of them. */
export function localLink(path: string): LocalLink {
  const lanes = new Map<string, Lane>();
  let closed = false;
  const laneOf = (to: 0 | 1, at: string): Lane => {
    const key = `${to} ${at}`;
    const found = lanes.get(key) ?? { queue: [], wake: null };
    lanes.set(key, found);
    return found;
  };
  const expectOpen = (): void => {
    if (closed) throw new ParleyError('CHANNEL_CLOSED', 'the channel is closed');
  };
  const end = (me: 0 | 1, at: string): Channel => ({
    path: at,
    send(step, bytes) {
      expectOpen();
      const lane = laneOf(me === 0 ? 1 : 0, at);
      lane.queue.push({ step, bytes: bytes.slice() });
      lane.wake?.();
      return Promise.resolve();
    },
    async recv(step, length) {
      const lane = laneOf(me, at);
      expectOpen();
      while (lane.queue.length === 0) {
        await new Promise<void>((resolve) => (lane.wake = resolve));
        expectOpen();
      }
      const message = lane.queue.shift()!;
      const where = { step: `${at}/${step}` };
      if (message.step !== step) {
        throw new ParleyError('PEER_OUT_OF_STEP', 'the peer sent another message', where);
      }
      if (message.bytes.length !== length) {
        throw new ParleyError('PEER_BAD_LENGTH', 'a message has another length', where);
      }
      return message.bytes;
    },
    sub: (name) => end(me, `${at}/${name}`),
  });
  return {
    ends: [end(0, path), end(1, path)],
    close() {
      closed = true;
      for (const lane of lanes.values()) lane.wake?.();
    },
  };
}
