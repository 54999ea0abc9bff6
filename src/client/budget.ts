import { compare, formatRational, parseRational, type Rational } from '../core/rational.ts';
import type { Amount, Fit, Limits, Price } from '../dp/index.ts';
import { fitOf, leftOf, limitsOf, mostOf, priceOfPlan } from '../dp/index.ts';
import { chargesOfSide, datasetTerms } from '../policy/index.ts';
import type { Policy } from '../policy/types.ts';
import type { DatasetSpent } from '../records/index.ts';
import type { Plan } from '../sql/index.ts';

/** What is left of each amount that the policy's accounting limits, `num/den`; null for the other. */
export interface LeftAmounts {
  /** Null under zcdp, where no sum of epsilons has a budget. */
  readonly epsilon: string | null;
  /** Null under basic. */
  readonly rho: string | null;
  /** Under zcdp of one half of `delta_budget`: what queries may fail with. */
  readonly delta: string;
}

/** A dataset in an epoch that a question is charged to, and what is known of its budget. */
export interface TouchedBudget {
  readonly party: string;
  readonly dataset: string;
  readonly epoch: string;
  /** Null where nobody has stated what it has spent. */
  readonly left: LeftAmounts | null;
  /** How many queries of this price its ledger still admits, decimal text; null as `left`. */
  readonly fits: string | null;
}

/** The budget that ends first when one question is asked over and over. */
export interface BindingBudget {
  readonly party: string;
  readonly dataset: string;
  readonly epoch: string;
  readonly amount: Amount;
}

/** What the budgets that a question touches have left: the least of each amount. */
export interface BudgetLeft extends LeftAmounts {
  readonly accounting: Limits['accounting'];
  /** How many queries of this price every one of them still admits, decimal text. */
  readonly fits: string;
  readonly binds: BindingBudget;
  /** Every one, in the order of the plan's sides. */
  readonly datasets: readonly TouchedBudget[];
}

/** What a party's receipt or authorisation states, as far as budgets go. */
export interface StatedSpending {
  readonly document: { readonly party: string; readonly spent: readonly DatasetSpent[] };
}

/** Every dataset that a plan is charged to: by policy and plan alone, as ledgers are. */
export function chargesOfPlan(
  policy: Policy,
  { sides }: Plan,
): readonly { readonly party: string; readonly dataset: string; readonly epoch: string }[] {
  return sides.flatMap((side) =>
    chargesOfSide(side, datasetTerms(policy, side.party)).map(({ dataset, epoch }) => ({
      ...{ party: side.party, dataset, epoch },
    })),
  );
}

/** The limits of a policy; null without differential privacy. @throws ParleyError POLICY_OUT_OF_RANGE. */
export function limitsOfPolicy({ rules: { differential_privacy: dp } }: Policy): Limits | null {
  return dp === 'off' ? null : limitsOf(dp);
}

function priceOfSpent({ epsilon, delta, rho }: DatasetSpent): Price {
  return {
    epsilon: parseRational(epsilon),
    delta: parseRational(delta),
    rho: parseRational(rho ?? '0'),
  };
}

/** What so much spending leaves of a policy's limits. */
export function leftAmounts(spent: Price, limits: Limits): LeftAmounts {
  const left = (limit: Rational, of: Rational): string => formatRational(leftOf(limit, of));
  return {
    epsilon: limits.accounting === 'basic' ? left(limits.epsilon, spent.epsilon) : null,
    rho: limits.accounting === 'zcdp' ? left(limits.rho, spent.rho) : null,
    delta: left(limits.delta, spent.delta),
  };
}

interface Touched {
  readonly view: TouchedBudget;
  readonly spent: Price | null;
  readonly fit: Fit | null;
}

/** What the budgets a question touches have left, as far as signed figures say. */
export interface BudgetState {
  readonly limits: Limits;
  readonly price: Price;
  readonly datasets: readonly TouchedBudget[];
  /** The tightest of those that are known; null when none is. */
  readonly tightest: { readonly binds: BindingBudget; readonly times: bigint } | null;
  /** What the one that has spent most of each amount has spent; null unless all are known. */
  readonly spent: Price | null;
}

/**
 * What is known of the budgets that a question touches, after what parties have stated. The same
 * exact arithmetic as a ledger's: it admits the question `times` more times, and not once more.
 *
 * @param stated - verified; of several statements about one dataset the largest sums count.
 * @returns null without differential privacy.
 * @throws ParleyError POLICY_OUT_OF_RANGE of `limitsOf`.
 */
export function budgetState(
  policy: Policy,
  plan: Plan,
  stated: readonly StatedSpending[],
): BudgetState | null {
  const limits = limitsOfPolicy(policy);
  if (limits === null || plan.privacy.differential === null) return null;
  const price = priceOfPlan(plan);
  const touched = chargesOfPlan(policy, plan).map((charge): Touched => {
    const spent = stated
      .filter(({ document }) => document.party === charge.party)
      .flatMap(({ document }) => document.spent)
      .filter(({ dataset, epoch }) => dataset === charge.dataset && epoch === charge.epoch)
      .map(priceOfSpent)
      .reduce<Price | null>((most, next) => (most === null ? next : mostOf(most, next)), null);
    if (spent === null) return { view: { ...charge, left: null, fits: null }, spent, fit: null };
    const fit = fitOf(spent, price, limits);
    const left = leftAmounts(spent, limits);
    return { view: { ...charge, left, fits: `${fit?.times ?? 0n}` }, spent, fit };
  });
  return {
    ...{ limits, price },
    datasets: touched.map(({ view }) => view),
    tightest: tightestOf(touched),
    spent: mostSpent(touched),
  };
}

function tightestOf(touched: readonly Touched[]): BudgetState['tightest'] {
  let least: { readonly binds: BindingBudget; readonly fit: Fit } | null = null;
  for (const { fit, view } of touched) {
    if (fit === null || (least !== null && compare(least.fit.ratio, fit.ratio) <= 0)) continue;
    const { party, dataset, epoch } = view;
    least = { binds: { party, dataset, epoch, amount: fit.binds }, fit };
  }
  return least === null ? null : { binds: least.binds, times: least.fit.times };
}

function mostSpent(touched: readonly Touched[]): Price | null {
  const spent = touched.map((t) => t.spent);
  if (!spent.every((price) => price !== null)) return null;
  return spent.length === 0 ? null : spent.reduce(mostOf);
}

/**
 * What is left of the budgets a question touched, after every party's signed figures; never below 0.
 * Null without differential privacy, or when a dataset it touches is not spoken of.
 */
export function budgetLeft(
  policy: Policy,
  plan: Plan,
  stated: readonly StatedSpending[],
): BudgetLeft | null {
  const state = budgetState(policy, plan, stated);
  if (state === null || state.spent === null || state.tightest === null) return null;
  const { binds, times } = state.tightest;
  return {
    accounting: state.limits.accounting,
    ...leftAmounts(state.spent, state.limits),
    fits: `${times}`,
    binds,
    datasets: state.datasets,
  };
}

/** Rho of a plan where rho has a budget, `num/den`; null elsewhere. */
export function rhoOfPlan(policy: Policy, plan: Plan): string | null {
  const dp = policy.rules.differential_privacy;
  if (dp === 'off' || dp.accounting !== 'zcdp' || plan.privacy.differential === null) return null;
  return formatRational(priceOfPlan(plan).rho);
}
