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
 * Queries that wait for their turn. As many are worked on at once as a party works on: more would be
 * refused there. A turn goes to an analyst with the fewest queries at work, and of those to the query
 * that came first; whoever has no query here finds a place for one. So an analyst that floods the
 * room holds up its own queries only (R10).
 */
export class StartLine {
  readonly #o: LineOptions;
  readonly #waiting: Query[] = [];
  readonly #running = new Set<Query>();

  constructor(options: LineOptions) {
    this.#o = options;
  }

  /** @throws ParleyError TOO_MANY_QUERIES. */
  expectRoom(active: Iterable<Query>, analyst: string): void {
    const inFlight = [...active].filter(({ state }) => !TERMINAL.has(state));
    if (inFlight.length < this.#o.limits.queriesInFlightMax) return;
    if (!inFlight.some((query) => analystOf(query) === analyst)) return;
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
    const next = this.#next();
    if (next === undefined) return;
    this.#waiting.splice(this.#waiting.indexOf(next), 1);
    // The turn is taken at once, so that nobody who comes meanwhile takes it too.
    this.#running.add(next);
    // Not from within the end of another.
    setImmediate(() => {
      if (!TERMINAL.has(next.state)) this.#o.start(next);
    });
  }

  /** The first in line of an analyst that has the fewest at work. */
  #next(): Query | undefined {
    const working = [...this.#running].map(analystOf);
    const load = (query: Query): number =>
      working.filter((analyst) => analyst === analystOf(query)).length;
    return this.#waiting.reduce<Query | undefined>(
      (best, query) => (best === undefined || load(query) < load(best) ? query : best),
      undefined,
    );
  }
}

function analystOf({ submission }: Query): string {
  return submission.document.analyst;
}
