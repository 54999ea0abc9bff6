// Goal: what `explain --privacy` says of a question is what its plan and calibration hold: parts add
// up, nothing is promised that is not kept, and every role is told.
import { describe, expect, it } from 'vitest';
import { add, compare, parseRational, ZERO } from '../../src/core/rational.ts';
import {
  explainPrivacy,
  explainQuery,
  formatExplanation,
  formatPrivacy,
  privacyDocument,
} from '../../src/explain/index.ts';
import { powerText } from '../../src/explain/privacy.ts';
import type { RulesPolicy } from '../../src/policy/types.ts';
import { planQuery } from '../../src/sql/index.ts';
import { OPEN_RULES, roomPolicy } from '../support/room-policy.ts';

const DIGEST = 'd'.repeat(64);
const SQL = `SELECT campaign_id, COUNT(DISTINCT hashed_email) AS people, SUM(total_spent) AS spent,
    COUNT(*) AS pairs FROM joined_data WHERE exposure_date < purchase_date GROUP BY campaign_id`;
const RULES: RulesPolicy = {
  ...OPEN_RULES,
  min_privacy_units_per_group: 5,
  partition_selection: 'pre_threshold',
  differential_privacy: {
    noise_mechanism: 'discrete_laplace',
    epsilon_budget: '100',
    max_epsilon_per_query: '20',
    default_epsilon_per_query: '3',
    delta_budget: '1e-4',
    delta_per_query: '1e-6',
    max_partitions_contributed: 1,
    max_contributions_per_partition: 1,
    noise_threshold_bits: 64,
  },
};
const policy = roomPolicy(RULES, 1);
const sum = (parts: readonly string[]) =>
  parts.map(parseRational).reduce((total, part) => add(total, part), ZERO);

describe('the privacy of a question', () => {
  it('splits the price into parts that add up to it', async () => {
    const explained = await explainPrivacy(policy, DIGEST, SQL, { epsilon: null });
    const { parts, delta, explanation, bounds } = explained;
    expect(parts.map(({ what }) => what)).toEqual(['people', 'sum of total_spent', 'joined rows']);
    expect(
      compare(sum(parts.map((p) => p.epsilon)), parseRational(explanation.price!.epsilon)),
    ).toBe(0);
    const { selection, truncation, quantisation } = delta!;
    const all = sum([selection, truncation, quantisation]);
    expect(compare(all, parseRational(explanation.price!.delta))).toBeLessThanOrEqual(0);
    expect(compare(all, ZERO)).toBe(1);
    expect(bounds).toEqual({ partitions: 1, contributions: 1 });
    const plan = planQuery(policy, DIGEST, SQL, { epsilon: null });
    expect(parts.map((p) => p.sensitivity)).toEqual(plan.measures.map((m) => m.sensitivity));
    const people = explanation.columns.find(({ name }) => name === 'people');
    expect(parts[0]!.halfWidth).toBe(people!.halfWidth);
  });

  it('answers the inverse question, the usual one or the one asked', async () => {
    const usual = await explainPrivacy(policy, DIGEST, SQL, { epsilon: null });
    expect(usual.needed).toMatchObject({ targetPercent: '5', groupSize: 200 });
    const target = { percent: '20', groupSize: 4000 };
    const asked = await explainPrivacy(policy, DIGEST, SQL, { epsilon: null, target });
    expect(asked.needed!.epsilon).not.toBeNull();
    expect(formatPrivacy(asked)).toContain(
      `epsilon ${asked.needed!.epsilon!} gives 20% or better in a group of 4000 people`,
    );
  });

  it('tells a hidden count that takes a share', async () => {
    const count = 'SELECT COUNT(*) AS pairs FROM joined_data';
    const { parts } = await explainPrivacy(policy, DIGEST, count, { epsilon: '1' });
    expect(parts.map(({ what, released }) => [what, released])).toEqual([
      ['people', false],
      ['joined rows', true],
    ]);
    const text = formatPrivacy(await explainPrivacy(policy, DIGEST, count, { epsilon: '1' }));
    expect(text).toContain('never opened: it decides which groups open');
  });

  it.each([
    [
      'pre_threshold',
      /none with fewer than 5 .* opens; which ones open is within epsilon/,
      /not covered:/,
    ],
    ['exact_k', /none with fewer than 5 .* opens/, /epsilon excludes which groups opened/],
  ] as const)('says what %s promises', async (partition_selection, ...wanted) => {
    const room = roomPolicy({ ...RULES, partition_selection }, 1);
    const text = formatPrivacy(await explainPrivacy(room, DIGEST, SQL, { epsilon: null }));
    for (const line of wanted) expect(text).toMatch(line);
    for (const role of ['shopgood', 'newsnow', 'coordinator', 'analyst']) {
      expect(text).toContain(role);
    }
    expect(text).not.toMatch(/undefined|NaN|\[object/);
  });

  it('of a noisy selection promises no more of small groups than is so', async () => {
    const rules = { ...RULES, partition_selection: 'noisy', below_k_probability: '1e-3' } as const;
    // On the safe side: 99.98999999% is not 99.99%.
    const room = roomPolicy({ ...rules, confidence_level: '0.9998999999' }, 1);
    const options = { epsilon: null };
    const privacy = await explainPrivacy(room, DIGEST, SQL, options);
    const page = await explainQuery(room, DIGEST, SQL, { ...options, withoutCost: true });
    for (const text of [formatPrivacy(privacy), formatExplanation(page)]) {
      expect(text).toContain('one below 5 is with a chance of at most 0.001');
      expect(text).not.toContain('none below 5 ever is');
      expect(text).toContain('expected error, at 99.9899% confidence');
    }
  });

  it('promises nothing where noise is off', async () => {
    const room = roomPolicy(OPEN_RULES, 1);
    const explained = await explainPrivacy(room, DIGEST, SQL, { epsilon: null });
    expect(explained).toMatchObject({ parts: [], delta: null, bounds: null, needed: null });
    const text = formatPrivacy(explained);
    expect(text).toContain('NO DIFFERENTIAL PRIVACY');
    expect(text).toContain('values: exact, without differential privacy');
    expect(text).not.toContain('noise, in units');
  });

  it('is a document for programs, without plan tree and cost', async () => {
    const explained = await explainPrivacy(policy, DIGEST, SQL, { epsilon: null });
    const document = JSON.parse(JSON.stringify(privacyDocument(explained))) as object;
    expect(document).toMatchObject({
      price: { epsilon: '3', delta: '1/1000000' },
      noise: [{ what: 'people', epsilon: '1', sensitivity: '1', bits: 6, released: true }, {}, {}],
      delta_parts: { truncation: '3/18446744073709551616' },
      bounds: { max_partitions_contributed: 1, max_contributions_per_partition: 1 },
      needed: { target_percent: '5', group_size: 200 },
    });
    expect(document).not.toHaveProperty('cost');
    expect(document).not.toHaveProperty('plan');
  });

  it.each([
    ['1/8', '2^-3'],
    ['1/9', '2^-3'],
    ['1/7', '2^-2'],
    ['0', '0'],
    ['3', '2^2'],
    ['4', '2^2'],
  ])('rounds %s up to %s', (text, power) => {
    expect(powerText(text)).toBe(power);
  });
});
