// Goal: what is said to be left, how many questions fit and which budget binds are what the parties'
// own ledgers then do, under both accountings; every rounding is against the asker, and said.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { describePolicy } from '../../src/cli/describe.ts';
import { budgetLeft, budgetText } from '../../src/client/index.ts';
import { formatRational, parseDecimal, parseRational, rational } from '../../src/core/rational.ts';
import { FREE, limitsOf, priceOfPlan, rhoOf } from '../../src/dp/index.ts';
import {
  explainPrivacy,
  explainQuery,
  explanationDocument,
  formatExplanation,
  formatPrivacy,
  privacyDocument,
} from '../../src/explain/index.ts';
import type { Explanation } from '../../src/explain/index.ts';
import { Ledger } from '../../src/party/ledger/index.ts';
import { chargesOfSide, datasetTerms, generateKeyPair } from '../../src/policy/index.ts';
import type { DifferentialPrivacy, Policy } from '../../src/policy/types.ts';
import type { DatasetSpent } from '../../src/records/index.ts';
import { planQuery } from '../../src/sql/index.ts';
import { sampleRoom } from '../policy/samples.ts';

// Shopgood has two datasets, the second in its second epoch.
const { policy: base, digest } = sampleRoom((yaml) =>
  yaml
    .replace(
      '  - name: newsnow',
      `      members:
        privacy_unit_column: { name: email, kind: email }
        dataset: crm
        data_epoch: "2"
        max_users: 1000
        max_rows_per_user: 1
        columns:
          tier: { type: text, values: [gold, basic] }
  - name: newsnow`,
    )
    .replace(
      'views:\n  joined_data: { join: [purchases, exposures], privacy_unit_alias: hashed_email }\n',
      '',
    ),
);
const withBudget = (fields: Partial<DifferentialPrivacy>): Policy => ({
  ...base,
  rules: {
    ...base.rules,
    differential_privacy: {
      ...(base.rules.differential_privacy as DifferentialPrivacy),
      ...fields,
    },
  },
});
const ZCDP = withBudget({ accounting: 'zcdp', rho_budget: '0.1' });
const TWO =
  'SELECT COUNT(DISTINCT p.email) AS n FROM purchases p JOIN exposures x ON p.email = x.email';
const THREE = `${TWO} JOIN members m ON p.email = m.email WHERE m.tier = 'gold'`;

const dir = mkdtempSync(join(tmpdir(), 'parley-fits-'));
afterAll(() => rmSync(dir, { recursive: true }));
const identity = generateKeyPair('ed25519');
let ledgers = 0;

/** A ledger of one party, with what other rooms have spent of its datasets. */
function ledgerOf(policy: Policy, party: string, before: Readonly<Record<string, string>>): Ledger {
  ledgers += 1;
  const owner = { room: 'elsewhere', party, shared: true, identity };
  const ledger = Ledger.open(join(dir, `${ledgers}`), owner);
  for (const terms of datasetTerms(policy, party)) {
    const epsilon = parseRational(before[terms.dataset] ?? '0');
    const price = { epsilon, delta: rational(1n, 10n ** 9n), rho: rhoOf([epsilon]) };
    const queryId = `query-elsewhere-${terms.dataset.replace('/', '-')}`;
    ledger.reserve({ ...reservation(queryId), ...price, charges: [terms] }, UNLIMITED);
  }
  return ledger;
}

const UNLIMITED = { limits: null, missing: FREE };
const reservation = (queryId: string) => ({
  ...{ queryId, planDigest: 'a'.repeat(64), policyDigest: 'b'.repeat(64) },
  ...{ peers: ['other'], dataset: 'c'.repeat(64) },
});

const spentIn = (policy: Policy, party: string, ledger: Ledger) => ({
  document: {
    party,
    spent: datasetTerms(policy, party).map(({ dataset, epoch }): DatasetSpent => {
      const { epsilon, delta, rho } = ledger.spentOf({ dataset, epoch });
      const text = { epsilon: formatRational(epsilon), delta: formatRational(delta) };
      const dp = policy.rules.differential_privacy;
      const zcdp = dp !== 'off' && dp.accounting === 'zcdp';
      return { dataset, epoch, ...text, ...(zcdp ? { rho: formatRational(rho) } : {}) };
    }),
  },
});

/** Asks until one party's ledger refuses. */
function admitted(policy: Policy, sql: string, epsilon: string, all: ReadonlyMap<string, Ledger>) {
  const plan = planQuery(policy, digest, sql, { epsilon });
  const dp = policy.rules.differential_privacy;
  if (dp === 'off') throw new Error('the room has noise');
  const room = { limits: limitsOf(dp), missing: FREE };
  for (let n = 0; ; n += 1) {
    const refusals = plan.sides.flatMap(({ party, ...side }) => {
      const charges = chargesOfSide(side, datasetTerms(policy, party));
      try {
        all.get(party)!.expectAffordable(charges, priceOfPlan(plan), room);
        return [];
      } catch (error) {
        return [{ party, path: String((error as { detail?: { path?: string } }).detail?.path) }];
      }
    });
    if (refusals.length > 0) return { n, refusals };
    for (const { party, ...side } of plan.sides) {
      const charges = chargesOfSide(side, datasetTerms(policy, party));
      const entry = { ...reservation(`query-of-this-room-${n}`), ...priceOfPlan(plan), charges };
      all.get(party)!.reserve(entry, room);
    }
  }
}

const amount = (max: number): fc.Arbitrary<string> =>
  fc
    .tuple(fc.integer({ min: 1, max }), fc.integer({ min: 40, max: 97 }))
    .map(([num, den]) => formatRational(rational(BigInt(num), BigInt(den))));
const spending = fc.record({
  'shopgood/purchases': amount(30),
  crm: amount(30),
  'newsnow/exposures': amount(30),
});
const asked = fc.integer({ min: 12, max: 60 }).map((n) => `0.${`${n}`.padStart(2, '0')}`);

describe('explain says n fit, and exactly n do', () => {
  it.each([
    ['basic', withBudget({ epsilon_budget: '1.7' })],
    ['basic, delta ends it', withBudget({ epsilon_budget: '9', delta_budget: '2.5e-7' })],
    ['zcdp', ZCDP],
    [
      'zcdp, half of delta ends it',
      withBudget({ accounting: 'zcdp', rho_budget: '0.09', delta_budget: '3.1e-7' }),
    ],
  ])('%s', async (_, policy) => {
    const check = async (
      before: Readonly<Record<string, string>>,
      epsilon: string,
      sql: string,
    ): Promise<void> => {
      const parties = ['shopgood', 'newsnow'];
      const all = new Map(parties.map((party) => [party, ledgerOf(policy, party, before)]));
      const receipts = [...all].map(([party, ledger]) => spentIn(policy, party, ledger));
      const options = { epsilon, receipts, withoutCost: true };
      const { budget } = await explainQuery(policy, digest, sql, options);
      const { n, refusals } = admitted(policy, sql, epsilon, all);
      expect(budget).toMatchObject({ fits: `${n}`, affordable: n > 0 });
      const { binds } = budget!;
      expect(refusals).toContainEqual({
        party: binds!.party,
        path: `rules.differential_privacy.${binds!.amount}_budget`,
      });
      for (const ledger of all.values()) ledger.close();
    };
    await fc.assert(fc.asyncProperty(spending, asked, fc.constantFrom(TWO, THREE), check), {
      numRuns: 5,
    });
  });

  it('an untouched budget too, to the last one', async () => {
    // 0.1 of rho is 20 times 0.1²/2, but for what rounding up to 2^-100 adds to each.
    const policy = withBudget({ accounting: 'zcdp', rho_budget: '0.1', delta_per_query: '1e-9' });
    const options = { epsilon: '0.1', withoutCost: true };
    const { budget } = await explainQuery(policy, digest, TWO, options);
    const all = new Map(
      ['shopgood', 'newsnow'].map((party) => {
        const owner = { room: 'room', party, shared: false, identity };
        return [party, Ledger.open(join(dir, `whole-${party}`), owner)];
      }),
    );
    expect(budget).toMatchObject({ wholeFits: '19', fits: null, binds: null, affordable: null });
    expect(admitted(policy, TWO, '0.1', all).n).toBe(19);
    for (const ledger of all.values()) ledger.close();
  });
});

const stated = (party: string, ...spent: readonly DatasetSpent[]) => ({
  document: { party, spent },
});
const of = (dataset: string, rho: string, epoch = '0', epsilon = '1'): DatasetSpent => ({
  ...{ dataset, epoch, epsilon, delta: '1/10000000', rho },
});
const RECEIPTS = [
  stated('shopgood', of('crm', '3/50', '2'), of('shopgood/purchases', '1/50')),
  stated('newsnow', of('newsnow/exposures', '1/25')),
];
const explain = (sql: string, receipts = RECEIPTS, policy = ZCDP): Promise<Explanation> =>
  explainQuery(policy, digest, sql, { epsilon: '0.1', receipts, withoutCost: true });

describe('a page under zcdp', () => {
  it('names price, datasets, what binds and what is left, in words and JSON', async () => {
    const explained = await explain(THREE);
    const text = formatExplanation(explained);
    expect(text).toContain("rho 0.00500001 (rounded up), which is what this room's budget counts");
    expect(text).toContain(
      'charged to crm of shopgood, epoch 2; shopgood/purchases, epoch 0; newsnow/exposures, epoch 0',
    );
    expect(text).toMatch(/budget left after: rho 0\.0349999 \(rounded down\), delta 3\.5e-7,/);
    expect(text).toContain(
      '7 questions like this one fit, this one counted; crm of shopgood, epoch 2 binds, by its rho',
    );
    const { price, budget } = explained;
    const rho = formatRational(rhoOf([parseDecimal('0.1')]));
    expect(price).toEqual({ epsilon: '1/10', rho, delta: '1/20000000' });
    expect(budget).toMatchObject({
      leftBefore: { epsilon: null, rho: '1/25', delta: '1/2500000' },
      leftAfter: { epsilon: null, delta: '7/20000000' },
    });
    expect(explanationDocument(explained)).toMatchObject({
      price: { rho },
      budget: {
        ...{ accounting: 'zcdp', rho: '0.1', whole_fits: '10', fits: '7', affordable: true },
        binds: { party: 'shopgood', dataset: 'crm', epoch: '2', amount: 'rho' },
        left_before: { rho: '1/25' },
        datasets: [
          { party: 'shopgood', dataset: 'crm', left: { rho: '1/25' }, fits: '7' },
          { party: 'shopgood', dataset: 'shopgood/purchases', fits: '8' },
          { party: 'newsnow', fits: '8' },
        ],
      },
    });
    const options = { epsilon: '0.1', receipts: RECEIPTS };
    const privacy = await explainPrivacy(ZCDP, digest, THREE, options);
    expect(formatPrivacy(privacy)).toContain('crm of shopgood, epoch 2 binds, by its rho');
    expect(privacyDocument(privacy)).toMatchObject({ budget: { fits: '7' }, price: { rho } });
  });

  it('does not take what another question touched for its own', async () => {
    // Of three datasets the answer given speaks of two.
    const partly = [RECEIPTS[1]!, stated('shopgood', of('shopgood/purchases', '1/50'))];
    const explained = await explain(THREE, partly);
    expect(explained.budget).toMatchObject({ fits: null, leftAfter: null, affordable: null });
    expect(formatExplanation(explained)).toContain(
      'not known here: that answer says nothing of crm of shopgood, epoch 2',
    );
    // Another epoch is another budget, and another party's word is nobody's.
    const other = [...partly, stated('newsnow', of('crm', '0', '2'))];
    other.push(stated('shopgood', of('crm', '0', '1')));
    expect((await explain(THREE, other)).budget!.fits).toBeNull();
  });

  it('says which budget is exhausted, by its own amount, with others unknown', async () => {
    const spent = [stated('shopgood', of('crm', '97/1000', '2'))];
    const explained = await explain(THREE, spent);
    expect(explained.budget).toMatchObject({ affordable: false, leftAfter: null, fits: null });
    expect(formatExplanation(explained)).toContain(
      'BUDGET EXHAUSTED: rho 0.003 is left of crm of shopgood, epoch 2',
    );
  });

  it('without an answer counts what a whole budget takes', async () => {
    const text = formatExplanation(await explain(TWO, []));
    expect(text).toContain('budget left after: not known here, of rho 0.1 in all');
    expect(text).toContain('an untouched budget takes 10 questions like this one');
  });
});

it('an exhausted delta is told as delta, not as epsilon', async () => {
  const all = (party: string, dataset: string) => ({
    document: { party, spent: [{ dataset, epoch: '0', epsilon: '1', delta: '19/20000000' }] },
  });
  const receipts = [all('shopgood', 'shopgood/purchases'), all('newsnow', 'newsnow/exposures')];
  const one = await explainQuery(base, digest, TWO, {
    epsilon: '0.1',
    receipts,
    withoutCost: true,
  });
  expect(one.budget).toMatchObject({ fits: '1', binds: { amount: 'delta' } });
  expect(formatExplanation(one)).toContain('1 question like this one fits, this one counted');
  const over = receipts.map(({ document: { party, spent } }) => ({
    document: { party, spent: [{ ...spent[0]!, delta: '1/1000000' }] },
  }));
  const options = { epsilon: '0.1', receipts: over, withoutCost: true };
  const none = formatExplanation(await explainQuery(base, digest, TWO, options));
  expect(none).toContain('BUDGET EXHAUSTED: delta 0 is left of shopgood/purchases, epoch 0');
});

it('an answer says what it spent, what is left, and which budget binds', () => {
  const plan = planQuery(ZCDP, digest, THREE, { epsilon: '0.1' });
  const left = budgetLeft(ZCDP, plan, RECEIPTS);
  expect(left).toMatchObject({ accounting: 'zcdp', epsilon: null, rho: '1/25', fits: '7' });
  const rhoSpent = formatRational(rhoOf([parseDecimal('0.1')]));
  const spent = { epsilonSpent: '1/10', deltaSpent: '1/20000000', rhoSpent };
  expect(budgetText({ ...spent, budgetLeft: left })).toEqual([
    'spent epsilon 0.1, rho 0.00500001 (rounded up), delta 5e-8',
    'left rho 0.04, delta 4e-7; 7 more questions like this one fit; ' +
      'crm of shopgood, epoch 2 binds, by its rho',
  ]);
  // Nothing is made up of a budget that nobody spoke of.
  expect(budgetLeft(ZCDP, plan, RECEIPTS.slice(1))).toBeNull();
});

it('policy show says after how many queries the deltas of a zcdp room are spent', () => {
  expect(describePolicy(ZCDP, digest)).toContain(
    'by zCDP, rho: 0.1 in all, and half of delta, which is 10 queries',
  );
  const finer = withBudget({ accounting: 'zcdp', rho_budget: '0.1', delta_per_query: '3e-9' });
  expect(describePolicy(finer, digest)).toContain('half of delta, which is 166 queries');
  expect(describePolicy(base, digest)).not.toContain('zCDP');
});
