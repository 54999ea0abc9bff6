// Goal: bounds on joined rows are what a plain loop over one user's rows says they are, the circuit on
// shares computes that rule bit for bit, and where a plan has nothing to bound it costs nothing.
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { keptRows } from '../../src/engine/contributions.ts';
import { runDemand } from '../../src/engine/mpc/index.ts';
import { aggregatePlain, releasePlain } from '../../src/engine/plain/index.ts';
import type { LocalTable } from '../../src/engine/types.ts';
import type { Policy } from '../../src/policy/types.ts';
import { planQuery, type Plan } from '../../src/sql/index.ts';
import { bare } from '../support/bare.ts';
import type { EngineRoom } from '../support/engine.ts';
import { calibrationOf, combine, engineRoom } from '../support/engine.ts';
import { randomOf, randomTable } from '../support/random-table.ts';
import { OPEN_RULES, roomPolicy, withGroupSums } from '../support/room-policy.ts';
import { PRIVATE } from '../sql/policies.ts';

const DIGEST = 'd'.repeat(64);

/** A room with L0, C and so many rows per user. */
function boundedRoom(parties: number, l0: number, c: number, rows: number): Policy {
  const differential_privacy = {
    ...PRIVATE,
    max_partitions_contributed: l0,
    max_contributions_per_partition: c,
  };
  const join = { oprf: 'kkrt', ot_field_bits: 4, shard_users: 64 } as const;
  return roomPolicy({ ...OPEN_RULES, differential_privacy, join }, rows, parties);
}

const planOf = (policy: Policy, sql: string): Plan =>
  planQuery(policy, DIGEST, sql, { epsilon: null });

describe('the rule in clear', () => {
  const bounds = fc.option(fc.integer({ min: 1, max: 5 }));
  it('keeps the first rows of the first groups', () =>
    fc.assert(
      fc.property(fc.array(fc.nat(4)), bounds, bounds, (groups, partitions, rowsPerPartition) => {
        const kept = keptRows(groups, { partitions, rowsPerPartition });
        const firsts = [...new Set(groups)].slice(0, partitions ?? Infinity);
        const expected = groups.flatMap((group, row) => {
          const earlier = groups.slice(0, row).filter((other) => other === group).length;
          return firsts.includes(group) && earlier < (rowsPerPartition ?? Infinity) ? [row] : [];
        });
        expect(kept).toEqual(expected);
      }),
    ));
});

const USERS = 'COUNT(DISTINCT hashed_email) AS u';
/** Parties, L0, C, rows per user, query. */
const CASES: readonly (readonly [number, number, number, number, string])[] = [
  // No group keys.
  [
    2,
    1,
    3,
    4,
    `SELECT ${USERS}, COUNT(*) AS n FROM joined_data WHERE exposure_date < purchase_date`,
  ],
  [2, 1, 1, 5, `SELECT COUNT(*) AS n, SUM(items) AS s FROM joined_data WHERE online = clicked`],
  [2, 1, 7, 8, 'SELECT COUNT(*) AS n, SUM(items) AS s FROM joined_data WHERE online = clicked'],
  [2, 1, 5, 3, 'SELECT COUNT(*) AS n, SUM(items) AS s FROM joined_data'],
  // Keys of the pivot.
  [
    2,
    2,
    3,
    4,
    `SELECT campaign_id, ${USERS}, COUNT(*) AS n, SUM(seconds) AS s FROM joined_data
     WHERE exposure_date <= purchase_date GROUP BY campaign_id`,
  ],
  [
    2,
    3,
    2,
    5,
    `SELECT category, ${USERS}, SUM(items) AS s FROM joined_data WHERE clicked OR online GROUP BY category`,
  ],
  // Keys of both.
  [
    2,
    1,
    4,
    3,
    `SELECT category, campaign_id, ${USERS}, COUNT(*) AS n FROM joined_data GROUP BY category, campaign_id`,
  ],
  [
    2,
    2,
    2,
    4,
    `SELECT category, campaign_id, COUNT(*) AS n, SUM(total_spent) AS s FROM joined_data
     WHERE exposure_date < purchase_date OR items > 2 GROUP BY category, campaign_id`,
  ],
  [
    2,
    3,
    1,
    4,
    `SELECT online, clicked, COUNT(*) AS n, ${USERS} FROM joined_data WHERE items < 4 OR clicked GROUP BY online, clicked`,
  ],
  // A sender's keys alone: the pivot is the table whose users all take part.
  [
    2,
    2,
    3,
    3,
    `SELECT p.category, COUNT(*) AS n, COUNT(DISTINCT e.email) AS u FROM exposures e
     LEFT JOIN purchases p ON p.email = e.email GROUP BY p.category`,
  ],
  [
    2,
    2,
    2,
    3,
    `SELECT p.category, e.campaign_id, COUNT(*) AS n FROM exposures e LEFT JOIN purchases p ON p.email = e.email
     WHERE p.items IS NULL OR p.items > 1 GROUP BY p.category, e.campaign_id`,
  ],
  // Three and four parties.
  [
    3,
    2,
    3,
    2,
    `SELECT tier, ${USERS}, SUM(points) AS p, COUNT(*) AS n FROM joined_data
     WHERE member_since < purchase_date OR exposure_date < member_since GROUP BY tier`,
  ],
  [
    3,
    2,
    2,
    3,
    `SELECT category, tier, COUNT(*) AS n, ${USERS} FROM joined_data
     WHERE clicked OR member_since < purchase_date GROUP BY category, tier`,
  ],
  [
    3,
    3,
    1,
    2,
    'SELECT category, campaign_id, tier, COUNT(*) AS n FROM joined_data GROUP BY category, campaign_id, tier',
  ],
  [
    4,
    2,
    3,
    2,
    `SELECT campaign_id, ${USERS}, SUM(score) AS s FROM joined_data
     WHERE consent OR exposure_date < purchase_date GROUP BY campaign_id`,
  ],
  // Keys that no party knows, alone and beside own ones. Bits of the tables are random: labels of owners
  // that lie about theirs do not exclude each other, and the first one counts.
  [
    2,
    1,
    2,
    3,
    `SELECT exposure_date < purchase_date AS k, ${USERS}, COUNT(*) AS n FROM joined_data GROUP BY k`,
  ],
  [
    2,
    2,
    2,
    3,
    `SELECT CASE WHEN exposure_date < purchase_date THEN 'after' WHEN online = clicked THEN 'same' END AS k,
     category, ${USERS}, COUNT(*) AS n FROM joined_data WHERE items < 4 OR clicked GROUP BY k, category`,
  ],
  [
    2,
    2,
    1,
    3,
    `SELECT campaign_id, COALESCE(category, campaign_id) AS k, online, ${USERS}, SUM(items) AS s
     FROM joined_data GROUP BY campaign_id, k, online`,
  ],
  [
    2,
    1,
    2,
    2,
    `SELECT clicked = online AS k, exposure_date < purchase_date AS l, COUNT(*) AS n FROM exposures e
     LEFT JOIN purchases p ON p.email = e.email GROUP BY k, l`,
  ],
  [
    3,
    2,
    2,
    2,
    `SELECT tier = category OR member_since < exposure_date AS k, ${USERS}, SUM(points) AS s
     FROM joined_data GROUP BY k`,
  ],
];

describe('on shares', () => {
  const rooms = new Map<number, EngineRoom>();
  let cut = 0;
  beforeAll(async () => {
    for (const parties of [2, 3, 4]) rooms.set(parties, await engineRoom({ parties }));
  });

  const isCut = (plan: Plan, tables: readonly LocalTable[]): boolean =>
    String(aggregatePlain({ ...plan, contributions: null }, tables)) !==
    String(aggregatePlain(plan, tables));

  async function compare(policy: Policy, sql: string, seed: number, mustCut: boolean) {
    const plan = bare(planOf(policy, sql));
    expect(plan.contributions?.rule).toBe('joined');
    const random = randomOf(seed);
    let tables: LocalTable[];
    do {
      tables = plan.sides.map((_, side) => randomTable(policy, plan, side, random, 40));
    } while (mustCut && !isCut(plan, tables));
    const totals = aggregatePlain(plan, tables);
    const plain = releasePlain(plan, calibrationOf(plan), totals, () => 0n);
    expect(combine(await rooms.get(plan.sides.length)!.run(plan, tables))).toEqual(plain);
    if (isCut(plan, tables)) cut += 1;
  }

  it.each(
    CASES.map(
      ([n, l0, c, rows, sql], i) => [n, l0, c, rows, sql.replaceAll(/\s+/g, ' '), i] as const,
    ),
  )('among %i parties, L0 = %i, C = %i, %i rows: %s', (parties, l0, c, rows, sql, i) =>
    compare(boundedRoom(parties, l0, c, rows), sql, i + 3, true),
  );

  it('holds for any bounds', () =>
    fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 0, max: CASES.length - 1 }),
        fc.integer({ min: 1, max: 3 }),
        fc.integer({ min: 1, max: 6 }),
        fc.integer({ min: 1, max: 3 }),
        fc.nat(),
        (q, l0, c, rows, seed) => {
          const [parties, , , , sql] = CASES[q]!;
          return compare(boundedRoom(parties, l0, c, rows), sql, seed, false);
        },
      ),
      { numRuns: 8 },
    ));

  it('has cut something in every case', () => {
    expect(cut).toBeGreaterThanOrEqual(CASES.length);
  });
});

/** Parties, L0, C, rows per user, query: sums of the pivot's values and of the senders'. */
const SUMS: readonly (readonly [number, number, number, number, string])[] = [
  [2, 1, 6, 3, 'SELECT SUM(total_spent) AS s, SUM(seconds) AS t FROM joined_data'],
  [
    2,
    2,
    9,
    3,
    'SELECT campaign_id, SUM(total_spent) AS s, SUM(seconds) AS t FROM joined_data GROUP BY campaign_id',
  ],
  [
    2,
    2,
    4,
    4,
    `SELECT category, COUNT(*) AS n, SUM(total_spent) AS s, SUM(seconds) AS t FROM joined_data
     WHERE exposure_date < purchase_date OR clicked GROUP BY category`,
  ],
  [
    2,
    2,
    3,
    3,
    `SELECT online, campaign_id, SUM(total_spent) AS s, SUM(seconds) AS t FROM joined_data
     GROUP BY online, campaign_id`,
  ],
  [2, 2, 1, 3, 'SELECT campaign_id, SUM(seconds) AS t FROM joined_data GROUP BY campaign_id'],
  [
    3,
    2,
    4,
    2,
    `SELECT campaign_id, SUM(total_spent) AS s, SUM(seconds) AS t FROM joined_data
     GROUP BY campaign_id`,
  ],
  [
    2,
    1,
    3,
    3,
    `SELECT clicked = online AS k, campaign_id, SUM(total_spent) AS s, SUM(seconds) AS t
     FROM joined_data GROUP BY k, campaign_id`,
  ],
];

describe('sums of one user in a group, on shares', () => {
  const rooms = new Map<number, EngineRoom>();
  beforeAll(async () => {
    for (const parties of [2, 3]) rooms.set(parties, await engineRoom({ parties }));
  });

  it.each(
    SUMS.map(
      ([n, l0, c, rows, sql], i) => [n, l0, c, rows, sql.replaceAll(/\s+/g, ' '), i] as const,
    ),
  )('among %i parties, L0 = %i, C = %i, %i rows: %s', async (parties, l0, c, rows, sql, i) => {
    const policy = withGroupSums(boundedRoom(parties, l0, c, rows), ['-0.5', '0.6']);
    const plan = bare(planOf(policy, sql));
    expect(plan.measures.some(({ groupSum }) => groupSum !== null)).toBe(true);
    const free = {
      ...plan,
      measures: plan.measures.map((m) => ({ ...m, groupSum: null })),
    };
    const random = randomOf(i + 5);
    let tables: LocalTable[];
    let totals: ReturnType<typeof aggregatePlain>;
    let moved: number;
    do {
      tables = plan.sides.map((_, side) => randomTable(policy, plan, side, random, 50));
      totals = aggregatePlain(plan, tables);
      const unbounded = aggregatePlain(free, tables);
      moved = totals.filter((row, m) => String(row) !== String(unbounded[m])).length;
    } while (moved < plan.measures.filter(({ groupSum }) => groupSum !== null).length);
    const plain = releasePlain(plan, calibrationOf(plan), totals, () => 0n);
    expect(combine(await rooms.get(parties)!.run(plan, tables))).toEqual(plain);
  });

  it('moves a sum to the nearer bound, whatever the rows of it', () => {
    const policy = withGroupSums(boundedRoom(2, 1, 9, 3), ['-10', '6']);
    const plan = bare(planOf(policy, 'SELECT SUM(total_spent) AS s FROM joined_data'));
    const m = plan.measures.findIndex(({ groupSum }) => groupSum !== null);
    const totalOf = (cents: readonly number[]): bigint => {
      const one = { users: 1, ids: new Uint8Array(32), bits: [] };
      const tables = plan.sides.map((side): LocalTable => {
        const isOwn = side.columns.includes('total_spent');
        const values = isOwn ? cents : [0, 0, 0].slice(0, 1);
        const column = Float64Array.from({ length: side.slots }, (_, i) => values[i] ?? 0);
        const valid = Uint8Array.from(column, (_, i) => (i < values.length ? 1 : 0));
        const named = <T>(of: T): Record<string, T> =>
          Object.fromEntries(side.columns.map((name) => [name, of]));
        return { ...one, slots: side.slots, valid, values: named(column), present: named(valid) };
      });
      return aggregatePlain(plan, tables)[m]![0]!;
    };
    expect(
      [[], [100], [300, 300], [300, 301], [-400, -600], [-5000, 100], [50_000, -50_000, 3]].map(
        totalOf,
      ),
    ).toEqual([0n, 100n, 600n, 600n, -1000n, -1000n, 600n]);
  });
});

describe('cost', () => {
  const SQL = `SELECT campaign_id, ${USERS}, SUM(total_spent) AS s FROM joined_data
    WHERE exposure_date < purchase_date GROUP BY campaign_id`;
  const triples = async (plan: Plan): Promise<number> =>
    (await runDemand(plan, calibrationOf(plan), 0)).shard.triples;

  it('is nothing where slots and groups stay within the bounds by themselves', async () => {
    const plan = bare(planOf(boundedRoom(2, 1, 4, 2), SQL));
    expect(plan.contributions).toEqual({
      rule: 'joined',
      partitions: null,
      rowsPerPartition: null,
    });
    expect(await triples(plan)).toBe(await triples({ ...plan, contributions: null }));
  });

  it('is at most twice the predicate’s at the widest, and pinned', async () => {
    const costs = [];
    for (const [c, rows] of [
      [3, 2],
      [4, 4],
      [8, 8],
    ] as const) {
      const plan = bare(planOf(boundedRoom(2, 1, c, rows), SQL));
      expect(plan.contributions?.rowsPerPartition).toBe(c);
      const [all, free] = [await triples(plan), await triples({ ...plan, contributions: null })];
      costs.push((all - free) / free);
      expect(all - free).toBeLessThan(2 * free);
    }
    expect(costs.map((share) => share.toFixed(2))).toMatchInlineSnapshot(`
      [
        "0.11",
        "0.42",
        "0.78",
      ]
    `);
  });

  it('grows with the square of the combinations under a key that no party knows, and is pinned', async () => {
    const sql = `SELECT exposure_date < purchase_date AS k, COUNT(*) AS n FROM joined_data GROUP BY k`;
    const costs = [];
    for (const rows of [2, 4, 8]) {
      const plan = bare(planOf(boundedRoom(2, 1, 3, rows), sql));
      expect(plan.contributions).toEqual({ rule: 'joined', partitions: 1, rowsPerPartition: 3 });
      const [all, free] = [await triples(plan), await triples({ ...plan, contributions: null })];
      costs.push((all - free) / free);
    }
    expect(costs.map((share) => share.toFixed(2))).toMatchInlineSnapshot(`
      [
        "0.56",
        "2.76",
        "11.03",
      ]
    `);
  });
});
