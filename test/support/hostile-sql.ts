// Texts made to cost a reader time, memory or its stack. Over the tables of test/sql/policies.ts.
import type { ErrorCode } from '../../src/core/errors.ts';

export interface Hostile {
  readonly name: string;
  readonly sql: string;
  readonly code: ErrorCode;
}

const where = (condition: string): string => `SELECT COUNT(*) FROM joined_data WHERE ${condition}`;
const sum = (value: string): string => `SELECT SUM(${value}) FROM joined_data`;
const nested = (open: string, inner: string, close: string, n: number): string =>
  `${open.repeat(n)}${inner}${close.repeat(n)}`;
const list = (n: number, item: (i: number) => string): string[] =>
  Array.from({ length: n }, (_, i) => item(i));
const across = (i: number): string => `(exposure_date < purchase_date + ${i})`;
const days = (i: number): string =>
  i % 2 === 0 ? `(purchase_date - exposure_date + ${i})` : 'total_spent';

const SIZES: readonly (readonly [string, string, ErrorCode])[] = [
  ['100,000 literals', where(`total_spent IN (${list(100_000, String).join()})`), 'SQL_TOO_LARGE'],
  ['30,000 literals', where(`total_spent IN (${'1,'.repeat(30_000)}1)`), 'SQL_TOO_LARGE'],
  ['a literal of 10 MB', where(`category = '${'x'.repeat(10_000_000)}'`), 'SQL_TOO_LARGE'],
  ['a number of 10 MB', where(`total_spent = ${'1'.repeat(10_000_000)}`), 'SQL_TOO_LARGE'],
  ['a number of 60 KB', where(`total_spent = ${'1'.repeat(60_000)}`), 'SQL_BAD_LITERAL'],
  ['60,000 commas', `SELECT ${','.repeat(60_000)}`, 'SQL_TOO_LARGE'],
  ['30,000 words', `SELECT ${'a '.repeat(30_000)}`, 'SQL_TOO_LARGE'],
  ['15,000 sums', sum(`total_spent${' + 1'.repeat(15_000)}`), 'SQL_TOO_LARGE'],
  ['60,000 empty lines', `${'\n'.repeat(60_000)}$`, 'SQL_UNSUPPORTED'],
  ['an open string of 15,000 quotes', `SELECT ${"'a''".repeat(15_000)}`, 'SQL_SYNTAX'],
];

const DEPTHS: readonly (readonly [string, string, ErrorCode])[] = [
  ['30,000 parentheses', `SELECT ${'('.repeat(30_000)}`, 'SQL_TOO_DEEP'],
  ['16,000 NOTs', where('NOT '.repeat(16_000)), 'SQL_TOO_DEEP'],
  ['15,000 signs', where(`total_spent > ${'- '.repeat(15_000)}1`), 'SQL_TOO_DEEP'],
  ['6,000 CASEs', where('CASE WHEN '.repeat(6000)), 'SQL_TOO_DEEP'],
  ['30,000 comment openings', '/*'.repeat(30_000), 'SQL_SYNTAX'],
  ['90 nested ABS', sum(nested('ABS(', 'total_spent', ')', 90)), 'SQL_TOO_LARGE'],
];

/** Small texts that double at every level. */
const DOUBLING: readonly (readonly [string, string, ErrorCode])[] = [
  [
    'equality of conditions across parties',
    where(list(25, across).reduce((a, b) => `(${a} = ${b})`)),
    'SQL_TOO_LARGE',
  ],
  [
    'equality of conditions of one party',
    where(list(25, (i) => `(total_spent < ${i})`).reduce((a, b) => `(${a} = ${b})`)),
    'SQL_TOO_LARGE',
  ],
  [
    'CASE over conditions',
    where(list(20, across).reduce((a, b) => `(CASE WHEN ${a} THEN ${b} ELSE NOT (${b}) END)`)),
    'SQL_TOO_LARGE',
  ],
  [
    'NULLIF of conditions',
    where(nested('NULLIF(', 'exposure_date < purchase_date', ', total_spent > 1)', 30)),
    'SQL_TOO_LARGE',
  ],
  ['LEAST across parties', sum(`LEAST(${list(40, days).join()})`), 'SQL_TOO_LARGE'],
  [
    'nested LEAST across parties',
    sum(nested('LEAST(', 'exposure_date - purchase_date', ', 3)', 30)),
    'SQL_TOO_LARGE',
  ],
  ['a comparison of LEAST', where(`LEAST(${list(40, days).join()}) > 3`), 'SQL_TOO_LARGE'],
  [
    'CASE against CASE',
    where(
      ['<', '>']
        .map((op) => list(100, (i) => `WHEN exposure_date ${op} purchase_date + ${i} THEN ${i}`))
        .map((branches) => `CASE ${branches.join(' ')} ELSE total_spent END`)
        .join(' = '),
    ),
    'SQL_TOO_LARGE',
  ],
  [
    'products of conditional sums',
    sum(list(30, (i) => `(${i} + CASE WHEN ${across(i)} THEN 1 ELSE total_spent END)`).join(' * ')),
    'OVERFLOW_POSSIBLE',
  ],
];

const TRICKS: readonly (readonly [string, string, ErrorCode])[] = [
  ['a Cyrillic look-alike', 'SELECT SUM(tot\u0430l_spent) FROM joined_data', 'SQL_SYNTAX'],
  ['a full-width look-alike', '\uff33ELECT COUNT(*) FROM joined_data', 'SQL_SYNTAX'],
  ['a quoted look-alike', sum('"tot\u0430l_spent"'), 'SQL_UNKNOWN_COLUMN'],
  ['an unseen mark in a name', sum('"total\u200b_spent"'), 'SQL_SYNTAX'],
  ['a right-to-left override', sum('"total_spent\u202e"'), 'SQL_SYNTAX'],
  ['__proto__ as a column', sum('__proto__'), 'SQL_UNKNOWN_COLUMN'],
  ['constructor as a table', 'SELECT COUNT(*) FROM "constructor"', 'SQL_UNKNOWN_TABLE'],
  ['__proto__ as a party', 'SELECT COUNT(*) FROM __proto__.purchases', 'SQL_UNKNOWN_TABLE'],
  ['toString as a function', sum('toString(total_spent)'), 'SQL_UNKNOWN_FUNCTION'],
  [
    'a second statement',
    'SELECT COUNT(*) FROM joined_data; DROP TABLE p',
    'SQL_MULTIPLE_STATEMENTS',
  ],
  [
    'a second statement behind comments',
    'SELECT COUNT(*) FROM joined_data /* ; /* ; */ */ ; -- ;\nSELECT 1',
    'SQL_MULTIPLE_STATEMENTS',
  ],
  [
    'a comment that hides a clause',
    'SELECT COUNT(*) FROM joined_data --\rWHERE nothing = 1',
    'SQL_UNKNOWN_COLUMN',
  ],
  ['an unknown function', sum('pg_sleep(1000)'), 'SQL_UNKNOWN_FUNCTION'],
  ['a reader of files', "SELECT COUNT(*) FROM read_csv('/etc/passwd')", 'SQL_UNSUPPORTED'],
];

export const HOSTILE: readonly Hostile[] = [...SIZES, ...DEPTHS, ...DOUBLING, ...TRICKS].map(
  ([name, sql, code]) => ({ name, sql, code }),
);
