import { ParleyError } from '../core/errors.ts';
import { systemRng } from '../core/rng.ts';

/** LOCAL. Shortest and longest wait between attempts. */
export const BACK_OFF_MS_MIN = 200;
const BACK_OFF_MS_MAX = 5_000;

/** Waits between attempts; `attempt` counts from 0. Doubling, with a random half. */
function backOffMs(attempt: number): number {
  const ceiling = Math.min(BACK_OFF_MS_MAX, BACK_OFF_MS_MIN * 2 ** attempt);
  const [random = 0] = systemRng(1);
  return ceiling / 2 + (ceiling / 2) * (random / 255);
}

/** @throws ParleyError CANCELLED by the signal. */
export function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const cancelled = (): void => {
      clearTimeout(timer);
      reject(new ParleyError('CANCELLED', 'the query was cancelled'));
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', cancelled);
      resolve();
    }, ms);
    if (signal?.aborted === true) cancelled();
    else signal?.addEventListener('abort', cancelled, { once: true });
  });
}

const AWAY: ReadonlySet<string> = new Set(['COORDINATOR_AWAY', 'TIMEOUT']);

/**
 * Repeats `attempt` with back-off while the coordinator is away, until `awayMsMax` has passed since
 * it was last heard. Every call of the API may be repeated: ids make them idempotent.
 */
export async function whileAway<T>(
  attempt: () => Promise<T>,
  signal: AbortSignal | undefined,
  awayMsMax: number,
): Promise<T> {
  const giveUpAt = performance.now() + awayMsMax;
  for (let tries = 0; ; tries += 1) {
    try {
      return await attempt();
    } catch (error) {
      const away = error instanceof ParleyError && AWAY.has(error.code);
      const waitMs = backOffMs(tries);
      if (!away || performance.now() + waitMs > giveUpAt) throw error;
      await pause(waitMs, signal);
    }
  }
}
