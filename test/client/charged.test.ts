// Goal: what a party states to have spent fits price and budget, by the accounting of the policy.
import { describe, expect, it } from 'vitest';
import { expectCharged } from '../../src/client/receipt/charged.ts';
import { rational } from '../../src/core/rational.ts';
import type { DifferentialPrivacy, Policy } from '../../src/policy/types.ts';
import type { Receipt } from '../../src/records/index.ts';
import { sampleRoom } from '../policy/samples.ts';
import { OPEN } from './fixtures.ts';

const policy = sampleRoom().policy;
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

const stated = (spent: Receipt['spent']) => ({
  party: 'shopgood',
  ledger_before: 'a'.repeat(64),
  ledger_after: 'b'.repeat(64),
  price: { epsilon: '1/2', delta: '1/20000000' },
  spent,
});
const delta = '1/10000000';

describe('what was charged', () => {
  it.each<[string, Policy, Receipt['spent'], string | null]>([
    ['basic, within', policy, { epsilon: '3', delta }, null],
    ['basic, over', policy, { epsilon: '31/10', delta }, 'spent.epsilon'],
    ['basic, below the price', policy, { epsilon: '1/3', delta }, 'spent.epsilon'],
    ['basic, delta over', policy, { epsilon: '1', delta: '1/100' }, 'spent.delta'],
    ['zcdp, a large sum of epsilons', zcdp, { epsilon: '50', delta, rho: '1/10' }, null],
    ['zcdp, rho over', zcdp, { epsilon: '1', delta, rho: '11/100' }, 'spent.rho'],
    ['zcdp, no rho', zcdp, { epsilon: '1', delta }, 'spent.rho'],
    ['zcdp, below the price', zcdp, { epsilon: '1/3', delta, rho: '1/18' }, 'spent.epsilon'],
    ['zcdp, the price in rho', zcdp, { epsilon: '1', delta, rho: '1/32' }, null],
    ['zcdp, below the price in rho', zcdp, { epsilon: '1', delta, rho: '1/33' }, 'spent.rho'],
    [
      'zcdp, the half of delta that converts',
      zcdp,
      { epsilon: '1', delta: '1/1999999', rho: '1/10' },
      'spent.delta',
    ],
    ['basic, the same delta', policy, { epsilon: '1', delta: '1/1999999' }, null],
    ['basic, with rho', policy, { epsilon: '1', delta, rho: '1/10' }, 'spent.rho'],
    ['off', off, { epsilon: '0', delta: '0' }, null],
    ['off, with epsilon', off, { epsilon: '1', delta: '0' }, 'spent'],
    ['off, with rho', off, { epsilon: '0', delta: '0', rho: '0' }, 'spent'],
  ])('%s', (_, of, spent, path) => {
    // Of a query that noises one number with epsilon 1/4.
    const check = (): void => expectCharged(stated(spent), { policy: of, rho: rational(1n, 32n) });
    if (path === null) expect(check).not.toThrow();
    else {
      const detail = expect.objectContaining({ path, party: 'shopgood' }) as unknown;
      expect(check).toThrow(expect.objectContaining({ code: 'RECEIPT_INVALID', detail }) as Error);
    }
  });
});
