// Goal: Parquet and JSON files are stored as the CSV file of the same rows would be, and what is
// wrong with them is told by file, row and column; a dry run counts everything and changes nothing.
import { DuckDBInstance } from '@duckdb/node-api';
import fc from 'fast-check';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { ParleyError } from '../../src/core/errors.ts';
import type { TablePolicy } from '../../src/policy/types.ts';
import type { ImportSummary } from '../../src/party/store/index.ts';
import {
  BadRowsError,
  describeFile,
  formatProblem,
  importTable,
} from '../../src/party/store/index.ts';
import { JsonObjects } from '../../src/party/store/sources/json-objects.ts';

const SALT = Uint8Array.from({ length: 32 }, (_, i) => i);
const TABLE: TablePolicy = {
  privacy_unit_column: { name: 'email', kind: 'email' },
  max_users: 10_000,
  max_rows_per_user: 2,
  columns: {
    day: { type: 'date', nullable: false, min: '2024-01-01', max: '2026-12-31' },
    spent: { type: 'decimal', nullable: true, scale: 2 },
    kind: { type: 'text', nullable: true, values: ['home', 'it,"s', 'é'] },
    member: { type: 'boolean', nullable: true },
  },
};
const CSV = `email,day,spent,kind,member
a@x.com,2024-02-29,99999999.99,home,true
A@X.com ,2025-01-01,-0.01,"it,""s",false
é@y.org,2026-12-31,,é,
,2026-12-31,1,home,1
`;
const OBJECTS = [
  { email: 'a@x.com', day: '2024-02-29', spent: 99999999.99, kind: 'home', member: true },
  { email: 'A@X.com ', day: '2025-01-01', spent: '-0.01', kind: 'it,"s', member: false },
  { email: 'é@y.org', day: '2026-12-31', spent: null, kind: 'é', other: { deep: [1] } },
  { email: null, day: '2026-12-31', spent: 1, kind: 'home', member: true },
];

const ROOT = mkdtempSync(join(tmpdir(), 'parley-sources-'));
afterAll(() => rmSync(ROOT, { recursive: true }));
let dir = '';
beforeEach(() => {
  dir = mkdtempSync(join(ROOT, 'case-'));
});

async function load(
  name: string,
  body: string | Uint8Array | null,
  more: object = {},
): Promise<ImportSummary> {
  const file = join(dir, name);
  if (body !== null) writeFileSync(file, body);
  const storePath = join(dir, `${name}.duckdb`);
  return importTable({ file, tableName: 't', table: TABLE, salt: SALT, storePath, ...more });
}

async function parquet(name: string, sql: string): Promise<string> {
  const instance = await DuckDBInstance.create(':memory:');
  const connection = await instance.connect();
  const file = join(dir, name);
  await connection.run(`COPY (${sql}) TO '${file}' (FORMAT parquet)`);
  connection.closeSync();
  instance.closeSync();
  return file;
}

const ROWS_SQL = `SELECT * FROM (VALUES
  ('a@x.com', DATE '2024-02-29', 99999999.99::DECIMAL(14,2), 'home', true),
  ('A@X.com ', DATE '2025-01-01', -0.01, 'it,"s', false),
  ('é@y.org', DATE '2026-12-31', NULL, 'é', NULL),
  (NULL, DATE '2026-12-31', 1, 'home', true)) t(email, day, spent, kind, member)`;

const failure = async (work: Promise<unknown>): Promise<ParleyError> => {
  const error: unknown = await work.catch((e: unknown) => e);
  expect(error).toBeInstanceOf(ParleyError);
  return error as ParleyError;
};
const problemsOf = async (work: Promise<unknown>): Promise<string[]> => {
  const error = await failure(work);
  if (!(error instanceof BadRowsError)) throw error;
  return error.problems.map(formatProblem);
};

describe('the same rows', () => {
  it('are the same data in every form', async () => {
    const csv = await load('t.csv', CSV);
    await parquet('t.parquet', ROWS_SQL);
    const array = JSON.stringify(OBJECTS, null, 2);
    const lines = OBJECTS.map((object) => JSON.stringify(object)).join('\n');
    const others = [
      await load('t.parquet', null),
      await load('t.json', `\ufeff${array}\n`),
      await load('t.jsonl', lines),
      await load('t.ndjson', `${lines}\r\n\r\n`),
    ];
    expect(csv).toMatchObject({ rows: 3, users: 2, unmatchableRows: 1, normalisedRows: 1 });
    // Every store blinds its commitments with a secret of its own.
    const own = { durationMs: 0, commitment: '' };
    for (const other of others) expect({ ...other, ...own }).toEqual({ ...csv, ...own });
  });

  it('are read in order across DuckDB chunks, with progress to the end', async () => {
    const file = await parquet(
      'big.parquet',
      `SELECT 'u' || i || '@x.com' AS email, DATE '2025-01-01' AS day, 1.5 AS spent,
         'home' AS kind, CASE WHEN i = 4999 THEN 2 ELSE 1 END AS member FROM range(5000) r(i)`,
    );
    const seen: { done: number; total: number }[] = [];
    const onProgress = (event: { done: number; total: number }): void => void seen.push(event);
    expect(file).toContain('big.parquet');
    expect(await problemsOf(load('big.parquet', null, { onProgress }))).toEqual([
      'big.parquet:5000: member: not true, false, 1 or 0',
    ]);
    expect(seen.at(-1)).toMatchObject({ done: 5000, total: 5000 });
  });
});

it('a dry run counts everything and leaves nothing', async () => {
  const summary = await load('t.csv', CSV, { dryRun: true });
  expect(summary).toMatchObject({ rows: 3, users: 2 });
  expect(readdirSync(dir)).toEqual(['t.csv']);
});

it('sorts what does not fit into memory, and leaves no spilt file', async () => {
  const lines = Array.from({ length: 40_000 }, (_, i) => `u${i}@x.com,2025-01-01,1.00,home,true`);
  const body = `email,day,spent,kind,member\n${lines.join('\n')}\n`;
  const table = { ...TABLE, max_users: 100_000 };
  const whole = await load('a.csv', body, { table });
  const tight = await load('b.csv', body, { table, limits: { databaseMemoryMb: 24 } });
  expect(tight.datasetDigest).toBe(whole.datasetDigest);
  expect(readdirSync(dir).filter((name) => /spill|importing/.test(name))).toEqual([]);
});

describe('bad JSON', () => {
  it('is named by the line on which its object begins', async () => {
    const lines = [
      '{"email":"a@x.com","day":"2025-01-01"}',
      '{"email":"nobody","day":"2025-01-01"}',
      '{"email":"a@x.com","day":"2025-01-01","spent":{"cents":1}}',
      '{"email":"a@x.com","email":"b@x.com","day":"2025-01-01"}',
      '{"email":"a@x.com","day":"2025-01-01","spent":1.005,"member":2,',
      '  "kind":"garden"}',
      '{"__proto__":{},"email":"a@x.com","day":"2025-01-01"}',
    ];
    expect(await problemsOf(load('t.jsonl', lines.join('\n')))).toEqual([
      't.jsonl:2: email: not an e-mail address',
      't.jsonl:3: column spent holds an object or an array',
      't.jsonl:4: the JSON document names a key twice in one object',
      't.jsonl:5: kind: not one of the declared values',
      't.jsonl:5: member: not true, false, 1 or 0',
      't.jsonl:5: spent: more than 2 digits after the point',
      't.jsonl:7: the JSON document holds the key __proto__',
    ]);
  });

  it.each([
    ['[{"email":"a@x.com","day":"2025-01-01"}', /never closed/],
    ['[{"email":"a@x.com","day":"2025-01-01"},]', /something else/],
    ['[{"email":"a@x.com"}{"email":"b@x.com"}]', /something else/],
    ['{"email":"a@x.com","day":"2025-01-01"', /never closed/],
    ['[[1]]', /something else/],
    ['email,day\n', /something else/],
  ])('in the whole: %s', async (body, reason) => {
    const [problem] = (await problemsOf(load('t.json', body))).slice(-1);
    expect(problem).toMatch(reason);
  });

  it('a key that no object has is a misspelt one', async () => {
    const error = await failure(load('t.json', '[{"Email":"a@x.com","day":"2025-01-01"}]'));
    expect(error).toMatchObject({
      code: 'DATA_BAD_FILE',
      message: 't.json: column email is missing',
    });
  });

  it('an object over the record limit ends the reading', async () => {
    const body = `{"email":"${'a'.repeat(3000)}`;
    const limits = { recordBytesMax: 1000 };
    expect(await problemsOf(load('t.json', body, { limits }))).toEqual([
      't.json:1: an object longer than 1000 bytes; a quote may be left open',
    ]);
  });
});

describe('JSON objects', () => {
  it('are cut alike wherever the blocks are cut', () => {
    const value = fc.dictionary(fc.string(), fc.oneof(fc.string(), fc.integer(), fc.boolean()));
    fc.assert(
      fc.property(
        fc.array(value, { maxLength: 6 }),
        fc.boolean(),
        fc.integer({ min: 1, max: 9 }),
        (objects, array, step) => {
          const texts = objects.map((object) => JSON.stringify(object));
          const bytes = Buffer.from(array ? `[${texts.join(' ,\n')}]` : texts.join('\n'));
          const found: string[] = [];
          const reader = new JsonObjects({
            objectBytesMax: 1 << 20,
            onObject: (object) => found.push(Buffer.from(object).toString()),
            onProblem: (line, reason) => {
              throw new Error(`${line}: ${reason}`);
            },
          });
          for (let at = 0; at < bytes.length; at += step) {
            reader.push(bytes.subarray(at, at + step), false);
          }
          reader.push(new Uint8Array(0), true);
          expect(found).toEqual(texts);
        },
      ),
    );
  });
});

describe('a bad Parquet file', () => {
  it('is no Parquet file, or has no such column, or a column of no single value', async () => {
    expect(await failure(load('t.parquet', 'PAR1 but not really'))).toMatchObject({
      code: 'DATA_BAD_FILE',
      message: 't.parquet: not a Parquet file',
    });
    await parquet('u.parquet', "SELECT 'a@x.com' AS email");
    expect((await failure(load('u.parquet', null))).message).toBe(
      'u.parquet: column day is missing',
    );
    await parquet('v.parquet', `SELECT *, [1] AS more FROM (${ROWS_SQL})`);
    const table = { ...TABLE, columns: { more: { type: 'integer', nullable: true } } };
    expect((await failure(load('v.parquet', null, { table }))).message).toBe(
      'v.parquet: column more has a type that is no single value',
    );
  });

  it('is never a pattern, a folder or another file of another ending', async () => {
    const globbed = join(dir, 'p[a]');
    mkdirSync(globbed);
    await parquet('w.parquet', ROWS_SQL);
    expect((await failure(load('*.parquet', null))).code).toBe('DATA_BAD_FILE');
    expect((await failure(load('none.parquet', null))).code).toBe('FILE_NOT_FOUND');
    expect((await failure(load('t.xlsx', 'x'))).code).toBe('DATA_BAD_FILE');
    mkdirSync(join(dir, 'd.parquet'));
    expect((await failure(load('d.parquet', null))).code).toBe('DATA_BAD_FILE');
  });

  it('a rounded double and a time of day are refused by row and column', async () => {
    await parquet(
      't.parquet',
      `SELECT 'a@x.com' AS email, TIMESTAMP '2025-01-01 10:00:00' AS day, 0.1::DOUBLE + 0.2::DOUBLE AS spent,
         'home' AS kind, true AS member`,
    );
    expect(await problemsOf(load('t.parquet', null))).toEqual([
      't.parquet:1: day: not a real date of the form YYYY-MM-DD',
      't.parquet:1: spent: more than 2 digits after the point',
    ]);
    expect(existsSync(join(dir, 't.parquet.duckdb'))).toBe(false);
  });
});

describe('describing a file', () => {
  it('names types, ranges and small domains, and no identifier', async () => {
    const described = async (name: string, body: string | null) => {
      if (body !== null) writeFileSync(join(dir, name), body);
      return describeFile(join(dir, name));
    };
    await parquet('t.parquet', ROWS_SQL);
    const csv = await described('t.csv', CSV);
    expect(csv).toEqual({
      rows: 4,
      badRows: 0,
      columns: [
        {
          name: 'email',
          likely: 'email',
          empty: 1,
          scale: null,
          min: null,
          max: null,
          values: null,
        },
        {
          name: 'day',
          likely: 'date',
          empty: 0,
          scale: null,
          min: '2024-02-29',
          max: '2026-12-31',
          values: null,
        },
        {
          name: 'spent',
          likely: 'decimal',
          empty: 1,
          scale: 2,
          min: '-0.01',
          max: '99999999.99',
          values: null,
        },
        {
          name: 'kind',
          likely: 'text',
          empty: 0,
          scale: null,
          min: null,
          max: null,
          values: ['home', 'it,"s', 'é'],
        },
        // The CSV writes one truth value as 1, which is no word for a boolean everywhere.
        expect.objectContaining({ name: 'member', likely: 'text', empty: 1 }),
      ],
    });
    const objects = OBJECTS.map((object) => JSON.stringify(object)).join('\n');
    for (const other of [await described('t.jsonl', objects), await described('t.parquet', null)]) {
      expect(other.rows).toBe(4);
      expect(other.columns.map(({ name, likely }) => [name, likely])).toEqual([
        ['email', 'email'],
        ['day', 'date'],
        ['spent', 'decimal'],
        ['kind', 'text'],
        ['member', 'boolean'],
      ]);
    }
  });
});
