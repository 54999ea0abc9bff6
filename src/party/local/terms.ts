import { expect } from '../../core/errors.ts';
import type { DatePart, LocalPredicate, Term } from '../../sql/plan.ts';
import { literalSql, predicateSql, type SqlColumns } from './predicate.ts';

const INTEGER = /^-?\d{1,40}$/;

/** An integer of a plan as a 128-bit constant. */
function hugeSql(text: string): string {
  expect(INTEGER.test(text), 'a number of a plan is an integer');
  return `CAST('${BigInt(text)}' AS HUGEINT)`;
}

const EPOCH = `DATE '1970-01-01'`;
/** DuckDB's name of a calendar field. */
const PART_SQL: Readonly<Record<DatePart, string>> = {
  year: 'year',
  quarter: 'quarter',
  month: 'month',
  week: 'week',
  day: 'day',
  dow: 'dow',
  isodow: 'isodow',
  doy: 'doy',
};
const PERIODS = new Set(['day', 'week', 'month', 'quarter', 'year']);

/**
 * A term as an SQL expression over a store's rows, in 128-bit integers: plans keep row values below
 * 2^100. As for predicates, nothing of a plan enters the text but parsed integers, words of fixed
 * lists and the store's own column names.
 *
 * @throws ParleyError INTERNAL when the plan breaks its own contract.
 */
export function termSql(term: Term, columns: SqlColumns): string {
  if ('value' in term) return literalSql(term);
  if ('column' in term) return columnSql(term, columns);
  const of = (inner: Term): string => termSql(inner, columns);
  switch (term.op) {
    case 'present':
      return 'CAST(1 AS HUGEINT)';
    case 'total':
      // What the row adds; the stage adds.
      return of(term.of);
    case '+':
    case '-':
    case '*':
      return `(${wide(of(term.left))} ${term.op} ${wide(of(term.right))})`;
    case 'least':
    case 'greatest':
    case 'coalesce':
      expect(term.terms.length > 0, 'a term has operands');
      return `${term.op}(${term.terms.map((inner) => wide(of(inner))).join(', ')})`;
    case 'case':
      return caseSql(term, columns);
    case 'clamp': {
      const value = wide(of(term.of));
      const held = `least(greatest(${value}, ${hugeSql(term.lower)}), ${hugeSql(term.upper)})`;
      return `(CASE WHEN ${value} IS NULL THEN NULL ELSE ${held} END)`;
    }
    case 'div':
    case 'mod': {
      const [value, by] = [wide(of(term.of)), hugeSql(term.by)];
      // DuckDB truncates; both are wanted towards minus infinity.
      const mod = `(((${value} % ${by}) + ${by}) % ${by})`;
      return term.op === 'mod' ? mod : `((${value} - ${mod}) // ${by})`;
    }
    case 'part': {
      expect(Object.hasOwn(PART_SQL, term.part), 'a part is one of the list');
      return `CAST(extract('${PART_SQL[term.part]}' FROM ${dateSql(of(term.of))}) AS HUGEINT)`;
    }
    case 'trunc': {
      expect(PERIODS.has(term.part), 'a period is one of the list');
      const first = `CAST(date_trunc('${term.part}', ${dateSql(of(term.of))}) AS DATE)`;
      return `CAST(${first} - ${EPOCH} AS HUGEINT)`;
    }
    case 'map': {
      expect(term.table.every(Number.isSafeInteger), 'a map holds integers');
      const list = term.table.map(String).join(', ');
      return `CAST([${list}][CAST(${of(term.of)} AS BIGINT) + 1] AS HUGEINT)`;
    }
  }
}

const wide = (sql: string): string => `CAST(${sql} AS HUGEINT)`;

const dateSql = (days: string): string => `(${EPOCH} + CAST(${days} AS INTEGER))`;

function columnSql(
  { column, scaleUp }: Extract<Term, { column: string }>,
  columns: SqlColumns,
): string {
  const name = columns.get(column);
  expect(name !== undefined, 'a plan names declared columns only');
  if (scaleUp === 1) return name;
  expect(Number.isSafeInteger(scaleUp) && scaleUp > 0, 'scaleUp is a positive integer');
  return `(CAST(${name} AS HUGEINT) * ${scaleUp})`;
}

function caseSql(term: Extract<Term, { op: 'case' }>, columns: SqlColumns): string {
  const when = ({ when: test, then }: { readonly when: LocalPredicate; readonly then: Term }) =>
    `WHEN ${predicateSql(test, columns)} THEN ${wide(termSql(then, columns))}`;
  const otherwise = wide(termSql(term.otherwise, columns));
  if (term.branches.length === 0) return otherwise;
  return `(CASE ${term.branches.map(when).join(' ')} ELSE ${otherwise} END)`;
}
