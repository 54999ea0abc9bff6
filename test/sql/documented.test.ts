// Goal: every row of the table in docs/sql.md is answered as DuckDB answers it, and so are the fixed
// products of expressions, aggregates, conditions and keys.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { AREAS, TABLE } from '../support/fixed-sql.ts';
import { dice, randomRows } from '../support/random-room.ts';
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

describe.each(AREAS)('fixed: %s', (_, queries) => {
  it.each(queries)('%s', async (sql) => {
    await expectEqual(sql, sql.replaceAll('APPROX_QUANTILE', 'QUANTILE_DISC'));
  });
});

it('are at least 400 in all', () => {
  const fixed = AREAS.reduce((n, [, queries]) => n + queries.length, TABLE.length);
  expect(fixed).toBeGreaterThanOrEqual(400);
});
