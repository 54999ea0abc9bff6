import type { BindingBudget, LeftAmounts, StatedSpending, TouchedBudget } from '../client/index.ts';
import { budgetState, leftAmounts, releaseOf, rhoOfPlan } from '../client/index.ts';
import type { Calibration, Limits } from '../dp/index.ts';
import { addPrices, calibrate, fitOf, FREE, promiseOf, releaseRuleOf } from '../dp/index.ts';
import type { Policy } from '../policy/types.ts';
import { groupCount, planDigest, planQuery, type Plan } from '../sql/index.ts';
import { forecastCost, type CostForecast } from './cost.ts';
import { whoLearns, type Learns } from './learns.ts';
import { planTree, type TreeNode } from './tree.ts';
import { expectedColumns, smallestVisible, type ExpectedColumn } from './visible.ts';

export interface ExplainOptions {
  /** Decimal string; the policy's default when null. */
  readonly epsilon: string | null;
  /** Of the analyst's latest answer, verified by the caller; where the budget stood then. */
  readonly receipts?: readonly StatedSpending[];
  /** Leaves out the rehearsal, which takes a second. */
  readonly withoutCost?: boolean;
}

/** What is known of the budgets of a question before it is asked. */
export interface BudgetView {
  readonly accounting: Limits['accounting'];
  /** The policy's, as it states them; rho under zcdp alone. */
  readonly epsilon: string;
  readonly rho: string | null;
  readonly delta: string;
  /** How many questions of this price a budget takes of which nothing is spent, decimal text. */
  readonly wholeFits: string;
  /** Every dataset it is charged to, with what the receipts given say of it. */
  readonly datasets: readonly TouchedBudget[];
  /** The least they have left of each amount; null unless receipts speak of every one. */
  readonly leftBefore: LeftAmounts | null;
  readonly leftAfter: LeftAmounts | null;
  /** How many questions of this price fit, this one counted; null unless all budgets are known. */
  readonly fits: string | null;
  /** The tightest of the budgets that are known; null when none is. */
  readonly binds: BindingBudget | null;
  /** False as soon as one known budget is too small; null while one is unknown. */
  readonly affordable: boolean | null;
}

/** Everything about a question before it is asked. Amounts are exact: `num/den`. */
export interface Explanation {
  readonly room: string;
  readonly policyDigest: string;
  readonly planDigest: string;
  readonly tree: TreeNode;
  /** Null without differential privacy. Rho, rounded up to 2^-100, where rho has a budget. */
  readonly price: {
    readonly epsilon: string;
    readonly rho: string | null;
    readonly delta: string;
  } | null;
  readonly budget: BudgetView | null;
  readonly confidenceLevel: string;
  readonly columns: readonly ExpectedColumn[];
  readonly groups: {
    readonly count: number;
    readonly minUsers: number;
    readonly selection: string;
    /** noisy: bound on the chance that a given group below `minUsers` opens, `num/den`. */
    readonly belowK: string | null;
    readonly tau: string | null;
    /** Distinct people of the smallest group that is likelier to open than not. */
    readonly smallestVisible: string;
  };
  readonly cost: CostForecast | null;
  readonly learns: readonly Learns[];
  /** What the release promises and what it does not, as the receipt will state it. */
  readonly promise: readonly string[];
  readonly queries: 'any' | 'templates' | 'approved';
}

/** The calibration the parties will run with. */
export function calibrationOf(plan: Plan): Calibration {
  return calibrate(releaseRuleOf(plan));
}

function ruleText(plan: Plan, { tau }: Calibration): string {
  const { differential, minUsers, selection } = plan.privacy;
  const gate = tau === null ? '' : `, noisy count at least ${tau + BigInt(minUsers) - 1n}`;
  const exact = minUsers <= 1 ? 'NO THRESHOLD' : `at least ${minUsers} people${gate}`;
  const threshold = selection === 'noisy' ? gate.replace(', ', '') : exact;
  const noise = differential === null ? 'NO NOISE' : 'discrete Laplace noise drawn by all';
  return `${threshold} (${selection}), ${noise}`;
}

function budgetView(
  plan: Plan,
  policy: Policy,
  receipts: readonly StatedSpending[],
): BudgetView | null {
  const dp = policy.rules.differential_privacy;
  const state = budgetState(policy, plan, receipts);
  if (dp === 'off' || state === null) return null;
  const { limits, price, datasets, tightest, spent } = state;
  const exhausted = tightest !== null && tightest.times === 0n;
  const known = spent !== null;
  return {
    accounting: limits.accounting,
    epsilon: dp.epsilon_budget,
    rho: dp.rho_budget ?? null,
    delta: dp.delta_budget,
    wholeFits: `${fitOf(FREE, price, limits)?.times ?? 0n}`,
    datasets,
    leftBefore: known ? leftAmounts(spent, limits) : null,
    leftAfter: known && !exhausted ? leftAmounts(addPrices(spent, price), limits) : null,
    fits: known && tightest !== null ? `${tightest.times}` : null,
    binds: tightest?.binds ?? null,
    affordable: exhausted ? false : known ? true : null,
  };
}

/**
 * Explains a question from policy and text alone. Asks nobody, costs nothing, and tells nobody that
 * the question exists. Half-widths are those a result will state: the same functions make them.
 *
 * @throws ParleyError every code of `planQuery`; OVERFLOW_POSSIBLE, POLICY_OUT_OF_RANGE of calibration.
 */
export async function explainQuery(
  policy: Policy,
  policyDigest: string,
  sql: string,
  options: ExplainOptions,
): Promise<Explanation> {
  const plan = planQuery(policy, policyDigest, sql, { epsilon: options.epsilon });
  const calibration = calibrationOf(plan);
  const smallest = smallestVisible(calibration);
  const { differential, minUsers, selection, confidenceLevel } = plan.privacy;
  return {
    room: plan.room,
    policyDigest,
    planDigest: planDigest(plan),
    tree: planTree(plan, policy, ruleText(plan, calibration)),
    price: differential && {
      epsilon: differential.epsilon,
      rho: rhoOfPlan(policy, plan),
      delta: differential.delta,
    },
    budget: budgetView(plan, policy, options.receipts ?? []),
    confidenceLevel,
    columns: expectedColumns(plan, releaseOf(plan), smallest),
    groups: {
      count: groupCount(plan),
      minUsers,
      selection,
      belowK: plan.privacy.belowK,
      tau: calibration.tau === null ? null : `${calibration.tau}`,
      smallestVisible: `${smallest}`,
    },
    cost: options.withoutCost === true ? null : await forecastCost(plan, calibration),
    learns: whoLearns(plan, smallest),
    promise: promiseOf(plan.privacy),
    queries: policy.rules.queries?.mode ?? 'any',
  };
}
