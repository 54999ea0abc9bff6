// Goal: a query over three or four tables has one plan whatever the order of its joins, with each
// condition at the one party, or between the two, that hold its columns.
import { describe, expect, it } from 'vitest';
import { splitContributions } from '../../src/sql/bounds.ts';
import { planDigest, planQuery } from '../../src/sql/index.ts';
import type { Plan } from '../../src/sql/index.ts';
import { OPEN_RULES, roomPolicy } from '../support/room-policy.ts';

const DIGEST = 'd'.repeat(64);
const planOf = (sql: string, parties = 4): Plan =>
  planQuery(roomPolicy(OPEN_RULES, 2, parties), DIGEST, sql, { epsilon: null });
const refusalOf = (sql: string, parties = 4): unknown => {
  try {
    planOf(sql, parties);
  } catch (error) {
    return error;
  }
  return null;
};

const WHERE = `WHERE x.exposure_date < p.purchase_date AND m.member_since < x.exposure_date
  AND m.tier = 'gold' AND (p.online OR m.points > 3) GROUP BY x.campaign_id`;
const SELECT = 'SELECT x.campaign_id, COUNT(*) AS n, SUM(m.points) AS points FROM';

describe('joins of three tables', () => {
  const plan = planOf(
    `${SELECT} purchases p JOIN exposures x ON p.email = x.email JOIN members m ON m.email = p.email ${WHERE}`,
  );

  it.each([
    'exposures x JOIN members m ON x.email = m.email JOIN purchases p ON p.email = m.email',
    'members m JOIN purchases p ON p.email = m.email JOIN exposures x ON m.email = x.email',
    'purchases p JOIN exposures x USING (email) JOIN members m USING (email)',
  ])('have one plan: %s', (from) => {
    expect(planDigest(planOf(`${SELECT} ${from} ${WHERE}`))).toBe(planDigest(plan));
  });

  it('put the owner of the groups first, the others in policy order', () => {
    expect(plan.sides.map(({ party }) => party)).toEqual(['newsnow', 'shopgood', 'pointsplus']);
    expect(plan.groups).toMatchObject([{ side: 0, column: 'campaign_id' }]);
    expect(plan.measures.map(({ measure }) => measure)).toContainEqual({
      kind: 'sum',
      side: 2,
      column: 'points',
    });
  });

  it('push conditions of one table down and keep those between two', () => {
    expect(plan.sides[2]!.filter).toMatchObject({ op: '=', left: { column: 'tier' } });
    expect(plan.sides.map(({ bits }) => bits.length)).toEqual([0, 1, 1]);
    expect(plan.pair).toMatchObject({
      kind: 'and',
      terms: [
        {
          kind: 'or',
          terms: [
            { kind: 'bit', side: 1 },
            { kind: 'bit', side: 2 },
          ],
        },
        { op: '<', left: { side: 0, column: 'exposure_date' }, right: { side: 1 } },
        { op: '>', left: { side: 0, column: 'exposure_date' }, right: { side: 2 } },
      ],
    });
  });

  it('pin their digest', () => {
    expect(planDigest(plan)).toMatchInlineSnapshot(
      `"05893d2f176c9c60aa8983d4592be457320d033f7484e9428940de21dc04b925"`,
    );
  });
});

describe('a pivot without groups', () => {
  it('is the party that makes the star cheapest', () => {
    const policy = roomPolicy(OPEN_RULES, 2, 3);
    const parties = policy.parties.map((party, i) => ({
      ...party,
      tables: Object.fromEntries(
        Object.entries(party.tables).map(([name, table]) => [
          name,
          { ...table, max_users: [900, 100, 500][i]! },
        ]),
      ),
    }));
    const sql = 'SELECT COUNT(*) FROM joined_data';
    const { sides } = planQuery({ ...policy, parties }, DIGEST, sql, { epsilon: null });
    expect(sides.map(({ party }) => party)).toEqual(['newsnow', 'shopgood', 'pointsplus']);
  });
});

describe('refused', () => {
  it.each([
    ['a condition that joins nothing new', 'purchases p JOIN exposures x ON p.email = p.email'],
    [
      'a table joined to none of those before',
      'purchases p JOIN exposures x ON p.email = x.email JOIN members m ON p.email = x.email',
    ],
    [
      'a table used before it is named',
      'purchases p JOIN exposures x ON m.email = x.email JOIN members m ON p.email = m.email',
    ],
    ['two tables of one party', 'purchases p JOIN purchases q ON p.email = q.email'],
  ])('%s', (_, from) => {
    const error = refusalOf(`SELECT COUNT(*) FROM ${from}`);
    expect(error).toMatchObject({ code: expect.stringMatching(/^SQL_/) as unknown });
  });

  it('a fifth table, and a view joined further', () => {
    const four = `purchases p JOIN exposures x USING (email) JOIN members m USING (email)
      JOIN answers a USING (email)`;
    expect(refusalOf(`SELECT COUNT(*) FROM ${four}`)).toBeNull();
    expect(refusalOf(`SELECT COUNT(*) FROM ${four} JOIN purchases q USING (email)`)).toMatchObject({
      code: 'SQL_UNSUPPORTED',
    });
    expect(
      refusalOf('SELECT COUNT(*) FROM joined_data JOIN members m USING (hashed_email)', 3),
    ).toMatchObject({ code: 'SQL_UNSUPPORTED' });
  });

  it('a column that several tables have', () => {
    const from = 'purchases p JOIN exposures x USING (email)';
    expect(refusalOf(`SELECT COUNT(email) FROM ${from}`)).toBeNull();
    expect(refusalOf(`SELECT SUM(nothing) FROM ${from}`)).toMatchObject({
      code: 'SQL_UNKNOWN_COLUMN',
    });
  });
});

it.each([
  [4, [2, 2], [2, 2]],
  [4, [2, 2, 1], [2, 2, 1]],
  [5, [3, 3, 3], [2, 2, 1]],
  [8, [4, 4, 4], [2, 2, 2]],
  [12, [2, 8, 3], [2, 3, 2]],
  [1, [9, 9, 9, 9], [1, 1, 1, 1]],
])('splits %i joined rows over %j as %j', (c, rows, expected) => {
  expect(splitContributions(c, rows)).toEqual(expected);
});
