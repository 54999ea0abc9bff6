// Goal: epsilon, delta and rho are exact or rounded against the spender; conversion gives the
// published numbers from above; a filter admits up to its budget and nothing beyond.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Rational } from '../../src/core/rational.ts';
import {
  add,
  compare,
  decimalText,
  mul,
  parseDecimal,
  parseRational,
  rational,
  sub,
  ZERO,
} from '../../src/core/rational.ts';
import type { Limits, Price } from '../../src/dp/index.ts';
import {
  addPrices,
  excessOver,
  fitOf,
  FREE,
  leftOf,
  limitedAmounts,
  limitsOf,
  overLimit,
  guaranteeOf,
  rhoOf,
  zcdpEpsilon,
} from '../../src/dp/index.ts';
import { expNegative } from '../../src/dp/exp.ts';
import { ln } from '../../src/dp/ln.ts';

const d = parseDecimal;
const numberOf = ({ num, den }: Rational): number => Number((num * 10n ** 12n) / den) / 1e12;

describe('ln', () => {
  it('encloses what an independent double says, and tightly', () => {
    fc.assert(
      fc.property(fc.bigInt(1n, 1n << 40n), fc.bigInt(1n, 1n << 40n), (num, den) => {
        const { low, high, precision } = ln(rational(num, den), 80);
        expect(low < high).toBe(true);
        expect(high - low).toBeLessThan(1n << 8n);
        const middle = Number((low * 10n ** 15n) >> precision) / 1e15;
        expect(Math.abs(middle - Math.log(Number(num) / Number(den)))).toBeLessThan(1e-9);
      }),
      { numRuns: 300 },
    );
  });

  it('is the inverse of the exponential, on both sides', () => {
    for (const x of ['0.001', '0.5', '1', '3', '17.25', '80']) {
      const e = expNegative(d(x), 400);
      const { low, high, precision } = ln(rational(e.low, 1n << e.precision), 96);
      const minus = mul(d(x), rational(-1n));
      expect(compare(rational(low, 1n << precision), minus)).toBeLessThanOrEqual(0);
      expect(compare(rational(high + 1n, 1n << precision), minus)).toBeGreaterThanOrEqual(0);
      expect(high - low).toBeLessThan(1n << 8n);
    }
  });

  it('takes one to zero', () => {
    const { low, high } = ln(rational(1n), 96);
    expect(low <= 0n && high >= 0n && high - low < 16n).toBe(true);
  });
});

describe('zCDP (privacy.md §4)', () => {
  it.each([
    [10, '0.1', '1', '1.47'],
    [100, '0.1', '10', '5.22'],
    [1000, '0.1', '100', '20.6'],
    [1000, '0.01', '10', '1.47'],
  ] as const)('%i x %s: basic %s, zcdp %s', (k, epsilon, basic, zcdp) => {
    let spent = FREE;
    for (let i = 0; i < k; i += 1) {
      const own = { epsilon: d(epsilon), delta: ZERO, rho: rhoOf([d(epsilon)]) };
      spent = addPrices(spent, own);
    }
    expect(spent.epsilon).toEqual(d(basic));
    const converted = zcdpEpsilon(spent.rho, d('1e-6'));
    // The table's figures have three digits.
    expect(numberOf(converted).toPrecision(3)).toBe(zcdp);
  });

  it('beats basic from 24 queries of 0.1 on', () => {
    const after = (n: bigint): number => {
      const rho = rhoOf(Array.from({ length: Number(n) }, () => d('0.1')));
      return compare(zcdpEpsilon(rho, d('1e-6')), mul(rational(n), d('0.1')));
    };
    expect(after(23n)).toBeGreaterThan(0);
    expect(after(24n)).toBeLessThan(0);
  });

  it('never falls below a dense search in doubles, and is close to it', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 40_000 }), fc.integer({ min: 2, max: 12 }), (r, e) => {
        const [rho, delta] = [r / 10_000, 10 ** -e];
        let least = Infinity;
        for (let j = -1200; j < 2400; j += 1) {
          const a = 1 + 2 ** (j / 100);
          const eps = a * rho + Math.log(1 / (a * delta)) / (a - 1) + Math.log1p(-1 / a);
          least = Math.min(least, Math.max(eps, 0));
        }
        const exact = numberOf(zcdpEpsilon(rational(BigInt(r), 10_000n), d(`1e-${e}`)));
        expect(exact).toBeGreaterThanOrEqual(least * (1 - 1e-4) - 1e-9);
        expect(exact).toBeLessThanOrEqual(least * (1 + 1e-4) + 1e-6);
      }),
      { numRuns: 25 },
    );
  });

  it('rounds rho up, to denominators that stay bounded', () => {
    const rho = rhoOf([d('1e-99'), rational(1n, 3n)]);
    expect(compare(rho, add(rational(1n, 18n), ZERO))).toBeGreaterThan(0);
    expect((1n << 100n) % rho.den).toBe(0n);
    expect(rhoOf([d('0.5'), d('0.5')])).toEqual(rational(1n, 4n));
    expect(zcdpEpsilon(ZERO, d('1e-6'))).toEqual(ZERO);
  });
});

describe('what is left', () => {
  const amounts = fc.tuple(fc.bigInt(1n, 400n), fc.bigInt(1n, 97n)).map(([n, m]) => rational(n, m));
  const prices = fc.record({ epsilon: amounts, delta: amounts, rho: amounts });
  const limits = fc
    .tuple(fc.constantFrom('basic' as const, 'zcdp' as const), prices)
    .map(([accounting, amount]): Limits => ({ accounting, ...amount }));

  it('fits so many more queries, and not one more', () => {
    fc.assert(
      fc.property(limits, prices, prices, (most, before, price) => {
        const { times, binds } = fitOf(before, price, most)!;
        const after = (n: bigint): Price => {
          const share = (amount: Rational): Rational => mul(rational(n), amount);
          const { epsilon, delta, rho } = price;
          const all = { epsilon: share(epsilon), delta: share(delta), rho: share(rho) };
          return addPrices(before, all);
        };
        if (times > 0n) expect(overLimit(after(times), most)).toBeNull();
        expect(overLimit(after(times + 1n), most)).not.toBeNull();
        const limit = new Map(limitedAmounts(most)).get(binds)!;
        expect(compare(after(times + 1n)[binds], limit)).toBeGreaterThan(0);
      }),
      { numRuns: 300 },
    );
  });

  it('is never below zero, has no number for nothing, and none of a budget that is passed', () => {
    const basic = limitsOf({ epsilon_budget: '1', delta_budget: '1e-6' });
    expect(leftOf(d('1'), d('1.5'))).toEqual(ZERO);
    expect(fitOf(FREE, FREE, basic)).toBeNull();
    expect(fitOf({ ...FREE, delta: d('1') }, FREE, basic)).toMatchObject({ times: 0n });
    expect(fitOf({ ...FREE, epsilon: d('1') }, { ...FREE, epsilon: d('0.1') }, basic)).toEqual({
      ...{ times: 0n, binds: 'epsilon', ratio: ZERO },
    });
  });
});

describe('decimal text', () => {
  it.each([
    ['0', '0', '0'],
    ['1/3', '0.333334', '0.333333'],
    ['-1/3', '-0.333333', '-0.333334'],
    ['999999/10000000', '0.0999999', '0.0999999'],
    ['9999999/10000000', '1', '0.999999'],
    ['19999999/2', '1e7', '9.99999e6'],
    ['1/2000000', '5e-7', '5e-7'],
    ['1/10000', '0.0001', '0.0001'],
    ['123456', '123456', '123456'],
    ['1000000', '1e6', '1e6'],
    ['100', '100', '100'],
    ['13/10', '1.3', '1.3'],
  ])('%s is %s at most and %s at least', (value, up, down) => {
    const r = parseRational(value);
    expect(decimalText(r, 'up')).toEqual({ text: up, exact: up === down });
    expect(decimalText(r, 'down')).toEqual({ text: down, exact: up === down });
  });

  it('lies on its side of the value, within a unit of the last digit', () => {
    const any = fc.tuple(fc.bigInt(-(10n ** 30n), 10n ** 30n), fc.bigInt(1n, 10n ** 30n));
    fc.assert(
      fc.property(any, ([num, den]) => {
        const value = rational(num, den);
        const [up, down] = [decimalText(value, 'up'), decimalText(value, 'down')];
        expect(compare(d(up.text), value)).toBeGreaterThanOrEqual(0);
        expect(compare(d(down.text), value)).toBeLessThanOrEqual(0);
        expect(up.exact).toBe(compare(d(up.text), d(down.text)) === 0);
        const size = value.num < 0n ? sub(ZERO, value) : value;
        const unit = mul(size, rational(1n, 100_000n));
        expect(compare(sub(d(up.text), d(down.text)), unit)).toBeLessThanOrEqual(0);
      }),
      { numRuns: 300 },
    );
  });
});

describe('the filter', () => {
  const basic = limitsOf({ epsilon_budget: '1', delta_budget: '1e-6' });
  const price = { epsilon: d('0.1'), delta: d('1e-8'), rho: rhoOf([d('0.1')]) };

  it('admits the whole budget and nothing beyond', () => {
    let spent = FREE;
    for (let i = 0; i < 10; i += 1) spent = addPrices(spent, price);
    expect(overLimit(spent, basic)).toBeNull();
    const beyond = { ...FREE, epsilon: d('1e-30') };
    expect(overLimit(addPrices(spent, beyond), basic)).toBe('epsilon_budget');
    expect(overLimit({ ...FREE, delta: d('1.1e-6') }, basic)).toBe('delta_budget');
  });

  it('counts rho alone under zcdp, and half of delta', () => {
    const fields = { epsilon_budget: '3', delta_budget: '1e-6', rho_budget: '0.1' } as const;
    const zcdp = limitsOf({ ...fields, accounting: 'zcdp' });
    expect(overLimit({ epsilon: d('50'), delta: d('5e-7'), rho: d('0.1') }, zcdp)).toBeNull();
    expect(overLimit({ ...FREE, rho: d('0.1000000001') }, zcdp)).toBe('rho_budget');
    expect(overLimit({ ...FREE, delta: d('5.1e-7') }, zcdp)).toBe('delta_budget');
    const promise = guaranteeOf({ ...FREE, delta: d('5e-7'), rho: d('0.1') }, zcdp);
    expect(compare(promise.epsilon, d('3'))).toBeLessThanOrEqual(0);
    expect(promise.delta).toEqual(d('1e-6'));
  });

  it('refuses a rho budget that converts to more than the epsilon budget', () => {
    const fields = { accounting: 'zcdp', epsilon_budget: '3', delta_budget: '1e-6' } as const;
    expect(() => limitsOf({ ...fields, rho_budget: '0.2' })).toThrow(
      expect.objectContaining({
        code: 'POLICY_OUT_OF_RANGE',
        detail: expect.objectContaining({
          path: 'rules.differential_privacy.rho_budget',
        }) as unknown,
      }),
    );
  });

  it('takes what another has more, each amount on its own', () => {
    const other = { epsilon: d('0.05'), delta: d('2e-8'), rho: ZERO };
    expect(excessOver(price, other)).toEqual({ epsilon: d('0.05'), delta: ZERO, rho: price.rho });
  });
});
