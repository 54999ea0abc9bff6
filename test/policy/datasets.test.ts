// Goal: what a policy may spend, and of which dataset in which epoch, is read exactly; every amount
// that is negative, zero, not a number, over-precise, over a limit or contradicts another is refused
// at load with the field's path; packets that name none of it keep their digest.
import { describe, expect, it } from 'vitest';
import { boundPath, datasetTerms, parsePolicyDraft, policyDigest } from '../../src/policy/index.ts';
import { policyOf } from '../../src/policy/policy.ts';
import { ROOM_YAML, sampleRoom } from './samples.ts';

const room = sampleRoom();
const DP = 'rules.differential_privacy';

interface Edit {
  readonly dp?: Readonly<Record<string, unknown>>;
  readonly table?: Readonly<Record<string, unknown>>;
}

/** The sample policy with fields of its noise, or of the first party's table, replaced. */
function policyWith({ dp = {}, table = {} }: Edit): unknown {
  const policy = structuredClone(room.policy) as unknown as {
    rules: { differential_privacy: object };
    parties: { tables: Record<string, object> }[];
  };
  Object.assign(policy.rules.differential_privacy, dp);
  Object.assign(policy.parties[0]!.tables['purchases']!, table);
  return policy;
}

const path = (field: string): string => `${DP}.${field}`;
const zcdp = { accounting: 'zcdp', rho_budget: '0.05' };

describe('budgets', () => {
  it.each<[string, Edit, string]>([
    ...['epsilon_budget', 'delta_budget', 'max_epsilon_per_query', 'delta_per_query'].flatMap(
      (field) =>
        ['-1', '0', 'NaN', 'Infinity', '-Infinity', '1e999', `0.${'1'.repeat(31)}`, '', ' 1'].map(
          (value): [string, Edit, string] => [
            `${field} ${JSON.stringify(value)}`,
            { dp: { [field]: value } },
            path(field),
          ],
        ),
    ),
    ...['-1', '0', 'NaN', 'Infinity', `0.${'1'.repeat(31)}`, '10001', 0.5].map(
      (value): [string, Edit, string] => [
        `rho_budget ${JSON.stringify(value)}`,
        { dp: { ...zcdp, rho_budget: value } },
        path('rho_budget'),
      ],
    ),
    [
      'an epsilon budget over the limit',
      { dp: { epsilon_budget: '10001' } },
      path('epsilon_budget'),
    ],
    ['a delta budget of 1', { dp: { delta_budget: '1' } }, path('delta_budget')],
    ['rho without zcdp', { dp: { rho_budget: '0.05' } }, path('rho_budget')],
    ['rho beside basic', { dp: { accounting: 'basic', rho_budget: '0.05' } }, path('rho_budget')],
    ['zcdp without rho', { dp: { accounting: 'zcdp' } }, path('rho_budget')],
    ['an accounting nobody knows', { dp: { accounting: 'renyi' } }, path('accounting')],
    [
      'a refresh by the calendar',
      { dp: { budget_refresh: 'calendar_month' } },
      path('budget_refresh'),
    ],
    ['a dataset with a slash', { table: { dataset: 'a/b' } }, 'parties.0.tables.purchases.dataset'],
    ['an empty dataset', { table: { dataset: '' } }, 'parties.0.tables.purchases.dataset'],
    [
      'an epoch with a space',
      { table: { data_epoch: 'a b' } },
      'parties.0.tables.purchases.data_epoch',
    ],
    [
      'an epoch that is a number',
      { table: { data_epoch: 3 } },
      'parties.0.tables.purchases.data_epoch',
    ],
  ])('refuses %s', (_, edit, at) => {
    expect(() => policyOf(policyWith(edit))).toThrow(
      expect.objectContaining({ detail: expect.objectContaining({ path: at }) as unknown }),
    );
  });

  it('takes zcdp with its budget, and a dataset with its epoch', () => {
    const policy = policyOf(
      policyWith({
        dp: { ...zcdp, budget_refresh: 'new_data_epoch' },
        table: { dataset: 'crm', data_epoch: '2025-Q4' },
      }),
    );
    expect(policy.rules.differential_privacy).toMatchObject(zcdp);
    expect(policy.parties[0]!.tables['purchases']).toMatchObject({ dataset: 'crm' });
  });

  it('changes nothing in a policy that names none of it', () => {
    const fields = ['accounting', 'rho_budget', 'budget_refresh', 'dataset', 'data_epoch'];
    const text = JSON.stringify(room.policy);
    for (const field of fields) expect(text).not.toContain(`"${field}"`);
    expect(policyDigest(policyOf(room.policy))).toBe(policyDigest(room.policy));
    const named = policyOf(policyWith({ dp: { budget_refresh: 'none' } }));
    expect(policyDigest(named)).not.toBe(policyDigest(room.policy));
    expect(() => parsePolicyDraft(ROOM_YAML)).not.toThrow();
  });

  it('refuses two epochs of one dataset', () => {
    const policy = structuredClone(room.policy);
    const { tables } = policy.parties[0]!;
    const purchases = { ...tables['purchases']!, dataset: 'crm', data_epoch: '1' };
    const twice = { purchases, refunds: { ...purchases, data_epoch: '2' } };
    Object.assign(policy.parties[0]!, { tables: twice });
    expect(() => policyOf(policy)).toThrow(
      expect.objectContaining({
        detail: expect.objectContaining({ path: 'parties.0.tables.refunds.data_epoch' }) as unknown,
      }),
    );
  });
});

describe('datasets', () => {
  it('are tables of a party unless named, with all that bounds one person in them', () => {
    const [terms] = datasetTerms(room.policy, 'shopgood');
    expect(terms).toMatchObject({
      dataset: 'shopgood/purchases',
      epoch: '0',
      path: 'parties.0.tables.purchases',
      tables: ['purchases'],
    });
    const bounds = terms!.bounds;
    expect(bounds).toHaveProperty([`${DP}.max_partitions_contributed`]);
    expect(bounds).toHaveProperty(['tables.purchases.max_rows_per_user']);
    expect(Object.keys(bounds).filter((b) => b.endsWith('.upper'))).not.toHaveLength(0);
    expect(boundPath(1, 'tables.exposures.max_rows_per_user')).toBe(
      'parties.1.tables.exposures.max_rows_per_user',
    );
    expect(boundPath(1, `${DP}.max_partitions_contributed`)).toBe(
      `${DP}.max_partitions_contributed`,
    );
  });

  it('change their bounds with every clamp, and with nothing else', () => {
    const of = (edit: Edit): unknown => datasetTerms(policyOf(policyWith(edit)), 'shopgood')[0];
    const usual = of({});
    expect(of({ table: { max_rows_per_user: 9 } })).not.toEqual(usual);
    expect(of({ dp: { max_partitions_contributed: 2 } })).not.toEqual(usual);
    expect(of({ dp: { epsilon_budget: '5' } })).toEqual(usual);
    expect(of({ table: { max_users: 9 } })).toEqual(usual);
  });

  it('of a room without differential privacy have that as their one bound', () => {
    const policy = structuredClone(room.policy);
    Object.assign(policy.rules, { differential_privacy: 'off' });
    expect(datasetTerms(policy, 'newsnow')[0]!.bounds).toEqual({ [DP]: 'off' });
  });
});
