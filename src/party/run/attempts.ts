import type { Logger } from 'pino';
import type { Channel } from '../../core/channel.ts';
import { asParleyError, ParleyError } from '../../core/errors.ts';
import type { OnProgress } from '../../core/progress.ts';
import type { Link } from '../../transport/index.ts';

/** AGREEMENT. Times a shard is tried in one epoch before the run fails. */
export const ATTEMPTS_MAX = 3;

/** First attempt of an epoch: above every attempt any epoch before it can have made. */
export function firstAttemptOf(epoch: number): number {
  return epoch * ATTEMPTS_MAX;
}

/** AGREEMENT. A control message: kind, shard, attempt. */
const CONTROL_BYTES = 9;
const RETRY = 1;
const READY = 2;

/** Name of a shard's stream below every link; the attempt separates keys and key streams. */
export function streamOf(shard: number, attempt: number): string {
  return `s${shard}.a${attempt}`;
}

export interface AttemptsOptions {
  readonly shards: number;
  readonly epoch: number;
  /** Shards finished in former epochs, at the same attempt by all parties; they are not run again. */
  readonly held: ReadonlyMap<number, { readonly attempt: number; readonly totals: Uint8Array }>;
  readonly links: readonly (Link | null)[];
  /** Runs one attempt of one shard; ends with this party's share of its totals. */
  readonly start: (shard: number, attempt: number, signal: AbortSignal) => Promise<Uint8Array>;
  /** Shards in flight. */
  readonly workers: number;
  readonly signal: AbortSignal;
  readonly onProgress: OnProgress;
  readonly log: Logger;
}

interface Shard {
  attempt: number;
  abort: AbortController | null;
  totals: Uint8Array | null;
}

/** What all parties agree to add up. */
export interface FinishedShards {
  readonly totals: readonly Uint8Array[];
  readonly attempts: readonly number[];
}

/**
 * The shards of one run at one party, and the agreement of all parties on their attempts.
 *
 * A party whose worker dies tells all others to try the shard again; they give up what they have of
 * it and start the next attempt, under other channel paths and so with other keys: nothing of an
 * attempt is used in another. A party is ready once it has every shard at its attempts, and says so
 * with their sum. Streams are ordered and attempts only grow, so when every party's last word is
 * this party's own sum, all have heard of the same repetitions and finished the same attempts.
 */
export class Attempts {
  readonly #o: AttemptsOptions;
  readonly #first: number;
  readonly #shards: Shard[];
  readonly #controls: readonly (Channel | null)[];
  /** Sum of attempts each other party has last been ready at; -1 before. */
  readonly #ready: number[];
  readonly #result: Promise<FinishedShards>;
  #resolve: (finished: FinishedShards) => void = () => undefined;
  #reject: (error: ParleyError) => void = () => undefined;
  #over = false;
  #toldSum = -1;

  constructor(options: AttemptsOptions) {
    this.#o = options;
    this.#first = firstAttemptOf(options.epoch);
    this.#shards = Array.from({ length: options.shards }, (_, shard) => ({
      attempt: options.held.get(shard)?.attempt ?? this.#first,
      abort: null,
      totals: options.held.get(shard)?.totals ?? null,
    }));
    this.#controls = options.links.map((link) => link?.root.sub('control') ?? null);
    this.#ready = options.links.map(() => -1);
    this.#result = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    // Awaited by `finish`; a failure before that must not count as unhandled.
    this.#result.catch(() => undefined);
  }

  /** Runs all shards until every party has all of them at the same attempts. */
  finish(): Promise<FinishedShards> {
    this.#controls.forEach((channel, peer) => {
      if (channel !== null) void this.#listen(channel, peer);
    });
    this.#o.signal.addEventListener('abort', this.#onAbort, { once: true });
    if (this.#o.signal.aborted) this.#onAbort();
    this.#fill();
    return this.#result;
  }

  /** Ends whatever still runs. */
  stop(): void {
    this.#over = true;
    this.#o.signal.removeEventListener('abort', this.#onAbort);
    for (const { abort } of this.#shards) abort?.abort();
  }

  readonly #onAbort = (): void =>
    this.#fail(new ParleyError('CANCELLED', 'the query was cancelled'));

  /**
   * Starts the next shards in order. In order, because a shard waits for the same shard everywhere:
   * the first unfinished one then runs at all parties.
   */
  #fill(): void {
    if (this.#over) return;
    const flying = this.#shards.filter(({ abort }) => abort !== null).length;
    let room = this.#o.workers - flying;
    for (const [shard, state] of this.#shards.entries()) {
      if (room <= 0) break;
      if (state.totals !== null || state.abort !== null) continue;
      this.#launch(shard);
      room -= 1;
    }
    this.#settle();
  }

  #launch(shard: number): void {
    const state = this.#shards[shard]!;
    const { attempt } = state;
    const abort = new AbortController();
    state.abort = abort;
    this.#o
      .start(shard, attempt, abort.signal)
      .then((totals) => {
        if (state.abort !== abort) return;
        state.abort = null;
        state.totals = totals;
        const done = this.#shards.filter((s) => s.totals !== null).length;
        this.#o.onProgress({ stage: 'shards', done, total: this.#shards.length });
        this.#fill();
      })
      .catch((thrown: unknown) => {
        // An attempt that was given up may end in any way.
        if (state.abort !== abort || this.#over) return;
        state.abort = null;
        const error = asParleyError(thrown);
        if (error.code !== 'WORKER_LOST') {
          this.#fail(error);
          return;
        }
        this.#o.log.warn({ shard, attempt }, 'a worker died; its shard is tried again');
        this.#retry(shard, attempt + 1, true);
      });
  }

  /** Gives the shard's present attempt up and starts a later one, at once: peers wait in it. */
  #retry(shard: number, attempt: number, tell: boolean): void {
    const state = this.#shards[shard]!;
    if (attempt <= state.attempt) return;
    if (attempt >= this.#first + ATTEMPTS_MAX) {
      this.#fail(new ParleyError('WORKER_LOST', 'a shard of the query failed too often'));
      return;
    }
    const old = state.attempt;
    state.attempt = attempt;
    state.totals = null;
    state.abort?.abort();
    state.abort = null;
    for (const link of this.#o.links) {
      for (let a = old; a < attempt; a += 1) link?.drop(streamOf(shard, a));
    }
    if (tell) this.#tell(RETRY, shard, attempt);
    this.#launch(shard);
  }

  /** Says that all is there, and ends once everybody says the same. */
  #settle(): void {
    if (this.#over || this.#shards.some(({ totals }) => totals === null)) return;
    const sum = this.#shards.reduce((n, { attempt }) => n + attempt, 0);
    if (this.#toldSum !== sum) {
      this.#toldSum = sum;
      this.#tell(READY, 0, sum);
    }
    const agreed = this.#controls.every((c, peer) => c === null || this.#ready[peer] === sum);
    if (!agreed) return;
    this.#over = true;
    this.#resolve({
      totals: this.#shards.map(({ totals }) => totals!),
      attempts: this.#shards.map(({ attempt }) => attempt),
    });
  }

  #tell(kind: number, shard: number, attempt: number): void {
    const message = new Uint8Array(CONTROL_BYTES);
    const view = new DataView(message.buffer);
    view.setUint8(0, kind);
    view.setUint32(1, shard);
    view.setUint32(5, attempt);
    for (const channel of this.#controls) {
      channel?.send('control', message.slice()).catch((error: unknown) => {
        this.#fail(asParleyError(error));
      });
    }
  }

  async #listen(channel: Channel, peer: number): Promise<void> {
    try {
      while (!this.#over) {
        const bytes = await channel.recv('control', CONTROL_BYTES);
        this.#hear(new DataView(bytes.buffer, bytes.byteOffset, bytes.length), peer, channel.path);
      }
    } catch (error) {
      this.#fail(asParleyError(error));
    }
  }

  #hear(view: DataView, peer: number, path: string): void {
    const [kind, shard, attempt] = [view.getUint8(0), view.getUint32(1), view.getUint32(5)];
    const known = kind === RETRY || kind === READY;
    const last = this.#first + ATTEMPTS_MAX;
    const inRange =
      shard < this.#shards.length &&
      (kind === RETRY
        ? attempt > this.#first && attempt <= last
        : attempt <= last * this.#shards.length);
    if (!known || !inRange) {
      throw new ParleyError('PEER_BAD_ENCODING', 'the peer sent an unknown control message', {
        step: `${path}/control`,
      });
    }
    if (this.#over) return;
    if (kind === RETRY) this.#retry(shard, attempt, false);
    else this.#ready[peer] = attempt;
    this.#settle();
  }

  #fail(error: ParleyError): void {
    if (this.#over) return;
    this.stop();
    this.#reject(error);
  }
}
