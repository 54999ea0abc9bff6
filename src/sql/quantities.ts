/** Quantities that a query computes per group, each once. */
import { compare, ONE, parseDecimal, type Rational } from '../core/rational.ts';
import type { AggregateName, Policy } from '../policy/types.ts';
import * as T from './terms.ts';
import type { Clamp } from './coding.ts';
import { columnName } from './columns.ts';
import type { Monomial } from './polynomials.ts';
import type { Normal } from './rewrite.ts';
import type { LocalValue } from './value.ts';

/** A quantity per group, before the pivot is known. */
export type Quantity =
  | { readonly kind: 'users' | 'rows' }
  | { readonly kind: 'usersIf'; readonly guard: Normal }
  | {
      readonly kind: 'nonNull' | 'sum' | 'centredSum';
      readonly column: LocalValue;
      readonly clamp: Clamp | null;
      /** Of a sum: bounds on what one user adds up to in a group. */
      readonly groupSum?: Clamp | null;
    }
  | {
      readonly kind: 'terms';
      readonly monomials: readonly Monomial[];
      /** What one combination adds, at least and at most. */
      readonly range: Clamp;
      /** Bounds of the value behind a centred sum. */
      readonly clamp: Clamp | null;
      readonly counts: boolean;
    };

export interface Wanted {
  readonly quantity: Quantity;
  readonly released: boolean;
  readonly nonNullIndex: number | null;
  readonly low: { readonly measure: number; readonly bits: number } | null;
  readonly histogram: number | null;
  /** Of epsilon; the largest of the aggregates that asked for it. */
  readonly weight: Rational;
}

/** The weight of an aggregate under the policy. */
export function aggregateWeight({ rules }: Policy, aggregate: AggregateName): Rational {
  const settings = rules.differential_privacy;
  const weights = settings === 'off' ? undefined : settings.budget_weight;
  return parseDecimal(weights?.[aggregate] ?? '1');
}

type Draft = { -readonly [K in keyof Wanted]: Wanted[K] };

/** Registers quantities so that equal ones are computed once. */
export class Quantities {
  readonly wanted: Draft[];
  #histograms = 0;
  #weight = ONE;

  /** @param usersWeight - of the user count, which may gate without being asked for. */
  constructor(usersWeight: Rational = ONE) {
    this.wanted = [{ ...draftOf({ kind: 'users' }), weight: usersWeight }];
  }

  /** What `ask` registers has at least this weight. */
  weighed<T>(weight: Rational, ask: () => T): T {
    const outer = this.#weight;
    this.#weight = weight;
    try {
      return ask();
    } finally {
      this.#weight = outer;
    }
  }

  #release(draft: Draft): void {
    // A draft that no aggregate released yet has the weight of its first.
    if (!draft.released || compare(this.#weight, draft.weight) > 0) draft.weight = this.#weight;
    draft.released = true;
  }

  /** Index of the quantity, added when new; once released, always released. */
  add(quantity: Quantity, released: boolean): number {
    const key = keyOf(quantity);
    let index = this.wanted.findIndex(
      (other) => other.histogram === null && keyOf(other.quantity) === key,
    );
    if (index < 0) index = this.wanted.push(draftOf(quantity)) - 1;
    if (released) this.#release(this.wanted[index]!);
    return index;
  }

  /** The buckets of one histogram, all released. */
  addHistogram(buckets: readonly Quantity[]): readonly number[] {
    const keys = buckets.map(keyOf).join();
    const first = this.wanted.findIndex(
      ({ histogram }, i) =>
        histogram !== null &&
        this.wanted
          .slice(i, i + buckets.length)
          .map(({ quantity }) => keyOf(quantity))
          .join() === keys,
    );
    const histogram = first >= 0 ? null : this.#histograms++;
    return buckets.map((quantity, i) => {
      const index =
        histogram === null ? first + i : this.wanted.push({ ...draftOf(quantity), histogram }) - 1;
      this.#release(this.wanted[index]!);
      return index;
    });
  }
}

const draftOf = (quantity: Quantity): Draft => ({
  quantity,
  released: false,
  nonNullIndex: null,
  low: null,
  histogram: null,
  weight: ONE,
});

function keyOf(quantity: Quantity): string {
  switch (quantity.kind) {
    case 'users':
    case 'rows':
      return quantity.kind;
    case 'usersIf':
      return `usersIf ${quantity.guard.key}`;
    case 'terms': {
      const terms = quantity.monomials.map(
        ({ coefficient, factors, guard }) =>
          `${coefficient}·${factors.map((f) => `${f.table!}${T.termKey(f.term)}`).join()}·${guard?.key ?? ''}`,
      );
      const { counts, clamp } = quantity;
      const bounds = clamp === null ? '' : `${clamp.lower}..${clamp.upper}`;
      return `terms ${counts} ${terms.join(' + ')} ${bounds}`;
    }
    default:
      return `${quantity.kind} ${quantity.column.table!} ${columnName(quantity.column.term)}`;
  }
}
