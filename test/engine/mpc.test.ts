// Goal: the multi-party engine computes what the plain engine computes on the same tables and plan,
// bit for bit, and neither its messages nor a single share say anything else.
import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { aggregatePlain, releasePlain } from '../../src/engine/plain/index.ts';
import type { LocalTable } from '../../src/engine/types.ts';
import type { ColumnPolicy, Policy } from '../../src/policy/types.ts';
import { columnRange, planQuery } from '../../src/sql/index.ts';
import type { Plan, PlanSide, Side } from '../../src/sql/index.ts';
import type { EnginePair } from '../support/engine.ts';
import { calibrationOf, combine, enginePair } from '../support/engine.ts';
import { memoryLink } from '../support/memory-channel.ts';
import { OPEN_RULES, roomPolicy } from '../support/room-policy.ts';

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

function columnsOf(policy: Policy, side: PlanSide): Readonly<Record<string, ColumnPolicy>> {
  return policy.parties.find((p) => p.name === side.party)!.tables[side.table]!.columns;
}

/** A random local table for one side of a plan: users from a pool of ids that both sides draw on. */
function randomTable(
  policy: Policy,
  plan: Plan,
  side: Side,
  random: () => number,
  usersMax: number,
): LocalTable {
  const planSide = plan.sides[side];
  const pool = Array.from({ length: 2 * usersMax }, (_, i) => i).sort(() => random() - 0.5);
  const users = Math.floor(random() * (usersMax + 1));
  const ids = new Uint8Array(users * 32);
  for (let u = 0; u < users; u += 1) {
    ids.set(createHash('sha256').update(`user${pool[u]!}`).digest(), 32 * u);
  }
  const size = planSide.slots * users;
  const valid = new Uint8Array(size);
  for (let u = 0; u < users; u += 1) {
    const rows = 1 + Math.floor(random() * planSide.slots);
    for (let s = 0; s < rows; s += 1) valid[s * users + u] = 1;
  }
  const values: Record<string, Float64Array> = {};
  const present: Record<string, Uint8Array> = {};
  for (const name of planSide.columns) {
    const column = columnsOf(policy, planSide)[name]!;
    const range = columnRange(column);
    const [low, high] = [range.min, range.max];
    const narrow =
      column.type === 'date' ? [20_270, 20_275] : [Math.max(low, -50), Math.min(high, 50)];
    present[name] = valid.map((v) => (v === 1 && (!column.nullable || random() < 0.7) ? 1 : 0));
    values[name] = Float64Array.from(present[name], (p) =>
      p === 1 ? Math.floor(narrow[0]! + random() * (narrow[1]! - narrow[0]! + 1)) : 0,
    );
  }
  const bits = planSide.bits.map(() => valid.map((v) => (v === 1 && random() < 0.5 ? 1 : 0)));
  return { users, ids, slots: planSide.slots, valid, values, present, bits };
}

function randomOf(seed: number): () => number {
  let state = seed >>> 0 || 1;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

describe('against the plain engine', () => {
  let pair: EnginePair;
  let usersSeen = 0n;
  beforeAll(async () => {
    pair = await enginePair();
  });

  it.each(QUERIES.map((sql, i) => [sql.replaceAll(/\s+/g, ' '), i] as const))(
    '%s',
    async (sql, i) => {
      const policy = roomPolicy(OPEN_RULES, 1 + (i % 3));
      const plan = planQuery(policy, DIGEST, sql, { epsilon: null });
      const random = randomOf(i + 77);
      const tables = [
        randomTable(policy, plan, 0, random, 40),
        randomTable(policy, plan, 1, random, 40),
      ] as const;
      const totals = aggregatePlain(plan, tables);
      const plain = releasePlain(plan, calibrationOf(plan), totals, () => 0n);
      const opened = combine(await pair.run(plan, tables));
      expect(opened).toEqual(plain);
      usersSeen += totals[0]!.reduce((sum, n) => sum + n, 0n);
    },
  );

  it('has compared groups that are not empty', () => {
    expect(usersSeen).toBeGreaterThan(50n);
  });

  it('holds for any tables, empty ones included', () =>
    fc.assert(
      fc.asyncProperty(
        fc.nat(),
        fc.nat(QUERIES.length - 1),
        fc.constantFrom(0, 1, 3, 20),
        async (seed, q, users) => {
          const policy = roomPolicy(OPEN_RULES, 2);
          const plan = planQuery(policy, DIGEST, QUERIES[q]!, { epsilon: null });
          const random = randomOf(seed);
          const tables = [
            randomTable(policy, plan, 0, random, users),
            randomTable(policy, plan, 1, random, users),
          ] as const;
          const plain = releasePlain(
            plan,
            calibrationOf(plan),
            aggregatePlain(plan, tables),
            () => 0n,
          );
          expect(combine(await pair.run(plan, tables))).toEqual(plain);
        },
      ),
      { numRuns: 12 },
    ));
});

describe('shape', () => {
  it('is the same for disjoint, equal and empty tables', async () => {
    const policy = roomPolicy(OPEN_RULES, 2);
    const plan = planQuery(policy, DIGEST, QUERIES[3]!, { epsilon: null });
    const full = randomTable(policy, plan, 0, randomOf(1), 40);
    const ids = (text: string, n: number): Uint8Array =>
      new Uint8Array(
        Buffer.concat(
          Array.from({ length: n }, (_, i) => createHash('sha256').update(`${text}${i}`).digest()),
        ),
      );
    const other = { ...randomTable(policy, plan, 1, randomOf(1), 40), ids: new Uint8Array() };
    const equal = { ...other, ids: full.ids.slice(0, 32 * other.users) };
    const disjoint = { ...other, ids: ids('other', other.users) };
    const emptyOf = (side: Side): LocalTable => randomTable(policy, plan, side, randomOf(1), 0);
    const shapes: unknown[] = [];
    for (const tables of [
      [full, equal],
      [full, disjoint],
      [emptyOf(0), emptyOf(1)],
    ] as const) {
      const link = memoryLink();
      const pair = await enginePair(undefined, link);
      await pair.run(plan, tables);
      const lanes = [...new Set(link.frames.map((f) => `${f.from} ${f.path}`))].sort();
      shapes.push(
        lanes.map((lane) => [
          lane.replace(/run\d+/, 'run'),
          link.frames
            .filter((f) => `${f.from} ${f.path}` === lane)
            .map((f) => `${f.step}:${f.bytes.length}`),
        ]),
      );
    }
    expect(shapes[1]).toEqual(shapes[0]);
    expect(shapes[2]).toEqual(shapes[0]);
  });
});
