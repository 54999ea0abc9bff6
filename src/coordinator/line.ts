import { ParleyError } from '../core/errors.ts';
import type { QueryError } from '../records/index.ts';
import type { CoordinatorLimits } from './limits.ts';
import { TERMINAL, timeout, type Query } from './query.ts';

export interface LineOptions {
  readonly limits: Pick<
    CoordinatorLimits,
    'queriesRunningMax' | 'queriesInFlightMax' | 'queueTimeoutMs'
  >;
  readonly start: (query: Query) => void;
  readonly fail: (query: Query, error: QueryError) => void;
}

/**
 * Queries that wait for their turn, first come, first served. As many are worked on at once as a
 * party works on: more would be refused there.
 */
export class StartLine {
  readonly #o: LineOptions;
  readonly #waiting: Query[] = [];
  readonly #running = new Set<Query>();

  constructor(options: LineOptions) {
    this.#o = options;
  }

  /** @throws ParleyError TOO_MANY_QUERIES. */
  expectRoom(active: Iterable<Query>): void {
    const inFlight = [...active].filter(({ state }) => !TERMINAL.has(state)).length;
    if (inFlight < this.#o.limits.queriesInFlightMax) return;
    throw new ParleyError('TOO_MANY_QUERIES', 'as many queries are waiting as the room allows', {
      hint: 'try again when one has finished',
    });
  }

  /** Starts a query now, or when it is its turn. */
  enter(query: Query): void {
    if (this.#running.size < this.#o.limits.queriesRunningMax) {
      this.#running.add(query);
      this.#o.start(query);
      return;
    }
    this.#waiting.push(query);
    query.timers.add(
      setTimeout(() => {
        if (!this.#waiting.includes(query)) return;
        this.#o.fail(query, timeout('the query waited for its turn longer than allowed'));
      }, this.#o.limits.queueTimeoutMs),
    );
  }

  /** A query is over, whether it was its turn or not. */
  leave(query: Query): void {
    const at = this.#waiting.indexOf(query);
    if (at >= 0) this.#waiting.splice(at, 1);
    if (!this.#running.delete(query)) return;
    const next = this.#waiting.shift();
    if (next === undefined) return;
    // The turn is taken at once, so that nobody who comes meanwhile takes it too.
    this.#running.add(next);
    // Not from within the end of another.
    setImmediate(() => {
      if (!TERMINAL.has(next.state)) this.#o.start(next);
    });
  }
}
