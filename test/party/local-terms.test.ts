// Goal: what a party computes of its own rows, in DuckDB's 128-bit integers, is what the meaning of a
// term says: one evaluator in SQL, one in TypeScript, on random terms, dates from year 1 to 9999.
import { DuckDBInstance } from '@duckdb/node-api';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { predicateSql } from '../../src/party/local/predicate.ts';
import { termSql } from '../../src/party/local/terms.ts';
import { evaluatePredicate, evaluateTerm, isoOf, daysOf } from '../../src/sql/index.ts';
import type { LocalPredicate, Term } from '../../src/sql/plan.ts';

/** Coded values of a row: two numbers, a date, an index. */
const NAMES = ['a', 'b', 'd', 't'] as const;
type Row = Readonly<Record<(typeof NAMES)[number], number | null>>;

const ROWS: readonly Row[] = [
  { a: 0, b: 1, d: 0, t: 0 },
  { a: -1234, b: 999_999_999_999, d: 20_089, t: 1 },
  { a: 9_999_999_999, b: -7, d: 19_782, t: 2 },
  { a: null, b: 3, d: -719_162, t: 1 },
  { a: 5, b: null, d: 2_932_896, t: null },
  { a: 12, b: 40, d: null, t: 2 },
  { a: 10_050, b: 2, d: 11_016, t: 0 },
  { a: -999_999_999_999, b: -999_999_999_999, d: -25_567, t: 1 },
];

const column = (name: string, scaleUp = 1): Term => ({ column: name, scaleUp });
const some = <T>(...values: T[]): fc.Arbitrary<T> => fc.constantFrom(...values);
const someNumber = some('0', '1', '-1', '7', '100', '-12345', '999999999999');

/** Terms that stay below 2^100: products of two leaves at most. */
const leaf: fc.Arbitrary<Term> = fc.oneof(
  some(column('a'), column('b'), column('a', 100), column('d'), column('t')),
  fc.record({ value: fc.option(someNumber, { freq: 4 }) }),
);
const date: fc.Arbitrary<Term> = some<Term>(column('d'), { value: '59' }, { value: null });

const { term: someTerm, predicate: somePredicate } = fc.letrec<{
  term: Term;
  predicate: LocalPredicate;
}>((tie) => ({
  term: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    leaf,
    fc.record({ op: some('+' as const, '-' as const), left: tie('term'), right: tie('term') }),
    fc.record({ op: fc.constant('*' as const), left: leaf, right: leaf }),
    fc.record({
      op: some('least' as const, 'greatest' as const, 'coalesce' as const),
      terms: fc.array(tie('term'), { minLength: 1, maxLength: 3 }),
    }),
    fc.record({
      op: fc.constant('case' as const),
      branches: fc.array(fc.record({ when: tie('predicate'), then: tie('term') }), {
        maxLength: 3,
      }),
      otherwise: tie('term'),
    }),
    fc.record({
      op: fc.constant('clamp' as const),
      lower: fc.constant('-50'),
      upper: fc.constant('5000'),
      of: tie('term'),
    }),
    fc.record({
      op: some('div' as const, 'mod' as const),
      by: some('1', '3', '782', `${1n << 40n}`),
      of: tie('term'),
    }),
    fc.record({
      op: fc.constant('part' as const),
      part: some('year' as const, 'quarter', 'month', 'week', 'day', 'dow', 'isodow', 'doy'),
      of: date,
    }),
    fc.record({
      op: fc.constant('trunc' as const),
      part: some('day' as const, 'week', 'month', 'quarter', 'year'),
      of: some<Term>(column('d'), { value: '59' }),
    }),
    fc.record({
      op: fc.constant('map' as const),
      table: fc.constant([4, -1, 2]),
      of: some(column('t')),
    }),
    fc.constant<Term>({ op: 'present' }),
  ) as fc.Arbitrary<Term>,
  predicate: fc.oneof(
    { depthSize: 'small' },
    fc.record({
      kind: fc.constant('compare' as const),
      op: some('=' as const, '<>', '<', '<=', '>', '>='),
      left: tie('term'),
      right: tie('term'),
    }),
    fc.record({ kind: fc.constant('isNull' as const), term: tie('term') }),
    fc.record({ kind: fc.constant('not' as const), term: tie('predicate') }),
    fc.record({
      kind: some('and' as const, 'or' as const),
      terms: fc.array(tie('predicate'), { minLength: 1, maxLength: 2 }),
    }),
  ) as fc.Arbitrary<LocalPredicate>,
}));

const COLUMNS = new Map<string, string>(NAMES.map((name) => [name, name]));

it('evaluates terms and predicates as SQL does', async () => {
  const db = await DuckDBInstance.create(':memory:');
  const connection = await db.connect();
  await connection.run('CREATE TABLE r (n INTEGER, a BIGINT, b BIGINT, d INTEGER, t INTEGER)');
  for (const [n, row] of ROWS.entries()) {
    await connection.run(
      `INSERT INTO r VALUES (${n}, ${NAMES.map((c) => row[c] ?? 'NULL').join()})`,
    );
  }
  const terms = fc.sample(someTerm, { seed: 41, numRuns: 250 });
  const predicates = fc.sample(somePredicate, { seed: 42, numRuns: 120 });
  const read =
    (row: Row) =>
    (name: string): bigint | null => {
      const value = row[name as keyof Row];
      return value === null ? null : BigInt(value);
    };
  const textOf = (value: bigint | boolean | null): string | null =>
    value === null ? null : String(value);
  let known = 0;
  const check = async (sql: string, ours: readonly (bigint | boolean | null)[]): Promise<void> => {
    const reader = await connection.runAndReadAll(`SELECT (${sql})::VARCHAR FROM r ORDER BY n`);
    const theirs = reader.getRows().map(([value]) => value);
    expect(ours.map(textOf), sql).toEqual(theirs);
    known += ours.filter((value) => value !== null).length;
  };
  for (const term of terms) {
    const ours = ROWS.map((row) => evaluateTerm(term, read(row), true));
    await check(termSql(term, COLUMNS), ours);
  }
  for (const predicate of predicates) {
    const ours = ROWS.map((row) => evaluatePredicate(predicate, read(row), true));
    await check(predicateSql(predicate, COLUMNS), ours);
  }
  expect(known).toBeGreaterThan(1000);
  connection.closeSync();
  db.closeSync();
});

it('knows the calendar day by day', () => {
  for (const [first, last] of [
    ['0001-01-01', '0005-01-01'],
    ['1896-01-01', '1904-12-31'],
    ['1999-12-01', '2004-03-02'],
    ['9999-01-01', '9999-12-31'],
  ] as const) {
    for (let day = daysOf(first)!; day <= daysOf(last)!; day += 1) {
      expect(daysOf(isoOf(day))).toBe(day);
    }
  }
});
