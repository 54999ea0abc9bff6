import type { Channel } from '../../src/core/channel.ts';
import { ParleyError } from '../../src/core/errors.ts';

/** One message as it would cross the wire. */
export interface Frame {
  readonly from: 0 | 1;
  readonly path: string;
  readonly step: string;
  readonly bytes: Uint8Array;
}

/** Edits a frame in flight (a dishonest peer), or returns null to drop it. */
export type Tap = (frame: Frame) => Frame | null;

interface Lane {
  readonly queue: Frame[];
  wake: (() => void) | null;
}

/** A pair of in-memory channels; every frame is copied, and `frames` keeps the transcript. */
export interface MemoryLink {
  readonly ends: readonly [Channel, Channel];
  readonly frames: Frame[];
  /** Makes every pending and later call on both ends throw CHANNEL_CLOSED. */
  close(): void;
}

export function memoryLink(tap: Tap = (f) => f, path = 'test', record = true): MemoryLink {
  const lanes = new Map<string, Lane>();
  const frames: Frame[] = [];
  let closed = false;
  const lane = (to: 0 | 1, p: string): Lane => {
    const key = `${to}:${p}`;
    let found = lanes.get(key);
    if (found === undefined) {
      found = { queue: [], wake: null };
      lanes.set(key, found);
    }
    return found;
  };
  const expectOpen = (): void => {
    if (closed) throw new ParleyError('CHANNEL_CLOSED', 'the channel is closed');
  };
  const end = (me: 0 | 1, p: string): Channel => ({
    path: p,
    async send(step, bytes) {
      expectOpen();
      const frame = tap({ from: me, path: p, step, bytes: bytes.slice() });
      // The channel owns them now: whoever still reads them is told nonsense.
      bytes.fill(0xa5);
      if (frame === null) return;
      if (record) frames.push({ ...frame, bytes: frame.bytes.slice() });
      const target = lane(me === 0 ? 1 : 0, p);
      target.queue.push(frame);
      target.wake?.();
    },
    async recv(step, bytes) {
      const own = lane(me, p);
      expectOpen();
      while (own.queue.length === 0) {
        await new Promise<void>((resolve) => (own.wake = resolve));
        expectOpen();
      }
      const frame = own.queue.shift()!;
      const where = { step: `${p}/${step}` };
      if (frame.step !== step) {
        throw new ParleyError('PEER_OUT_OF_STEP', 'the peer sent another message', where);
      }
      if (frame.bytes.length !== bytes) {
        throw new ParleyError(
          'PEER_BAD_LENGTH',
          'the peer sent a message of another length',
          where,
        );
      }
      return frame.bytes;
    },
    sub: (name) => end(me, `${p}/${name}`),
  });
  return {
    ends: [end(0, path), end(1, path)],
    frames,
    close() {
      closed = true;
      for (const l of lanes.values()) l.wake?.();
    },
  };
}

/** Runs both halves; when one throws, closes the link and rejects with the first error thrown. */
export async function runBoth<A, B>(
  link: MemoryLink,
  first: (ch: Channel) => Promise<A>,
  second: (ch: Channel) => Promise<B>,
): Promise<[A, B]> {
  let cause: unknown;
  const guard = async <T>(half: Promise<T>): Promise<T> => {
    try {
      return await half;
    } catch (error) {
      cause ??= error;
      link.close();
      throw error;
    }
  };
  const done = await Promise.allSettled([guard(first(link.ends[0])), guard(second(link.ends[1]))]);
  if (done[0].status === 'fulfilled' && done[1].status === 'fulfilled') {
    return [done[0].value, done[1].value];
  }
  throw cause;
}

/** In-memory links between every two of n parties. */
export interface MemoryMesh {
  /** ends[i][j]: party i's channel to party j; null for i = j. */
  readonly ends: readonly (readonly (Channel | null)[])[];
  /** Per pair i \< j: `from` 0 is party i. */
  readonly links: readonly { readonly i: number; readonly j: number; readonly link: MemoryLink }[];
  close(): void;
}

export function memoryMesh(
  parties: number,
  tap: Tap = (f) => f,
  path = 'test',
  record = true,
): MemoryMesh {
  const links = Array.from({ length: parties }, (_, i) =>
    Array.from({ length: i }, (__, below) => ({
      i: below,
      j: i,
      link: memoryLink(tap, path, record),
    })),
  ).flat();
  const ends = Array.from({ length: parties }, (_, me) =>
    Array.from({ length: parties }, (__, peer) => {
      const found = links.find(({ i, j }) => i === Math.min(me, peer) && j === Math.max(me, peer));
      return found === undefined ? null : found.link.ends[me < peer ? 0 : 1];
    }),
  );
  return {
    ends,
    links,
    close() {
      for (const { link } of links) link.close();
    },
  };
}

/** Runs every party's part; when one throws, closes all links and rejects with the first error. */
export async function runAll<T>(
  mesh: MemoryMesh,
  part: (party: number) => Promise<T>,
): Promise<T[]> {
  const failed: unknown[] = [];
  const guard = async (party: number): Promise<T> => {
    try {
      return await part(party);
    } catch (error) {
      failed.push(error);
      mesh.close();
      throw error;
    }
  };
  const done = await Promise.allSettled(mesh.ends.map((_, party) => guard(party)));
  if (failed.length > 0) throw failed[0];
  return done.map((result) => (result as PromiseFulfilledResult<T>).value);
}
