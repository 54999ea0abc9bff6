import type { DuckDBConnection, DuckDBDataChunk } from '@duckdb/node-api';
import { expect, ParleyError } from '../../core/errors.ts';
import { concat, fromHex } from '../../core/bytes.ts';
import type { LocalTable } from '../../engine/types.ts';
import type { Policy } from '../../policy/types.ts';
import { keysOfSide } from '../../sql/index.ts';
import type { Plan, PlanSide, Side, Term } from '../../sql/plan.ts';
import { readDoubles, SALT_BYTES, UNIT_BYTES, visitBlobs, visitChunks } from '../store/index.ts';
import type { Store, StoredTable } from '../store/index.ts';
import { CHUNK_ROWS } from '../store/limits.ts';
import { predicateSql, type SqlColumns } from './predicate.ts';
import { rowPlacer, type Placed } from './slots.ts';
import { termSql } from './terms.ts';

export interface LocalStage {
  readonly table: LocalTable;
  /** What the bounds left out, after the filter. For the party's eyes only. */
  readonly dropped: { readonly rows: number; readonly users: number };
}

/** A NULL group key. Coded values are integers, so no value is mistaken for it. */
const NULL_KEY = 0.5;

/** Of a row beyond the capacity. */
const NOWHERE: Placed = { slot: -1, first: false };

const isTotal = (term: Term): boolean => 'op' in term && term.op === 'total';

interface Columns {
  readonly values: Readonly<Record<string, Float64Array>>;
  readonly present: Readonly<Record<string, Uint8Array>>;
  readonly bits: readonly Uint8Array[];
  readonly valid: Uint8Array;
}

interface Query {
  readonly sql: string;
  /** Units of the users who have a row left, in the order of `sql`. */
  readonly unitsSql: string;
  /** Columns of the result after the row number: two per name, then one per bit. */
  readonly names: readonly string[];
  readonly keyNames: readonly string[];
  readonly bits: number;
}

/** The rows of a side: one stored table, or several joined on their users. */
interface Source {
  /** Relation of users with `user_no` and `unit`. */
  readonly users: string;
  /** Relation of rows with `user_no`, `row_no` and the columns. */
  readonly rows: string;
  readonly columns: SqlColumns;
}

function openTables(store: Store, policy: Policy, side: PlanSide): readonly StoredTable[] {
  const party = policy.parties.find((candidate) => candidate.name === side.party);
  const tables = party?.tables ?? {};
  return [side.table, ...side.joined].map((name) => {
    const table = Object.hasOwn(tables, name) ? tables[name] : undefined;
    expect(table !== undefined, 'the plan was made under this policy');
    return store.table(name, table, fromHex(policy.identifier_salt, SALT_BYTES));
  });
}

/**
 * What a side reads. Several tables are joined on the unit: every combination of a user's rows, in
 * the order of their row keys, table by table. That order depends on the user's own rows alone.
 */
function sourceOf(tables: readonly StoredTable[], side: PlanSide): Source {
  const [first, ...rest] = tables;
  if (rest.length === 0) {
    const { usersTable, rowsTable, sqlColumns } = first!;
    return { users: usersTable, rows: rowsTable, columns: sqlColumns };
  }
  const names = [side.table, ...side.joined];
  const columns = new Map<string, string>();
  const selected: string[] = [];
  tables.forEach(({ sqlColumns }, t) => {
    for (const [name, column] of sqlColumns) {
      columns.set(`${names[t]!}.${name}`, `t${t}_${column}`);
      selected.push(`r${t}.${column} AS t${t}_${column}`);
    }
  });
  const users = tables.map(({ usersTable }, t) => `${usersTable} AS u${t}`);
  const rows = tables.map(
    ({ rowsTable }, t) => `${rowsTable} AS r${t} ON r${t}.user_no = u${t}.user_no`,
  );
  const joined = [
    users[0]!,
    ...users.slice(1).map((user, i) => `${user} ON u${i + 1}.unit = u0.unit`),
    ...rows,
  ].join(' JOIN ');
  const order = tables.map((_, t) => `r${t}.row_no`).join(', ');
  const all = `(SELECT u0.user_no, row_number() OVER (ORDER BY u0.user_no, ${order}) AS row_no,
    ${selected.join(', ')} FROM ${joined} ORDER BY row_no)`;
  return { users: first!.usersTable, rows: all, columns };
}

function writeQuery({ users, rows, columns }: Source, plan: Plan, which: Side): Query {
  const side = plan.sides[which]!;
  const keyNames = keysOfSide(plan, which).map(({ column }) => column);
  const names = [...new Set([...side.columns, ...keyNames])];
  const derived = new Map(side.derived.map(({ name, term }) => [name, term]));
  const selected = names.flatMap((name) => {
    const term = derived.get(name);
    const value = term === undefined ? columns.get(name) : termSql(term, columns);
    expect(value !== undefined, 'a plan names declared columns only');
    return [`coalesce(${value}, 0)::DOUBLE`, `(${value} IS NOT NULL)::DOUBLE`];
  });
  const bits = side.bits.map((bit) => `coalesce(${predicateSql(bit, columns)}, FALSE)::DOUBLE`);
  const where = side.filter === null ? '' : ` WHERE ${predicateSql(side.filter, columns)}`;
  const outputs = ['user_no::DOUBLE', 'row_no::DOUBLE', ...selected, ...bits];
  // A user of one table may lack rows in another, so only the rows say who is there.
  const all = where === '' && side.joined.length === 0;
  const present = all ? '' : ` WHERE user_no IN (SELECT user_no FROM ${rows}${where})`;
  return {
    // Rows lie in the order of row_no, which DuckDB keeps in a plain scan; it is checked when read.
    sql: `SELECT ${outputs.join(', ')} FROM ${rows}${where}`,
    unitsSql: `SELECT unit FROM ${users}${present} ORDER BY user_no`,
    names,
    keyNames,
    bits: side.bits.length,
  };
}

/** Numbers of the users with a row left, ascending, and their units, ascending too. */
async function readUsers(
  connection: DuckDBConnection,
  { unitsSql }: Query,
): Promise<{ readonly count: number; readonly units: Uint8Array }> {
  const units: Uint8Array[] = [];
  await visitChunks(connection, unitsSql, (chunk) => {
    const packed = new Uint8Array(chunk.rowCount * UNIT_BYTES);
    visitBlobs(chunk, 0, (bytes, row) => packed.set(bytes, row * UNIT_BYTES));
    units.push(packed);
  });
  const all = concat(units);
  // One person is one user, however often a party repeats a key: bounds are per user.
  for (let at = UNIT_BYTES; at < all.length; at += UNIT_BYTES) {
    if (Buffer.compare(all.subarray(at - UNIT_BYTES, at), all.subarray(at, at + UNIT_BYTES)) < 0) {
      continue;
    }
    throw new ParleyError('STORAGE_FAILED', 'the store holds a user twice or out of order');
  }
  return { count: all.length / UNIT_BYTES, units: all };
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
  const placer = rowPlacer(side);
  const totals = new Set(side.derived.flatMap(({ name, term }) => (isTotal(term) ? [name] : [])));
  const width = 2 + 2 * query.names.length + query.bits;
  const read = Array.from({ length: width }, () => new Float64Array(CHUNK_ROWS));
  const [userNo, rowNo] = [read[0]!, read[1]!];
  const sources = query.names.map((name, i) => ({
    value: read[2 + 2 * i]!,
    here: read[3 + 2 * i]!,
    values: columns.values[name]!,
    present: columns.present[name]!,
    adds: totals.has(name),
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
  const adders = sources.filter(({ adds }) => adds);
  const write = (i: number, cell: number): void => {
    columns.valid[cell] = 1;
    for (const source of sources) {
      source.values[cell] = source.value[i]!;
      source.present[cell] = source.adds ? 1 : source.here[i]!;
    }
    for (const bit of bitSources) bit.into[cell] = bit.from[i]!;
  };
  const add = (i: number, cell: number): void => {
    for (const { values, value } of adders) values[cell]! += value[i]!;
    for (const { into, from } of bitSources) into[cell]! |= from[i]!;
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
          placer.reset();
        }
        readKeys(i);
        const { slot, first } = user < users ? placer.place(keys) : NOWHERE;
        if (slot < 0) droppedRows += 1;
        else if (first) write(i, slot * users + user);
        else add(i, slot * users + user);
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
  const query = writeQuery(sourceOf(openTables(store, policy, side), side), plan, which);
  return store.read(async (connection) => {
    const { count, units } = await readUsers(connection, query);
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
