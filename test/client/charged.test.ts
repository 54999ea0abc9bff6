// Goal: what a party states to have spent names what was charged, fits price and budget, by the
// accounting of the policy.
import { describe, expect, it } from 'vitest';
import { expectCharged } from '../../src/client/receipt/charged.ts';
import type { DifferentialPrivacy, Policy } from '../../src/policy/types.ts';
import type { DatasetSpent } from '../../src/records/index.ts';
import { planQuery } from '../../src/sql/index.ts';
import { sampleRoom } from '../policy/samples.ts';
import { OPEN } from './fixtures.ts';

const { policy, digest } = sampleRoom();
const zcdp: Policy = {
  ...policy,
  rules: {
    ...policy.rules,
    differential_privacy: {
      ...(policy.rules.differential_privacy as DifferentialPrivacy),
      accounting: 'zcdp',
      rho_budget: '0.1',
    },
  },
};

const off = sampleRoom(OPEN).policy;

type Amounts = Omit<DatasetSpent, 'dataset' | 'epoch'>;
const SQL = 'SELECT COUNT(DISTINCT hashed_email) AS n FROM joined_data';
const stated = (amounts: Amounts) => ({
  party: 'shopgood',
  ledger_before: 'a'.repeat(64),
  ledger_after: 'b'.repeat(64),
  spent: [{ dataset: 'shopgood/purchases', epoch: '0', ...amounts }],
});
const delta = '1/10000000';

describe('what was charged', () => {
  // Asked for epsilon 1/2, by zcdp for 2/5, so rho 2/25; half of its delta budget is 1/2000000.
  it.each<[string, Policy, Amounts, string | null]>([
    ['basic, within', policy, { epsilon: '3', delta }, null],
    ['basic, over', policy, { epsilon: '31/10', delta }, 'spent.0.epsilon'],
    ['basic, below the price', policy, { epsilon: '1/3', delta }, 'spent.0.epsilon'],
    ['basic, delta over', policy, { epsilon: '1', delta: '1/100' }, 'spent.0.delta'],
    ['basic, all of delta', policy, { epsilon: '1', delta: '1/1000000' }, null],
    ['basic, with rho', policy, { epsilon: '1', delta, rho: '1/8' }, 'spent.0.rho'],
    ['zcdp, a large sum of epsilons', zcdp, { epsilon: '50', delta, rho: '1/10' }, null],
    ['zcdp, rho over', zcdp, { epsilon: '1', delta, rho: '11/100' }, 'spent.0.rho'],
    ['zcdp, no rho', zcdp, { epsilon: '1', delta }, 'spent.0.rho'],
    ['zcdp, below the price', zcdp, { epsilon: '1/3', delta, rho: '1/10' }, 'spent.0.epsilon'],
    ['off', off, { epsilon: '0', delta: '0' }, null],
    ['off, with epsilon', off, { epsilon: '1', delta: '0' }, 'spent.0'],
    ['off, with rho', off, { epsilon: '0', delta: '0', rho: '0' }, 'spent.0.rho'],
    ['zcdp, the price in rho', zcdp, { epsilon: '1', delta, rho: '1/10' }, null],
    ['zcdp, rho below the price', zcdp, { epsilon: '1', delta, rho: '7/100' }, 'spent.0.rho'],
    [
      'zcdp, over half of delta',
      zcdp,
      { epsilon: '1', delta: '11/20000000', rho: '1/10' },
      'spent.0.delta',
    ],
  ])('%s', (_, of, amounts, path) => {
    const epsilon = of === off ? null : of === zcdp ? '0.4' : '0.5';
    const plan = planQuery(of, digest, SQL, { epsilon });
    const check = (): void => expectCharged(stated(amounts), { policy: of, plan });
    if (path === null) expect(check).not.toThrow();
    else {
      const detail = expect.objectContaining({ path, party: 'shopgood' }) as unknown;
      expect(check).toThrow(expect.objectContaining({ code: 'RECEIPT_INVALID', detail }) as Error);
    }
  });

  it('of a ledger that did not move on', () => {
    const plan = planQuery(policy, digest, SQL, { epsilon: '0.5' });
    const still = { ...stated({ epsilon: '3', delta }), ledger_after: 'a'.repeat(64) };
    expect(() => expectCharged(still, { policy, plan })).toThrow(/did not move on/);
  });
});
