// Goal: a run over correlations made ahead gives the answer a live run gives, consumes exactly what
// was counted, makes nothing live while the stock lasts, and goes on live, at every party at the same
// point, when it does not.
import { beforeAll, describe, expect, it } from 'vitest';
import {
  laneBytes,
  laneSections,
  readLaneStock,
  runDemand,
  type LaneDemand,
  type RunStock,
} from '../../src/engine/mpc/index.ts';
import { aggregatePlain, releasePlain } from '../../src/engine/plain/index.ts';
import { planQuery } from '../../src/sql/index.ts';
import { concat } from '../../src/core/bytes.ts';
import { calibrationOf, combine, engineRoom, type EngineRoom } from '../support/engine.ts';
import { memoryMesh, type MemoryMesh } from '../support/memory-channel.ts';
import { randomOf, randomTable } from '../support/random-table.ts';
import { OPEN_RULES, roomPolicy, withCampaigns } from '../support/room-policy.ts';

const DIGEST = 'd'.repeat(64);

const CASES: readonly (readonly [
  parties: number,
  oprf: 'ecdh' | 'kkrt',
  rows: number,
  shards: number,
  campaigns: number,
  sql: string,
])[] = [
  [
    2,
    'kkrt',
    2,
    2,
    5,
    `SELECT campaign_id, COUNT(DISTINCT hashed_email) AS u, SUM(total_spent) AS s FROM joined_data
     WHERE exposure_date < purchase_date GROUP BY campaign_id`,
  ],
  // Above ten groups of one owner: unit vectors; above a hundred: sorting.
  [
    2,
    'ecdh',
    2,
    1,
    20,
    `SELECT campaign_id, COUNT(*) AS n, SUM(seconds) AS s, AVG(total_spent) AS a FROM joined_data
     WHERE clicked OR exposure_date <> purchase_date GROUP BY campaign_id`,
  ],
  [
    2,
    'kkrt',
    1,
    1,
    300,
    `SELECT campaign_id, COUNT(DISTINCT hashed_email) AS u, SUM(total_spent) AS s FROM joined_data
     WHERE exposure_date < purchase_date GROUP BY campaign_id`,
  ],
  [
    3,
    'kkrt',
    2,
    1,
    3,
    `SELECT tier, campaign_id, COUNT(DISTINCT hashed_email) AS u, SUM(points) AS p, SUM(total_spent) AS s
     FROM joined_data WHERE member_since < purchase_date AND exposure_date < member_since
     GROUP BY tier, campaign_id`,
  ],
  [
    4,
    'ecdh',
    1,
    1,
    3,
    'SELECT COUNT(DISTINCT hashed_email) AS u, SUM(score) AS s, SUM(seconds) AS t FROM joined_data',
  ],
  // Sums of products under guards across owners, and rows whose user only one side has.
  [
    2,
    'kkrt',
    2,
    1,
    3,
    `SELECT campaign_id, SUM(CASE WHEN exposure_date < purchase_date THEN items ELSE seconds END) AS s,
       COUNT(DISTINCT CASE WHEN clicked OR online THEN hashed_email END) AS u
     FROM joined_data GROUP BY campaign_id`,
  ],
  [
    2,
    'ecdh',
    1,
    1,
    3,
    `SELECT category, COUNT(*) AS n, COUNT(x.clicked) AS c, SUM(seconds) AS s FROM purchases p
     LEFT JOIN exposures x ON p.email = x.email GROUP BY category`,
  ],
  // A key that no party knows.
  [
    2,
    'kkrt',
    1,
    1,
    3,
    `SELECT CASE WHEN exposure_date < purchase_date THEN category WHEN clicked = online THEN 'same' END AS k,
       COUNT(*) AS n, SUM(seconds) AS s FROM joined_data GROUP BY k`,
  ],
];

describe.each(CASES)(
  'among %i parties (%s, %i rows, %i shards, %i campaigns)',
  (parties, oprf, rows, shards, campaigns, sql) => {
    const join = { oprf, ot_field_bits: 4, shard_users: 64 / shards } as const;
    const policy = withCampaigns(roomPolicy({ ...OPEN_RULES, join }, rows, parties), campaigns);
    const plan = planQuery(policy, DIGEST, sql, { epsilon: null });
    const tables = plan.sides.map((_, side) =>
      randomTable(policy, plan, side, randomOf(side + 3), 60),
    );
    const totals = aggregatePlain(plan, tables);
    const plain = releasePlain(plan, calibrationOf(plan), totals, () => 0n);
    let links: MemoryMesh;
    let room: EngineRoom;
    beforeAll(async () => {
      links = memoryMesh(parties);
      room = await engineRoom({ parties, links });
    });

    const lanesOf = ({ shards: all, finish }: RunStock) => [...all, finish];
    const clearFrames = (): void => {
      for (const { link } of links.links) link.frames.length = 0;
    };
    const pathsOf = (): string[] => [
      ...new Set(links.links.flatMap(({ link }) => link.frames.map((f) => f.path))),
    ];

    it('answers the same, from the stock alone, and leaves none of it', async () => {
      const stocks = await room.stock(plan);
      const filled = stocks.flatMap(lanesOf).flatMap(laneSections);
      expect(filled.filter((section) => section.length > 0).length).toBeGreaterThan(6);
      clearFrames();
      expect(combine(await room.run(plan, tables, stocks))).toEqual(plain);
      // No extension, base OT or triple was made.
      const made = pathsOf().filter((path) => /\/ot\/|\/triples/.test(path));
      expect(made).toEqual([]);
      for (const section of stocks.flatMap(lanesOf).flatMap(laneSections)) {
        expect(section.every((byte) => byte === 0)).toBe(true);
      }
    });

    it('goes on live, everywhere at once, with less than the run takes', async () => {
      const part = (n: number): number => 128 * Math.floor(n / 300);
      const cut = (demand: LaneDemand): LaneDemand => ({
        triples: part(demand.triples),
        pairTriples: demand.pairTriples.map(part),
        sends: demand.sends.map((all) => all.slice(1).map((c) => ({ ...c, n: part(c.n) }))),
        receives: demand.receives.map((all) => all.slice(1).map((c) => ({ ...c, n: part(c.n) }))),
      });
      const stocks = await room.stock(plan, cut);
      clearFrames();
      expect(combine(await room.run(plan, tables, stocks))).toEqual(plain);
      expect(pathsOf().some((path) => path.includes('/ot/'))).toBe(true);
    });

    it('counts alike at both ends of every direction, and survives its written form', async () => {
      const demands = await Promise.all(
        plan.sides.map((_, side) => runDemand(plan, calibrationOf(plan), side)),
      );
      demands.forEach(({ shard, finish }, side) => {
        shard.sends.forEach((sends, peer) => {
          expect(demands[peer]!.shard.receives[side]).toEqual(sends);
          expect(demands[peer]!.shard.pairTriples[side]).toBe(shard.pairTriples[peer]);
        });
        expect(finish.triples).toBe(demands[0]!.finish.triples);
        expect(shard.triples).toBe(demands[0]!.shard.triples);
      });
      const stocks = await room.stock(plan);
      stocks.forEach(({ shards: made, finish }, side) => {
        for (const [stock, demand] of [
          [made[0]!, demands[side]!.shard],
          [finish, demands[side]!.finish],
        ] as const) {
          const bytes = concat(laneSections(stock));
          expect(bytes.length).toBe(laneBytes(demand));
          const again = concat(laneSections(readLaneStock(demand, bytes, side)));
          expect(Buffer.compare(again, bytes)).toBe(0);
          expect(() => readLaneStock(demand, bytes.subarray(1), side)).toThrow();
        }
      });
    });
  },
);
