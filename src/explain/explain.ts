import { budgetLeft, releaseOf } from '../client/index.ts';
import type { Rational } from '../core/rational.ts';
import { compare, formatRational, parseRational, sub, ZERO } from '../core/rational.ts';
import { calibrate, promiseOf, releaseRuleOf, type Calibration } from '../dp/index.ts';
import type { Policy } from '../policy/types.ts';
import type { SignedReceipt } from '../records/index.ts';
import { groupCount, planDigest, planQuery, type Plan } from '../sql/index.ts';
import { forecastCost, type CostForecast } from './cost.ts';
import { whoLearns, type Learns } from './learns.ts';
import { planTree, type TreeNode } from './tree.ts';
import { expectedColumns, smallestVisible, type ExpectedColumn } from './visible.ts';

export interface ExplainOptions {
  /** Decimal string; the policy's default when null. */
  readonly epsilon: string | null;
  /** Of the analyst's latest answer, verified by the caller; where the budget stood then. */
  readonly receipts?: readonly SignedReceipt[];
  /** Leaves out the rehearsal, which takes a second. */
  readonly withoutCost?: boolean;
}

/** What is known of the budget before a question is asked. */
export interface BudgetView {
  readonly epsilon: string;
  readonly delta: string;
  /** After the party that had spent most, by the receipts given; null when none were. */
  readonly leftBefore: { readonly epsilon: string; readonly delta: string } | null;
  readonly leftAfter: { readonly epsilon: string; readonly delta: string } | null;
  readonly affordable: boolean | null;
}

/** Everything about a question before it is asked. Amounts are exact: `num/den`. */
export interface Explanation {
  readonly room: string;
  readonly policyDigest: string;
  readonly planDigest: string;
  readonly tree: TreeNode;
  /** Null without differential privacy. */
  readonly price: { readonly epsilon: string; readonly delta: string } | null;
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
  receipts: readonly SignedReceipt[],
): BudgetView | null {
  const dp = policy.rules.differential_privacy;
  const price = plan.privacy.differential;
  if (dp === 'off' || price === null) return null;
  const before = receipts.length === 0 ? null : budgetLeft(policy, receipts);
  const whole = { epsilon: dp.epsilon_budget, delta: dp.delta_budget };
  if (before === null) return { ...whole, leftBefore: null, leftAfter: null, affordable: null };
  const after = (kind: 'epsilon' | 'delta'): Rational =>
    sub(parseRational(before[kind]), parseRational(price[kind]));
  const [epsilon, delta] = [after('epsilon'), after('delta')];
  const affordable = compare(epsilon, ZERO) >= 0 && compare(delta, ZERO) >= 0;
  const leftAfter = { epsilon: formatRational(epsilon), delta: formatRational(delta) };
  return { ...whole, leftBefore: before, leftAfter: affordable ? leftAfter : null, affordable };
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
    price: differential && { epsilon: differential.epsilon, delta: differential.delta },
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
