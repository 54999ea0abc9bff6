// Goal: comparisons that no owner can prepare alone, products of parties and values of three parties, are
// DuckDB's, three-valued, by the plain engine and through the protocol.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { decodeAnswer, releaseOf } from '../../src/client/index.ts';
import { ENUMERATED_MAX } from '../../src/sql/limits.ts';
import { combine, engineRoom } from '../support/engine.ts';
import { dice, randomRows } from '../support/random-room.ts';
import {
  answerPlain,
  difference,
  localTables,
  openSqlRoom,
  planIn,
  rowsOf,
  sqlPolicy,
  type SqlRoom,
} from '../support/sql-room.ts';

const ITEMS = 'LEAST(GREATEST(items, 0), 5)';
const POINTS = 'LEAST(GREATEST(points, 0), 4)';
const CONDITIONS = [
  `${ITEMS} * seconds > 20`,
  `NOT (${ITEMS} * seconds > 20)`,
  `(${ITEMS} * seconds > 20) IS NULL`,
  `${ITEMS} * seconds = seconds + 10`,
  `${ITEMS} * seconds BETWEEN 5 AND 60 AND exposure_date < purchase_date`,
  `${ITEMS} * LEAST(GREATEST(seconds, 0), 60) - total_spent <> 7.5`,
  `EXTRACT(day FROM purchase_date) * seconds >= 40.5`,
  // Three parties in one comparison.
  `total_spent + seconds > ${POINTS}`,
  `NOT (${ITEMS} + seconds <= ${POINTS})`,
  `${ITEMS} * seconds * ${POINTS} > 30`,
  `(purchase_date - exposure_date) * ${POINTS} < 6 OR tier = 'gold'`,
];
const RIGHT = [
  'SELECT COUNT(*), COUNT(p.items), SUM(x.seconds) FROM purchases p RIGHT JOIN exposures x ON p.email = x.email',
  'SELECT COUNT(*), COUNT(DISTINCT p.email) FROM purchases p RIGHT OUTER JOIN exposures x ON p.email = x.email AND p.online',
  `SELECT COUNT(*), SUM(p.items) FROM purchases p RIGHT JOIN exposures x ON p.email = x.email
   JOIN members m ON m.email = x.email WHERE p.email IS NULL`,
];

const dir = mkdtempSync(join(tmpdir(), 'parley-across-'));
let room: SqlRoom;
let protocol: Awaited<ReturnType<typeof engineRoom>>[];
beforeAll(async () => {
  room = await openSqlRoom(dir, sqlPolicy(3, 2), { ...randomRows(dice(909), 18, 2, true) });
  protocol = await Promise.all([2, 3].map((parties) => engineRoom({ parties })));
});
afterAll(() => {
  room.close();
  rmSync(dir, { recursive: true });
});

async function expectDuckDbs(sql: string, real: boolean): Promise<void> {
  const plan = planIn(room.policy, sql);
  const theirs = await room.ask(sql);
  expect(difference(rowsOf(await answerPlain(room, plan)), theirs, false), sql).toBeNull();
  if (!real) return;
  const engine = protocol[plan.sides.length - 2]!;
  const { open, cells } = combine(await engine.run(plan, await localTables(room, plan)));
  const ours = rowsOf(decodeAnswer(plan, open, cells, releaseOf(plan).widths));
  expect(difference(ours, theirs, false), sql).toBeNull();
}

describe('conditions', () => {
  it.each(CONDITIONS.map((condition, i) => [condition, i] as const))('%s', async (where, i) => {
    const from = /points|tier/.test(where)
      ? 'purchases JOIN exposures USING (email) JOIN members USING (email)'
      : 'purchases JOIN exposures USING (email)';
    await expectDuckDbs(
      `SELECT COUNT(*), COUNT(DISTINCT email) FROM ${from} WHERE ${where}`,
      [0, 4, 7].includes(i),
    );
    await expectDuckDbs(`SELECT SUM(CASE WHEN ${where} THEN items ELSE 1 END) FROM ${from}`, false);
  });
});

it('tries the declared values of a column in the units of the comparison', () => {
  const [first, ...rest] = room.policy.parties;
  const { purchases } = first!.tables;
  const items = { type: 'integer', nullable: false, values: ['3', '1', '7'] } as const;
  const columns = { ...purchases!.columns, items };
  const tables = { ...first!.tables, purchases: { ...purchases!, columns } };
  const policy = { ...room.policy, parties: [{ ...first!, tables }, ...rest] };
  // items · seconds has one digit after the point, total_spent two.
  const sql = 'SELECT COUNT(*) FROM joined_data WHERE items * seconds > total_spent';
  const text = JSON.stringify(planIn(policy, sql).sides.flatMap(({ bits }) => bits));
  const tried = [...text.matchAll(/"column":"items","scaleUp":10},"right":{"value":"(\d+)"}/g)];
  expect(tried.map((found) => found[1]).sort()).toEqual(['10', '30', '70']);
});

describe('RIGHT JOIN', () => {
  it.each(RIGHT)('%s', (sql) => expectDuckDbs(sql, true));
  it('is the plan of its LEFT JOIN', () => {
    const left = 'SELECT COUNT(*) FROM exposures x LEFT JOIN purchases p ON p.email = x.email';
    const right = 'SELECT COUNT(*) FROM purchases p RIGHT JOIN exposures x ON p.email = x.email';
    expect(planIn(room.policy, right)).toEqual(planIn(room.policy, left));
  });
});

describe('refused', () => {
  const refusal = (where: string): unknown => {
    try {
      return planIn(room.policy, `SELECT COUNT(*) FROM joined_data WHERE ${where}`);
    } catch (error) {
      return error;
    }
  };
  it.each([
    ['items * seconds > 10', 'products without few values'],
    ['total_spent * items > seconds * points', 'three parties without few values'],
    [`LEAST(GREATEST(items, 0), ${ENUMERATED_MAX}) * seconds > 10`, 'one value too many'],
  ])('%s: %s', (where) => {
    expect(refusal(where)).toMatchObject({
      code: 'SQL_UNSUPPORTED',
      detail: { hint: expect.stringContaining(`at most ${ENUMERATED_MAX} values`) as unknown },
    });
  });
  it('takes exactly so many values', () => {
    const most = `LEAST(GREATEST(items, 0), ${ENUMERATED_MAX - 1}) * seconds > 10`;
    expect(refusal(most)).toMatchObject({ version: 5 });
  });
});
