import { breathe } from '../../core/progress.ts';
import { workSlice, type Slice } from './oprf-ecdh-slices.ts';

/**
 * A thread beside this one that works slices off with `workSlice`. Rejects when the thread is lost.
 * Given up to HELPER_SLICES at a time, which it answers in any order.
 */
export type Helper = (slice: Slice) => Promise<Uint8Array | null>;

/**
 * LOCAL. Slices at one helper: one it works on and what it goes on with, as this thread may be in a
 * slice of its own when the first is done.
 */
const HELPER_SLICES = 3;

/** Where slices wait for a thread: this one and its helpers take the next as they become free. */
export interface Desk {
  /**
   * @param urgent - before all that are not.
   * @returns what `workSlice` does. @throws what a helper does; never settles after `close`.
   */
  give(slice: Slice, urgent: boolean): Promise<Uint8Array | null>;
  /** Forgets what waits; what is in work is finished for nobody. */
  close(): void;
}

interface Waiting {
  readonly slice: Slice;
  readonly resolve: (result: Uint8Array | null) => void;
  readonly reject: (error: unknown) => void;
}

export function openDesk(helpers: readonly Helper[]): Desk {
  const urgent: Waiting[] = [];
  const later: Waiting[] = [];
  const free = helpers.map(() => HELPER_SLICES);
  let busy = false;
  const next = (): Waiting | undefined => urgent.shift() ?? later.shift();

  const hand = (helper: Helper, at: number, { slice, resolve, reject }: Waiting): void => {
    free[at]! -= 1;
    const done = helper(slice).finally(() => {
      free[at]! += 1;
      share();
    });
    done.then(resolve, reject);
  };
  /** Gives every helper what it has room for, one in turn, so that few slices are spread. */
  const share = (): void => {
    for (let round = HELPER_SLICES; round > 0; round -= 1) {
      for (const [at, helper] of helpers.entries()) {
        if (free[at]! < round) continue;
        const waiting = next();
        if (waiting === undefined) return;
        hand(helper, at, waiting);
      }
    }
  };
  /** This thread's own work: a slice per turn of the event loop while any waits. */
  const work = async (): Promise<void> => {
    busy = true;
    for (;;) {
      await breathe();
      const waiting = next();
      if (waiting === undefined) break;
      try {
        waiting.resolve(workSlice(waiting.slice));
      } catch (error) {
        waiting.reject(error);
      }
    }
    busy = false;
  };
  return {
    give: (slice, isUrgent) =>
      new Promise((resolve, reject) => {
        (isUrgent ? urgent : later).push({ slice, resolve, reject });
        if (helpers.length > 0) share();
        if (!busy) void work();
      }),
    close() {
      urgent.length = 0;
      later.length = 0;
    },
  };
}
