// Goal: every row of the table in docs/sql.md is answered as DuckDB answers it, and so are the fixed
// products of expressions, aggregates, conditions and keys.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { dice, randomRows } from '../support/random-room.ts';
import { ACROSS, CONDITIONS, KEYS, LOCAL } from '../support/random-sql.ts';
import {
  answerPlain,
  difference,
  openSqlRoom,
  planIn,
  randomVisits,
  rowsOf,
  sqlPolicy,
  type SqlRoom,
} from '../support/sql-room.ts';

const TABLE = readFileSync(fileURLToPath(new URL('../../docs/sql.md', import.meta.url)), 'utf8')
  .split('\n')
  .flatMap((line) => {
    const m = /^\| ([^|]*)\| ([^|]*) \| `(SELECT .*)` \|$/.exec(line);
    return m === null ? [] : [{ feature: m[2]!, sql: m[3]! }];
  });

const dir = mkdtempSync(join(tmpdir(), 'parley-documented-'));
let room: SqlRoom;
beforeAll(async () => {
  const roll = dice(77);
  const rows = randomRows(roll, 20, 4, true);
  const emails = [...new Set(rows.purchases.map(({ email }) => email!))];
  const visits = randomVisits(roll, emails);
  room = await openSqlRoom(dir, sqlPolicy(2, 8), { ...rows, visits });
});
afterAll(() => {
  room.close();
  rmSync(dir, { recursive: true });
});

async function expectEqual(sql: string, theirSql = sql): Promise<void> {
  const theirs = await room.ask(theirSql);
  const ours = rowsOf(await answerPlain(room, planIn(room.policy, sql)));
  expect(difference(ours, theirs, false), sql).toBeNull();
}

describe('docs/sql.md', () => {
  it('has an example in every row', () => {
    expect(TABLE.length).toBeGreaterThanOrEqual(30);
    expect(new Set(TABLE.map(({ feature }) => feature)).size).toBe(TABLE.length);
  });

  it.each(TABLE)('$feature', async ({ sql }) => {
    // One value per bucket, so the bucketed definition is the exact one.
    await expectEqual(sql, sql.replaceAll('APPROX_QUANTILE', 'QUANTILE_DISC'));
  });
});

const numbers = [...LOCAL, ...ACROSS];
const AREAS: readonly (readonly [name: string, queries: readonly string[]])[] = [
  [
    'numbers in aggregates',
    numbers.flatMap((n) =>
      [`SUM(${n})`, `AVG(${n})`, `COUNT(${n})`, `SUM(${n}) FILTER (WHERE online)`].map(
        (a) => `SELECT ${a} AS a FROM joined_data`,
      ),
    ),
  ],
  [
    'conditions',
    CONDITIONS.flatMap((c) => [
      `SELECT COUNT(*) AS n FROM joined_data WHERE ${c}`,
      `SELECT COUNT(*) AS n FROM joined_data WHERE NOT (${c})`,
      `SELECT COUNT(*) AS n FROM joined_data WHERE (${c}) IS NULL`,
      `SELECT SUM(CASE WHEN ${c} THEN items ELSE seconds END) AS s FROM joined_data`,
      `SELECT COUNT(DISTINCT hashed_email) FILTER (WHERE ${c}) AS u FROM joined_data`,
      `SELECT campaign_id AS k, COUNT(*) AS n, AVG(items) AS a FROM joined_data WHERE ${c} GROUP BY k`,
      `SELECT category AS k, COUNT(*) FILTER (WHERE ${c}) AS n FROM joined_data GROUP BY k`,
      `SELECT VAR_POP(items) AS v, STDDEV(seconds) AS d FROM joined_data WHERE ${c} OR items = 1`,
      `SELECT COUNT(*) AS n, SUM(total_spent) AS s FROM purchases p
         LEFT JOIN exposures x ON p.email = x.email WHERE ${c}`,
    ]),
  ],
  [
    'keys',
    KEYS.flatMap((k) => [
      `SELECT ${k} AS k, COUNT(*) AS n, SUM(total_spent) AS s FROM joined_data GROUP BY k`,
      `SELECT ${k} AS k, AVG(seconds) AS a FROM joined_data
         WHERE exposure_date < purchase_date GROUP BY k HAVING COUNT(*) > 1`,
      `SELECT ${k} AS k, online AS o, COUNT(seconds) AS n FROM joined_data GROUP BY k, o`,
      `SELECT ${k} AS k, SUM(total_spent + seconds) AS s FROM joined_data
         GROUP BY k ORDER BY SUM(items) DESC`,
      `SELECT ${k} AS k, COUNT(DISTINCT p.email) AS u FROM purchases p
         LEFT JOIN exposures x ON p.email = x.email GROUP BY k`,
    ]),
  ],
  [
    'quantiles',
    [0, 0.1, 0.25, 0.5, 0.75, 0.9, 1].flatMap((p) => [
      `SELECT APPROX_QUANTILE(LEAST(GREATEST(items, 0), 9), ${p}) AS q FROM joined_data`,
      `SELECT category, APPROX_QUANTILE(LEAST(GREATEST(items, 0), 63), ${p}) AS q
         FROM joined_data WHERE exposure_date < purchase_date GROUP BY category`,
    ]),
  ],
];

describe.each(AREAS)('fixed: %s', (_, queries) => {
  it.each(queries)('%s', async (sql) => {
    await expectEqual(sql, sql.replaceAll('APPROX_QUANTILE', 'QUANTILE_DISC'));
  });
});

it('are at least 400 in all', () => {
  const fixed = AREAS.reduce((n, [, queries]) => n + queries.length, TABLE.length);
  expect(fixed).toBeGreaterThanOrEqual(400);
});
