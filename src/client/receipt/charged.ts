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
  const refuse = (kind: string): never => {
    throw badReceipt(
      party,
      'what a ledger has spent does not fit price and budget',
      `spent.${kind}`,
    );
  };
  const within = (total: string | undefined, budget: string): boolean =>
    total !== undefined && compare(parseRational(total), parseDecimal(budget)) <= 0;
  const zcdp = dp.accounting === 'zcdp';
  // Under zcdp rho is what has a budget, and the sum of epsilons says nothing.
  if (!zcdp && !within(spent.epsilon, dp.epsilon_budget)) refuse('epsilon');
  if (!within(spent.delta, dp.delta_budget)) refuse('delta');
  if (zcdp && !within(spent.rho, dp.rho_budget ?? '0')) refuse('rho');
  for (const kind of ['epsilon', 'delta'] as const) {
    if (compare(parseRational(spent[kind]), parseRational(price[kind])) < 0) refuse(kind);
  }
}
