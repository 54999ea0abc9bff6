// Goal: a GROUP BY key over several parties has the labels its parts can have, one plan however it is
// written, bounds that hold for joined rows, and a clear refusal where it has too many labels or
// combinations of rows; values that look alike are one key only when the answer shows them alike.
import { describe, expect, it } from 'vitest';
import { ParleyError } from '../../src/core/errors.ts';
import {
  alignPlans,
  coreDigest,
  groupCount,
  mixedKeys,
  planQuery,
  type MixedKey,
  type Plan,
} from '../../src/sql/index.ts';
import { MIXED_LABELS_MAX, SENDER_GROUPS_MAX } from '../../src/sql/limits.ts';
import { OPEN_RULES, roomPolicy } from '../support/room-policy.ts';
import { sqlPolicy } from '../support/sql-room.ts';
import { DIGEST, PRIVATE } from './policies.ts';

const OPEN = sqlPolicy(3, 4);

/** A private room with L0, C and so many rows per user. */
const bounded = (l0: number, c: number, rows: number) =>
  roomPolicy(
    {
      ...OPEN_RULES,
      differential_privacy: {
        ...PRIVATE,
        max_partitions_contributed: l0,
        max_contributions_per_partition: c,
      },
    },
    rows,
  );

const planOf = (sql: string, policy = OPEN): Plan =>
  planQuery(policy, DIGEST, sql, { epsilon: null });
const from = 'FROM purchases p JOIN exposures x ON p.email = x.email';
const grouped = (key: string, policy = OPEN): Plan =>
  planOf(`SELECT ${key} AS k, COUNT(*) ${from} GROUP BY k`, policy);
const keyOf = (key: string): MixedKey => mixedKeys(grouped(key))[0]!;

function refusalOf(ask: () => Plan): ParleyError {
  try {
    ask();
  } catch (error) {
    if (error instanceof ParleyError) return error;
    throw error;
  }
  return expect.fail('planned');
}

describe('labels', () => {
  it.each([
    ["CASE WHEN exposure_date < purchase_date THEN 'b' ELSE 'a' END", ['a', 'b']],
    ['clicked = online', ['false', 'true', null]],
    ['p.items > 2 OR clicked', ['false', 'true', null]],
    ['online = (exposure_date < purchase_date) IS TRUE', ['false', 'true']],
    ['COALESCE(category, campaign_id)', ['beauty', 'home', 'sg_fall25', 'sg_holiday25', 'sports']],
    ['NULLIF(campaign_id, category)', ['home', 'sg_fall25', 'sg_holiday25', null]],
    ['LEAST(GREATEST(purchase_date - exposure_date, -1), 2)', ['-1', '0', '1', '2']],
    [
      'CASE WHEN clicked THEN LEAST(GREATEST(items, 0), 2) ELSE 0.5 END',
      ['0.0', '0.5', '1.0', '2.0'],
    ],
    [
      "CASE WHEN online = clicked THEN DATE_TRUNC('year', purchase_date) END",
      ['2025-01-01', '2026-01-01', null],
    ],
    // What no row can be is no label.
    ["CASE WHEN clicked = online THEN 'a' WHEN 1 = 2 THEN 'b' ELSE 'c' END", ['a', 'c']],
    ["CASE WHEN clicked = online OR 1 = 1 THEN 'a' ELSE 'c' END", ['a']],
  ])('%s', (key, domain) => {
    const { domain: labels, labels: conditions } = keyOf(key);
    expect(labels).toEqual(domain);
    expect(conditions.filter((one) => one === null)).toHaveLength(1);
    expect(conditions).toHaveLength(domain.length);
  });

  it('leave the dearest condition out', () => {
    const { domain, labels } = keyOf(
      "CASE WHEN exposure_date < purchase_date THEN 'b' ELSE 'a' END",
    );
    expect(domain[labels.indexOf(null)]).toBe('b');
    expect(JSON.stringify(labels)).toContain('"exposure_date"');
  });

  it('have the groups of all keys in GROUP BY order, last fastest', () => {
    const sql = `SELECT COUNT(*), clicked = online, category ${from} GROUP BY 2, 3, category, 2`;
    expect(planOf(sql).groups.map(({ side, domain }) => [side, domain.length])).toEqual([
      [null, 3],
      [0, 4],
    ]);
    expect(groupCount(planOf(sql))).toBe(12);
  });
});

describe('one plan', () => {
  const plan = planOf(
    `SELECT exposure_date < purchase_date AS k, campaign_id, COUNT(*) AS n ${from}
     GROUP BY k, campaign_id HAVING COUNT(*) > 1 AND k ORDER BY k DESC, n LIMIT 3`,
  );
  it.each([
    [
      'the comparison turned about, keys by position',
      `SELECT p.purchase_date > x.exposure_date AS k, campaign_id, COUNT(*) AS n ${from}
       GROUP BY 1, 2 HAVING (exposure_date < purchase_date) AND COUNT(*) > 1
       ORDER BY exposure_date < purchase_date DESC, COUNT(*) LIMIT 3`,
    ],
    [
      'tables in another order',
      `SELECT exposure_date < purchase_date AS k, campaign_id, COUNT(*) AS n
       FROM exposures x JOIN purchases p ON p.email = x.email
       GROUP BY k, campaign_id, exposure_date < purchase_date
       HAVING COUNT(*) > 1 AND k ORDER BY k DESC, n LIMIT 3`,
    ],
  ])('for %s', (_, sql) => {
    expect(coreDigest(planOf(sql))).toBe(coreDigest(plan));
    expect(planOf(sql).groups).toEqual(plan.groups);
  });

  it('answers the same question whatever the order of its keys', () => {
    const turned = planOf(
      `SELECT COUNT(*) AS n, campaign_id, exposure_date < purchase_date AS k ${from} GROUP BY 2, 3`,
    );
    expect(coreDigest(turned)).toBe(coreDigest(plan));
    expect(alignPlans(plan, turned).groups).toEqual([0, 3, 6, 1, 4, 7, 2, 5, 8]);
    const other = grouped('exposure_date <= purchase_date');
    expect(coreDigest(other)).not.toBe(coreDigest(grouped('exposure_date < purchase_date')));
  });

  it('brings the operands of repeated comparisons once', () => {
    const { sides } = grouped(
      "CASE WHEN exposure_date < purchase_date THEN 'a' WHEN exposure_date = purchase_date THEN 'b' END",
    );
    expect(sides.map(({ columns }) => columns)).toEqual([['purchase_date'], ['exposure_date']]);
  });
});

describe('what is one key', () => {
  it('is shown alike: labels and types are of the key', () => {
    const sql = `SELECT CASE WHEN online THEN 'yes' ELSE 'no' END AS a, CASE WHEN online THEN 'on' ELSE 'off' END AS b,
      items > 2 AS c, COUNT(*) ${from} GROUP BY a, b, c, CASE WHEN items > 2 THEN 1 ELSE 0 END`;
    expect(planOf(sql).groups.map(({ domain }) => domain)).toEqual([
      ['no', 'yes'],
      ['off', 'on'],
      ['false', 'true'],
      ['0', '1'],
    ]);
  });
});

describe('bounds with differential privacy', () => {
  it('are applied on shares to all rows: no owner cuts', () => {
    const plan = grouped('clicked = online', bounded(1, 4, 4));
    expect(plan.contributions).toEqual({ rule: 'joined', partitions: 1, rowsPerPartition: 4 });
    expect(plan.sides.map(({ slots, bounds }) => [slots, bounds])).toEqual([
      [4, { partitions: 1, rowsPerPartition: 4 }],
      [4, { partitions: 1, rowsPerPartition: 4 }],
    ]);
    expect(plan.sides.map(({ eagerRows }) => eagerRows)).toEqual([null, null]);
    expect(plan.measures.map(({ sensitivity }) => sensitivity)).toEqual(['1', '4']);
  });

  it('count labels towards L0, and joined rows where those are fewer', () => {
    const sensitivities = (l0: number, rows: number): readonly string[] =>
      grouped('clicked = online', bounded(l0, 2, rows)).measures.map((m) => m.sensitivity);
    expect(sensitivities(2, 4)).toEqual(['2', '4']);
    expect(sensitivities(5, 4)).toEqual(['3', '6']);
    expect(sensitivities(5, 1)).toEqual(['1', '1']);
    const one = grouped('clicked = online', bounded(5, 2, 1));
    expect(one.contributions).toEqual({ rule: 'joined', partitions: null, rowsPerPartition: null });
  });

  it('keep owners of other keys from cutting, too', () => {
    const sql = `SELECT category, exposure_date < purchase_date AS k, COUNT(*) ${from} GROUP BY category, k`;
    const { sides, contributions } = planOf(sql, bounded(1, 2, 3));
    expect(sides.map(({ slots, bounds }) => [slots, bounds])).toEqual([
      [3, { partitions: 3, rowsPerPartition: 3 }],
      [3, { partitions: 1, rowsPerPartition: 3 }],
    ]);
    expect(contributions).toEqual({ rule: 'joined', partitions: 1, rowsPerPartition: 2 });
  });
});

describe('refused', () => {
  const days = (most: number): string =>
    `LEAST(GREATEST(purchase_date - exposure_date, 0), ${most})`;

  it(`takes ${MIXED_LABELS_MAX} labels and no more`, () => {
    const sure = (most: number): string => `COALESCE(${days(most)}, 0)`;
    expect(keyOf(sure(MIXED_LABELS_MAX - 1)).domain).toHaveLength(MIXED_LABELS_MAX);
    expect(refusalOf(() => grouped(sure(MIXED_LABELS_MAX)))).toMatchObject({
      code: 'DOMAIN_TOO_LARGE',
      detail: { hint: expect.stringContaining(`at most ${MIXED_LABELS_MAX} values`) as unknown },
    });
  });

  it('takes so many with the keys of all parties but one', () => {
    const sql = (most: number): string =>
      `SELECT COUNT(*) ${from} GROUP BY ${days(most)}, campaign_id, clicked`;
    expect(groupCount(planOf(sql(10)))).toBe(9 * 11);
    const three = (most: number): string =>
      `SELECT COUNT(*) FROM joined_data GROUP BY ${days(most)}, category, clicked`;
    // The pivot owns category: 3 of clicked times the days.
    expect(groupCount(planOf(three(SENDER_GROUPS_MAX / 4)))).toBe(
      4 * 3 * (SENDER_GROUPS_MAX / 4 + 1),
    );
    expect(refusalOf(() => planOf(three(Math.floor(SENDER_GROUPS_MAX / 3)))).code).toBe(
      'DOMAIN_TOO_LARGE',
    );
  });

  it.each([
    'CASE WHEN clicked THEN total_spent ELSE 0 END',
    'total_spent + seconds',
    'items * seconds',
  ])('names what has no domain: %s', (key) => {
    expect(refusalOf(() => grouped(key))).toMatchObject({
      code: 'SQL_NO_DOMAIN',
      detail: { hint: expect.stringContaining('LEAST(GREATEST(') as unknown },
    });
  });

  it('has no way to bound too many combinations of rows', () => {
    const count = (columns: string, rows: number): Plan =>
      planOf(`SELECT clicked = online AS k, ${columns} ${from} GROUP BY k`, bounded(1, 2, rows));
    const many = 'COUNT(*), SUM(items), SUM(seconds), SUM(total_spent)';
    expect(count('COUNT(*)', 8).contributions?.rule).toBe('joined');
    for (const [columns, rows] of [
      ['COUNT(*)', 9],
      [many, 8],
    ] as const) {
      expect(refusalOf(() => count(columns, rows))).toMatchObject({
        code: 'DOMAIN_TOO_LARGE',
        fault: 'policy',
        detail: { fragment: 'k', hint: expect.stringContaining('FILTER') as unknown },
      });
    }
    // One column per case is answered still.
    const filters = `SELECT COUNT(*) FILTER (WHERE clicked = online) ${from} WHERE clicked OR online`;
    expect(planOf(filters, bounded(1, 2, 9)).contributions?.rule).toBe('split');
  });
});
