import type { DuckDBConnection, DuckDBDataChunk } from '@duckdb/node-api';
import { expect, ParleyError } from '../../core/errors.ts';
import { fromHex } from '../../core/bytes.ts';
import type { LocalTable } from '../../engine/types.ts';
import type { Policy } from '../../policy/types.ts';
import type { Plan, PlanSide, Side } from '../../sql/plan.ts';
import { readDoubles, SALT_BYTES, UNIT_BYTES, visitBlobs, visitChunks } from '../store/index.ts';
import type { Store, StoredTable } from '../store/index.ts';
import { CHUNK_ROWS } from '../store/limits.ts';
import { rowBounder } from './bounds.ts';
import { predicateSql } from './predicate.ts';

export interface LocalStage {
  readonly table: LocalTable;
  /** What the bounds left out, after the filter. For the party's eyes only. */
  readonly dropped: { readonly rows: number; readonly users: number };
}

/** A NULL group key. Coded values are integers, so no value is mistaken for it. */
const NULL_KEY = 0.5;

interface Columns {
  readonly values: Readonly<Record<string, Float64Array>>;
  readonly present: Readonly<Record<string, Uint8Array>>;
  readonly bits: readonly Uint8Array[];
  readonly valid: Uint8Array;
}

interface Query {
  readonly sql: string;
  readonly where: string;
  /** Columns of the result after the user number: two per name, then one per bit. */
  readonly names: readonly string[];
  readonly keyNames: readonly string[];
  readonly bits: number;
}

function findTable(store: Store, policy: Policy, side: PlanSide): StoredTable {
  const party = policy.parties.find((candidate) => candidate.name === side.party);
  const tables = party?.tables ?? {};
  const table = Object.hasOwn(tables, side.table) ? tables[side.table] : undefined;
  expect(table !== undefined, 'the plan was made under this policy');
  return store.table(side.table, table, fromHex(policy.identifier_salt, SALT_BYTES));
}

function writeQuery(stored: StoredTable, plan: Plan, which: Side): Query {
  const side = plan.sides[which]!;
  const columns = stored.sqlColumns;
  const keyNames = plan.groups.filter((key) => key.side === which).map((key) => key.column);
  const names = [...new Set([...side.columns, ...keyNames])];
  const selected = names.flatMap((name) => {
    const column = columns.get(name);
    expect(column !== undefined, 'a plan names declared columns only');
    return [`coalesce(${column}, 0)::DOUBLE`, `(${column} IS NOT NULL)::DOUBLE`];
  });
  const bits = side.bits.map((bit) => `coalesce(${predicateSql(bit, columns)}, FALSE)::DOUBLE`);
  const where = side.filter === null ? '' : ` WHERE ${predicateSql(side.filter, columns)}`;
  const outputs = ['user_no::DOUBLE', 'row_no::DOUBLE', ...selected, ...bits];
  // Rows lie in the order of row_no, which DuckDB keeps in a plain scan; it is checked when read.
  const sql = `SELECT ${outputs.join(', ')} FROM ${stored.rowsTable}${where}`;
  return { sql, where, names, keyNames, bits: side.bits.length };
}

/** Numbers of the users with a row left, ascending, and their units, ascending too. */
async function readUsers(
  connection: DuckDBConnection,
  stored: StoredTable,
  where: string,
): Promise<{ readonly count: number; readonly units: Uint8Array }> {
  const rest = `FROM ${stored.rowsTable}${where}`;
  const semiJoin = where === '' ? '' : ` WHERE user_no IN (SELECT user_no ${rest})`;
  const units: Uint8Array[] = [];
  const sql = `SELECT unit FROM ${stored.usersTable}${semiJoin} ORDER BY user_no`;
  await visitChunks(connection, sql, (chunk) => {
    const packed = new Uint8Array(chunk.rowCount * UNIT_BYTES);
    visitBlobs(chunk, 0, (bytes, row) => packed.set(bytes, row * UNIT_BYTES));
    units.push(packed);
  });
  const bytes = units.reduce((n, part) => n + part.length, 0);
  const all = new Uint8Array(bytes);
  let at = 0;
  for (const part of units) {
    all.set(part, at);
    at += part.length;
  }
  return { count: bytes / UNIT_BYTES, units: all };
}

function allocate(names: readonly string[], bits: number, cells: number): Columns {
  return {
    values: Object.fromEntries(names.map((name) => [name, new Float64Array(cells)])),
    present: Object.fromEntries(names.map((name) => [name, new Uint8Array(cells)])),
    bits: Array.from({ length: bits }, () => new Uint8Array(cells)),
    valid: new Uint8Array(cells),
  };
}

/** Reads one chunk at a time into slots; knows which user it is at across chunks. */
function slotFiller(side: PlanSide, query: Query, users: number) {
  const columns = allocate(query.names, query.bits, users * side.slots);
  const bounder = rowBounder(side);
  const width = 2 + 2 * query.names.length + query.bits;
  const read = Array.from({ length: width }, () => new Float64Array(CHUNK_ROWS));
  const [userNo, rowNo] = [read[0]!, read[1]!];
  const sources = query.names.map((name, i) => ({
    value: read[2 + 2 * i]!,
    here: read[3 + 2 * i]!,
    values: columns.values[name]!,
    present: columns.present[name]!,
  }));
  const bitSources = columns.bits.map((into, i) => ({
    from: read[2 + 2 * query.names.length + i]!,
    into,
  }));
  const keySources = query.keyNames.map((name) => sources[query.names.indexOf(name)]!);
  const keys = query.keyNames.map(() => 0);
  let [user, lastUser, lastRow, droppedRows] = [-1, -1, -1, 0];

  const readKeys = (i: number): void => {
    keySources.forEach((source, k) => {
      keys[k] = source.here[i] === 1 ? source.value[i]! : NULL_KEY;
    });
  };
  const write = (i: number, cell: number): void => {
    columns.valid[cell] = 1;
    for (const source of sources) {
      source.values[cell] = source.value[i]!;
      source.present[cell] = source.here[i]!;
    }
    for (const bit of bitSources) bit.into[cell] = bit.from[i]!;
  };
  return {
    columns,
    visit(chunk: DuckDBDataChunk): void {
      for (let c = 0; c < width; c += 1) readDoubles(chunk, c, read[c]!);
      const { rowCount } = chunk;
      for (let i = 0; i < rowCount; i += 1) {
        expect(rowNo[i]! > lastRow, 'the store yields its rows in order');
        lastRow = rowNo[i]!;
        if (userNo[i] !== lastUser) {
          lastUser = userNo[i]!;
          user += 1;
          bounder.reset();
        }
        readKeys(i);
        const slot = user < users ? bounder.place(keys) : -1;
        if (slot < 0) droppedRows += 1;
        else write(i, slot * users + user);
      }
    },
    /** Users seen in all, and rows that found no slot. */
    seen: () => ({ users: user + 1, droppedRows }),
  };
}

/**
 * What a party does alone, in clear, before the join: drop the rows its own filter refuses, bound
 * each user's rows, lay them out in slots, evaluate its own predicates per row.
 *
 * Surplus rows go by row key, a hash of the row's own content, so what is kept of a user depends on
 * that user's rows alone. Users come in the order of their units. Should more users than the
 * capacity remain, which the import excludes, those of the smallest units stay. Values are not
 * clamped here.
 *
 * Cost: one scan of the table, and the table itself in memory.
 *
 * @throws ParleyError STORE_MISMATCH when the table was imported under other rules, STORAGE_FAILED;
 *   INTERNAL when the plan was not made under this policy.
 */
export async function runLocalStage(
  store: Store,
  policy: Policy,
  plan: Plan,
  which: Side,
): Promise<LocalStage> {
  const side = plan.sides[which]!;
  expect(side.slots >= 1, 'a side has at least one slot');
  const stored = findTable(store, policy, side);
  const query = writeQuery(stored, plan, which);
  return store.read(async (connection) => {
    const { count, units } = await readUsers(connection, stored, query.where);
    const users = Math.min(count, side.capacity);
    const filler = slotFiller(side, query, users);
    await visitChunks(connection, query.sql, (chunk) => filler.visit(chunk));
    const seen = filler.seen();
    if (seen.users !== count) {
      throw new ParleyError('STORAGE_FAILED', 'the store changed while it was read');
    }
    const { valid, values, present, bits } = filler.columns;
    const pick = <T>(all: Readonly<Record<string, T>>): Readonly<Record<string, T>> =>
      Object.fromEntries(side.columns.map((name) => [name, all[name]!]));
    return {
      table: {
        users,
        ids: units.slice(0, users * UNIT_BYTES),
        slots: side.slots,
        valid,
        values: pick(values),
        present: pick(present),
        bits,
      },
      dropped: { rows: seen.droppedRows, users: count - users },
    };
  });
}
