import { Worker } from 'node:worker_threads';
import { errorOf, ParleyError, type ErrorDocument } from '../../core/errors.ts';
import type { Helper, Slice } from '../../engine/mpc/index.ts';

/** The built entry: threads start from JavaScript, also when this file runs from source. */
const ENTRY = new URL(
  import.meta.url.endsWith('.ts') ? '../../../dist/party/run/helper.js' : './helper.js',
  import.meta.url,
);

/** What a helper thread answers to a slice. */
export type HelperResult =
  { readonly result: Uint8Array | null } | { readonly error: ErrorDocument };

/** A thread that helps the one that opened it, and ends with it at the latest. */
export interface HelperThread {
  readonly helper: Helper;
  /** False once it has died; its slices have been rejected with WORKER_LOST. */
  readonly alive: () => boolean;
  readonly close: () => Promise<void>;
}

interface Waiting {
  readonly resolve: (result: Uint8Array | null) => void;
  readonly reject: (error: unknown) => void;
}

/** Starts a thread. It keeps the process alive only while it has work. */
export function openHelper(): HelperThread {
  const worker = new Worker(ENTRY);
  const waiting: Waiting[] = [];
  let alive = true;
  worker.unref();
  worker.on('message', (reply: HelperResult) => {
    const first = waiting.shift();
    if (waiting.length === 0) worker.unref();
    if ('error' in reply) first?.reject(errorOf(reply.error));
    else first?.resolve(reply.result);
  });
  const lose = (cause?: unknown): void => {
    alive = false;
    for (const { reject } of waiting.splice(0)) reject(lostBy(cause));
  };
  worker.on('error', lose).on('exit', () => lose());
  const helper = (slice: Slice): Promise<Uint8Array | null> => {
    if (!alive) return Promise.reject(lostBy());
    return new Promise((resolve, reject) => {
      waiting.push({ resolve, reject });
      worker.ref();
      // Copies of what is needed; a view would take the whole buffer along.
      worker.postMessage({
        ...slice,
        scalar: slice.scalar.slice(),
        points: slice.points.slice(),
        elements: slice.elements.slice(),
      });
    });
  };
  const close = async (): Promise<void> => {
    await worker.terminate();
  };
  return { helper, alive: () => alive, close };
}

function lostBy(cause?: unknown): ParleyError {
  return new ParleyError('WORKER_LOST', 'a helper thread of the node died', {}, cause);
}

/** Helpers of this thread, from one piece of work to the next. */
const kept: HelperThread[] = [];

/** The first `count` helpers of this thread; missing and dead ones are started. */
export function helpersOf(count: number): readonly Helper[] {
  for (let i = 0; i < count; i += 1) {
    if (kept[i]?.alive() !== true) kept[i] = openHelper();
  }
  return kept.slice(0, count).map(({ helper }) => helper);
}
