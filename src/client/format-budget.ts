/** Budgets in words and as JSON, for results and for what is said before a question. */
import { decimalText, parseRational } from '../core/rational.ts';
import type { Answer } from './answer.ts';
import type { BindingBudget, BudgetLeft, TouchedBudget } from './budget.ts';

/** An exact amount for a person, rounded against the asker, who is told where it was rounded. */
export function amountText(amount: string, rounding: 'up' | 'down'): string {
  const { text, exact } = decimalText(parseRational(amount), rounding);
  return exact ? text : `${text} (rounded ${rounding})`;
}

/** Amounts as a ledger has them, `num/den`; null for what has no budget. */
interface Amounts {
  readonly epsilon: string | null;
  readonly rho: string | null;
  readonly delta: string | null;
}

/** `rho 1.375, delta 4.5e-7`. */
export function amountsText({ epsilon, rho, delta }: Amounts, rounding: 'up' | 'down'): string {
  return Object.entries({ epsilon, rho, delta })
    .flatMap(([name, amount]) =>
      amount === null ? [] : [`${name} ${amountText(amount, rounding)}`],
    )
    .join(', ');
}

/** A budget by name: a dataset in an epoch, and whose it is where its name does not say so. */
export function budgetName({
  party,
  dataset,
  epoch,
}: Pick<BindingBudget, 'party' | 'dataset' | 'epoch'>): string {
  const owned = dataset.startsWith(`${party}/`) ? dataset : `${dataset} of ${party}`;
  return `${owned}, epoch ${epoch}`;
}

/** `12 questions`. */
export function questionsText(fits: string): string {
  return `${fits} ${fits === '1' ? 'question' : 'questions'}`;
}

/** What a question spent and what its budgets have left, a line each; nothing where nobody states it. */
export function budgetText({
  epsilonSpent: epsilon,
  rhoSpent: rho,
  deltaSpent: delta,
  budgetLeft: left,
}: Pick<Answer, 'epsilonSpent' | 'rhoSpent' | 'deltaSpent' | 'budgetLeft'>): readonly string[] {
  if (left === null) return [];
  const more = left.fits === '1' ? 'question like this one fits' : 'questions like this one fit';
  return [
    `spent ${amountsText({ epsilon, rho, delta }, 'up')}`,
    `left ${amountsText(left, 'down')}; ${left.fits} more ${more}; ` +
      `${budgetName(left.binds)} binds, by its ${left.binds.amount}`,
  ];
}

export function touchedDocument({ party, dataset, epoch, left, fits }: TouchedBudget): object {
  return { party, dataset, epoch, left, fits };
}

/** What is left after an answer, for a program; amounts exact. */
export function budgetDocument(left: BudgetLeft): object {
  return {
    accounting: left.accounting,
    epsilon: left.epsilon,
    rho: left.rho,
    delta: left.delta,
    fits: left.fits,
    binds: left.binds,
    datasets: left.datasets.map(touchedDocument),
  };
}
