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
import { importTable, openStore } from '../../src/party/store/index.ts';
import { planQuery } from '../../src/sql/index.ts';
import type { Policy } from '../../src/policy/types.ts';
import type { EngineRoom } from '../support/engine.ts';
import { combine, engineRoom } from '../support/engine.ts';
import { dice, randomQuery, randomRows, writeCsv } from '../support/random-room.ts';
import { OPEN_RULES, roomPolicy, TABLES } from '../support/room-policy.ts';

const QUERIES_PER_DATASET = 10;
const SEED = 20_251_012;
/** Rows per user by parties: what is computed grows with their product. */
const ROWS_MAX: Readonly<Record<number, number>> = { 2: 4, 3: 3, 4: 2 };

let dir = '';
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'parley-duckdb-'));
});
afterAll(() => rmSync(dir, { recursive: true }));

/** The room of so many parties, its join by one of both OPRFs, in one or several shards. */
function policyOf(parties: number, dataset: number): Policy {
  const oprf = dataset % 2 === 0 ? 'ecdh' : 'kkrt';
  const join = { oprf, ot_field_bits: 4, shard_users: dataset % 4 === 3 ? 32 : 65_536 } as const;
  return roomPolicy({ ...OPEN_RULES, join }, ROWS_MAX[parties], parties);
}

async function importRoom(
  folder: string,
  policy: Policy,
  rows: ReturnType<typeof randomRows>,
): Promise<ReadonlyMap<string, Store>> {
  const stores = new Map<string, Store>();
  for (const party of policy.parties) {
    const [[tableName, table]] = Object.entries(party.tables) as [[(typeof TABLES)[number], never]];
    const file = join(folder, `${tableName}.csv`);
    writeCsv(file, policy, tableName, rows[tableName]);
    const storePath = join(folder, `${party.name}.duckdb`);
    const salt = fromHex(policy.identifier_salt, 32);
    await importTable({ file, tableName, table, salt, storePath });
    stores.set(party.name, await openStore(storePath, { readOnly: true }));
  }
  return stores;
}

async function parley(
  room: EngineRoom,
  policy: Policy,
  stores: ReadonlyMap<string, Store>,
  sql: string,
): Promise<unknown[][]> {
  const plan = planQuery(policy, 'd'.repeat(64), sql, { epsilon: null });
  const tables: LocalTable[] = [];
  for (const [side, { party }] of plan.sides.entries()) {
    tables.push((await runLocalStage(stores.get(party)!, policy, plan, side)).table);
  }
  const opened = combine(await room.run(plan, tables));
  const answer = decodeAnswer(plan, opened.open, opened.cells, releaseOf(plan).widths);
  return answer.rows.map((row) => row.cells.map((cell) => cell.double ?? cell.value));
}

const DECLARE = [
  `email, purchase_date::DATE AS purchase_date, total_spent::DECIMAL(14,2) AS total_spent,
   items::BIGINT AS items, category, online::BOOLEAN AS online`,
  `email, campaign_id, exposure_date::DATE AS exposure_date, seconds::DECIMAL(14,1) AS seconds,
   clicked::BOOLEAN AS clicked`,
  'email, tier, member_since::DATE AS member_since, points::BIGINT AS points',
  'email, score::DECIMAL(14,1) AS score, consent::BOOLEAN AS consent',
];

async function oracle(
  folder: string,
  parties: number,
): Promise<(sql: string) => Promise<unknown[][]>> {
  const instance = await DuckDBInstance.create(':memory:');
  const connection = await instance.connect();
  const tables = TABLES.slice(0, parties);
  for (const [i, table] of tables.entries()) {
    const from = `read_csv('${join(folder, `${table}.csv`)}', all_varchar = true)`;
    await connection.run(`CREATE TABLE ${table} AS SELECT ${DECLARE[i]!} FROM ${from}`);
  }
  const joined = tables.map((table, i) => (i === 0 ? table : `JOIN ${table} USING (email)`));
  await connection.run(`CREATE VIEW joined_data AS
    SELECT email AS hashed_email, * EXCLUDE (email) FROM ${joined.join(' ')}`);
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

it.each([
  [2, 12, 50],
  [3, 4, 15],
  [4, 2, 3],
])(
  `answers random questions over %i parties and %i data sets as DuckDB does (seed ${SEED})`,
  async (parties, datasets, nonEmptyMin) => {
    const roll = dice(SEED + parties);
    const room = await engineRoom({ parties });
    let nonEmpty = 0;
    for (let d = 0; d < datasets; d += 1) {
      const policy = policyOf(parties, d);
      const folder = mkdtempSync(join(dir, `set${parties}-${d}-`));
      const rows = randomRows(
        roll,
        [40, 0, 4, 25][d % 4]!,
        1 + (d % ROWS_MAX[parties]!),
        parties > 2,
      );
      const stores = await importRoom(folder, policy, rows);
      const ask = await oracle(folder, parties);
      for (let q = 0; q < QUERIES_PER_DATASET; q += 1) {
        const sql = randomQuery(roll, parties);
        const expected = await ask(sql);
        if (expected.some((row) => row.some((v) => typeof v === 'number' && v > 1))) nonEmpty += 1;
        const got = await parley(room, policy, stores, sql);
        expect(got, `dataset ${d} of ${parties} parties: ${sql}`).toEqual(expected);
      }
      for (const store of stores.values()) store.close();
    }
    expect(nonEmpty).toBeGreaterThan(nonEmptyMin);
  },
  600_000,
);
