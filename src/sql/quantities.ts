/** Quantities that a query computes per group, each once. */
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
}

type Draft = { -readonly [K in keyof Wanted]: Wanted[K] };

/** Registers quantities so that equal ones are computed once. */
export class Quantities {
  readonly wanted: Draft[] = [draftOf({ kind: 'users' })];
  #histograms = 0;

  /** Index of the quantity, added when new; once released, always released. */
  add(quantity: Quantity, released: boolean): number {
    const key = keyOf(quantity);
    let index = this.wanted.findIndex(
      (other) => other.histogram === null && keyOf(other.quantity) === key,
    );
    if (index < 0) index = this.wanted.push(draftOf(quantity)) - 1;
    if (released) this.wanted[index]!.released = true;
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
    if (first >= 0) return buckets.map((_, i) => first + i);
    const histogram = this.#histograms++;
    return buckets.map((quantity) => {
      const draft = { ...draftOf(quantity), released: true, histogram };
      return this.wanted.push(draft) - 1;
    });
  }
}

const draftOf = (quantity: Quantity): Draft => ({
  quantity,
  released: false,
  nonNullIndex: null,
  low: null,
  histogram: null,
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
