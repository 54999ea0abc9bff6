// A room for comparing answers with DuckDB: stores and a DuckDB database over the same rows.
import { DuckDBInstance } from '@duckdb/node-api';
import { join } from 'node:path';
import { decodeAnswer, releaseOf, type AnswerTable } from '../../src/client/index.ts';
import { fromHex } from '../../src/core/bytes.ts';
import { aggregatePlain, releasePlain } from '../../src/engine/plain/index.ts';
import type { LocalTable } from '../../src/engine/types.ts';
import { runLocalStage } from '../../src/party/local/index.ts';
import type { Store } from '../../src/party/store/index.ts';
import { importTable, openStore } from '../../src/party/store/index.ts';
import type { Policy, RulesPolicy, TablePolicy } from '../../src/policy/types.ts';
import { planQuery, type Plan } from '../../src/sql/index.ts';
import { calibrationOf } from './engine.ts';
import { writeCsv, type Dice, type Row } from './random-room.ts';
import { OPEN_RULES, roomPolicy } from './room-policy.ts';

const ALL: RulesPolicy['allowed_aggregates'] = [
  'COUNT',
  'COUNT_DISTINCT',
  'SUM',
  'AVG',
  'VARIANCE',
  'QUANTILE',
];

const visits: TablePolicy = {
  privacy_unit_column: { name: 'email', kind: 'email' },
  max_users: 64,
  max_rows_per_user: 2,
  columns: {
    store: { type: 'text', nullable: true, values: ['north', 'south', 'Zürich'] },
    visit_date: { type: 'date', nullable: true, min: '2024-02-01', max: '2024-03-31' },
    minutes: { type: 'integer', nullable: true, lower: '0', upper: '120' },
  },
};

/** The room of `roomPolicy` with a second table of the first party. */
export function sqlPolicy(
  parties: number,
  rowsPerUser: number,
  rules: Partial<RulesPolicy> = {},
): Policy {
  const policy = roomPolicy(
    { ...OPEN_RULES, allowed_aggregates: ALL, ...rules },
    rowsPerUser,
    parties,
  );
  const [first, ...rest] = policy.parties;
  return { ...policy, parties: [{ ...first!, tables: { ...first!.tables, visits } }, ...rest] };
}

export type Rows = Readonly<Record<string, readonly Row[]>>;

/** Rows of the extra table: users of the others and more, leap days among the dates. */
export function randomVisits(roll: Dice, emails: readonly string[]): Row[] {
  const pick = <T>(of: readonly T[]): T => of[roll(of.length)]!;
  return emails.flatMap((email) =>
    Array.from({ length: roll(3) }, () => ({
      email,
      store: pick(['north', 'south', 'Zürich', null]),
      visit_date: pick(['2024-02-28', '2024-02-29', '2024-03-01', '2024-03-31', null]),
      minutes: pick(['0', '-5', '30', '119', null]),
    })),
  );
}

export interface SqlRoom {
  readonly policy: Policy;
  readonly stores: ReadonlyMap<string, Store>;
  readonly ask: (sql: string) => Promise<unknown[][]>;
  close(): void;
}

const TYPES = {
  date: () => 'DATE',
  decimal: (scale: number) => `DECIMAL(14, ${scale})`,
  integer: () => 'BIGINT',
  text: () => 'VARCHAR',
  boolean: () => 'BOOLEAN',
} as const;

/** Imports rows for every party and loads them into DuckDB, with the room's view. */
export async function openSqlRoom(folder: string, policy: Policy, rows: Rows): Promise<SqlRoom> {
  const stores = new Map<string, Store>();
  const instance = await DuckDBInstance.create(':memory:');
  const connection = await instance.connect();
  for (const party of policy.parties) {
    const storePath = join(folder, `${party.name}.duckdb`);
    await connection.run(`CREATE SCHEMA ${party.name}`);
    for (const [tableName, table] of Object.entries(party.tables)) {
      const file = join(folder, `${tableName}.csv`);
      writeCsv(file, policy, tableName, rows[tableName] ?? []);
      const salt = fromHex(policy.identifier_salt, 32);
      await importTable({ file, tableName, table, salt, storePath });
      const columns = Object.entries(table.columns).map(
        ([name, { type, scale = 0 }]) => `${name}::${TYPES[type](scale)} AS ${name}`,
      );
      const source = `read_csv('${file}', all_varchar = true, header = true)`;
      await connection.run(
        `CREATE TABLE ${tableName} AS SELECT ${['email', ...columns].join(', ')} FROM ${source}`,
      );
      await connection.run(`CREATE VIEW ${party.name}.${tableName} AS FROM main.${tableName}`);
    }
    stores.set(party.name, await openStore(storePath, { readOnly: true }));
  }
  const joined = policy.views['joined_data']!.join.map((table, i) =>
    i === 0 ? table : `JOIN ${table} USING (email)`,
  );
  await connection.run(`CREATE VIEW joined_data AS
    SELECT email AS hashed_email, * EXCLUDE (email) FROM ${joined.join(' ')}`);
  return {
    policy,
    stores,
    ask: async (sql) =>
      (await connection.runAndReadAll(sql)).getRows().map((row) => row.map(plain)),
    close: () => {
      for (const store of stores.values()) store.close();
      connection.closeSync();
      instance.closeSync();
    },
  };
}

export function planIn(policy: Policy, sql: string): Plan {
  return planQuery(policy, 'd'.repeat(64), sql, { epsilon: null });
}

export async function localTables(room: SqlRoom, plan: Plan): Promise<LocalTable[]> {
  const tables: LocalTable[] = [];
  for (const [side, { party }] of plan.sides.entries()) {
    tables.push((await runLocalStage(room.stores.get(party)!, room.policy, plan, side)).table);
  }
  return tables;
}

/** The answer of the plain engine, decoded by the analyst's client. */
export async function answerPlain(room: SqlRoom, plan: Plan): Promise<AnswerTable> {
  const totals = aggregatePlain(plan, await localTables(room, plan));
  const { open, cells } = releasePlain(plan, calibrationOf(plan), totals, () => 0n);
  return decodeAnswer(plan, open, cells, releaseOf(plan).widths);
}

/** Numbers as exact text without idle zeros, dates as dates, doubles as they are. */
export function plain(value: unknown): unknown {
  // Decimals and dates of DuckDB write themselves.
  if (typeof value === 'number' || typeof value === 'boolean' || value === null) return value;
  const text = typeof value === 'string' ? value : (value as { toString(): string }).toString();
  if (/^-?\d+\.\d+$/.test(text)) return text.replace(/\.?0+$/, '');
  return /^\d{4}-\d\d-\d\d 00:00:00$/.test(text) ? text.slice(0, 10) : text;
}

export function rowsOf(answer: AnswerTable): unknown[][] {
  return answer.rows.map((row) =>
    row.cells.map(({ value, double }) => {
      if (double !== undefined) return double;
      return plain(typeof value === 'number' ? BigInt(value) : value);
    }),
  );
}

/** Doubles that differ in rounding alone are equal: DuckDB rounds at every step. */
function alike(a: unknown, b: unknown): boolean {
  if (typeof a !== 'number' && typeof b !== 'number') return a === b;
  if (a === null || b === null) return a === b;
  const [x, y] = [Number(a), Number(b)];
  return Math.abs(x - y) <= 1e-9 * Math.max(1, Math.abs(x), Math.abs(y));
}

const roughly = (value: unknown): unknown =>
  typeof value === 'number' ? value.toPrecision(8) : value;

/** Why two answers differ, or null: rows in order, or in any order when `ordered` is false. */
export function difference(
  ours: readonly unknown[][],
  theirs: readonly unknown[][],
  ordered: boolean,
): string | null {
  const key = (row: readonly unknown[]): string => JSON.stringify(row.map(roughly));
  const sorted = (rows: readonly unknown[][]): readonly unknown[][] =>
    ordered ? rows : [...rows].sort((a, b) => (key(a) < key(b) ? -1 : 1));
  const [a, b] = [sorted(ours), sorted(theirs)];
  const same =
    a.length === b.length &&
    a.every((row, r) => row.length === b[r]!.length && row.every((v, c) => alike(v, b[r]![c])));
  return same ? null : `ours ${JSON.stringify(a)}\ntheirs ${JSON.stringify(b)}`;
}
