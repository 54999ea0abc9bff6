// Goal: the multi-party engine computes what the plain engine computes on the same tables and plan,
// bit for bit, and neither its messages nor a single share say anything else.
import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { aggregatePlain, releasePlain } from '../../src/engine/plain/index.ts';
import type { LocalTable } from '../../src/engine/types.ts';
import type { Policy } from '../../src/policy/types.ts';
import { planQuery } from '../../src/sql/index.ts';
import type { Side } from '../../src/sql/index.ts';
import type { EngineRoom } from '../support/engine.ts';
import { calibrationOf, combine, engineRoom } from '../support/engine.ts';
import type { Frame } from '../support/memory-channel.ts';
import { memoryMesh } from '../support/memory-channel.ts';
import { randomOf, randomTable } from '../support/random-table.ts';
import { OPEN_RULES, roomPolicy, withCampaigns } from '../support/room-policy.ts';

const DIGEST = 'd'.repeat(64);
const QUERIES = [
  `SELECT campaign_id, COUNT(DISTINCT hashed_email) AS u, SUM(total_spent) AS s FROM joined_data
   WHERE exposure_date < purchase_date GROUP BY campaign_id`,
  'SELECT COUNT(DISTINCT hashed_email) AS overlap FROM joined_data WHERE total_spent > 100.00',
  'SELECT COUNT(*), SUM(seconds) AS a, SUM(items) AS b, AVG(total_spent) FROM joined_data',
  `SELECT category, campaign_id, COUNT(*), COUNT(clicked) AS c, COUNT(total_spent) AS t, COUNT(DISTINCT hashed_email) AS u
   FROM joined_data GROUP BY category, campaign_id`,
  `SELECT online, COUNT(*), SUM(seconds) FROM joined_data
   WHERE exposure_date >= purchase_date OR clicked OR items BETWEEN 2 AND 4 GROUP BY online`,
  `SELECT clicked, COUNT(DISTINCT hashed_email), AVG(seconds) FROM joined_data
   WHERE NOT (exposure_date = purchase_date AND category IN ('home', 'sports')) GROUP BY clicked`,
  `SELECT COUNT(*), COUNT(DISTINCT hashed_email) AS u FROM joined_data WHERE category = campaign_id`,
  `SELECT COUNT(*) FROM joined_data WHERE exposure_date <> purchase_date AND category <> campaign_id`,
];

/** Queries that need a third or fourth table. */
const MORE_QUERIES: readonly (readonly [number, string])[] = [
  [3, QUERIES[0]!.replace('WHERE', "WHERE tier = 'gold' AND")],
  [
    3,
    `SELECT tier, COUNT(DISTINCT hashed_email) AS u, SUM(points) AS p, SUM(total_spent) AS s FROM joined_data
     WHERE member_since < purchase_date AND exposure_date < member_since GROUP BY tier`,
  ],
  [
    3,
    `SELECT category, campaign_id, tier, COUNT(*) AS n FROM joined_data
     WHERE clicked OR member_since < purchase_date OR items = 3 GROUP BY category, campaign_id, tier`,
  ],
  [
    4,
    'SELECT COUNT(DISTINCT hashed_email) AS u, SUM(score) AS s, SUM(seconds) AS t FROM joined_data',
  ],
  [
    4,
    `SELECT campaign_id, COUNT(DISTINCT hashed_email) AS u, AVG(score) AS s FROM joined_data
     WHERE consent AND exposure_date < purchase_date AND (score > points OR tier = category)
     GROUP BY campaign_id`,
  ],
];

/** The open room with its users dealt into several shards. */
function openRoomOf(parties: number, rows: number, oprf: 'ecdh' | 'kkrt', shards: number): Policy {
  const join = { oprf, ot_field_bits: 4, shard_users: 64 / shards } as const;
  return roomPolicy({ ...OPEN_RULES, join }, rows, parties);
}

describe('against the plain engine', () => {
  const rooms = new Map<number, EngineRoom>();
  let usersSeen = 0n;
  beforeAll(async () => {
    for (const parties of [2, 3, 4]) rooms.set(parties, await engineRoom({ parties }));
  });

  async function compare(policy: Policy, sql: string, seed: number, users: number): Promise<void> {
    const plan = planQuery(policy, DIGEST, sql, { epsilon: null });
    const random = randomOf(seed);
    const tables = plan.sides.map((_, side) => randomTable(policy, plan, side, random, users));
    const totals = aggregatePlain(plan, tables);
    const plain = releasePlain(plan, calibrationOf(plan), totals, () => 0n);
    expect(combine(await rooms.get(plan.sides.length)!.run(plan, tables))).toEqual(plain);
    usersSeen += totals[0]!.reduce((sum, n) => sum + n, 0n);
  }

  it.each(QUERIES.map((sql, i) => [sql.replaceAll(/\s+/g, ' '), i] as const))('%s', (sql, i) =>
    compare(openRoomOf(2, 1 + (i % 3), i % 2 === 0 ? 'ecdh' : 'kkrt', 1), sql, i + 77, 40),
  );

  it.each(MORE_QUERIES.map(([n, sql], i) => [n, sql.replaceAll(/\s+/g, ' '), i] as const))(
    'among %i parties: %s',
    (parties, sql, i) => compare(openRoomOf(parties, 2, 'kkrt', 1), sql, i + 7, 60),
  );

  it('adds shards up', async () => {
    for (const [parties, shards] of [
      [2, 4],
      [3, 2],
    ] as const) {
      const policy = openRoomOf(parties, 2, 'kkrt', shards);
      await compare(policy, QUERIES[0]!, parties, 60);
    }
  });

  it.each([
    [2, 1_000, QUERIES[0]!],
    [2, 150, QUERIES[3]!],
    [3, 40, MORE_QUERIES[2]![1]],
  ] as const)('among %i parties and %i campaigns: %s', async (parties, campaigns, sql) => {
    const policy = withCampaigns(openRoomOf(parties, 2, 'kkrt', 1), campaigns);
    const plan = planQuery(policy, DIGEST, sql, { epsilon: null });
    expect(plan.sides[0]!.table).toBe('exposures');
    await compare(policy, sql, campaigns, 60);
  });

  it('has compared groups that are not empty', () => {
    expect(usersSeen).toBeGreaterThan(50n);
  });

  it('holds for any tables, empty ones included', () =>
    fc.assert(
      fc.asyncProperty(
        fc.nat(),
        fc.nat(QUERIES.length - 1),
        fc.constantFrom(0, 1, 3, 20),
        fc.constantFrom('ecdh' as const, 'kkrt' as const),
        (seed, q, users, oprf) => compare(openRoomOf(2, 2, oprf, 1), QUERIES[q]!, seed, users),
      ),
      { numRuns: 12 },
    ));
});

describe('shape', () => {
  const ids = (text: string, n: number): Uint8Array =>
    new Uint8Array(
      Buffer.concat(
        Array.from({ length: n }, (_, i) => createHash('sha256').update(`${text}${i}`).digest()),
      ),
    );

  it.each([
    [2, 'ecdh', 1],
    [2, 'kkrt', 2],
    [3, 'kkrt', 1],
  ] as const)(
    'among %i parties (%s, %i shards) is the same for disjoint, equal and empty tables',
    async (parties, oprf, shards) => {
      const policy = openRoomOf(parties, 2, oprf, shards);
      const plan = planQuery(policy, DIGEST, QUERIES[3]!, { epsilon: null });
      const table = (side: Side, users: number, name: string): LocalTable => {
        const made = randomTable(policy, plan, side, randomOf(1), users);
        return { ...made, ids: ids(name, made.users) };
      };
      const links = memoryMesh(parties);
      const room = await engineRoom({ parties, links });
      const shapes: unknown[] = [];
      for (const tables of [
        plan.sides.map((_, side) => table(side, 40, 'same')),
        plan.sides.map((_, side) => table(side, 40, `side ${side}`)),
        plan.sides.map((_, side) => table(side, 0, 'none')),
      ]) {
        for (const { link } of links.links) link.frames.length = 0;
        await room.run(plan, tables);
        shapes.push(links.links.map(({ link }) => shapeOfFrames(link.frames)));
      }
      expect(shapes[1]).toEqual(shapes[0]);
      expect(shapes[2]).toEqual(shapes[0]);
    },
  );
});

/** Steps and lengths of every stream of a link, in order. */
function shapeOfFrames(frames: readonly Frame[]): unknown[] {
  const streams = [...new Set(frames.map((f) => `${f.from} ${f.path}`))].sort();
  return streams.map((stream) => [
    stream.replace(/run\d+/, 'run'),
    frames
      .filter((f) => `${f.from} ${f.path}` === stream)
      .map((f) => `${f.step}:${f.bytes.length}`),
  ]);
}
