// Goal: whatever is not explicitly supported is refused, with a stable code, the offending fragment
// and a hint, and never with anything but a ParleyError.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ParleyError, type ErrorCode } from '../../src/core/errors.ts';
import { planQuery } from '../../src/sql/index.ts';
import { DIGEST, exposures, PRIVATE, purchases, seedPolicy } from './policies.ts';

const POLICY = seedPolicy();
const JOIN = 'FROM purchases p JOIN exposures x ON p.email = x.email';
const where = (condition: string): string => `SELECT COUNT(*) FROM joined_data WHERE ${condition}`;

function refusalOf(sql: string, policy = POLICY, epsilon: string | null = null): ParleyError {
  try {
    planQuery(policy, DIGEST, sql, { epsilon });
  } catch (error) {
    if (error instanceof ParleyError) return error;
    throw error;
  }
  return expect.fail(`planned: ${sql}`);
}

/** Statement, code, and what the fragment must hold. */
type Case = readonly [sql: string, code: ErrorCode, fragment?: string];

const STATEMENTS: readonly Case[] = [
  ['', 'SQL_SYNTAX'],
  [';', 'SQL_SYNTAX', ';'],
  ['-- nothing', 'SQL_SYNTAX'],
  ['SELEC COUNT(*) FROM joined_data', 'SQL_SYNTAX', 'SELEC'],
  ['SELECT', 'SQL_SYNTAX'],
  ['SELECT FROM joined_data', 'SQL_SYNTAX', 'FROM'],
  ['SELECT COUNT(*) FROM joined_data WHERE', 'SQL_SYNTAX'],
  ['SELECT COUNT(*), FROM joined_data', 'SQL_SYNTAX', 'FROM'],
  ['SELECT COUNT(* FROM joined_data', 'SQL_SYNTAX', 'FROM'],
  ['SELECT COUNT(*) FROM joined_data)', 'SQL_SYNTAX', ')'],
  ['SELECT COUNT(*) FROM joined_data GROUP campaign_id', 'SQL_SYNTAX', 'GROUP'],
  ['DROP TABLE purchases', 'SQL_NOT_SELECT', 'DROP'],
  ['INSERT INTO purchases VALUES (1)', 'SQL_NOT_SELECT', 'INSERT'],
  ['update purchases set total_spent = 0', 'SQL_NOT_SELECT', 'update'],
  ['SET search_path = x', 'SQL_NOT_SELECT', 'SET'],
  ["COPY purchases TO '/tmp/x'", 'SQL_NOT_SELECT', 'COPY'],
  ['EXPLAIN ANALYZE SELECT COUNT(*) FROM joined_data', 'SQL_NOT_SELECT', 'EXPLAIN'],
  ['PRAGMA database_list', 'SQL_NOT_SELECT', 'PRAGMA'],
  ['VALUES (1)', 'SQL_NOT_SELECT', 'VALUES'],
  ['(SELECT COUNT(*) FROM joined_data)', 'SQL_UNSUPPORTED', '('],
  ['SELECT COUNT(*) FROM joined_data; DROP TABLE x', 'SQL_MULTIPLE_STATEMENTS', 'DROP'],
  ['SELECT COUNT(*) FROM joined_data; -- x\nSELECT 1', 'SQL_MULTIPLE_STATEMENTS', 'SELECT'],
  ['SELECT COUNT(*) FROM joined_data /* ; */ ; /* */ SELECT 1', 'SQL_MULTIPLE_STATEMENTS'],
  ['WITH q AS (SELECT 1) SELECT COUNT(*) FROM q', 'SQL_UNSUPPORTED', 'WITH'],
  ['SELECT COUNT(*) FROM joined_data UNION SELECT 1', 'SQL_UNSUPPORTED', 'UNION'],
  ['SELECT COUNT(*) FROM joined_data EXCEPT SELECT 1', 'SQL_UNSUPPORTED', 'EXCEPT'],
  ['SELECT COUNT(*) FROM joined_data FOR UPDATE', 'SQL_UNSUPPORTED', 'FOR'],
  ['SELECT COUNT(*) FROM joined_data /* open', 'SQL_SYNTAX', '/*'],
  ['SELECT COUNT(*) INTO q FROM joined_data', 'SQL_UNSUPPORTED', 'INTO'],
];

const LISTS: readonly Case[] = [
  ['SELECT * FROM joined_data', 'SQL_SELECT_STAR', '*'],
  ['SELECT p.* ' + JOIN, 'SQL_SELECT_STAR', 'p.*'],
  ['SELECT COUNT(*), * FROM joined_data', 'SQL_SELECT_STAR', '*'],
  ['SELECT DISTINCT campaign_id FROM joined_data', 'SQL_UNSUPPORTED', 'DISTINCT'],
  ['SELECT ALL campaign_id FROM joined_data', 'SQL_UNSUPPORTED', 'ALL'],
  ['SELECT campaign_id FROM joined_data', 'SQL_BARE_COLUMN', 'campaign_id'],
  ['SELECT campaign_id, COUNT(*) FROM joined_data', 'SQL_BARE_COLUMN', 'campaign_id'],
  [
    'SELECT category, COUNT(*) FROM joined_data GROUP BY campaign_id',
    'SQL_BARE_COLUMN',
    'category',
  ],
  ['SELECT hashed_email FROM joined_data', 'SQL_PRIVACY_UNIT', 'hashed_email'],
  ['SELECT hashed_email, COUNT(*) FROM joined_data GROUP BY 1', 'SQL_PRIVACY_UNIT', 'hashed_email'],
  ['SELECT campaign_id FROM joined_data GROUP BY campaign_id', 'SQL_NO_AGGREGATE'],
  ['SELECT 1 FROM joined_data', 'SQL_UNSUPPORTED', '1'],
  ["SELECT COUNT(*), 'x' FROM joined_data", 'SQL_UNSUPPORTED', "'x'"],
  ['SELECT SUM(nope) FROM joined_data', 'SQL_UNKNOWN_COLUMN', 'nope'],
  ['SELECT SUM(__proto__) FROM joined_data', 'SQL_UNKNOWN_COLUMN', '__proto__'],
  ['SELECT SUM(constructor) FROM joined_data', 'SQL_UNKNOWN_COLUMN', 'constructor'],
  ['SELECT SUM("Total_Spent") FROM joined_data', 'SQL_UNKNOWN_COLUMN', '"Total_Spent"'],
  ['SELECT SUM(category) FROM joined_data', 'SQL_TYPE_MISMATCH', 'SUM(category)'],
  ['SELECT AVG(exposure_date) FROM joined_data', 'SQL_TYPE_MISMATCH', 'AVG(exposure_date)'],
  ['SELECT SUM(hashed_email) FROM joined_data', 'SQL_PRIVACY_UNIT', 'hashed_email'],
  ['SELECT SUM(DISTINCT total_spent) FROM joined_data', 'SQL_UNSUPPORTED', 'DISTINCT'],
  ['SELECT COUNT(DISTINCT category) FROM joined_data', 'SQL_UNSUPPORTED', 'category'],
  ['SELECT COUNT(DISTINCT *) FROM joined_data', 'SQL_UNSUPPORTED', '*'],
  ['SELECT COUNT(category, campaign_id) FROM joined_data', 'SQL_UNSUPPORTED'],
  ['SELECT SUM(*) FROM joined_data', 'SQL_UNSUPPORTED', '*'],
  ['SELECT SUM(total_spent + 1) FROM joined_data', 'SQL_UNSUPPORTED', '+'],
  ['SELECT SUM(total_spent) / COUNT(*) FROM joined_data', 'SQL_UNSUPPORTED', '/'],
  ['SELECT SUM(-total_spent) FROM joined_data', 'SQL_UNSUPPORTED', '-'],
  ['SELECT SUM(total_spent)::int FROM joined_data', 'SQL_UNSUPPORTED', '::'],
  ['SELECT COUNT(*) FILTER (WHERE TRUE) FROM joined_data', 'SQL_UNSUPPORTED', 'FILTER'],
  ['SELECT SUM(total_spent) OVER () FROM joined_data', 'SQL_UNSUPPORTED', 'OVER'],
  ['SELECT MAX(total_spent) FROM joined_data', 'SQL_UNSUPPORTED', 'MAX'],
  ['SELECT stddev(total_spent) FROM joined_data', 'SQL_UNSUPPORTED', 'stddev'],
  ['SELECT now() FROM joined_data', 'SQL_UNKNOWN_FUNCTION', 'now'],
  ["SELECT pg_read_file('/etc/passwd') FROM joined_data", 'SQL_UNKNOWN_FUNCTION', 'pg_read_file'],
  ['SELECT pg_catalog.version() FROM joined_data', 'SQL_UNKNOWN_FUNCTION', 'pg_catalog.version'],
  ['SELECT CASE WHEN TRUE THEN 1 END FROM joined_data', 'SQL_UNSUPPORTED', 'CASE'],
  ['SELECT CAST(total_spent AS int) FROM joined_data', 'SQL_UNSUPPORTED', 'CAST'],
  ['SELECT EXTRACT(year FROM exposure_date) FROM joined_data', 'SQL_UNSUPPORTED', 'EXTRACT'],
  ['SELECT (SELECT 1), COUNT(*) FROM joined_data', 'SQL_UNSUPPORTED', 'SELECT'],
  ['SELECT COUNT(*) AS a, SUM(total_spent) AS A FROM joined_data', 'SQL_DUPLICATE_COLUMN'],
  ["SELECT COUNT(*) AS 'x' FROM joined_data", 'SQL_SYNTAX', "'x'"],
  ['SELECT COUNT(*) AS "a\u200bb" FROM joined_data', 'SQL_SYNTAX'],
];

const SOURCES: readonly Case[] = [
  ['SELECT COUNT(*)', 'SQL_BAD_JOIN'],
  ['SELECT COUNT(*) FROM purchases', 'SQL_BAD_JOIN', 'purchases'],
  ['SELECT COUNT(*) FROM nowhere', 'SQL_UNKNOWN_TABLE', 'nowhere'],
  ['SELECT COUNT(*) FROM __proto__', 'SQL_UNKNOWN_TABLE', '__proto__'],
  ['SELECT COUNT(*) FROM constructor', 'SQL_UNKNOWN_TABLE', 'constructor'],
  ['SELECT COUNT(*) FROM newsnow.purchases', 'SQL_UNKNOWN_TABLE', 'newsnow.purchases'],
  ['SELECT COUNT(*) FROM a.b.c', 'SQL_SYNTAX', '.'],
  ['SELECT COUNT(*) FROM purchases, exposures', 'SQL_BAD_JOIN', ','],
  ['SELECT COUNT(*) FROM purchases CROSS JOIN exposures', 'SQL_UNSUPPORTED', 'CROSS'],
  ['SELECT COUNT(*) FROM purchases NATURAL JOIN exposures', 'SQL_UNSUPPORTED', 'NATURAL'],
  ['SELECT COUNT(*) FROM purchases LEFT JOIN exposures USING (email)', 'SQL_UNSUPPORTED', 'LEFT'],
  ['SELECT COUNT(*) FROM purchases JOIN exposures', 'SQL_BAD_JOIN', 'exposures'],
  ['SELECT COUNT(*) FROM purchases JOIN exposures USING (category)', 'SQL_BAD_JOIN'],
  ['SELECT COUNT(*) FROM purchases JOIN exposures USING (email, category)', 'SQL_BAD_JOIN'],
  ['SELECT COUNT(*) FROM purchases p JOIN exposures x ON p.email <> x.email', 'SQL_BAD_JOIN'],
  ['SELECT COUNT(*) FROM purchases p JOIN exposures x ON p.email = p.email', 'SQL_BAD_JOIN'],
  ['SELECT COUNT(*) FROM purchases p JOIN exposures x ON TRUE', 'SQL_BAD_JOIN', 'ON TRUE'],
  [`SELECT COUNT(*) ${JOIN} AND p.category = 'home'`, 'SQL_BAD_JOIN', "category = 'home'"],
  [`SELECT COUNT(*) ${JOIN} OR TRUE`, 'SQL_BAD_JOIN'],
  ['SELECT COUNT(*) FROM purchases p JOIN exposures x ON email = email', 'SQL_AMBIGUOUS_COLUMN'],
  ['SELECT COUNT(*) FROM purchases p JOIN exposures x ON q.email = x.email', 'SQL_UNKNOWN_TABLE'],
  ['SELECT COUNT(*) FROM purchases p JOIN exposures p ON p.email = p.email', 'SQL_BAD_JOIN'],
  ['SELECT COUNT(*) FROM purchases p JOIN purchases q ON p.email = q.email', 'SQL_UNSUPPORTED'],
  [
    `SELECT COUNT(*) ${JOIN} JOIN purchases q ON q.email = x.email`,
    'SQL_UNSUPPORTED',
    'purchases q',
  ],
  ['SELECT COUNT(*) FROM joined_data JOIN purchases USING (email)', 'SQL_UNSUPPORTED', 'purchases'],
  ['SELECT COUNT(*) FROM (SELECT 1) q', 'SQL_UNSUPPORTED', '('],
  ['SELECT COUNT(*) FROM generate_series(1, 2)', 'SQL_UNSUPPORTED', 'generate_series'],
  ["SELECT COUNT(*) FROM read_csv('x')", 'SQL_UNSUPPORTED', 'read_csv'],
  ["SELECT COUNT(*) FROM 'x.csv'", 'SQL_SYNTAX', "'x.csv'"],
  ['SELECT COUNT(*) FROM joined_data TABLESAMPLE SYSTEM (1)', 'SQL_UNSUPPORTED', 'TABLESAMPLE'],
  ['SELECT COUNT(*) FROM joined_data AS j (a, b)', 'SQL_UNSUPPORTED', 'joined_data'],
  [`SELECT COUNT(DISTINCT hashed_email) ${JOIN}`, 'SQL_UNKNOWN_COLUMN', 'hashed_email'],
  [`SELECT COUNT(DISTINCT email) ${JOIN}`, 'SQL_AMBIGUOUS_COLUMN', 'email'],
  [`SELECT SUM(purchases.total_spent) ${JOIN}`, 'SQL_UNKNOWN_TABLE', 'purchases.total_spent'],
];

const CONDITIONS: readonly Case[] = [
  [where("hashed_email = 'x'"), 'SQL_PRIVACY_UNIT', 'hashed_email'],
  [where('hashed_email IS NOT NULL'), 'SQL_PRIVACY_UNIT', 'hashed_email'],
  [where("email IN ('a@b.c')"), 'SQL_PRIVACY_UNIT', 'email'],
  [where("category LIKE 'h%'"), 'SQL_UNSUPPORTED', 'LIKE'],
  [where("category NOT ILIKE 'h%'"), 'SQL_UNSUPPORTED', 'ILIKE'],
  [where("category ~ 'h'"), 'SQL_UNSUPPORTED', '~'],
  [where("category < 'x'"), 'SQL_TYPE_MISMATCH', "category < 'x'"],
  [where("category BETWEEN 'a' AND 'z'"), 'SQL_TYPE_MISMATCH'],
  [where('category = 1'), 'SQL_TYPE_MISMATCH', '1'],
  [where("total_spent > '100'"), 'SQL_TYPE_MISMATCH', "'100'"],
  [where('total_spent > TRUE'), 'SQL_TYPE_MISMATCH', 'TRUE'],
  [where('total_spent = exposure_date'), 'SQL_TYPE_MISMATCH', 'total_spent = exposure_date'],
  [where('category < campaign_id'), 'SQL_TYPE_MISMATCH'],
  [where('exposure_date > 20250101'), 'SQL_TYPE_MISMATCH', '20250101'],
  [where("exposure_date > '2025-02-29'"), 'SQL_BAD_LITERAL', '2025-02-29'],
  [where("exposure_date > DATE '2025-13-01'"), 'SQL_BAD_LITERAL', '2025-13-01'],
  [where("exposure_date > '2025-1-1'"), 'SQL_BAD_LITERAL'],
  [where("exposure_date > TIMESTAMP '2025-01-01'"), 'SQL_UNSUPPORTED', 'TIMESTAMP'],
  [where("exposure_date > purchase_date - INTERVAL '7 days'"), 'SQL_UNSUPPORTED', '-'],
  [where('total_spent'), 'SQL_TYPE_MISMATCH', 'total_spent'],
  [where('1'), 'SQL_TYPE_MISMATCH', '1'],
  [where("'true'"), 'SQL_TYPE_MISMATCH', "'true'"],
  [where("1 = 'a'"), 'SQL_TYPE_MISMATCH'],
  [where('total_spent * 2 > 5'), 'SQL_UNSUPPORTED', '*'],
  [where('total_spent > 5 = TRUE'), 'SQL_SYNTAX', '='],
  [where('(total_spent > 5) IS NULL'), 'SQL_UNSUPPORTED'],
  [where('total_spent IS DISTINCT FROM 5'), 'SQL_UNSUPPORTED', 'IS DISTINCT'],
  [where('total_spent IN (SELECT 1)'), 'SQL_UNSUPPORTED', 'SELECT'],
  [where('total_spent IN (total_spent)'), 'SQL_UNSUPPORTED', 'total_spent'],
  [where('total_spent IN ()'), 'SQL_SYNTAX', ')'],
  [where('total_spent = ANY(ARRAY[1])'), 'SQL_UNSUPPORTED', 'ANY'],
  [where('EXISTS (SELECT 1)'), 'SQL_UNSUPPORTED', 'EXISTS'],
  [where('(total_spent, 1) = (1, 1)'), 'SQL_UNSUPPORTED'],
  [where('COUNT(*) > 5'), 'SQL_UNSUPPORTED', 'COUNT'],
  [where("lower(category) = 'home'"), 'SQL_UNKNOWN_FUNCTION', 'lower'],
  [where("category = 'a' || 'b'"), 'SQL_UNSUPPORTED', '||'],
  [where('category = \'a\' COLLATE "C"'), 'SQL_UNSUPPORTED', 'COLLATE'],
  [where('total_spent = $1'), 'SQL_UNSUPPORTED', '$1'],
  [where('total_spent = :p'), 'SQL_UNSUPPORTED', ':p'],
  [where('total_spent = ?'), 'SQL_UNSUPPORTED', '?'],
  [where('category = $$home$$'), 'SQL_UNSUPPORTED', '$$home$$'],
  [where("category = E'\\x68ome'"), 'SQL_UNSUPPORTED', "E'"],
  [where("category = U&'\\0068ome'"), 'SQL_UNSUPPORTED'],
  [where("category = 'home"), 'SQL_SYNTAX', "'home"],
  [where('`category` = 1'), 'SQL_SYNTAX', '`'],
  [where('total_spent = 0x1F'), 'SQL_SYNTAX', '0x1F'],
  [where('total_spent = 1_000'), 'SQL_SYNTAX', '1_000'],
  [where('total_spent = 1e999'), 'SQL_BAD_LITERAL', '1e999'],
  [where('total_spent = 1e999999999999'), 'SQL_BAD_LITERAL'],
  [where(`total_spent = ${'9'.repeat(65)}`), 'SQL_BAD_LITERAL'],
  // A Cyrillic а, a fullwidth digit, a zero-width space, a NUL.
  [where("c\u0430tegory = 'home'"), 'SQL_SYNTAX'],
  [where('"c\u0430tegory" = \'home\''), 'SQL_UNKNOWN_COLUMN'],
  [where('total_spent > \uff11'), 'SQL_SYNTAX', '\uff11'],
  [where('total_spent\u200b > 1'), 'SQL_SYNTAX'],
  [where('total_spent > 1\u00001'), 'SQL_SYNTAX'],
  [where("category = '\ud800'"), 'SQL_SYNTAX'],
];

const TAILS: readonly Case[] = [
  ['SELECT COUNT(*) FROM joined_data GROUP BY total_spent', 'SQL_NO_DOMAIN', 'total_spent'],
  ['SELECT COUNT(*) FROM joined_data GROUP BY exposure_date', 'SQL_NO_DOMAIN', 'exposure_date'],
  ['SELECT COUNT(*) FROM joined_data GROUP BY hashed_email', 'SQL_PRIVACY_UNIT', 'hashed_email'],
  ['SELECT COUNT(*) AS n FROM joined_data GROUP BY n', 'SQL_UNSUPPORTED', 'n'],
  ['SELECT COUNT(*) FROM joined_data GROUP BY 1', 'SQL_UNSUPPORTED', '1'],
  ['SELECT campaign_id, COUNT(*) FROM joined_data GROUP BY 3', 'SQL_UNSUPPORTED', '3'],
  ['SELECT COUNT(*) FROM joined_data GROUP BY 0', 'SQL_UNSUPPORTED', '0'],
  ["SELECT COUNT(*) FROM joined_data GROUP BY 'x'", 'SQL_UNSUPPORTED', "'x'"],
  ['SELECT COUNT(*) FROM joined_data GROUP BY ROLLUP (campaign_id)', 'SQL_UNSUPPORTED', 'ROLLUP'],
  ['SELECT COUNT(*) FROM joined_data GROUP BY GROUPING SETS (())', 'SQL_UNSUPPORTED'],
  ['SELECT COUNT(*) FROM joined_data GROUP BY ()', 'SQL_SYNTAX', ')'],
  ['SELECT COUNT(*) FROM joined_data HAVING COUNT(*) > 1', 'SQL_UNSUPPORTED', 'HAVING'],
  [
    'SELECT COUNT(*) FROM joined_data ORDER BY SUM(total_spent)',
    'SQL_UNSUPPORTED',
    'SUM(total_spent)',
  ],
  ['SELECT COUNT(*) FROM joined_data ORDER BY total_spent', 'SQL_UNSUPPORTED', 'total_spent'],
  ['SELECT COUNT(*) FROM joined_data ORDER BY random()', 'SQL_UNKNOWN_FUNCTION', 'random'],
  ['SELECT COUNT(*) FROM joined_data ORDER BY 2', 'SQL_UNSUPPORTED', '2'],
  ['SELECT COUNT(*) FROM joined_data ORDER BY 1 USING >', 'SQL_SYNTAX', 'USING'],
  ['SELECT COUNT(*) FROM joined_data LIMIT -1', 'SQL_BAD_LITERAL', '-'],
  ['SELECT COUNT(*) FROM joined_data LIMIT 1.5', 'SQL_BAD_LITERAL', '1.5'],
  ['SELECT COUNT(*) FROM joined_data LIMIT ALL', 'SQL_BAD_LITERAL', 'ALL'],
  ['SELECT COUNT(*) FROM joined_data LIMIT 99999999999', 'SQL_BAD_LITERAL'],
  ['SELECT COUNT(*) FROM joined_data LIMIT 1 OFFSET 1', 'SQL_UNSUPPORTED', 'OFFSET'],
  ['SELECT COUNT(*) FROM joined_data OFFSET 1', 'SQL_UNSUPPORTED', 'OFFSET'],
  ['SELECT COUNT(*) FROM joined_data FETCH FIRST 1 ROW ONLY', 'SQL_UNSUPPORTED', 'FETCH'],
  ['SELECT COUNT(*) FROM joined_data WINDOW w AS ()', 'SQL_UNSUPPORTED', 'WINDOW'],
];

describe.each([
  ['statements', STATEMENTS],
  ['SELECT lists', LISTS],
  ['sources', SOURCES],
  ['conditions', CONDITIONS],
  ['GROUP BY, ORDER BY and LIMIT', TAILS],
])('%s', (_, cases) => {
  const named = cases.map(([sql, code, fragment]) => ({ sql, code, fragment }));
  it.each(named)('refuses $sql as $code', ({ sql, code, fragment }) => {
    const error = refusalOf(sql);
    expect(error.code).toBe(code);
    if (fragment !== undefined) expect(error.detail.fragment).toContain(fragment);
    if (code !== 'SQL_SYNTAX') expect(error.detail.hint).toMatch(/[.?]$/);
    else expect(error.message).toMatch(/line \d+, column \d+$/);
  });
});

it('says where a syntax error is', () => {
  const error = refusalOf('SELECT COUNT(*)\nFROM joined_data\n  WHERE total_spent >> 5');
  expect(error.message).toContain('line 3, column 22');
});

it('keeps literals of the query out of messages', () => {
  const error = refusalOf(where("exposure_date > 'ana@example.com'"));
  expect(error.message).not.toContain('ana@');
});

describe('limits', () => {
  const nested = (n: number): string => where(`${'('.repeat(n)}TRUE${')'.repeat(n)}`);
  const plan = (sql: string): unknown => planQuery(POLICY, DIGEST, sql, { epsilon: null });

  it('takes 100 levels of nesting and no more', () => {
    expect(plan(nested(100))).toBeDefined();
    expect(refusalOf(nested(101)).code).toBe('SQL_TOO_DEEP');
    expect(plan(where(`${'NOT '.repeat(100)}TRUE`))).toBeDefined();
    expect(refusalOf(where(`${'NOT '.repeat(101)}TRUE`)).code).toBe('SQL_TOO_DEEP');
    expect(refusalOf(where(`${'NOT ('.repeat(60)}TRUE${')'.repeat(60)}`)).code).toBe(
      'SQL_TOO_DEEP',
    );
    expect(refusalOf(`SELECT ${'('.repeat(30_000)}`).code).toBe('SQL_TOO_DEEP');
    expect(refusalOf(where('NOT '.repeat(16_000))).code).toBe('SQL_TOO_DEEP');
  });

  it('takes 64 KiB of UTF-8 and no more', () => {
    const sql = 'SELECT COUNT(*) FROM joined_data --';
    expect(plan(sql + 'x'.repeat(65_536 - sql.length))).toBeDefined();
    expect(refusalOf(sql + 'x'.repeat(65_537 - sql.length)).code).toBe('SQL_TOO_LARGE');
    expect(refusalOf(sql + '\u20ac'.repeat(30_000)).code).toBe('SQL_TOO_LARGE');
  });

  it('takes IN lists of 1,000 literals, 1,000 conditions and 100 columns, and no more', () => {
    const list = (n: number): string => Array.from({ length: n }, (_, i) => i).join(',');
    expect(plan(where(`total_spent IN (${list(1000)})`))).toBeDefined();
    expect(refusalOf(where(`total_spent IN (${list(1001)})`)).code).toBe('SQL_LIST_TOO_LONG');
    const chain = (n: number): string => Array.from({ length: n }, (_, i) => `${i}=1`).join(' OR ');
    expect(plan(where(chain(1000)))).toBeDefined();
    expect(refusalOf(where(chain(1001))).code).toBe('SQL_TOO_LARGE');
    const items = (n: number): string =>
      Array.from({ length: n }, (_, i) => `SUM(total_spent) s${i}`).join();
    expect(plan(`SELECT ${items(100)} FROM joined_data`)).toBeDefined();
    expect(refusalOf(`SELECT ${items(101)} FROM joined_data`).code).toBe('SQL_TOO_LARGE');
  });
});

describe('what the policy does not admit', () => {
  it.each([
    ['COUNT(*)', 'COUNT_DISTINCT'],
    ['COUNT(hashed_email)', 'SUM'],
    ['COUNT(DISTINCT hashed_email)', 'COUNT'],
    ['SUM(total_spent)', 'AVG'],
    ['AVG(total_spent)', 'SUM'],
  ] as const)('%s when only %s is allowed', (item, allowed) => {
    const error = refusalOf(
      `SELECT ${item} FROM joined_data`,
      seedPolicy({ aggregates: [allowed] }),
    );
    expect(error).toMatchObject({ code: 'AGGREGATE_NOT_ALLOWED', fault: 'policy' });
  });

  const unbounded = (differential: 'off' | typeof PRIVATE): ReturnType<typeof seedPolicy> =>
    seedPolicy({
      differential,
      first: { ...purchases, columns: { x: { type: 'decimal', nullable: true, scale: 2 } } },
    });

  it.each(['SUM(x)', 'AVG(x)'])('%s without clamp bounds under noise', (item) => {
    const sql = `SELECT ${item} FROM joined_data`;
    expect(refusalOf(sql, unbounded(PRIVATE)).code).toBe('COLUMN_UNBOUNDED');
    expect(planQuery(unbounded('off'), DIGEST, sql, { epsilon: null })).toBeDefined();
  });

  it.each([
    ['2', 'EPSILON_OVER_LIMIT'],
    ['1.0000001', 'EPSILON_OVER_LIMIT'],
    ['0', 'EPSILON_INVALID'],
    ['-1', 'EPSILON_INVALID'],
    ['NaN', 'EPSILON_INVALID'],
    ['1/2', 'EPSILON_INVALID'],
  ])('epsilon %s', (epsilon, code) => {
    expect(refusalOf('SELECT COUNT(*) FROM joined_data', POLICY, epsilon).code).toBe(code);
  });

  it('an epsilon when nothing is noised', () => {
    const error = refusalOf(
      'SELECT COUNT(*) FROM joined_data',
      seedPolicy({ differential: 'off' }),
      '1',
    );
    expect(error.code).toBe('EPSILON_INVALID');
  });

  it('sums that could wrap', () => {
    const first = { ...purchases, max_users: 2_000_000 };
    const sql = 'SELECT SUM(total_spent) FROM joined_data';
    const open = seedPolicy({ differential: 'off', first });
    expect(refusalOf(sql, open).code).toBe('OVERFLOW_POSSIBLE');
    expect(planQuery(seedPolicy({ first }), DIGEST, sql, { epsilon: null })).toBeDefined();
    // Tiny epsilon, huge noise.
    const tiny = refusalOf(sql, seedPolicy({ first }), '1e-13');
    expect(tiny.code).toBe('OVERFLOW_POSSIBLE');
  });

  it('counts contributions no higher than the tables of the query can bring', () => {
    const planned = (c: number): unknown => {
      const policy = seedPolicy({
        differential: { ...PRIVATE, max_contributions_per_partition: c },
      });
      const sql = 'SELECT COUNT(*) FROM joined_data';
      const { sides, measures } = planQuery(policy, DIGEST, sql, { epsilon: null });
      return { sides, measures };
    };
    expect(planned(17)).toEqual(planned(16));
    expect(planned(17)).not.toEqual(planned(15));
  });

  it('units of different kinds', () => {
    const second = { ...exposures, privacy_unit_column: { name: 'email', kind: 'phone' as const } };
    expect(refusalOf('SELECT COUNT(*) FROM joined_data', seedPolicy({ second })).code).toBe(
      'SQL_BAD_JOIN',
    );
  });

  it('more groups than the protocols carry', () => {
    const text = (n: number) =>
      ({
        type: 'text',
        nullable: false,
        values: Array.from({ length: n }, (_, i) => `v${i}`),
      }) as const;
    const policy = seedPolicy({
      first: { ...purchases, columns: { a: text(64), b: text(2) } },
      second: { ...exposures, columns: { c: text(65), d: text(4096) } },
    });
    const group = (by: string): string => `SELECT COUNT(*) FROM joined_data GROUP BY ${by}`;
    expect(planQuery(policy, DIGEST, group('d'), { epsilon: null })).toBeDefined();
    expect(refusalOf(group('d, b'), policy).code).toBe('DOMAIN_TOO_LARGE');
    expect(refusalOf(group('c, a, b'), policy).detail.hint).toContain('65');
    expect(refusalOf(group('c, a'), policy).code).toBe('DOMAIN_TOO_LARGE');
  });
});

describe('anything at all', () => {
  const words = `SELECT FROM WHERE GROUP BY ORDER LIMIT AND OR NOT IN IS NULL BETWEEN AS ON JOIN COUNT
    SUM ( ) , . ; * = < > - + :: || joined_data campaign_id total_spent exposure_date 1 1.5 TRUE DATE
    " ' $ @ -- /* */ 'x' '2025-01-01' "q" \u0430 COUNT(*) ->> [ ]`;
  const pieces = fc.constantFrom(...words.split(/\s+/));

  it('throws nothing but ParleyError with a code of SQL or policy', () => {
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 24 }), fc.boolean(), (parts, sensible) => {
        const prefix = sensible ? 'SELECT COUNT(*) FROM joined_data WHERE ' : '';
        try {
          planQuery(POLICY, DIGEST, prefix + parts.join(' '), { epsilon: null });
        } catch (error) {
          expect(error).toBeInstanceOf(ParleyError);
          expect((error as ParleyError).fault).not.toBe('bug');
        }
      }),
      { numRuns: 2000 },
    );
  });
});
