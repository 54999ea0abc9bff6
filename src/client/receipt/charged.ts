import { ParleyError } from '../../core/errors.ts';
import { compare, parseDecimal, parseRational, type Rational } from '../../core/rational.ts';
import { conversionDelta } from '../../dp/index.ts';
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
 * The party's own ledger, as far as it is shown: moved on, and charged the price within the budget,
 * by the amounts that the policy's accounting has.
 * @param rho - of the query; counts under `zcdp`.
 * @throws ParleyError RECEIPT_INVALID naming the party and the field.
 */
export function expectCharged(
  stated: Charged,
  { policy, rho }: { readonly policy: Policy; readonly rho: Rational },
): void {
  const { party, spent, price } = stated;
  const dp = policy.rules.differential_privacy;
  if (dp === 'off') {
    // Data of a room with noise off is never one that has a budget elsewhere.
    if (spent.epsilon === '0' && spent.delta === '0' && spent.rho === undefined) return;
    throw badReceipt(party, 'a ledger has spent in a room that has no budget', 'spent');
  }
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
  const within = (total: string | undefined, budget: Rational): boolean =>
    total !== undefined && compare(parseRational(total), budget) <= 0;
  const deltaBudget = parseDecimal(dp.delta_budget);
  const zcdp = dp.accounting === 'zcdp';
  // Under zcdp rho is what has a budget, and the sum of epsilons says nothing.
  if (!zcdp && !within(spent.epsilon, parseDecimal(dp.epsilon_budget))) refuse('epsilon');
  if (!within(spent.delta, zcdp ? conversionDelta(deltaBudget) : deltaBudget)) refuse('delta');
  if (zcdp !== (spent.rho !== undefined)) refuse('rho');
  if (zcdp && !within(spent.rho, parseDecimal(dp.rho_budget ?? '0'))) refuse('rho');
  if (zcdp && compare(parseRational(spent.rho ?? '0'), rho) < 0) refuse('rho');
  for (const kind of ['epsilon', 'delta'] as const) {
    if (compare(parseRational(spent[kind]), parseRational(price[kind])) < 0) refuse(kind);
  }
}
