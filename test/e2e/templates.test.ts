// Goal: every template answers its question on the example room: with noise off exactly as DuckDB does
// over the same files, and with the room's own rules as a table that a person can use.
import { DuckDBInstance } from '@duckdb/node-api';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { AnswerTable } from '../../src/client/index.ts';
import { decodeAnswer, formatTable, releaseOf } from '../../src/client/index.ts';
import { fromHex } from '../../src/core/bytes.ts';
import type { LocalTable } from '../../src/engine/types.ts';
import { runLocalStage } from '../../src/party/local/index.ts';
import type { Store } from '../../src/party/store/index.ts';
import { importTable, openStore } from '../../src/party/store/index.ts';
import type { Policy } from '../../src/policy/types.ts';
import { planQuery } from '../../src/sql/index.ts';
import { instantiate, libraryTemplate, templateLibrary } from '../../src/templates/index.ts';
import type { EngineRoom } from '../support/engine.ts';
import { combine, engineRoom } from '../support/engine.ts';
import { exampleFile, examplePolicy, OPEN_EXAMPLE } from '../support/example-room.ts';

const NAMES = templateLibrary().map(({ name }) => name);
const noisy = examplePolicy('templates');
const open: Policy = { ...noisy, rules: { ...noisy.rules, ...OPEN_EXAMPLE } };
const rooms = new Map<number, EngineRoom>();
const stores = new Map<string, Store>();
let dir = '';
let oracle: (sql: string) => Promise<unknown[][]>;

/** The UID2 rules for addresses at gmail.com, in SQL of its own. */
const ADDRESS = `CASE WHEN lower(trim(email)) LIKE '%@gmail.com'
  THEN replace(split_part(split_part(lower(trim(email)), '@', 1), '+', 1), '.', '') || '@gmail.com'
  ELSE lower(trim(email)) END AS email`;
const TYPES: Readonly<Record<string, string>> = {
  date: 'DATE',
  decimal: 'DECIMAL(14,2)',
  integer: 'BIGINT',
  text: 'VARCHAR',
};

async function openOracle(): Promise<typeof oracle> {
  const instance = await DuckDBInstance.create(':memory:');
  const connection = await instance.connect();
  for (const party of open.parties) {
    for (const [table, { columns }] of Object.entries(party.tables)) {
      const typed = Object.entries(columns).map(([c, { type }]) => `${c}::${TYPES[type]!} AS ${c}`);
      const from = `read_csv('${exampleFile('templates', party.name, table)}', all_varchar = true)`;
      const select = [ADDRESS, ...typed].join(', ');
      await connection.run(`CREATE TABLE ${table} AS SELECT ${select} FROM ${from}`);
    }
  }
  return async (sql) => {
    const reader = await connection.runAndReadAll(sql);
    return reader.getRows().map((row) =>
      row.map((value) => {
        if (typeof value === 'bigint') return Number(value);
        return typeof value === 'object' && value !== null ? value.toString() : value;
      }),
    );
  };
}

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'parley-templates-'));
  const salt = fromHex(open.identifier_salt, 32);
  for (const party of open.parties) {
    const storePath = join(dir, `${party.name}.duckdb`);
    for (const [tableName, table] of Object.entries(party.tables)) {
      const file = exampleFile('templates', party.name, tableName);
      await importTable({ file, tableName, table, salt, storePath });
    }
    stores.set(party.name, await openStore(storePath, { readOnly: true }));
  }
  for (const parties of [2, 3]) rooms.set(parties, await engineRoom({ parties }));
  oracle = await openOracle();
}, 120_000);
afterAll(() => {
  for (const store of stores.values()) store.close();
  rmSync(dir, { recursive: true });
});

async function answer(policy: Policy, sql: string): Promise<AnswerTable> {
  const plan = planQuery(policy, 'd'.repeat(64), sql, { epsilon: null });
  const tables: LocalTable[] = [];
  for (const [side, { party }] of plan.sides.entries()) {
    tables.push((await runLocalStage(stores.get(party)!, policy, plan, side)).table);
  }
  const opened = combine(await rooms.get(plan.sides.length)!.run(plan, tables));
  return decodeAnswer(plan, opened.open, opened.cells, releaseOf(plan).widths);
}

const rowsOf = (table: AnswerTable): unknown[][] =>
  table.rows.map((row) => row.cells.map((cell) => cell.double ?? cell.value));
const sorted = (rows: unknown[][]): string[] => rows.map((row) => JSON.stringify(row)).sort();

describe.each(NAMES)('%s', (name) => {
  const sql = instantiate(libraryTemplate(name), {}, open);

  it('answers as DuckDB does with noise off', async () => {
    const expected = await oracle(sql);
    expect(expected.length).toBeGreaterThan(0);
    expect(expected.flat().some((value) => typeof value === 'number' && value > 20)).toBe(true);
    expect(sorted(rowsOf(await answer(open, sql)))).toEqual(sorted(expected));
  }, 120_000);

  it('prints a table with noise on', async () => {
    const table = await answer(noisy, sql);
    expect(table.labels).toEqual([]);
    expect(table.rows.some((row) => !row.suppressed)).toBe(true);
    const text = formatTable(table);
    expect(text).toContain('±');
    for (const { name: column } of table.columns) expect(text).toContain(column);
  }, 120_000);
});

it('gives every conversion to one exposure, first or last', async () => {
  // Not by the template's own conditions: a window over all exposures on or before the purchase.
  const touches = await oracle(`SELECT x.campaign_id AS campaign, x.exposure_number AS number,
      row_number() OVER (PARTITION BY c.rowid ORDER BY x.exposure_date DESC, x.exposure_number DESC)
        AS from_last, c.email AS email, c.rowid AS purchase,
        c.purchase_date - x.exposure_date AS days
    FROM exposures x JOIN purchases c USING (email) WHERE x.exposure_date <= c.purchase_date`);
  const count = (rows: unknown[][]): Record<string, number> => {
    const by: Record<string, number> = {};
    for (const [campaign] of rows) by[String(campaign)] = (by[String(campaign)] ?? 0) + 1;
    return by;
  };
  for (const [name, kept] of [
    ['attribution_last_touch', touches.filter((row) => row[2] === 1)],
    ['attribution_first_touch', touches.filter((row) => row[1] === 1)],
  ] as const) {
    const rows = rowsOf(await answer(open, instantiate(libraryTemplate(name), {}, open)));
    const conversions = Object.fromEntries(rows.map((row) => [String(row[0]), row[2]]));
    expect(conversions, name).toEqual(count(kept));
    // A touch out of the window earns nothing.
    const days = 5;
    const narrow = instantiate(libraryTemplate(name), { window_days: `${days}` }, open);
    const within = Object.fromEntries(
      rowsOf(await answer(open, narrow)).map((row) => [String(row[0]), row[2]]),
    );
    expect(within, name).toEqual(count(kept.filter((row) => Number(row[5]) <= days)));
    expect(within, name).not.toEqual(conversions);
  }
}, 120_000);
