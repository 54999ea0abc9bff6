import { ParleyError } from '../core/errors.ts';
import type { Rational } from '../core/rational.ts';
import {
  add,
  compare,
  div,
  mul,
  ONE,
  parseDecimal,
  parseRational,
  rational,
  sub,
  ZERO,
} from '../core/rational.ts';
import { ln } from './ln.ts';

/** What a query costs, or what queries have cost together. Exact but for `rho`, rounded up. */
export interface Price {
  readonly epsilon: Rational;
  /** Selection, truncation and quantisation parts: what the query may fail with. */
  readonly delta: Rational;
  /** Of zero-concentrated differential privacy (Bun, Steinke 2016). */
  readonly rho: Rational;
}

export const FREE: Price = { epsilon: ZERO, delta: ZERO, rho: ZERO };

/** What may be spent for good. Which amounts count is up to the accounting. */
export type Limits =
  | { readonly accounting: 'basic'; readonly epsilon: Rational; readonly delta: Rational }
  | { readonly accounting: 'zcdp'; readonly rho: Rational; readonly delta: Rational };

/** An amount that an accounting limits. */
export type Amount = 'epsilon' | 'delta' | 'rho';

/** The amounts that have a budget, with it. */
export function limitedAmounts(limits: Limits): readonly (readonly [Amount, Rational])[] {
  return limits.accounting === 'zcdp'
    ? [
        ['delta', limits.delta],
        ['rho', limits.rho],
      ]
    : [
        ['delta', limits.delta],
        ['epsilon', limits.epsilon],
      ];
}

/** The fields of `rules.differential_privacy` that say what may be spent. */
export interface BudgetFields {
  readonly accounting?: 'basic' | 'zcdp';
  readonly epsilon_budget: string;
  readonly delta_budget: string;
  readonly rho_budget?: string;
}

/** AGREEMENT. Bits below the point of rho: denominators of sums stay bounded. */
const RHO_BITS = 100n;

/**
 * Rho of one query: the sum of eps²/2 over what is noised with an epsilon of its own. Pure eps-DP
 * is eps²/2-zCDP (Bun, Steinke 2016, Prop. 1.4), and rho adds up under adaptive composition. With
 * its delta a measure is delta-approximately so: an (eps, delta)-DP pair of laws is, but for an
 * event of probability delta, a pair of eps-DP (Kairouz, Oh, Viswanath 2015).
 *
 * @param epsilons - of each measure, or of each histogram, whose measures have one together.
 * @returns rounded up to a multiple of 2^-100.
 */
export function rhoOf(epsilons: readonly Rational[]): Rational {
  const half = rational(1n, 2n);
  const exact = epsilons.reduce((sum, e) => add(sum, mul(half, mul(e, e))), ZERO);
  return roundUp(exact, RHO_BITS);
}

/**
 * Rho of what a plan releases. Buckets of one histogram have one epsilon together.
 * @param measures - `epsilon` is `num/den`, null where nothing is noised; `histogram` numbers the
 *   histogram a measure is a bucket of.
 */
export function rhoOfMeasures(
  measures: readonly { readonly epsilon: string | null; readonly histogram: number | null }[],
): Rational {
  const epsilons = new Map<string, Rational>();
  measures.forEach(({ epsilon, histogram }, i) => {
    if (epsilon === null) return;
    const noised = histogram === null ? `measure ${i}` : `histogram ${histogram}`;
    epsilons.set(noised, parseRational(epsilon));
  });
  return rhoOf([...epsilons.values()]);
}

function roundUp({ num, den }: Rational, bits: bigint): Rational {
  const scaled = num << bits;
  return rational(scaled >= 0n ? (scaled + den - 1n) / den : scaled / den, 1n << bits);
}

export function addPrices(a: Price, b: Price): Price {
  return {
    epsilon: add(a.epsilon, b.epsilon),
    delta: add(a.delta, b.delta),
    rho: add(a.rho, b.rho),
  };
}

/** The larger of each amount. */
export function mostOf(a: Price, b: Price): Price {
  const most = (x: Rational, y: Rational): Rational => (compare(x, y) < 0 ? y : x);
  return {
    epsilon: most(a.epsilon, b.epsilon),
    delta: most(a.delta, b.delta),
    rho: most(a.rho, b.rho),
  };
}

/** What `a` has above `b`, each amount on its own, and never below zero. */
export function excessOver(a: Price, b: Price): Price {
  const above = (x: Rational, y: Rational): Rational => (compare(x, y) > 0 ? sub(x, y) : ZERO);
  return {
    epsilon: above(a.epsilon, b.epsilon),
    delta: above(a.delta, b.delta),
    rho: above(a.rho, b.rho),
  };
}

/**
 * The privacy filter: stops when a sum would pass its budget. Valid for amounts that are chosen
 * adaptively: of epsilon and delta (Rogers, Roth, Ullman, Vadhan 2016, basic composition) and of
 * rho (Feldman, Zrnic 2021; Whitehouse, Ramdas, Rogers, Wu 2023).
 *
 * @returns the field of the policy that the total is over; null when it is within.
 */
export function overLimit(total: Price, limits: Limits): `${Amount}_budget` | null {
  const over = limitedAmounts(limits).find(([amount, most]) => compare(total[amount], most) > 0);
  return over === undefined ? null : `${over[0]}_budget`;
}

/** LOCAL. Working precision of a conversion, and bits below the point of its result. */
const CONVERSION_BITS = 96;
const EPSILON_BITS = 64n;
/** LOCAL. Orders looked at: 1 + 2^j, then halvings of the interval around the best. */
const ORDER_EXPONENTS = { from: -12, to: 40 } as const;
const REFINEMENTS = 24;

/** `[lower, upper]` of ln x. */
function lnBounds(x: Rational): readonly [Rational, Rational] {
  const { low, high, precision } = ln(x, CONVERSION_BITS);
  return [rational(low, 1n << precision), rational(high, 1n << precision)];
}

/**
 * Epsilon of rho-zCDP at a delta: Canonne, Kamath, Steinke 2020 (arXiv 2004.00010, Cor. 13),
 * `min over alpha > 1 of alpha·rho + ln(1/(alpha·delta))/(alpha-1) + ln(1-1/alpha)`. Every alpha
 * gives a valid one, so that the search for a good alpha needs no proof; each is rounded up.
 *
 * @returns an upper bound, a multiple of 2^-64; zero for rho = 0.
 */
export function zcdpEpsilon(rho: Rational, delta: Rational): Rational {
  if (rho.num === 0n) return ZERO;
  const lnInverseDelta = lnBounds(div(ONE, delta))[1];
  const at = (s: Rational): Rational => {
    const alpha = add(ONE, s);
    const gap = sub(lnInverseDelta, lnBounds(alpha)[0]);
    const exact = add(add(mul(alpha, rho), div(gap, s)), lnBounds(div(s, alpha))[1]);
    const rounded = roundUp(exact, EPSILON_BITS);
    return rounded.num < 0n ? ZERO : rounded;
  };
  const power = (j: number): Rational =>
    j < 0 ? rational(1n, 1n << BigInt(-j)) : rational(1n << BigInt(j));
  let best = power(ORDER_EXPONENTS.from);
  let least = at(best);
  const consider = (s: Rational): void => {
    const value = at(s);
    if (compare(value, least) < 0) [best, least] = [s, value];
  };
  for (let j = ORDER_EXPONENTS.from + 1; j <= ORDER_EXPONENTS.to; j += 1) consider(power(j));
  let step = mul(best, rational(1n, 4n));
  for (let i = 0; i < REFINEMENTS; i += 1) {
    const [below, above] = [sub(best, step), add(best, step)];
    if (below.num > 0n) consider(below);
    consider(above);
    step = mul(step, rational(3n, 4n));
    step = roundUp(step, 64n);
  }
  return least;
}

/** Of `delta_budget` under zcdp, one half is for what queries may fail with, one converts rho. */
export function conversionDelta(deltaBudget: Rational): Rational {
  return div(deltaBudget, rational(2n));
}

/**
 * What a policy allows to be spent of one dataset in one epoch. Both accountings promise
 * (epsilon_budget, delta_budget): zcdp by `rho_budget`, of which this checks that it converts to no
 * more than that.
 * @throws ParleyError POLICY_OUT_OF_RANGE with the field's path.
 */
export function limitsOf(fields: BudgetFields): Limits {
  const epsilon = parseDecimal(fields.epsilon_budget);
  const delta = parseDecimal(fields.delta_budget);
  if (fields.accounting !== 'zcdp') return { accounting: 'basic', epsilon, delta };
  const rho = parseDecimal(fields.rho_budget ?? '0');
  const half = conversionDelta(delta);
  if (compare(zcdpEpsilon(rho, half), epsilon) > 0) {
    throw new ParleyError(
      'POLICY_OUT_OF_RANGE',
      'a policy value converts to more than epsilon_budget',
      {
        path: 'rules.differential_privacy.rho_budget',
        hint: 'lower rho_budget; half of delta_budget is what it is converted at',
      },
    );
  }
  return { accounting: 'zcdp', rho, delta: half };
}

/**
 * The (epsilon, delta) that what was spent amounts to.
 * @param limits - their accounting, and under zcdp the delta to convert at.
 */
export function guaranteeOf(
  spent: Price,
  limits: Limits,
): { readonly epsilon: Rational; readonly delta: Rational } {
  if (limits.accounting === 'basic') return spent;
  const epsilon = zcdpEpsilon(spent.rho, limits.delta);
  return { epsilon, delta: spent.rho.num === 0n ? spent.delta : add(spent.delta, limits.delta) };
}
