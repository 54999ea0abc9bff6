// Goal: what a plan makes of WHERE (filters, bits and the pair predicate) is TRUE for exactly the
// row pairs the text is TRUE for, by three-valued logic, by a reference here and by DuckDB.
import { DuckDBInstance } from '@duckdb/node-api';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { planQuery, type Plan } from '../../src/sql/index.ts';
import { LEFT, RIGHT, someRow, someTree, sqlOf, sqlText, TABLES, truthOf } from './conditions.ts';
import { qualifies, type Row } from './interpret.ts';
import { DIGEST, seedPolicy } from './policies.ts';

const POLICY = seedPolicy({ ...TABLES, names: ['ta', 'tb'], differential: 'off' });
const FROM = 'FROM ta JOIN tb ON ta.email = tb.email';

function planWhere(where: string): Plan {
  return planQuery(POLICY, DIGEST, `SELECT COUNT(*) ${FROM} WHERE ${where}`, { epsilon: null });
}

function inSideOrder(plan: Plan, left: Row, right: Row): readonly [Row, Row] {
  return plan.sides[0]!.table === 'ta' ? [left, right] : [right, left];
}

it('keeps exactly the pairs a three-valued reference keeps', () => {
  let kept = 0;
  let all = 0;
  fc.assert(
    fc.property(
      someTree,
      fc.array(someRow(LEFT), { minLength: 4, maxLength: 4 }),
      fc.array(someRow(RIGHT), { minLength: 4, maxLength: 4 }),
      (tree, lefts, rights) => {
        const plan = planWhere(sqlText(tree));
        for (const left of lefts) {
          for (const right of rights) {
            const wanted = truthOf(tree, { ...left, ...right }) === true;
            if (qualifies(plan, inSideOrder(plan, left, right)) !== wanted) {
              expect.fail(`${sqlText(tree)} should be ${wanted}`);
            }
            kept += wanted ? 1 : 0;
            all += 1;
          }
        }
      },
    ),
    { numRuns: 800 },
  );
  // The generator must not settle on conditions that are always or never true.
  expect(kept / all).toBeGreaterThan(0.1);
  expect(kept / all).toBeLessThan(0.9);
});

it('keeps exactly the pairs DuckDB keeps', async () => {
  const db = await DuckDBInstance.create(':memory:');
  const connection = await db.connect();
  const [lefts] = fc.sample(fc.array(someRow(LEFT), { minLength: 9, maxLength: 9 }), {
    seed: 5,
    numRuns: 1,
  });
  const [rights] = fc.sample(fc.array(someRow(RIGHT), { minLength: 9, maxLength: 9 }), {
    seed: 6,
    numRuns: 1,
  });
  const types: Readonly<Record<string, string>> = {
    date: 'DATE',
    decimal: 'DECIMAL(18, 3)',
    integer: 'BIGINT',
    text: 'VARCHAR',
    boolean: 'BOOLEAN',
  };
  for (const [name, columns, rows] of [
    ['ta', LEFT, lefts!],
    ['tb', RIGHT, rights!],
  ] as const) {
    const declared = Object.entries(columns).map(([c, { type }]) => `${c} ${types[type]!}`);
    await connection.run(`CREATE TABLE ${name} (email VARCHAR, id INT, ${declared.join(', ')})`);
    for (const [i, row] of rows.entries()) {
      const cells = Object.keys(columns).map((c) => sqlOf(c, row[c]!));
      await connection.run(`INSERT INTO ${name} VALUES ('u', ${i}, ${cells.join(', ')})`);
    }
  }
  for (const tree of fc.sample(someTree, { seed: 7, numRuns: 150 })) {
    const where = sqlText(tree);
    const reader = await connection.runAndReadAll(
      `SELECT ta.id * 100 + tb.id AS pair ${FROM} WHERE ${where} ORDER BY 1`,
    );
    const theirs = reader.getRowsJS().map(([pair]) => Number(pair));
    const plan = planWhere(where);
    const ours = lefts!.flatMap((left, i) =>
      rights!.flatMap((right, j) =>
        qualifies(plan, inSideOrder(plan, left, right)) ? [i * 100 + j] : [],
      ),
    );
    expect(ours, where).toEqual(theirs);
  }
  connection.closeSync();
  db.closeSync();
});

it('reads AND before OR and NOT before both', () => {
  const same = (a: string, b: string): void => expect(planWhere(a).pair).toEqual(planWhere(b).pair);
  same('b1 OR b2 AND d1 < d2', 'b1 OR (b2 AND d1 < d2)');
  same('NOT b1 AND d1 < d2 OR b2', '((NOT b1) AND d1 < d2) OR b2');
  same('NOT d1 < d2 OR b2', '(NOT (d1 < d2)) OR b2');
  expect(planWhere('(b1 OR b2) AND d1 < d2').pair).not.toEqual(
    planWhere('b1 OR b2 AND d1 < d2').pair,
  );
});

it('pushes conjuncts of one table down and gathers the rest into one bit per table', () => {
  const plan = planWhere('b1 AND i2 = 2 AND (d1 < d2 OR i1 > 1 OR n1 IS NULL OR i2 = 0)');
  expect(plan.sides.map((side) => side.table)).toEqual(['ta', 'tb']);
  expect(plan.sides[0]!.filter).toMatchObject({ kind: 'compare', left: { column: 'b1' } });
  expect(plan.sides[1]!.filter).toMatchObject({ kind: 'compare', left: { column: 'i2' } });
  expect(plan.sides[0]!.bits).toHaveLength(1);
  expect(plan.sides[0]!.bits[0]).toMatchObject({ kind: 'or' });
  expect(plan.pair).toMatchObject({
    kind: 'or',
    terms: [
      { kind: 'bit', side: 0, index: 0 },
      { kind: 'bit', side: 1, index: 0 },
      { kind: 'compare', op: '<' },
    ],
  });
  expect(plan.sides[0]!.columns).toEqual(['d1']);
});

it('folds constants away', () => {
  const nothing = planWhere('1 = 1 OR d1 < d2');
  expect([nothing.pair, nothing.sides[0]!.filter, nothing.sides[1]!.filter]).toEqual([
    null,
    null,
    null,
  ]);
  const never = planWhere('d1 < d2 AND NULL');
  const no = { kind: 'constant', value: false };
  expect([never.pair, never.sides[0]!.filter, never.sides[1]!.filter]).toEqual([null, no, no]);
  expect(planWhere('NOT (NULL AND b1)').sides[0]!.filter).toMatchObject({
    op: '=',
    right: { value: '0' },
  });
});
