import { ParleyError } from '../../core/errors.ts';
import { compare, parseDecimal, parseRational } from '../../core/rational.ts';
import type { Policy } from '../../policy/types.ts';
import type { Receipt } from '../../records/index.ts';

export function badReceipt(party: string, what: string, path?: string): ParleyError {
  return new ParleyError('RECEIPT_INVALID', what, {
    party,
    ...(path === undefined ? {} : { path }),
  });
}

/** What a party states of its ledger, in a receipt or an authorisation. */
type Charged = Pick<Receipt, 'party' | 'ledger_before' | 'ledger_after' | 'spent' | 'price'>;

/**
 * The party's own ledger, as far as it is shown: moved on, and charged within the budget.
 * @throws ParleyError RECEIPT_INVALID naming the party and the field.
 */
export function expectCharged(stated: Charged, policy: Policy): void {
  const { party, spent, price } = stated;
  const dp = policy.rules.differential_privacy;
  if (dp === 'off') return;
  if (stated.ledger_before === stated.ledger_after) {
    throw badReceipt(party, 'the ledger did not move on with the charge', 'ledger_after');
  }
  const budgets = { epsilon: dp.epsilon_budget, delta: dp.delta_budget };
  for (const kind of ['epsilon', 'delta'] as const) {
    const charged = parseRational(price[kind]);
    const total = parseRational(spent[kind]);
    const within = compare(total, parseDecimal(budgets[kind])) <= 0;
    if (!within || compare(total, charged) < 0) {
      const what = 'what a ledger has spent does not fit price and budget';
      throw badReceipt(party, what, `spent.${kind}`);
    }
  }
}
