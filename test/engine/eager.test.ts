// Goal: rows that are added up before the join give the totals that joining them one by one gives, by
// the plain engine, through the protocol, and by DuckDB; and only where nothing can tell.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { decodeAnswer, releaseOf } from '../../src/client/index.ts';
import { planSizes } from '../../src/engine/mpc/index.ts';
import { aggregatePlain } from '../../src/engine/plain/index.ts';
import type { DifferentialPrivacy } from '../../src/policy/types.ts';
import { rowPlacer } from '../../src/party/local/slots.ts';
import { eagerOf } from '../../src/sql/eager.ts';
import { planQuery, type Plan } from '../../src/sql/index.ts';
import { DIGEST, exposures, PRIVATE, purchases, seedPolicy } from '../sql/policies.ts';
import { combine, engineRoom, type EngineRoom } from '../support/engine.ts';
import { dice, randomRows } from '../support/random-room.ts';
import {
  answerPlain,
  difference,
  localTables,
  openSqlRoom,
  planIn,
  randomVisits,
  rowsOf,
  sqlPolicy,
  type SqlRoom,
} from '../support/sql-room.ts';

const LEFT = 'FROM purchases p LEFT JOIN exposures x ON p.email = x.email';
const EAGER = [
  'SELECT COUNT(*) FROM joined_data',
  'SELECT COUNT(*), COUNT(total_spent), COUNT(seconds), COUNT(DISTINCT hashed_email) FROM joined_data',
  'SELECT SUM(total_spent), AVG(seconds), SUM(items) FROM joined_data WHERE items > 1 AND clicked',
  'SELECT campaign_id, COUNT(*), SUM(total_spent), SUM(seconds) FROM joined_data GROUP BY campaign_id',
  `SELECT campaign_id, CASE WHEN online THEN 'y' ELSE 'n' END AS k, COUNT(DISTINCT hashed_email) AS u FROM joined_data
   GROUP BY campaign_id, k`,
  `SELECT COUNT(DISTINCT hashed_email) FILTER (WHERE online AND items > 1 AND clicked) AS a,
     COUNT(DISTINCT hashed_email) FILTER (WHERE online OR seconds > 20) AS b, COUNT(*) FROM joined_data`,
  'SELECT items > 2 AS k, SUM(items), SUM(seconds), COUNT(*) FROM joined_data GROUP BY k',
  'SELECT SUM(items * LEAST(GREATEST(seconds, 0), 60)), SUM(total_spent + seconds) FROM joined_data',
  'SELECT SUM(total_spent) FILTER (WHERE online), SUM(COALESCE(total_spent, seconds)) FROM joined_data',
  'SELECT VAR_POP(items), STDDEV(seconds) FROM joined_data',
  `SELECT COUNT(*), COUNT(x.seconds), SUM(p.total_spent), SUM(x.seconds), COUNT(DISTINCT x.email) ${LEFT}`,
  `SELECT x.campaign_id, COUNT(*), SUM(p.items) ${LEFT} GROUP BY x.campaign_id`,
  'SELECT APPROX_QUANTILE(LEAST(GREATEST(items, 0), 9), 0.5) FROM joined_data',
];

const dir = mkdtempSync(join(tmpdir(), 'parley-eager-'));
let room: SqlRoom;
let protocol: EngineRoom;
beforeAll(async () => {
  const roll = dice(4242);
  const rows = randomRows(roll, 16, 4, true);
  const emails = [...new Set(rows.purchases.map(({ email }) => email!))];
  room = await openSqlRoom(dir, sqlPolicy(2, 4), { ...rows, visits: randomVisits(roll, emails) });
  protocol = await engineRoom({ parties: 2 });
});
afterAll(() => {
  room.close();
  rmSync(dir, { recursive: true });
});

const combinations = ({ sides }: Plan): number => sides.reduce((n, { slots }) => n * slots, 1);

describe('rows added up before the join', () => {
  it.each(EAGER.map((sql) => sql.replaceAll(/\s+/g, ' ')))('%s', async (sql) => {
    const plan = planIn(room.policy, sql);
    expect(plan.sides.map(({ eagerRows }) => eagerRows)).toEqual([4, 4]);
    expect(combinations(plan)).toBeLessThanOrEqual(8);
    const theirs = await room.ask(sql.replaceAll('APPROX_QUANTILE', 'QUANTILE_DISC'));
    expect(difference(rowsOf(await answerPlain(room, plan)), theirs, false)).toBeNull();
    const { open, cells } = combine(await protocol.run(plan, await localTables(room, plan)));
    const ours = rowsOf(decodeAnswer(plan, open, cells, releaseOf(plan).widths));
    expect(difference(ours, theirs, false)).toBeNull();
  });

  it('take less room in the join', () => {
    const lazy = planIn(room.policy, `${EAGER[2]!} AND COALESCE(items - seconds, 0) < 99999999999`);
    const eager = planIn(room.policy, EAGER[2]!);
    const bytes = (plan: Plan): number => planSizes(plan).payloadBytes[1]!;
    expect(2 * bytes(eager)).toBeLessThan(bytes(lazy));
    expect(16 * combinations(eager)).toBe(combinations(lazy));
  });

  it('come to the totals of joining one by one', async () => {
    // A condition that always holds, across parties, keeps a plan lazy.
    const lazy = `SELECT COUNT(*), SUM(total_spent), SUM(seconds) FROM joined_data
      WHERE COALESCE(purchase_date - exposure_date, 0) < 100000`;
    const eager = 'SELECT COUNT(*), SUM(total_spent), SUM(seconds) FROM joined_data';
    const totals = await Promise.all(
      [lazy, eager].map(async (sql) => {
        const plan = planIn(room.policy, sql);
        return aggregatePlain(plan, await localTables(room, plan));
      }),
    );
    expect(planIn(room.policy, lazy).sides[0]!.eagerRows).toBeNull();
    expect(totals[1]).toEqual(totals[0]);
    expect(totals[0]!.flat().every((n) => n !== 0n)).toBe(true);
  });
});

describe('stays with rows one by one', () => {
  it.each([
    ['a condition across parties', 'SELECT COUNT(*) FROM joined_data WHERE category = campaign_id'],
    ['OR over two parties', 'SELECT COUNT(*) FROM joined_data WHERE online OR clicked'],
    [
      'a measure’s condition across parties',
      'SELECT SUM(items) FILTER (WHERE exposure_date < purchase_date) FROM joined_data',
    ],
    [
      'users under a condition',
      'SELECT COUNT(DISTINCT hashed_email) FILTER (WHERE (online OR clicked) AND (items > 2 OR seconds > 3)) FROM joined_data',
    ],
    [
      'sums beyond a double',
      'SELECT SUM(LEAST(GREATEST(items, 0), 500000) * 8000000000) FROM joined_data',
    ],
  ])('for %s', (_, sql) => {
    const { sides } = planIn(room.policy, sql);
    expect(sides.map(({ eagerRows, slots }) => [eagerRows, slots])).toEqual([
      [null, 4],
      [null, 4],
    ]);
  });

  it('where there is one row of a user', () => {
    const { sides } = planIn(sqlPolicy(2, 1), EAGER[0]!);
    expect(sides.map(({ eagerRows }) => eagerRows)).toEqual([null, null]);
  });
});

it('multiplies the one row of a user with the rows of the others', () => {
  const policy = seedPolicy({
    differential: 'off',
    first: { ...purchases, max_rows_per_user: 1 },
    second: { ...exposures, max_rows_per_user: 4 },
  });
  const sql = 'SELECT SUM(total_spent) FROM joined_data';
  const { sides, measures } = planQuery(policy, DIGEST, sql, { epsilon: null });
  expect(sides.map(({ eagerRows }) => eagerRows)).toEqual([null, 4]);
  const { measure } = measures[1]!;
  const factors = measure.kind === 'terms' ? measure.terms[0]!.factors : [];
  expect(factors.map(({ side, column }) => [side, column])).toEqual([
    [0, 'total_spent'],
    [1, '=0'],
  ]);
});

describe('with differential privacy', () => {
  const planned = (sql: string, c: number, partitions: number, rows = 4): Plan => {
    const differential: DifferentialPrivacy = {
      ...PRIVATE,
      max_contributions_per_partition: c,
      max_partitions_contributed: partitions,
    };
    const tables = {
      first: { ...purchases, max_rows_per_user: rows },
      second: { ...exposures, max_rows_per_user: rows },
    };
    return planQuery(seedPolicy({ differential, ...tables }), DIGEST, sql, { epsilon: null });
  };
  const isEager = ({ sides }: Plan): boolean => sides.some(({ eagerRows }) => eagerRows !== null);
  const SUM = 'SELECT SUM(total_spent) FROM joined_data';
  const BY = 'SELECT campaign_id, SUM(total_spent) FROM joined_data GROUP BY campaign_id';

  it('adds up only when no bound on joined rows or groups can bind', () => {
    expect(isEager(planned(SUM, 16, 1))).toBe(true);
    expect(isEager(planned(SUM, 15, 1))).toBe(false);
    expect(isEager(planned(BY, 16, 2))).toBe(true);
    expect(isEager(planned(BY, 16, 1))).toBe(false);
  });

  it('changes no sensitivity, share, clamp or noise', () => {
    const lazy = planned(`${SUM} WHERE exposure_date < purchase_date`, 16, 1);
    const eager = planned(SUM, 16, 1);
    const release = ({ measures }: Plan): unknown =>
      measures.map((planned) => ({ ...planned, measure: null }));
    expect(release(eager)).toEqual(release(lazy));
    expect(eager.measures[1]!.sensitivity).toBe(`${16 * 50_000}`);
  });

  it('clamps each row, not the sum', () => {
    const { derived } = planned(SUM, 16, 1).sides.find(({ table }) => table === 'purchases')!;
    expect(derived.map(({ term }) => term)).toContainEqual({
      op: 'total',
      of: { op: 'clamp', lower: '0', upper: '50000', of: { column: 'total_spent', scaleUp: 1 } },
    });
  });
});

describe('slots', () => {
  const side = { slots: 2, eagerRows: 4, bounds: null };

  it('hold a group each, and take no more rows than joining would', () => {
    const placer = rowPlacer(side);
    const place = (keys: readonly number[]): number => placer.place(keys).slot;
    expect([[1], [2], [1], [1], [2]].map(place)).toEqual([0, 1, 0, 0, -1]);
    placer.reset();
    expect(placer.place([2])).toEqual({ slot: 0, first: true });
    expect(placer.place([2])).toEqual({ slot: 0, first: false });
  });

  it('keep to the bounds per group', () => {
    const placer = rowPlacer({ ...side, bounds: { partitions: 1, rowsPerPartition: 2 } });
    expect([[1], [2], [1], [1]].map((keys) => placer.place(keys).slot)).toEqual([0, -1, 0, -1]);
  });
});

it('has a form for nothing but sums and counts of rows', () => {
  expect(
    eagerOf([], {
      tables: [],
      keys: [],
      pivot: 0,
      split: { filters: [], mixed: { kind: 'constant', value: true, key: 'true' }, optional: [] },
      differential: null,
      bounds: { slots: [], bounds: [], contributions: null, most: null },
    }),
  ).toBeNull();
});
