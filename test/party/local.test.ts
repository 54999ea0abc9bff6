// Goal: the local stage keeps, of every user, the rows that a plain reading of the plan keeps, and
// what it keeps of one user does not depend on anybody else's rows or on the order of the file.
import fc from 'fast-check';
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { fromHex, toHex } from '../../src/core/bytes.ts';
import type { LocalTable } from '../../src/engine/types.ts';
import { runLocalStage } from '../../src/party/local/index.ts';
import { importTable, openStore, unitHasher } from '../../src/party/store/index.ts';
import type { Store } from '../../src/party/store/index.ts';
import type { Policy, TablePolicy } from '../../src/policy/types.ts';
import type {
  Comparison,
  Literal,
  LocalPredicate,
  Plan,
  PlanSide,
  Term,
} from '../../src/sql/plan.ts';

const SALT_HEX = '5a'.repeat(32);
const SALT = fromHex(SALT_HEX, 32);
const KINDS = ['home', 'beauty', 'sports'];
const TABLE: TablePolicy = {
  privacy_unit_column: { name: 'id', kind: 'exact' },
  max_users: 1000,
  max_rows_per_user: 4,
  columns: {
    a: { type: 'decimal', nullable: true, scale: 2 },
    b: { type: 'integer', nullable: true },
    flag: { type: 'boolean', nullable: true },
    kind: { type: 'text', nullable: true, values: KINDS },
  },
};
/** Sorted, as the store keeps and the row key reads them. */
const NAMES = ['a', 'b', 'flag', 'kind'] as const;

interface Row {
  readonly id: string;
  readonly values: Readonly<Record<(typeof NAMES)[number], number | null>>;
}

const ROOT = mkdtempSync(join(tmpdir(), 'parley-local-'));
const stores: Store[] = [];
afterAll(() => {
  for (const store of stores) store.close();
  rmSync(ROOT, { recursive: true });
});

function csvOf(rows: readonly Row[]): string {
  const cells = rows.map(({ id, values: { a, b, flag, kind } }) => [
    id,
    a === null
      ? ''
      : `${a < 0 ? '-' : ''}${String(Math.abs(a)).padStart(3, '0').replace(/(..)$/, '.$1')}`,
    b === null ? '' : String(b),
    flag === null ? '' : String(flag === 1),
    kind === null ? '' : KINDS[kind]!,
  ]);
  return ['id,a,b,flag,kind', ...cells.map((c) => c.join(','))].join('\n');
}

async function storeOf(rows: readonly Row[]): Promise<Store> {
  const storePath = join(ROOT, `${stores.length}.duckdb`);
  const file = join(ROOT, 't.csv');
  writeFileSync(file, csvOf(rows));
  await importTable({ file, tableName: 't', table: TABLE, salt: SALT, storePath });
  const store = await openStore(storePath, { readOnly: true });
  stores.push(store);
  return store;
}

const POLICY: Policy = {
  version: 1,
  room: 'test',
  identifier_salt: SALT_HEX,
  parties: [{ name: 'p', identity_key: '', link_key: '', tables: { t: TABLE } }],
  views: {},
  analysts: [],
  rules: {
    allowed_aggregates: ['COUNT'],
    min_privacy_units_per_group: 1,
    partition_selection: 'exact_k',
    differential_privacy: 'off',
    confidence_level: '0.95',
    join: { oprf: 'ecdh', ot_field_bits: 4, shard_users: 65_536 },
    size_disclosure: 'declared',
  },
  execution: { backends: ['mpc'], tee: null, links: 'relay' },
};

const ONE: Term = { value: '1' };

const SIDE: PlanSide = {
  party: 'p',
  table: 't',
  joined: [],
  capacity: 1000,
  eagerRows: null,
  slots: 4,
  filter: null,
  bits: [],
  columns: [...NAMES],
  derived: [],
  absent: null,
  bounds: null,
};

function planOf(side: PlanSide, groups: readonly string[] = []): Plan {
  return {
    version: 5,
    room: 'test',
    policyDigest: '',
    sides: [{ ...SIDE, party: 'q' }, side],
    join: { oprf: 'ecdh', otFieldBits: 4, shards: 1 },
    pair: null,
    contributions: null,
    groups: [
      { side: 0, column: 'elsewhere', domain: ['x'], codes: null, type: 'text' },
      ...groups.map((column) => ({
        side: 1 as const,
        column,
        domain: [...KINDS, null],
        codes: null,
        type: 'text' as const,
      })),
    ],
    measures: [],
    output: [],
    hidden: [],
    having: null,
    offset: 0,
    orderBy: [],
    limit: null,
    privacy: {
      selection: 'exact_k',
      belowK: null,
      minUsers: 1,
      differential: null,
      confidenceLevel: '0.95',
    },
  };
}

// The plain reading.

const unitOf = unitHasher(SALT, 'exact');

/** The first 8 bytes of SHA-256("row" 0 salt unit (present, float64)*), as a big-endian number. */
function keyOf(row: Row): bigint {
  const hash = createHash('sha256').update('row\0').update(SALT).update(unitOf(row.id));
  for (const name of NAMES) {
    const cell = Buffer.alloc(9);
    cell[0] = row.values[name] === null ? 0 : 1;
    cell.writeDoubleLE(row.values[name] ?? 0, 1);
    hash.update(cell);
  }
  return hash.digest().readBigUInt64BE();
}

type Truth = boolean | null;
const big = (n: number | null): bigint | null => (n === null ? null : BigInt(n));

function termOf(term: Term, row: Row): bigint | null {
  if ('value' in term) return term.value === null ? null : BigInt(term.value);
  if (!('column' in term)) return expect.fail('other terms have a test of their own');
  const value = big(row.values[term.column as (typeof NAMES)[number]]);
  return value === null ? null : value * BigInt(term.scaleUp);
}

function compared(op: Comparison, l: bigint | null, r: bigint | null): Truth {
  if (l === null || r === null) return null;
  const table = { '=': l === r, '<>': l !== r, '<': l < r, '<=': l <= r, '>': l > r, '>=': l >= r };
  return table[op];
}

function allOf(terms: readonly Truth[]): Truth {
  return terms.includes(false) ? false : terms.includes(null) ? null : true;
}
const notOf = (t: Truth): Truth => (t === null ? null : !t);
const anyOf = (terms: readonly Truth[]): Truth => notOf(allOf(terms.map(notOf)));

function truth(p: LocalPredicate, row: Row): Truth {
  switch (p.kind) {
    case 'and':
      return allOf(p.terms.map((t) => truth(t, row)));
    case 'or':
      return anyOf(p.terms.map((t) => truth(t, row)));
    case 'not':
      return notOf(truth(p.term, row));
    case 'compare':
      return compared(p.op, termOf(p.left, row), termOf(p.right, row));
    case 'in':
      return anyOf(p.list.map((item) => compared('=', termOf(p.term, row), termOf(item, row))));
    case 'isNull':
      return termOf(p.term, row) === null;
    case 'constant':
      return p.value;
  }
}

/** Kept rows per user in slot order, users by unit. */
function reference(rows: readonly Row[], side: PlanSide, groups: readonly string[]): Row[][] {
  const kept = rows.filter((row) => side.filter === null || truth(side.filter, row) === true);
  const byUser = new Map<string, Row[]>();
  for (const row of kept) {
    const unit = toHex(unitOf(row.id));
    byUser.set(unit, [...(byUser.get(unit) ?? []), row]);
  }
  const sorted = [...byUser].sort(([a], [b]) => (a < b ? -1 : 1)).slice(0, side.capacity);
  return sorted.map(([, mine]) => {
    const keys = new Map(mine.map((row) => [row, keyOf(row)]));
    const order = (a: Row, b: Row): number => (keys.get(a)! < keys.get(b)! ? -1 : 1);
    let left = [...mine].sort(order);
    if (side.bounds !== null) {
      const { partitions, rowsPerPartition } = side.bounds;
      const tupleOf = (row: Row): string =>
        JSON.stringify(groups.map((name) => row.values[name as (typeof NAMES)[number]]));
      const tuples = [...new Set(left.map(tupleOf))].slice(0, partitions);
      const admitted = tuples.flatMap((tuple) =>
        left.filter((row) => tupleOf(row) === tuple).slice(0, rowsPerPartition),
      );
      left = left.filter((row) => admitted.includes(row));
    }
    return left.slice(0, side.slots);
  });
}

function tableOf(users: readonly (readonly Row[])[], side: PlanSide): LocalTable {
  const cells = users.length * side.slots;
  const at = <T>(f: (row: Row) => T, empty: T): T[] =>
    Array.from({ length: cells }, (_, i) => {
      const row = users[i % users.length]?.[Math.floor(i / users.length)];
      return row === undefined ? empty : f(row);
    });
  const columns = side.columns as readonly (typeof NAMES)[number][];
  return {
    users: users.length,
    ids: new Uint8Array(Buffer.concat(users.map(([row]) => unitOf(row!.id)))),
    slots: side.slots,
    valid: Uint8Array.from(at(() => 1, 0)),
    values: Object.fromEntries(
      columns.map((c) => [c, Float64Array.from(at((row) => row.values[c] ?? 0, 0))]),
    ),
    present: Object.fromEntries(
      columns.map((c) => [c, Uint8Array.from(at((row) => (row.values[c] === null ? 0 : 1), 0))]),
    ),
    bits: side.bits.map((bit) =>
      Uint8Array.from(at((row) => (truth(bit, row) === true ? 1 : 0), 0)),
    ),
  };
}

// Random rows, predicates and sides.

const orNull = <T>(arb: fc.Arbitrary<T>): fc.Arbitrary<T | null> => fc.option(arb, { freq: 4 });
const someRow: fc.Arbitrary<Row> = fc.record({
  id: fc.constantFrom(...Array.from('abcdefgh')),
  values: fc.record({
    a: orNull(fc.integer({ min: -300, max: 300 })),
    b: orNull(fc.integer({ min: -3, max: 3 })),
    flag: orNull(fc.constantFrom(0, 1)),
    kind: orNull(fc.constantFrom(0, 1, 2)),
  }),
});

const someLiteral: fc.Arbitrary<Literal> = fc.oneof(
  { weight: 8, arbitrary: fc.integer({ min: -300, max: 300 }).map((n) => ({ value: String(n) })) },
  {
    weight: 2,
    arbitrary: fc
      .bigInt({ min: -(10n ** 40n), max: 10n ** 40n })
      .map((n) => ({ value: String(n) })),
  },
  {
    weight: 1,
    arbitrary: fc
      .constantFrom('9223372036854775807', '-9223372036854775808')
      .map((value) => ({ value })),
  },
  { weight: 1, arbitrary: fc.constant({ value: null }) },
);
const someColumn = fc.constantFrom(...NAMES);
const someTerm: fc.Arbitrary<Term> = fc.oneof(
  fc.record({ column: someColumn, scaleUp: fc.constantFrom(1, 1, 100, 1_000_000) }),
  someLiteral,
);
const someComparison = fc.constantFrom<Comparison>('=', '<>', '<', '<=', '>', '>=');
const { predicate: somePredicate } = fc.letrec<{ predicate: LocalPredicate }>((tie) => ({
  predicate: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.record({
      kind: fc.constant('compare' as const),
      op: someComparison,
      left: someTerm,
      right: someTerm,
    }),
    fc.record({ kind: fc.constant('isNull' as const), term: someTerm }),
    fc.record({
      kind: fc.constant('constant' as const),
      value: fc.constantFrom(true, false, null),
    }),
    fc.record({
      kind: fc.constant('in' as const),
      term: someTerm,
      list: fc.array(someLiteral, { maxLength: 4 }),
    }),
    fc.record({
      kind: fc.constantFrom('and' as const, 'or' as const),
      terms: fc.array(tie('predicate'), { maxLength: 3 }),
    }),
    fc.record({ kind: fc.constant('not' as const), term: tie('predicate') }),
  ),
}));

const someSide: fc.Arbitrary<PlanSide> = fc.record({
  party: fc.constant('p'),
  table: fc.constant('t'),
  joined: fc.constant([]),
  capacity: fc.constantFrom(1000, 1000, 3),
  eagerRows: fc.constant(null),
  slots: fc.integer({ min: 1, max: 5 }),
  filter: fc.option(somePredicate),
  bits: fc.array(somePredicate, { maxLength: 3 }),
  columns: fc.subarray([...NAMES]),
  derived: fc.constant([]),
  absent: fc.constant(null),
  bounds: fc.option(
    fc.record({
      partitions: fc.integer({ min: 1, max: 3 }),
      rowsPerPartition: fc.integer({ min: 1, max: 3 }),
    }),
  ),
});

describe('against a plain reading of the plan', () => {
  it('agrees on random tables, predicates and bounds', async () => {
    const tables = fc.sample(fc.array(someRow, { minLength: 0, maxLength: 60, size: 'max' }), 5);
    for (const rows of [...tables, []]) {
      const store = await storeOf(rows);
      await fc.assert(
        fc.asyncProperty(someSide, fc.subarray(['kind', 'b']), async (side, groups) => {
          const known = reference(rows, side, groups);
          const stage = await runLocalStage(store, POLICY, planOf(side, groups), 1);
          expect(stage.table).toEqual(tableOf(known, side));
          const passed = rows.filter((r) => side.filter === null || truth(side.filter, r) === true);
          expect(stage.dropped).toEqual({
            rows: passed.length - known.flat().length,
            users: new Set(passed.map((r) => r.id)).size - known.length,
          });
        }),
        { numRuns: 25 },
      );
    }
  }, 60_000);

  it('holds users by the thousand, over many chunks, and two plans at a time', async () => {
    const rows = Array.from({ length: 3000 }, (_, i): Row => {
      const values = { a: i, b: i % 5, flag: (i >> 1) % 2, kind: i % 3 };
      return { id: `u${(i * 7919) % 900}`, values };
    });
    const store = await storeOf(rows);
    const left = { column: 'b', scaleUp: 1 };
    const filter = { kind: 'compare', op: '<>', left, right: { value: '2' } } as const;
    const sides: readonly PlanSide[] = [
      { ...SIDE, slots: 2, filter },
      { ...SIDE, bounds: { partitions: 1, rowsPerPartition: 1 } },
    ];
    const runs = sides.map((side) => runLocalStage(store, POLICY, planOf(side, ['kind']), 1));
    const stages = await Promise.all(runs);
    stages.forEach((stage, i) => {
      const known = reference(rows, sides[i]!, ['kind']);
      expect(stage.table).toEqual(tableOf(known, sides[i]!));
    });
  });

  it('reads a filter of a thousand terms', async () => {
    const rows = fc.sample(someRow, 20);
    const terms = Array.from({ length: 1000 }, (_, i): LocalPredicate => {
      const right = { value: String(2 * i - 1000) };
      return { kind: 'compare', op: '=', left: { column: 'a', scaleUp: 1 }, right };
    });
    const side: PlanSide = { ...SIDE, filter: { kind: 'or', terms } };
    const stage = await runLocalStage(await storeOf(rows), POLICY, planOf(side), 1);
    expect(stage.table).toEqual(tableOf(reference(rows, side, []), side));
  });
});

describe('what is kept of one user', () => {
  it('depends neither on other users nor on the order of the file', async () => {
    const mine = Array.from({ length: 12 }, (_, i): Row => {
      return { id: 'me', values: { a: i, b: null, flag: 1, kind: i % 3 } };
    });
    const others = fc.sample(someRow, 40);
    const sides: readonly PlanSide[] = [
      { ...SIDE, slots: 3 },
      { ...SIDE, slots: 3, bounds: { partitions: 2, rowsPerPartition: 2 } },
    ];
    const keptOf = async (rows: readonly Row[], side: PlanSide): Promise<unknown> => {
      const { table } = await runLocalStage(await storeOf(rows), POLICY, planOf(side, ['kind']), 1);
      const ids = Array.from({ length: table.users }, (_, u) =>
        toHex(table.ids.subarray(32 * u, 32 * u + 32)),
      );
      const user = ids.indexOf(toHex(unitOf('me')));
      return Array.from(
        { length: side.slots },
        (_, s) => table.values['a']![s * table.users + user],
      );
    };
    for (const side of sides) {
      const alone = await keptOf(mine, side);
      expect(await keptOf([...others, ...mine.toReversed()], side)).toEqual(alone);
      expect(new Set(alone as number[]).size).toBe(3);
    }
  });
});

describe('what is refused', () => {
  it('a table imported under another salt or other columns', async () => {
    const store = await storeOf([]);
    const other = { ...POLICY, identifier_salt: '00'.repeat(32) };
    await expect(runLocalStage(store, other, planOf(SIDE), 1)).rejects.toMatchObject({
      code: 'STORE_MISMATCH',
    });
  });

  it.each([
    ['an undeclared column', { columns: ['a', 'user_no'] }],
    ['SQL for a column', { columns: ['c0 FROM rows_0; --'] }],
    [
      'SQL in a predicate',
      {
        filter: { kind: 'isNull', term: { column: 'c0) OR (1=1', scaleUp: 1 } } as const,
      },
    ],
    [
      'SQL in a derived column',
      {
        columns: ['=0'],
        derived: [
          { name: '=0', term: { op: 'clamp', lower: '0) --', upper: '1', of: ONE } as const },
        ],
      },
    ],
    [
      'a part of a date that is none',
      {
        columns: ['=0'],
        derived: [{ name: '=0', term: { op: 'part', part: 'x' as 'day', of: ONE } as const }],
      },
    ],
    [
      'SQL for a literal',
      {
        filter: {
          kind: 'in',
          term: { column: 'a', scaleUp: 1 },
          list: [{ value: '1) OR (1=1' }],
        } as const,
      },
    ],
    [
      'a scale that is no integer',
      { bits: [{ kind: 'isNull', term: { column: 'a', scaleUp: 0.5 } }] as const },
    ],
    ['another party', { party: 'nobody' }],
    ['another table', { table: 'constructor' }],
  ])('%s in the plan', async (_, change) => {
    const store = stores[0] ?? (await storeOf([]));
    const side: PlanSide = { ...SIDE, ...change };
    await expect(runLocalStage(store, POLICY, planOf(side), 1)).rejects.toMatchObject({
      code: 'INTERNAL',
    });
  });
});
