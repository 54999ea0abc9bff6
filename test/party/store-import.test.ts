// Goal: a good file is stored as units and coded integers and nothing else; a bad one changes
// nothing, and the person who has to mend it is told the file, the line, the column and the reason.
import fc from 'fast-check';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { ParleyError } from '../../src/core/errors.ts';
import { takeLock } from '../../src/party/lock.ts';
import {
  BadRowsError,
  formatProblem,
  importTable,
  openStore,
  unitHasher,
} from '../../src/party/store/index.ts';
import type { ImportLimits, ImportSummary } from '../../src/party/store/index.ts';
import { codeDecimal } from '../../src/party/store/cells.ts';
import { daysOf } from '../../src/sql/index.ts';
import type { TablePolicy } from '../../src/policy/types.ts';

const SALT = Uint8Array.from({ length: 32 }, (_, i) => 255 - i);

const TABLE: TablePolicy = {
  privacy_unit_column: { name: 'email', kind: 'email' },
  max_users: 100,
  max_rows_per_user: 2,
  columns: {
    day: { type: 'date', nullable: false, min: '2025-01-01', max: '2026-12-31' },
    spent: { type: 'decimal', nullable: true, scale: 2 },
    kind: { type: 'text', nullable: true, values: ['home', 'it,"s', 'é'] },
    stars: { type: 'integer', nullable: true, values: ['1', '2', '3'] },
    member: { type: 'boolean', nullable: true },
  },
};
const HEADER = 'email,day,spent,kind,stars,member';
const GOOD = 'a@x.com,2025-10-12,75.50,home,1,true';

const ROOT = mkdtempSync(join(tmpdir(), 'parley-import-'));
afterAll(() => rmSync(ROOT, { recursive: true }));

let dir = '';
let storePath = '';
let count = 0;
beforeEach(() => {
  dir = join(ROOT, String((count += 1)));
  storePath = join(dir, 'store.duckdb');
  mkdirSync(dir);
});

interface Import {
  readonly table?: TablePolicy;
  readonly tableName?: string;
  readonly limits?: Partial<ImportLimits>;
  readonly salt?: Uint8Array;
}

function importText(body: string | Uint8Array, options: Import = {}): Promise<ImportSummary> {
  const file = join(dir, 'purchases.csv');
  writeFileSync(file, body);
  return importTable({
    file,
    tableName: 'purchases',
    table: TABLE,
    salt: SALT,
    storePath,
    ...options,
  });
}

const importRows = (rows: readonly string[], options?: Import): Promise<ImportSummary> =>
  importText(`${HEADER}\n${rows.map((row) => `${row}\n`).join('')}`, options);

async function stored(table = TABLE, name = 'purchases', salt = SALT): Promise<unknown[][]> {
  const store = await openStore(storePath, { readOnly: true });
  try {
    const { rowsTable, usersTable, sqlColumns } = store.table(name, table, salt);
    const columns = [...sqlColumns.values()].map((c) => `${c}::DOUBLE`).join(', ');
    const sql = `SELECT lower(hex(unit)), ${columns} FROM ${rowsTable} JOIN ${usersTable} USING (user_no)
      ORDER BY row_no`;
    return await store.read(async (c) => (await c.runAndReadAll(sql)).getRows());
  } finally {
    store.close();
  }
}

async function failure(work: Promise<unknown>): Promise<ParleyError> {
  const error: unknown = await work.then(
    () => null,
    (e: unknown) => e,
  );
  expect(error).toBeInstanceOf(ParleyError);
  return error as ParleyError;
}

async function badRows(work: Promise<unknown>): Promise<BadRowsError> {
  const error = await failure(work);
  if (!(error instanceof BadRowsError)) throw error;
  expect(error.code).toBe('DATA_BAD_ROWS');
  return error;
}

const problemsOf = async (work: Promise<unknown>): Promise<string[]> =>
  (await badRows(work)).problems.map(formatProblem);

const unit = (email: string): string =>
  Buffer.from(unitHasher(SALT, 'email')(email)).toString('hex');

describe('a good file', () => {
  it('is stored as units and coded integers', async () => {
    const summary = await importRows([
      GOOD,
      ' A@X.com ,2025-01-01,,,,',
      'b@x.com,2026-12-31,-0.01,"it,""s",3,0',
      'b@x.com,1970-01-02,1,e\u0301,2,FALSE'.replace('1970-01-02', '2025-01-02'),
      'b@x.com,2025-01-03,1000000000.00,home,2,1',
      ',2025-01-01,1,home,1,1',
    ]);
    expect(summary).toMatchObject({
      table: 'purchases',
      rows: 5,
      users: 2,
      repeatedRows: 3,
      unmatchableRows: 1,
      usersOverBound: 1,
      rowsOverBound: 1,
    });
    const day = (iso: string): number => Date.parse(iso) / 86_400_000;
    // Columns by name: day, kind, member, spent, stars.
    const byKey = (a: unknown, b: unknown): number => (String(a) < String(b) ? -1 : 1);
    expect((await stored()).sort(byKey)).toEqual(
      [
        [unit('a@x.com'), day('2025-10-12'), 0, 1, 7550, 1],
        [unit('a@x.com'), day('2025-01-01'), null, null, null, null],
        [unit('b@x.com'), day('2026-12-31'), 1, 0, -1, 3],
        [unit('b@x.com'), day('2025-01-02'), 2, 0, 100, 2],
        [unit('b@x.com'), day('2025-01-03'), 0, 1, 100_000_000_000, 2],
      ].sort(byKey),
    );
  });

  it('reads CRLF, a byte order mark, quoted newlines, blank lines and columns in any order', async () => {
    const body =
      '\ufeffnote,"member",stars,kind,spent,day,email\r\n' +
      '"two\r\nlines, ""quoted""",1,1,home,75.50,2025-10-12,a@x.com\r\n\r\n';
    await importText(body);
    const other = await stored();
    await importRows([GOOD]);
    expect(other).toEqual(await stored());
  });

  it('with a header only is a table without rows', async () => {
    expect(await importRows([])).toMatchObject({ rows: 0, users: 0, usersOverBound: 0 });
    expect(await stored()).toEqual([]);
    expect(await importText(HEADER)).toMatchObject({ rows: 0, users: 0 });
  });

  it('of an identifier alone needs no columns, and its blank lines are unmatchable', async () => {
    const table: TablePolicy = { ...TABLE, columns: {} };
    const summary = await importText('email\na@x.com\n\nb@x.com\na@x.com\n', { table });
    expect(summary).toMatchObject({ rows: 3, users: 2, unmatchableRows: 1 });
  });

  it('leaves neither identifiers nor undeclared columns on the disk', async () => {
    const rows = Array.from(
      { length: 300 },
      (_, i) => `needle${i % 90}@haystack.com,2025-10-12,1.00,home,1,true,secret-note`,
    );
    await importText(`${HEADER},note\n${rows.join('\n')}\n`);
    const left = readdirSync(dir).filter((name) => name !== 'purchases.csv');
    expect(left).toEqual(['store.duckdb']);
    const bytes = readFileSync(storePath).toString('latin1');
    for (const raw of ['needle', 'haystack', 'secret-note', 'home']) {
      expect(bytes.includes(raw)).toBe(false);
    }
  });

  it('spans several blocks and chunks', async () => {
    const pad = 'p'.repeat(200);
    const row = (i: number): string => `u${i % 100}@x.com,2025-10-12,${i}.25,home,1,true,${pad}`;
    const body = `${HEADER},pad\n${Array.from({ length: 5000 }, (_, i) => row(i)).join('\n')}`;
    const seen: number[] = [];
    const file = join(dir, 'p.csv');
    writeFileSync(file, body);
    const options = { file, tableName: 'purchases', table: TABLE, salt: SALT, storePath };
    const summary = await importTable({ ...options, onProgress: (e) => seen.push(e.done) });
    expect(summary).toMatchObject({ rows: 5000, users: 100, usersOverBound: 100 });
    expect(seen.length).toBeGreaterThan(3);
    expect(seen.at(-1)).toBe(body.length);
    const spent = (await stored()).map((row) => row[4] as number).sort((a, b) => a - b);
    expect(spent).toEqual(Array.from({ length: 5000 }, (_, i) => 100 * i + 25));
  });

  it('stores formulas and SQL as what they are: values or refusals', async () => {
    const texts = ['=1+1', "'; DROP TABLE rows_0; --", '@SUM(A1)', '$(rm -rf /)'];
    const kind = { type: 'text', nullable: false, values: texts } as const;
    const name = `purchases'; DROP TABLE parley_store; --`;
    const table: TablePolicy = {
      ...TABLE,
      privacy_unit_column: { name: `e"'; --`, kind: 'exact' },
      columns: { [`k"; DROP TABLE rows_0; --`]: kind },
    };
    const header = `"e""'; --","k""; DROP TABLE rows_0; --"`;
    await importText(`${header}\n${texts.map((t) => `${t},${t}\n`).join('')}`, {
      table,
      tableName: name,
    });
    const rows = await stored(table, name);
    expect(rows.map((row) => row[1]).sort()).toEqual([0, 1, 2, 3]);
  });
});

describe('the dataset digest', () => {
  const rows = [GOOD, 'b@x.com,2025-10-13,1,home,1,true', 'a@x.com,2025-10-14,2,home,1,true'];

  it('is the same for the same rows in any order, and for the same rule', async () => {
    const first = await importRows(rows);
    const second = await importRows([...rows].reverse());
    expect(second.datasetDigest).toBe(first.datasetDigest);
    expect(first.datasetDigest).toMatch(/^[0-9a-f]{64}$/);
  });

  it('differs when a value, a NULL, a user, a row or the salt differs', async () => {
    const digests = [(await importRows(rows)).datasetDigest];
    const changed = [
      rows.map((row) => row.replace('75.50', '75.51')),
      rows.map((row) => row.replace('75.50', '')),
      rows.map((row) => row.replace('75.50', '0')),
      rows.map((row) => row.replace('b@x.com', 'c@x.com')),
      [...rows, GOOD],
    ];
    for (const other of changed) digests.push((await importRows(other)).datasetDigest);
    digests.push((await importRows(rows, { salt: new Uint8Array(32) })).datasetDigest);
    // A file of one row has one order, so nothing but the values can tell these two apart.
    for (const spent of ['', '0']) {
      digests.push((await importRows([GOOD.replace('75.50', spent)])).datasetDigest);
    }
    expect(new Set(digests).size).toBe(digests.length);
  });
});

describe('bad rows', () => {
  const bad: readonly (readonly [string, string])[] = [
    ['email: not an e-mail address', GOOD.replace('a@x.com', 'alice')],
    ['day: not a real date of the form YYYY-MM-DD', GOOD.replace('2025-10-12', '2025-02-30')],
    ['day: not a real date of the form YYYY-MM-DD', GOOD.replace('2025-10-12', '12/10/2025')],
    ['day: outside 2025-01-01 to 2026-12-31', GOOD.replace('2025-10-12', '2024-12-31')],
    ['day: outside 2025-01-01 to 2026-12-31', GOOD.replace('2025-10-12', '2027-01-01')],
    ['day: empty, and the column is not nullable', GOOD.replace('2025-10-12', '')],
    ['spent: more than 2 digits after the point', GOOD.replace('75.50', '75.500')],
    ['spent: not a decimal number', GOOD.replace('75.50', '$75.50')],
    ['spent: not a decimal number', GOOD.replace('75.50', '1e3')],
    ['spent: not a decimal number', GOOD.replace('75.50', 'NaN')],
    [
      'spent: out of range: more than 10 digits before the point',
      GOOD.replace('75.50', '10000000000'),
    ],
    ['kind: not one of the declared values', GOOD.replace('home', 'garden')],
    ['kind: not one of the declared values', GOOD.replace('home', 'HOME')],
    ['stars: not one of the declared values', GOOD.replace(',1,', ',4,')],
    ['stars: not an integer', GOOD.replace(',1,', ',1.0,')],
    ['member: not true, false, 1 or 0', GOOD.replace('true', 'yes')],
    ['5 fields where the header has 6', 'a@x.com,2025-10-12,75.50,home,1'],
    ['7 fields where the header has 6', `${GOOD},x`],
    ['a quote inside a field', 'a@x.com,2025-10-12,75.50,ho"me,1,true'],
    ['a quote that is never closed', 'a@x.com,2025-10-12,75.50,"home,1,true'],
  ];

  it('of every kind are named, between good ones', async () => {
    const rows = bad.flatMap(([, row]) => [GOOD, row]);
    expect(await problemsOf(importRows(rows))).toEqual(
      bad.map(([reason], i) => `purchases.csv:${3 + 2 * i}: ${reason}`),
    );
  });

  it('keep a file out even when only one is bad', async () => {
    expect(await problemsOf(importRows([GOOD, bad[5]![1], GOOD]))).toHaveLength(1);
    expect(existsSync(storePath)).toBe(false);
  });

  it('are all named, in file order, with the lines of quoted newlines counted', async () => {
    const rows = ['x,y,z', '"b\n\n@x.com",2025-10-12,1,home,1,true', GOOD.replace('a@x.com', '😀')];
    const bytes = new TextEncoder().encode(`${HEADER}\n${rows.join('\n')}\n`);
    const at = bytes.length - 2;
    const invalid = Uint8Array.of(...bytes.subarray(0, at), 0xff, ...bytes.subarray(at + 1));
    expect(await problemsOf(importText(invalid))).toEqual([
      'purchases.csv:2: 3 fields where the header has 6',
      'purchases.csv:3: email: not an e-mail address',
      'purchases.csv:6: bytes that are not UTF-8',
    ]);
  });

  it('are listed up to the limit and counted beyond it', async () => {
    const rows = Array.from({ length: 30 }, () => 'alice,yesterday,1,home,1,true');
    const error = await badRows(importRows(rows));
    expect(error.problems).toHaveLength(20);
    expect(error.total).toBe(60);
    const few = await badRows(importRows(rows, { limits: { problemsListed: 1 } }));
    expect(few.problems.map((p) => [p.line, p.column])).toEqual([[2, 'email']]);
    // Cells are customers' data; the words about them must not be.
    expect(JSON.stringify([error.message, error.problems])).not.toMatch(/alice|yesterday/);
  });

  it('leave the old store as it was, byte for byte, and no file behind', async () => {
    await importRows([GOOD]);
    const before = readFileSync(storePath);
    await problemsOf(importRows([GOOD, GOOD, 'bad']));
    expect(readFileSync(storePath).equals(before)).toBe(true);
    rmSync(storePath);
    await problemsOf(importRows([GOOD, GOOD, 'bad']));
    expect(readdirSync(dir)).toEqual(['purchases.csv']);
  });
});

describe('bad files', () => {
  it.each([
    ['an empty file', '', 'the file is empty'],
    ['a byte order mark alone', '\ufeff', 'the file is empty'],
    ['an empty first line', `\n${HEADER}\n`, 'the first line must be the header'],
    ['a missing column', 'email,day,spent,kind,stars\n', 'column member is missing'],
    ['a missing identifier', HEADER.replace('email', 'mail'), 'column email is missing'],
    ['another case', HEADER.replace('day', 'Day'), 'column day is missing'],
    ['a column twice', `${HEADER},day\n`, 'column day occurs twice'],
    ['a malformed header', `"${HEADER}\n`, 'the header is malformed'],
    ['semicolons', HEADER.replaceAll(',', ';'), 'column email is missing'],
  ])('%s', async (_, body, reason) => {
    const error = await failure(importText(body));
    expect(error.code).toBe('DATA_BAD_FILE');
    expect(error.message).toContain(`purchases.csv: ${reason}`);
    expect(existsSync(storePath)).toBe(false);
  });

  it('UTF-16', async () => {
    const error = await failure(importText(Buffer.from(`\ufeff${HEADER}\n`, 'utf16le')));
    expect(error).toMatchObject({ code: 'DATA_BAD_FILE' });
    expect(error.message).toContain('UTF-16');
  });

  it('a file that is not there, or is a folder', async () => {
    const options = { tableName: 'purchases', table: TABLE, salt: SALT, storePath };
    const missing = await failure(importTable({ ...options, file: join(dir, 'none.csv') }));
    expect(missing.code).toBe('FILE_NOT_FOUND');
    expect((await failure(importTable({ ...options, file: dir }))).code).toBe('DATA_BAD_FILE');
    expect(readdirSync(dir)).toEqual([]);
  });

  it('ten thousand columns are read, of which the declared ones are kept', async () => {
    const more = Array.from({ length: 10_000 }, (_, i) => `x${i}`);
    await importText(`${more.join(',')},${HEADER}\n${more.map(() => '').join(',')},${GOOD}\n`);
    expect(await stored()).toHaveLength(1);
    const error = await failure(
      importText(`${more.join(',')},${HEADER}\n`, { limits: { fieldsMax: 10_000 } }),
    );
    expect(error.message).toContain('more than 10000 fields');
  });

  it('a field over the record limit is refused, one below it read', async () => {
    const limits = { recordBytesMax: 600_000 };
    const body = (n: number): string => `${HEADER},note\n${GOOD},"${'y'.repeat(n)}"\n`;
    expect(await importText(body(599_000), { limits })).toMatchObject({ rows: 1 });
    expect(await problemsOf(importText(body(601_000), { limits }))).toEqual([
      expect.stringContaining('purchases.csv:2: a record longer than 600000 bytes'),
    ]);
  });

  it('holds max_users users and not one more', async () => {
    const rows = (n: number): string[] =>
      Array.from({ length: n }, (_, i) => GOOD.replace('a@', `u${i}@`));
    expect(await importRows(rows(100))).toMatchObject({ users: 100 });
    const error = await failure(importRows(rows(101)));
    expect(error.code).toBe('INPUT_TOO_LARGE');
    expect(error.message).toContain('more than the 100 users declared for purchases');
    expect(await stored()).toHaveLength(100);
    const many = await failure(importRows(rows(3), { limits: { rowsMax: 2 } }));
    expect(many.code).toBe('INPUT_TOO_LARGE');
  });
});

describe('the store', () => {
  it('keeps its other tables when one is imported again', async () => {
    const exposures: TablePolicy = { ...TABLE, columns: { kind: TABLE.columns['kind']! } };
    await importRows([GOOD]);
    await importText('email,kind\nz@x.com,home\n', { table: exposures, tableName: 'exposures' });
    await importRows([GOOD, GOOD]);
    expect(await stored()).toHaveLength(2);
    expect(await stored(exposures, 'exposures')).toEqual([[unit('z@x.com'), 0]]);
    const store = await openStore(storePath);
    expect([...store.tables].sort()).toEqual(['exposures', 'purchases']);
    store.close();
  });

  it('goes on serving the old rows to who has it open while new ones are imported', async () => {
    await importRows([GOOD]);
    const store = await openStore(storePath, { readOnly: true });
    await importRows([GOOD, GOOD, GOOD]);
    const { rowsTable } = store.table('purchases', TABLE, SALT);
    const count = async (): Promise<unknown> =>
      store.read(async (c) => (await c.runAndReadAll(`FROM ${rowsTable}`)).getRows().length);
    expect(await count()).toBe(1);
    store.close();
    expect(await stored()).toHaveLength(3);
  });

  it('refuses a table imported under other rules', async () => {
    await importRows([GOOD]);
    const renamed = { name: 'email', kind: 'exact' } as const;
    const wider = { ...TABLE.columns, day: { ...TABLE.columns['day']!, max: '2027-12-31' } };
    const tables: TablePolicy[] = [
      { ...TABLE, privacy_unit_column: renamed },
      { ...TABLE, columns: wider },
    ];
    for (const table of tables) {
      expect((await failure(stored(table))).code).toBe('STORE_MISMATCH');
    }
    expect((await failure(stored(TABLE, 'purchases', new Uint8Array(32)))).code).toBe(
      'STORE_MISMATCH',
    );
    expect((await failure(stored(TABLE, 'others'))).code).toBe('STORE_MISMATCH');
    // Rules that no import applies may change.
    expect(await stored({ ...TABLE, max_rows_per_user: 9 })).toHaveLength(1);
  });

  it('says what is wrong with a file that is no store', async () => {
    expect((await failure(openStore(storePath))).code).toBe('FILE_NOT_FOUND');
    writeFileSync(storePath, 'not a database at all, but long enough to be looked at'.repeat(100));
    expect((await failure(openStore(storePath))).code).toBe('STORAGE_FAILED');
    expect((await failure(importRows([GOOD]))).code).toBe('STORAGE_FAILED');
    expect(readdirSync(dir).sort()).toEqual(['purchases.csv', 'store.duckdb']);
  });

  it('lets one import write at a time and takes over after a crash', async () => {
    const release = takeLock(`${storePath}.lock`);
    expect((await failure(importRows([GOOD]))).message).toContain('another import');
    release?.();
    // A process id past the kernel's maximum is nobody's.
    writeFileSync(`${storePath}.lock`, '4194305');
    writeFileSync(`${storePath}.importing`, 'half a store');
    expect(await importRows([GOOD])).toMatchObject({ rows: 1 });
    expect(readdirSync(dir).sort()).toEqual(['purchases.csv', 'store.duckdb']);
  });
});

describe('coding of cells', () => {
  it('days agree with the calendar of the platform', () => {
    fc.assert(
      fc.property(fc.integer({ min: -700_000, max: 2_900_000 }), (days) => {
        expect(daysOf(new Date(days * 86_400_000).toISOString().slice(0, 10))).toBe(days);
      }),
    );
    expect(daysOf('1970-01-01')).toBe(0);
    expect(daysOf('2024-02-29')).not.toBeNull();
    for (const text of ['2025-02-29', '2025-13-01', '2025-00-10', '0000-01-01', '2025-1-1']) {
      expect(daysOf(text)).toBeNull();
    }
  });

  it('decimals are exact at every scale and at the limit', () => {
    const someScale = fc.integer({ min: 0, max: 6 });
    fc.assert(
      fc.property(someScale, fc.integer({ min: 1 - 10 ** 12, max: 10 ** 12 - 1 }), (scale, n) => {
        const digits = String(Math.abs(n)).padStart(scale + 1, '0');
        const whole = digits.slice(0, digits.length - scale);
        const text = scale === 0 ? whole : `${whole}.${digits.slice(-scale)}`;
        expect(codeDecimal(n < 0 ? `-${text}` : text, scale)).toBe(n);
      }),
    );
    expect(Object.is(codeDecimal('-0.00', 2), 0)).toBe(true);
    expect(codeDecimal('+0001.5', 2)).toBe(150);
    expect(codeDecimal('9999999999.99', 2)).toBe(999_999_999_999);
    expect(codeDecimal('10000000000.00', 2)).toContain('out of range');
    for (const text of ['.5', '1.', '1,000', ' 1', '0x10', '--1', '١', '']) {
      expect(typeof codeDecimal(text, 2)).toBe('string');
    }
  });
});
