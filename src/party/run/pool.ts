import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { MessageChannel, type MessagePort, type Transferable } from 'node:worker_threads';
import { Piscina } from 'piscina';
import type { Channel } from '../../core/channel.ts';
import { errorOf, ParleyError } from '../../core/errors.ts';
import type { OnProgress, ProgressEvent } from '../../core/progress.ts';
import { bridge } from './port-channel.ts';
import type { PeerPort, WorkerResult, WorkerTask } from './worker.ts';

/** LOCAL. A thread nobody has used for so long ends. */
const IDLE_TIMEOUT_MS = 30_000;

/** The built worker: threads start from JavaScript, also when this file runs from source. */
const ENTRY = new URL(
  import.meta.url.endsWith('.ts') ? '../../../dist/party/run/worker.js' : './worker.js',
  import.meta.url,
);

/** What a piece of work needs beside its data. */
export interface WorkOptions {
  /** Ends the thread at once. */
  readonly signal: AbortSignal;
}

/** Worker threads of a node. A thread that dies is replaced; its work rejects with WORKER_LOST. */
export interface WorkerPool {
  /** Shards of one query in flight. */
  readonly workers: number;
  /**
   * @param moved - buffers that go to the worker instead of being copied.
   * @throws ParleyError of the task; WORKER_LOST when its thread died; CANCELLED by the signal.
   */
  run(task: WorkerTask, moved: Transferable[], options: WorkOptions): Promise<unknown>;
  close(): Promise<void>;
}

/**
 * @param workers - shards of one query in flight, at least 1; the number of cores when left out.
 * @param queries - queries at once. Threads never wait for one another's queries: two nodes that
 *   began two queries in different order would wait for ever.
 */
export function openPool(queries: number, workers = availableParallelism()): WorkerPool {
  const pool = new Piscina({
    filename: fileURLToPath(ENTRY),
    minThreads: 0,
    // Every attempt of a repeated shard may be alive for a moment.
    maxThreads: queries * (3 * workers + 3),
    idleTimeout: IDLE_TIMEOUT_MS,
    concurrentTasksPerWorker: 1,
  });
  // A thread that dies fails its task; there is nobody else to tell.
  pool.on('error', () => undefined);
  return {
    workers,
    async run(task, moved, { signal }) {
      let result: WorkerResult;
      try {
        result = (await pool.run(task, { signal, transferList: moved })) as WorkerResult;
      } catch (cause) {
        if (signal.aborted) throw new ParleyError('CANCELLED', 'the work was cancelled');
        throw new ParleyError('WORKER_LOST', 'a worker thread of the node died', {}, cause);
      }
      if ('error' in result) throw errorOf(result.error);
      return result.value;
    },
    close: () => pool.destroy(),
  };
}

/** A worker's way to one other party, bridged to the channel that really goes there. */
export function openPeerPort(channel: Channel): PeerPort {
  const { port1, port2 } = new MessageChannel();
  bridge(port1, channel);
  port1.unref();
  return { port: port2, path: channel.path };
}

/** A worker's progress, heard on this thread. */
export function openProgressPort(onProgress: OnProgress): MessagePort {
  const { port1, port2 } = new MessageChannel();
  port1.on('message', (event: ProgressEvent) => {
    try {
      onProgress(event);
    } catch {
      // It throws when the run is over; the signal ends the work itself.
    }
  });
  port1.unref();
  return port2;
}
