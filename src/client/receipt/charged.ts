import { ParleyError } from '../../core/errors.ts';
import { compare, parseRational } from '../../core/rational.ts';
import { limitedAmounts, priceOfPlan, type Amount } from '../../dp/index.ts';
import type { Receipt } from '../../records/index.ts';
import { chargesOfPlan, limitsOfPolicy } from '../budget.ts';
import type { Expected } from './derive.ts';
import { firstDifference } from './difference.ts';

export function badReceipt(party: string, what: string, path?: string): ParleyError {
  return new ParleyError('RECEIPT_INVALID', what, {
    party,
    ...(path === undefined ? {} : { path }),
  });
}

/** What a party states of its ledger, in a receipt or an authorisation. */
type Charged = Pick<Receipt, 'party' | 'ledger_before' | 'ledger_after' | 'spent'>;

/**
 * The party's own ledger, as far as it is shown: every dataset that the plan is charged to and no
 * other, moved on, and charged at least the price and within the budget, by the policy's accounting.
 * @throws ParleyError RECEIPT_INVALID naming the party and the field.
 */
export function expectCharged(stated: Charged, { policy, plan }: ChargedBy): void {
  const { party, spent } = stated;
  const charges = chargesOfPlan(policy, plan).flatMap(({ party: owner, dataset, epoch }) =>
    owner === party ? [{ dataset, epoch }] : [],
  );
  const named = spent.map(({ dataset, epoch }) => ({ dataset, epoch }));
  const differs = firstDifference(named, charges, 'spent');
  if (differs !== null) {
    throw badReceipt(
      party,
      'a receipt states the spending of other data than was charged',
      differs,
    );
  }
  const limits = limitsOfPolicy(policy);
  const zcdp = limits?.accounting === 'zcdp';
  const wrong = spent.findIndex(({ rho }) => (rho !== undefined) !== zcdp);
  if (wrong >= 0) {
    throw badReceipt(party, 'a receipt states rho exactly under zcdp', `spent.${wrong}.rho`);
  }
  if (limits === null) {
    // Data of a room with noise off is never one that has a budget elsewhere.
    const charged = spent.findIndex(({ epsilon, delta }) => epsilon !== '0' || delta !== '0');
    if (charged < 0) return;
    throw badReceipt(party, 'a ledger has spent in a room that has no budget', `spent.${charged}`);
  }
  if (stated.ledger_before === stated.ledger_after) {
    throw badReceipt(party, 'the ledger did not move on with the charge', 'ledger_after');
  }
  const price = priceOfPlan(plan);
  spent.forEach((amounts, i) => {
    const total = (amount: Amount) => parseRational(amounts[amount] ?? '0');
    const kinds = ['epsilon', 'delta', ...(zcdp ? (['rho'] as const) : [])] as const;
    const below = kinds.find((amount) => compare(total(amount), price[amount]) < 0);
    const over = limitedAmounts(limits).find(([amount, most]) => compare(total(amount), most) > 0);
    const bad = below ?? over?.[0];
    if (bad === undefined) return;
    throw badReceipt(
      party,
      'what a ledger has spent does not fit price and budget',
      `spent.${i}.${bad}`,
    );
  });
}

/** What it was charged for. */
type ChargedBy = Pick<Expected, 'policy' | 'plan'>;
