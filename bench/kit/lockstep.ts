import type { Channel } from '../../src/core/channel.ts';
import { expectFrame, type Frame } from './pipe.ts';

/**
 * All parties in one thread, in rounds. What is sent is held back until no party can go on; then all
 * of it is delivered at once. So the number of deliveries is the length of the longest chain of
 * messages each of which had to be received before the next was sent: the number of rounds, and
 * RTT/2 times it is what the protocol costs in latency.
 */
export interface Lockstep {
  /** ends[i][j]: party i's channel to party j; null for i = j. */
  readonly ends: readonly (readonly (Channel | null)[])[];
  /** Runs every party's part to its end. @returns rounds and bytes sent by each party. */
  run<T>(part: (party: number) => Promise<T>): Promise<LockstepRun<T>>;
}

export interface LockstepRun<T> {
  readonly outputs: readonly T[];
  readonly rounds: number;
  readonly bytes: readonly number[];
}

/** LOCAL. Looks without a message, a pending turn or an end before the parties count as stuck. */
const STUCK_LOOKS = 1000;

export function createLockstep(parties: number): Lockstep {
  const arrived = new Map<string, Frame[]>();
  const waiting = new Map<string, ((frame: Frame) => void)[]>();
  const bytesOf = Array.from({ length: parties }, () => 0);
  let held: { readonly to: string; readonly frame: Frame }[] = [];
  const listAt = <T>(map: Map<string, T[]>, key: string): T[] => {
    const list = map.get(key) ?? [];
    map.set(key, list);
    return list;
  };
  const channel = (me: number, peer: number, path: string): Channel => ({
    path,
    async send(step, bytes) {
      bytesOf[me]! += bytes.length;
      held.push({ to: `${peer} ${me} ${path}`, frame: { path, step, bytes, dueMs: 0 } });
    },
    async recv(step, bytes) {
      const key = `${me} ${peer} ${path}`;
      const frame =
        listAt(arrived, key).shift() ??
        (await new Promise<Frame>((resolve) => listAt(waiting, key).push(resolve)));
      return expectFrame(frame, step, bytes);
    },
    sub: (name) => channel(me, peer, `${path}/${name}`),
  });
  const release = (): void => {
    const all = held;
    held = [];
    for (const { to, frame } of all) {
      const next = listAt(waiting, to).shift();
      if (next === undefined) listAt(arrived, to).push(frame);
      else next(frame);
    }
  };
  const range = Array.from({ length: parties }, (_, i) => i);
  return {
    ends: range.map((i) => range.map((j) => (i === j ? null : channel(i, j, 'bench')))),
    async run(part) {
      bytesOf.fill(0);
      let over = false;
      const all = Promise.all(range.map(part)).finally(() => (over = true));
      all.catch(() => undefined);
      let rounds = 0;
      for (let looks = 0; !over; looks += 1) {
        await quiet();
        if (looks > STUCK_LOOKS) throw new Error('every party waits for another');
        if (held.length === 0) continue;
        release();
        rounds += 1;
        looks = 0;
      }
      return { outputs: await all, rounds, bytes: [...bytesOf] };
    },
  };
}

/** Until nobody computes: protocols give up their turn by `setImmediate` and wait for messages only. */
async function quiet(): Promise<void> {
  do {
    await new Promise((resolve) => setTimeout(resolve, 0));
  } while (process.getActiveResourcesInfo().includes('Immediate'));
}
