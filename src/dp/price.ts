import type { Rational } from '../core/rational.ts';
import { compare, div, parseRational, sub, ZERO } from '../core/rational.ts';
import type { Amount, Limits, Price } from './accounting.ts';
import { FREE, limitedAmounts, rhoOfMeasures } from './accounting.ts';

/** A plan, as far as its price follows from it. */
export interface Priced {
  readonly privacy: {
    readonly differential: { readonly epsilon: string; readonly delta: string } | null;
  };
  readonly measures: readonly {
    readonly epsilon: string | null;
    readonly histogram: number | null;
  }[];
}

/** What a plan costs every dataset it reads; nothing without differential privacy. */
export function priceOfPlan({ privacy: { differential }, measures }: Priced): Price {
  if (differential === null) return FREE;
  return {
    epsilon: parseRational(differential.epsilon),
    delta: parseRational(differential.delta),
    rho: rhoOfMeasures(measures),
  };
}

/** How often one price still fits a budget, and which of the amounts ends it. */
export interface Fit {
  readonly times: bigint;
  readonly binds: Amount;
  /** What is left over the price, of the amount that binds; `times` is its floor. */
  readonly ratio: Rational;
}

/**
 * {@link overLimit} solved for the number of queries: a filter that has `spent` admits exactly
 * `times` more of this price, because `spent + n·price <= limit` in every amount iff
 * `n <= (limit - spent) / price` in every amount, and its sums are exact.
 *
 * @returns null for a price of nothing, which always fits.
 */
export function fitOf(spent: Price, price: Price, limits: Limits): Fit | null {
  let tightest: Fit | null = null;
  for (const [amount, most] of limitedAmounts(limits)) {
    const left = leftOf(most, spent[amount]);
    const over = compare(spent[amount], most) > 0;
    if (price[amount].num === 0n && !over) continue;
    const ratio = over ? ZERO : div(left, price[amount]);
    if (tightest !== null && compare(tightest.ratio, ratio) <= 0) continue;
    tightest = { times: ratio.num / ratio.den, binds: amount, ratio };
  }
  return tightest;
}

/** What is left of a limit, never below zero. */
export function leftOf(limit: Rational, spent: Rational): Rational {
  return compare(spent, limit) > 0 ? ZERO : sub(limit, spent);
}
