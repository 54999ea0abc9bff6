// Goal: with noise and threshold off, the answer that the analyst's client decodes from real shares
// is DuckDB's answer over the same CSV rows, to the last digit.
import { DuckDBInstance } from '@duckdb/node-api';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { decodeAnswer, releaseOf } from '../../src/client/index.ts';
import { fromHex } from '../../src/core/bytes.ts';
import type { LocalTable } from '../../src/engine/types.ts';
import { runLocalStage } from '../../src/party/local/index.ts';
import type { Store } from '../../src/party/store/index.ts';
import { importCsv, openStore } from '../../src/party/store/index.ts';
import { planQuery } from '../../src/sql/index.ts';
import type { Side } from '../../src/sql/index.ts';
import type { EnginePair } from '../support/engine.ts';
import { combine, enginePair } from '../support/engine.ts';
import { dice, randomQuery, randomRows, writeCsv } from '../support/random-room.ts';
import { OPEN_RULES, roomPolicy } from '../support/room-policy.ts';

const DATASETS = 20;
const QUERIES_PER_DATASET = 10;
const SEED = 20_251_012;
const policy = roomPolicy(OPEN_RULES, 4);
const tableOf = { shopgood: 'purchases', newsnow: 'exposures' } as const;

let dir = '';
let pair: EnginePair;
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'parley-duckdb-'));
  pair = await enginePair();
});
afterAll(() => rmSync(dir, { recursive: true }));

type Stores = Readonly<Record<'shopgood' | 'newsnow', Store>>;

async function importRoom(folder: string, rows: ReturnType<typeof randomRows>): Promise<Stores> {
  const entries = [];
  for (const party of ['shopgood', 'newsnow'] as const) {
    const tableName = tableOf[party];
    const file = join(folder, `${tableName}.csv`);
    writeCsv(file, policy, tableName, rows[tableName]);
    const table = policy.parties.find((p) => p.name === party)!.tables[tableName]!;
    const storePath = join(folder, `${party}.duckdb`);
    const salt = fromHex(policy.identifier_salt, 32);
    await importCsv({ file, tableName, table, salt, storePath });
    entries.push([party, await openStore(storePath, { readOnly: true })] as const);
  }
  return Object.fromEntries(entries) as unknown as Stores;
}

async function parley(stores: Stores, sql: string): Promise<unknown[][]> {
  const plan = planQuery(policy, 'd'.repeat(64), sql, { epsilon: null });
  const local = async (side: Side): Promise<LocalTable> => {
    const party = plan.sides[side].party as keyof Stores;
    return (await runLocalStage(stores[party], policy, plan, side)).table;
  };
  const opened = combine(await pair.run(plan, [await local(0), await local(1)]));
  const answer = decodeAnswer(plan, opened.open, opened.cells, releaseOf(plan).widths);
  return answer.rows.map((row) => row.cells.map((cell) => cell.double ?? cell.value));
}

const DECLARE = `
  CREATE TABLE p AS SELECT email, purchase_date::DATE AS purchase_date, total_spent::DECIMAL(14,2) AS total_spent,
    items::BIGINT AS items, category, online::BOOLEAN AS online FROM read_csv('$1', all_varchar = true);
  CREATE TABLE x AS SELECT email, campaign_id, exposure_date::DATE AS exposure_date, seconds::DECIMAL(14,1) AS seconds,
    clicked::BOOLEAN AS clicked FROM read_csv('$2', all_varchar = true);
  CREATE VIEW joined_data AS SELECT email AS hashed_email, * EXCLUDE (email) FROM p JOIN x USING (email);`;

async function oracle(folder: string): Promise<(sql: string) => Promise<unknown[][]>> {
  const instance = await DuckDBInstance.create(':memory:');
  const connection = await instance.connect();
  const [purchases, exposures] = ['purchases', 'exposures'].map((t) => join(folder, `${t}.csv`));
  await connection.run(DECLARE.replace('$1', purchases!).replace('$2', exposures!));
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

it(`answers ${DATASETS * QUERIES_PER_DATASET} random questions as DuckDB does (seed ${SEED})`, async () => {
  const roll = dice(SEED);
  let nonEmpty = 0;
  for (let d = 0; d < DATASETS; d += 1) {
    const folder = mkdtempSync(join(dir, `set${d}-`));
    const stores = await importRoom(folder, randomRows(roll, [0, 4, 25, 40][d % 4]!, 1 + (d % 4)));
    const ask = await oracle(folder);
    for (let q = 0; q < QUERIES_PER_DATASET; q += 1) {
      const sql = randomQuery(roll);
      const expected = await ask(sql);
      if (expected.some((row) => row.some((v) => typeof v === 'number' && v > 1))) nonEmpty += 1;
      expect(await parley(stores, sql), `dataset ${d}: ${sql}`).toEqual(expected);
    }
    for (const store of Object.values(stores)) store.close();
  }
  expect(nonEmpty).toBeGreaterThan(60);
}, 600_000);
