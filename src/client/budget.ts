import {
  compare,
  formatRational,
  parseDecimal,
  parseRational,
  sub,
  ZERO,
} from '../core/rational.ts';
import type { Policy } from '../policy/types.ts';
import type { Receipt } from '../records/index.ts';
import type { Answer } from './answer.ts';

/**
 * What is left of the budget after the party that has spent most; signed figures, never below 0.
 * Null without differential privacy, and under zcdp, where no sum of epsilons has a budget.
 */
export function budgetLeft(
  policy: Policy,
  stated: readonly { readonly document: Pick<Receipt, 'spent'> }[],
): Answer['budgetLeft'] {
  const dp = policy.rules.differential_privacy;
  if (dp === 'off' || dp.accounting === 'zcdp') return null;
  const left = (budget: string, spent: readonly string[]): string => {
    const rest = spent.map((amount) => sub(parseDecimal(budget), parseRational(amount)));
    const least = rest.reduce((a, b) => (compare(a, b) <= 0 ? a : b));
    return formatRational(compare(least, ZERO) < 0 ? ZERO : least);
  };
  const spent = stated.map(({ document }) => document.spent);
  return {
    epsilon: left(
      dp.epsilon_budget,
      spent.map((s) => s.epsilon),
    ),
    delta: left(
      dp.delta_budget,
      spent.map((s) => s.delta),
    ),
  };
}
