// Goal: two questions have one key exactly when one answer serves both: 20 ways of writing a question
// map to one, 20 near misses do not, and the answer to one is laid out right for the other.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeAnswer, releaseOf, shareBytes } from '../../src/client/index.ts';
import { realign } from '../../src/client/receipt/replay.ts';
import { queryKeyOf, type QueryKeyParts } from '../../src/records/index.ts';
import { alignPlans, coreDigest, planQuery, type Plan } from '../../src/sql/index.ts';
import { NEAR_MISSES, QUESTION, REWRITES } from '../support/rewrites.ts';
import { OPEN_RULES, roomPolicy } from '../support/room-policy.ts';
import { DIGEST, PRIVATE } from './policies.ts';

const RULES = { ...OPEN_RULES, differential_privacy: PRIVATE };
const policy = roomPolicy(RULES);
const planOf = (sql: string, epsilon: string | null = null): Plan =>
  planQuery(policy, DIGEST, sql, { epsilon });
const core = coreDigest(planOf(QUESTION));

describe('privacy 10: the key', () => {
  it.each(REWRITES)('is the same for %s', (_, sql) => {
    expect(coreDigest(planOf(sql))).toBe(core);
  });

  it.each(NEAR_MISSES)('is another one for %s', (_, sql) => {
    expect(coreDigest(planOf(sql))).not.toBe(core);
  });

  it('has 20 of each, all different questions', () => {
    expect([REWRITES.length, NEAR_MISSES.length]).toEqual([20, 20]);
    const cores = NEAR_MISSES.map(([, sql]) => coreDigest(planOf(sql)));
    expect(new Set(cores).size).toBe(NEAR_MISSES.length);
  });

  it('is another one for other bounds on one person', () => {
    const plan = planOf(QUESTION);
    const contributions = { rule: 'joined', partitions: 1, rowsPerPartition: 1 } as const;
    const groupSum = { lower: '0', upper: '1', bits: 9 };
    const measures = plan.measures.map((m, i) => (i === 1 ? { ...m, groupSum } : m));
    const cores = [plan, { ...plan, contributions }, { ...plan, measures }].map(coreDigest);
    expect(new Set(cores).size).toBe(3);
  });

  it('is another one for another epsilon, k, policy, data, analyst or backend', () => {
    const k = roomPolicy({ ...RULES, min_privacy_units_per_group: 2 });
    const parts: QueryKeyParts = {
      backend: 'mpc',
      core,
      policyDigest: DIGEST,
      datasets: {
        shopgood: [{ table: 'purchases', commitment: '11'.repeat(32) }],
        newsnow: [{ table: 'exposures', commitment: '22'.repeat(32) }],
      },
      sealingKey: 'x25519:ana',
    };
    const others: readonly Partial<QueryKeyParts>[] = [
      {},
      { core: coreDigest(planOf(QUESTION, '0.25')) },
      { core: coreDigest(planQuery(k, DIGEST, QUESTION, { epsilon: null })) },
      { policyDigest: 'cd'.repeat(32) },
      {
        datasets: {
          ...parts.datasets,
          newsnow: [{ table: 'exposures', commitment: '33'.repeat(32) }],
        },
      },
      { sealingKey: 'x25519:eve' },
      { backend: 'tee' },
    ];
    const keys = others.map((change) => queryKeyOf({ ...parts, ...change }));
    expect(new Set(keys).size).toBe(others.length);
    // The default, said aloud, is the same question.
    expect(coreDigest(planOf(QUESTION, '0.5'))).toBe(core);
    expect(queryKeyOf({ ...parts, core: '00'.repeat(32) })).toMatchInlineSnapshot(
      `"5c42cbfd08674691091dfd61be9192194f626705c8542513e514a66721214057"`,
    );
  });
});

describe('an answer', () => {
  const open = roomPolicy();
  const sql = (select: readonly string[], keys: readonly string[]): string =>
    `SELECT ${select.join(', ')} FROM joined_data WHERE exposure_date < purchase_date
     GROUP BY ${keys.join(', ')}`;
  const KEYS = ['campaign_id', 'category', 'online'];
  const MEASURES = [
    'COUNT(DISTINCT hashed_email) AS users',
    'COUNT(*) AS pairs',
    'SUM(items) AS items',
    'AVG(seconds) AS seconds',
    'SUM(total_spent * items) AS product',
  ];

  /** Some numbers in every cell, and some groups closed. */
  function numbersFor(plan: Plan): { readonly open: Uint8Array; readonly cells: Uint8Array } {
    const bytes = shareBytes(plan);
    const opened = { open: new Uint8Array(bytes.open), cells: new Uint8Array(bytes.cells) };
    const view = new DataView(opened.cells.buffer);
    const groups = plan.groups.reduce((n, { domain }) => n * domain.length, 1);
    for (let at = 0; at < bytes.cells / 8; at += 1) {
      const group = at % groups;
      const isOpen = group % 5 !== 3;
      if (isOpen) opened.open[group >> 3]! |= 1 << (group & 7);
      view.setBigInt64(8 * at, isOpen ? BigInt(1000 + 7 * at) : -(1n << 63n), true);
    }
    return opened;
  }

  /** Rows as sets of named values, so that no order enters. */
  function meaning(plan: Plan, opened: ReturnType<typeof numbersFor>): ReadonlySet<string> {
    const table = decodeAnswer(plan, opened.open, opened.cells, releaseOf(plan).widths);
    const names = table.columns.map(({ name }) => name);
    return new Set(
      table.rows.map(({ suppressed, cells }) =>
        JSON.stringify([suppressed, cells.map(({ value }, i) => [names[i], value]).sort()]),
      ),
    );
  }

  it('to any way of writing a question reads the same in any other', () =>
    fc.assert(
      fc.property(
        fc.shuffledSubarray([...KEYS, ...MEASURES], { minLength: 8 }),
        fc.shuffledSubarray(KEYS, { minLength: 3 }),
        fc.shuffledSubarray([...KEYS, ...MEASURES], { minLength: 8 }),
        fc.shuffledSubarray(KEYS, { minLength: 3 }),
        (selectA, keysA, selectB, keysB) => {
          const [a, b] = [sql(selectA, keysA), sql(selectB, keysB)].map((text) =>
            planQuery(open, DIGEST, text, { epsilon: null }),
          ) as [Plan, Plan];
          expect(coreDigest(a)).toBe(coreDigest(b));
          const opened = numbersFor(a);
          expect(meaning(b, realign(opened, a, b))).toEqual(meaning(a, opened));
        },
      ),
      { numRuns: 60 },
    ));

  it('is not laid out for a plan of another core', () => {
    expect(() => alignPlans(planOf(QUESTION), planOf(NEAR_MISSES[10]![1]))).toThrow(
      expect.objectContaining({ code: 'INTERNAL' }),
    );
  });
});
