import { TERMINAL, type Query } from './query.ts';

/** Requests that wait for a query to change, so many at once and no more. */
export class Waiters {
  readonly #max: number;
  #waiting = 0;

  constructor(max: number) {
    this.#max = max;
  }

  get full(): boolean {
    return this.#waiting >= this.#max;
  }

  /** Resolves at the next change of the query, at its end, after `waitMs`, or on abort. */
  changed(query: Query, waitMs: number, signal: AbortSignal): Promise<void> {
    this.#waiting += 1;
    return new Promise((resolve) => {
      const done = (): void => {
        if (!query.waiters.delete(done)) return;
        clearTimeout(timer);
        signal.removeEventListener('abort', done);
        this.#waiting -= 1;
        resolve();
      };
      const timer = setTimeout(done, waitMs);
      query.waiters.add(done);
      signal.addEventListener('abort', done, { once: true });
      if (signal.aborted || TERMINAL.has(query.state)) done();
    });
  }
}
