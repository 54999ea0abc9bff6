// Goal: what `explain` says before a question is what the answer says after it: half-widths equal, bytes
// near, the smallest visible group right; and asking for it reaches nobody.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Answer } from '../../src/client/index.ts';
import { decodeAnswer, releaseOf, shareBytes, verifyBundle } from '../../src/client/index.ts';
import { calibrate } from '../../src/dp/index.ts';
import {
  epsilonNeeded,
  explainQuery,
  explanationDocument,
  formatExplanation,
  formatNeeded,
  forecastCost,
  smallestVisible,
} from '../../src/explain/index.ts';
import type { Policy, RulesPolicy } from '../../src/policy/types.ts';
import { planQuery, type Plan } from '../../src/sql/index.ts';
import { examplePolicy } from '../support/example-room.ts';
import type { LiveRoom } from '../support/live-room.ts';
import { liveRoom } from '../support/live-room.ts';
import type { Row } from '../support/random-room.ts';
import { OPEN_RULES, roomPolicy } from '../support/room-policy.ts';

const DIGEST = 'd'.repeat(64);
const SQL = `SELECT campaign_id, COUNT(DISTINCT hashed_email) AS people, COUNT(*) AS pairs,
    SUM(total_spent) AS spent, AVG(total_spent) AS mean FROM joined_data
  WHERE exposure_date < purchase_date AND online AND category IN ('home', 'beauty')
  GROUP BY campaign_id`;
const RULES: RulesPolicy = {
  ...OPEN_RULES,
  min_privacy_units_per_group: 5,
  partition_selection: 'pre_threshold',
  differential_privacy: {
    noise_mechanism: 'discrete_laplace',
    epsilon_budget: '100',
    max_epsilon_per_query: '20',
    default_epsilon_per_query: '20',
    delta_budget: '1e-4',
    delta_per_query: '1e-6',
    max_partitions_contributed: 1,
    max_contributions_per_partition: 1,
    noise_threshold_bits: 64,
  },
  join: { oprf: 'kkrt', ot_field_bits: 4, shard_users: 65_536 },
};

const people = Array.from({ length: 60 }, (_, i) => `p${i}@example.com`);
const purchases: Row[] = people.map((email, i) => ({
  email,
  purchase_date: '2025-10-20',
  total_spent: `${10 + i}.50`,
  items: '1',
  category: 'home',
  online: 'true',
}));
const exposures: Row[] = people.map((email) => ({
  email,
  campaign_id: 'sg_fall25',
  exposure_date: '2025-10-02',
  seconds: '1.0',
  clicked: 'true',
}));

describe('against a room that runs', () => {
  let room: LiveRoom;
  let requests = 0;
  beforeAll(async () => {
    const counting: typeof fetch = (...args) => {
      requests += 1;
      return fetch(...args);
    };
    room = await liveRoom(roomPolicy(RULES, 1), { purchases, exposures }, counting);
  }, 60_000);
  afterAll(() => room.close());

  it('states the half-widths of the answer, and bytes within 15%', async () => {
    const { policy, client } = room;
    const explained = await explainQuery(policy, client.policyDigest, SQL, { epsilon: null });
    expect(requests).toBe(0);
    const answer: Answer = await client.answer(SQL);
    expect(explained.planDigest).toBe(answer.planDigest);
    expect(explained.price).toEqual({
      ...{ epsilon: answer.epsilonSpent, rho: null, delta: answer.deltaSpent },
    });
    const open = answer.rows.find((row) => !row.suppressed);
    expect(open, 'sixty people of one campaign are visible').toBeDefined();
    answer.columns.forEach(({ name, noised }, c) => {
      const column = explained.columns[c]!;
      expect(column.name).toBe(name);
      expect(column.halfWidth === null, name).toBe(!noised);
      const stated = open!.cells[c]!.interval?.half_width ?? null;
      if (column.assumesPeople === null) expect(column.halfWidth, name).toBe(stated);
    });
    const varying = explained.columns.filter((c) => c.assumesPeople !== null);
    expect(varying.map(({ name }) => name)).toEqual(['mean']);

    const log = readFileSync(join(room.dir, 'coordinator', 'audit.jsonl'), 'utf8').split('\n');
    const event = JSON.parse(log.find((line) => line.includes('"answered"'))!) as {
      relayed_bytes: Record<string, number>;
    };
    for (const { party, bytes } of explained.cost!.bytes) {
      const ratio = bytes / event.relayed_bytes[party]!;
      expect(ratio, `${party}: ${bytes}`).toBeGreaterThan(0.85);
      expect(ratio, `${party}: ${bytes}`).toBeLessThan(1.15);
    }
    // The receipts of an answer say where the budget stands before the next question.
    const { receipts } = answer;
    const options = { epsilon: '0.5', receipts, withoutCost: true };
    const next = await explainQuery(policy, client.policyDigest, SQL, options);
    expect(next.budget).toMatchObject({
      datasets: [
        { dataset: 'newsnow/exposures', left: { epsilon: '80' } },
        { dataset: 'shopgood/purchases', left: { epsilon: '80' } },
      ],
      leftBefore: { epsilon: '80', delta: answer.budgetLeft!.delta },
      leftAfter: { epsilon: '159/2' },
      affordable: true,
    });
  }, 60_000);

  it('states them for groups of a key that no party knows, and the receipt verifies', async () => {
    const { policy, client } = room;
    const sql = `SELECT CASE WHEN exposure_date < purchase_date THEN 'after' ELSE 'before' END AS k,
        COUNT(DISTINCT hashed_email) AS people, SUM(total_spent) AS spent FROM joined_data GROUP BY k`;
    const options = { epsilon: null, withoutCost: true };
    const explained = await explainQuery(policy, client.policyDigest, sql, options);
    const answer = await client.answer(sql);
    expect(explained.planDigest).toBe(answer.planDigest);
    expect(answer.rows.map(({ suppressed }) => suppressed).sort()).toEqual([false, true]);
    const after = answer.rows.find((row) => !row.suppressed)!;
    expect(after.cells[0]!.value).toBe('after');
    // Noise of scale 1/10.
    expect(Math.abs(Number(after.cells[1]!.value) - 60)).toBeLessThan(10);
    after.cells.slice(1).forEach((cell, c) => {
      expect(cell.interval?.half_width).toBe(explained.columns[c + 1]!.halfWidth);
    });
    expect(verifyBundle(answer.bundle)).toMatchObject({ error: null, queryId: answer.queryId });
    const text = formatExplanation(explained);
    expect(text).toContain('2 groups: a key over several parties (2 values)');
    const when = 'exposures.exposure_date < purchases.purchase_date';
    expect(text).toMatch(/─ before else\n/);
    expect(text).toMatch(
      new RegExp(`─ after where .*(${when}|purchase_date > .*exposure_date); on shares`),
    );
  }, 60_000);
});

describe('the smallest visible group', () => {
  const rule = (epsilon: string, maxPartitions: number): Parameters<typeof calibrate>[0] => ({
    selection: 'pre_threshold',
    minUsers: 50,
    differential: { epsilon, delta: '1/1000000', maxPartitions, thresholdBits: 64 },
    confidenceLevel: '0.95',
    measures: [{ epsilon, sensitivity: `${maxPartitions}` }],
  });

  // privacy.md section 3.
  it.each([
    ['1', 1, 64n],
    ['1', 3, 94n],
    ['1/2', 1, 77n],
  ])('at epsilon %s and L0 %i is %i', (epsilon, partitions, people_) => {
    expect(smallestVisible(calibrate(rule(epsilon, partitions)))).toBe(people_);
  });

  it('is k where the threshold is exact', () => {
    expect(smallestVisible(calibrate({ ...rule('1', 1), selection: 'exact_k' }))).toBe(50n);
  });
});

const policy = roomPolicy(RULES, 1);

describe('the page', () => {
  it('shows the plan, conditions in words, and what everybody learns', async () => {
    const explained = await explainQuery(policy, DIGEST, SQL, { epsilon: '1', withoutCost: true });
    const text = formatExplanation(explained);
    expect(text).toContain(`plan ${explained.planDigest}`);
    expect(text).toContain('exposures.exposure_date < purchases.purchase_date');
    expect(text).toContain('category IN (home, beauty)');
    expect(text).toContain('2 in the declared domain'.replace('2', '3'));
    expect(text).toMatch(/budget left after: not known here, of 100 in all/);
    for (const role of ['newsnow', 'shopgood', 'coordinator', 'analyst']) {
      expect(text).toMatch(new RegExp(`─ (\\w+, )?${role}(, \\w+)?\n`));
    }
    for (const line of text.split('\n')) expect(line).not.toMatch(/undefined|\[object|…/);
    expect(JSON.parse(JSON.stringify(explanationDocument(explained)))).toMatchObject({
      plan_digest: explained.planDigest,
      price: { epsilon: '1', delta: '1/1000000' },
      groups: { count: 3, min_users: 5, smallest_likely_visible: expect.any(String) as string },
    });
  });

  it('says plainly what an open room gives away', async () => {
    const open = roomPolicy(OPEN_RULES, 2);
    const explained = await explainQuery(open, DIGEST, SQL, { epsilon: null, withoutCost: true });
    const text = formatExplanation(explained);
    expect(explained.price).toBeNull();
    expect(text).toContain('NO DIFFERENTIAL PRIVACY');
    expect(text).toContain('NO THRESHOLD');
    expect(text).toContain('people: exact');
  });

  it('refuses what the planner refuses', async () => {
    const select = 'SELECT * FROM joined_data';
    await expect(explainQuery(policy, DIGEST, select, { epsilon: null })).rejects.toMatchObject({
      code: 'SQL_SELECT_STAR',
    });
  });
});

describe('the forecast', () => {
  it.each([
    [2, 'ecdh', 64],
    [3, 'kkrt', 5000],
    [2, 'kkrt', 40_000],
  ] as const)(
    'of %i parties by %s with %i people takes a moment',
    async (parties, oprf, users) => {
      const base = roomPolicy({ ...RULES, join: { ...RULES.join, oprf } }, 1, parties);
      const wide: Policy = {
        ...base,
        parties: base.parties.map((party) => ({
          ...party,
          tables: Object.fromEntries(
            Object.entries(party.tables).map(([name, t]) => [name, { ...t, max_users: users }]),
          ),
        })),
      };
      const count = 'SELECT COUNT(DISTINCT hashed_email) AS n FROM joined_data';
      const plan = planQuery(wide, DIGEST, count, { epsilon: null });
      const cost = await forecastCost(
        plan,
        calibrate({ ...plan.privacy, measures: plan.measures }),
      );
      expect(cost.bytes.map(({ party }) => party)).toEqual(plan.sides.map(({ party }) => party));
      for (const { bytes } of cost.bytes) expect(bytes).toBeGreaterThan(50_000);
      for (const { seconds } of cost.cpuSeconds) expect(seconds).toBeGreaterThan(0);
      expect(cost.totalBytes).toBe(cost.bytes.reduce((sum, { bytes }) => sum + bytes, 0));
    },
    60_000,
  );
});

describe('what has an error', () => {
  const wide = roomPolicy({ ...RULES, allowed_aggregates: ['COUNT', 'QUANTILE'] }, 1);
  const columnsOf = async (sql: string): Promise<readonly object[]> => {
    const found = await explainQuery(wide, DIGEST, sql, { epsilon: '1', withoutCost: true });
    return found.columns;
  };

  it.each(['HAVING COUNT(*) > 1000000', 'LIMIT 0', 'OFFSET 3', 'ORDER BY n LIMIT 1 OFFSET 1'])(
    'is the same with %s',
    async (tail) => {
      const sql = 'SELECT COUNT(*) AS n FROM joined_data';
      const plain = await columnsOf(sql);
      expect(plain).toMatchObject([
        { noised: true, halfWidth: expect.stringMatching(/^[1-9]/) as unknown },
      ]);
      expect(await columnsOf(`${sql} ${tail}`)).toEqual(plain);
    },
  );

  it('is not called exact, nor within a target, when it has no interval', async () => {
    const sql = 'SELECT APPROX_QUANTILE(items, 0.5) AS middle FROM joined_data';
    const explained = await explainQuery(wide, DIGEST, sql, { epsilon: '1', withoutCost: true });
    expect(formatExplanation(explained)).toContain('middle: noised, no interval');
    const choice = 'SELECT CASE WHEN COUNT(*) > 32 THEN COUNT(*) END AS part FROM joined_data';
    const varies = await explainQuery(wide, DIGEST, choice, { epsilon: '1', withoutCost: true });
    expect(formatExplanation(varies)).toMatch(
      /part: noised, no interval for a group of \d+ people/,
    );
    const target = { percent: '5', groupSize: 1000 };
    expect(epsilonNeeded(wide, DIGEST, sql, target).epsilon).toBeNull();
  });
});

describe('the inverse question', () => {
  const example = examplePolicy('templates');
  const count = `SELECT x.campaign_id, COUNT(DISTINCT x.email) AS people
    FROM exposures x JOIN members m ON x.email = m.email GROUP BY x.campaign_id`;

  it('finds the smallest epsilon, and less is not enough', () => {
    const target = { percent: '5', groupSize: 200 };
    const needed = epsilonNeeded(example, DIGEST, count, target);
    expect(needed.epsilon).not.toBeNull();
    expect(Number(needed.columns[1]!.relativePercent)).toBeLessThanOrEqual(5);
    const less = (Number(needed.epsilon) - 0.001).toFixed(3);
    const capped: Policy = {
      ...example,
      rules: {
        ...example.rules,
        differential_privacy: {
          ...(example.rules.differential_privacy as object),
          max_epsilon_per_query: less,
        } as never,
      },
    };
    const short = epsilonNeeded(capped, DIGEST, count, target);
    expect(short.epsilon).toBeNull();
    expect(formatNeeded(needed)).toContain(`epsilon ${needed.epsilon!} gives 5% or better`);
    expect(formatNeeded(short)).toContain('no epsilon that the policy allows');
  });

  it.each(['0', '-1', 'NaN', ''])('refuses a target of %j per cent', (percent) => {
    expect(() => epsilonNeeded(example, DIGEST, count, { percent, groupSize: 10 })).toThrow(
      expect.objectContaining({ code: 'BAD_ARGUMENT' }),
    );
  });
});

describe('every kind of column', () => {
  const wide = roomPolicy(
    {
      ...RULES,
      allowed_aggregates: ['COUNT', 'COUNT_DISTINCT', 'SUM', 'AVG', 'VARIANCE', 'QUANTILE'],
      differential_privacy: {
        ...(RULES.differential_privacy as object),
        max_contributions_per_partition: 4,
      } as never,
    },
    2,
  );
  const LEFT = 'FROM purchases p LEFT JOIN exposures x ON p.email = x.email';
  const QUERIES = [
    'SELECT COUNT(*) AS a, COUNT(total_spent) AS b, COUNT(DISTINCT hashed_email) AS c FROM joined_data',
    'SELECT SUM(total_spent) AS a, AVG(total_spent) AS b, 2 * SUM(items) - 3 AS c FROM joined_data',
    'SELECT VAR_POP(items) AS a, STDDEV(total_spent) AS b, VAR_SAMP(items + 1) AS c FROM joined_data',
    'SELECT SUM(items * LEAST(GREATEST(seconds, 0), 60)) AS a, AVG(total_spent + items) AS b FROM joined_data WHERE exposure_date < purchase_date',
    'SELECT COUNT(DISTINCT CASE WHEN exposure_date < purchase_date THEN hashed_email END) AS a, COUNT(*) FILTER (WHERE clicked OR online) AS b FROM joined_data',
    'SELECT APPROX_QUANTILE(items, 0.5) AS a, COUNT(*) AS b FROM joined_data',
    `SELECT COUNT(DISTINCT x.email) AS a, SUM(p.total_spent) AS b, COUNT(*) AS c ${LEFT}`,
    'SELECT LEAST(COUNT(*), 5) AS a, ROUND(SUM(items) / COUNT(*), 1) AS b, CASE WHEN COUNT(*) > 3 THEN SUM(items) ELSE 0 END AS c FROM joined_data',
    'SELECT COALESCE(SUM(items), 0) AS a, SUM(items) * COUNT(*) AS b, SUM(items) / 4 AS c FROM joined_data',
  ];

  /** The half-widths that an answer with these values states: what a result is decoded by. */
  function stated(plan: Plan, seed: number): readonly (string | null)[] {
    const bytes = shareBytes(plan);
    const view = new DataView(new ArrayBuffer(bytes.cells));
    for (let at = 0; at < bytes.cells; at += 8) {
      view.setBigInt64(at, BigInt((seed * (at + 8)) % 977) + 40n, true);
    }
    const open = new Uint8Array(bytes.open).fill(0xff);
    const { widths } = releaseOf(plan);
    const { rows } = decodeAnswer(plan, open, new Uint8Array(view.buffer), widths);
    return rows[0]!.cells.map(({ interval }) => interval?.half_width ?? null);
  }

  it.each(QUERIES)('states what results state: %s', async (sql) => {
    const plan = planQuery(wide, DIGEST, sql, { epsilon: '10' });
    const { columns } = await explainQuery(wide, DIGEST, sql, { epsilon: '10', withoutCost: true });
    for (const seed of [1, 13, 101]) {
      stated(plan, seed).forEach((halfWidth, c) => {
        const { name, halfWidth: expected, assumesPeople } = columns[c]!;
        if (assumesPeople === null) expect(halfWidth, name).toBe(expected);
      });
    }
    // And it says "the same in every answer" of no column of which that is not so.
    const seen = [1, 13, 101, 977, 5].map((seed) => stated(plan, seed));
    columns.forEach(({ name, assumesPeople }, c) => {
      const varies = new Set(seen.map((widths) => widths[c])).size > 1;
      if (varies) expect(assumesPeople, name).not.toBeNull();
    });
  });

  it('works averages and variances out for values in the middle of their bounds', async () => {
    const options = { epsilon: '20', withoutCost: true };
    const { columns } = await explainQuery(wide, DIGEST, QUERIES[2]!, options);
    for (const { name, halfWidth, relativePercent } of columns) {
      expect(Number(halfWidth), name).toBeGreaterThan(0);
      expect(Number(relativePercent), name).toBeGreaterThan(0);
    }
  });

  it.each(QUERIES)('is in words: %s', async (sql) => {
    const open = roomPolicy(
      { ...OPEN_RULES, allowed_aggregates: wide.rules.allowed_aggregates },
      2,
    );
    for (const [room, epsilon] of [
      [wide, '10'],
      [open, null],
    ] as const) {
      const explained = await explainQuery(room, DIGEST, sql, { epsilon, withoutCost: true });
      const text = formatExplanation(explained);
      expect(text).not.toMatch(/undefined|\[object|…|\(op\)|"op"|=\d+\b|\bterms\b|NaN/);
    }
  });

  it('says that rows are added up first, and what each sum is of', async () => {
    const explained = await explainQuery(wide, DIGEST, QUERIES[1]!, {
      epsilon: '10',
      withoutCost: true,
    });
    const text = formatExplanation(explained);
    expect(text).toContain("adds each person's rows up first");
    expect(text).toContain('purchases[sum of total_spent held in -50..500]');
    expect(text).toContain('exposures[rows]');
    expect(text).toMatch(/exposures at most 64 people × 2 rows/);
  });

  it('shows a wide sum once and a histogram by its buckets', async () => {
    const open = roomPolicy(
      { ...OPEN_RULES, allowed_aggregates: wide.rules.allowed_aggregates },
      8,
    );
    const sql = `SELECT SUM(seconds * 10000000), APPROX_QUANTILE(LEAST(GREATEST(items, 0), 9), 0.5)
      FROM joined_data WHERE exposure_date < purchase_date`;
    const options = { epsilon: null, withoutCost: true };
    const text = formatExplanation(await explainQuery(open, DIGEST, sql, options));
    expect(text).toContain('histogram of 10 buckets');
    const sums = text.split('\n').find((line) => line.includes('sums on shares'))!;
    expect(sums).toContain('sum of exposures[div(');
    expect(sums).not.toContain('mod(');
  });
});
