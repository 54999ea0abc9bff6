// Goal: what a party states as its data fixes every row and shows none of them, nor how many there
// are; the owner can open one row, and nothing but that row opens.
import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { concat, fromHex, toHex, utf8 } from '../../src/core/bytes.ts';
import { Redacted } from '../../src/core/redacted.ts';
import { importTable, openStore } from '../../src/party/store/index.ts';
import { blindsOf, growTree } from '../../src/party/store/tree.ts';
import {
  commitmentOf,
  TREE_HEIGHT,
  verifyRowOpening,
  type RowOpening,
} from '../../src/records/index.ts';
import type { TablePolicy } from '../../src/policy/types.ts';

const dir = mkdtempSync(join(tmpdir(), 'parley-dataset-'));
afterAll(() => rmSync(dir, { recursive: true }));

const sha = (...parts: readonly Uint8Array[]): Uint8Array =>
  new Uint8Array(createHash('sha256').update(concat(parts)).digest());
const secretOf = (byte: number): Redacted<Uint8Array> =>
  new Redacted(new Uint8Array(32).fill(byte));
const CONTENT = 'ab'.repeat(32);

/** The tree by its definition: a row, a pair, or what stands for no rows. */
function referenceRoot(
  leaves: readonly Uint8Array[],
  empty: (level: number, index: number) => Uint8Array,
  level = TREE_HEIGHT,
  index = 0,
): Uint8Array {
  if (index * 2 ** level >= leaves.length) return empty(level, index);
  if (level === 0) return leaves[index]!;
  const left = referenceRoot(leaves, empty, level - 1, 2 * index);
  const right = referenceRoot(leaves, empty, level - 1, 2 * index + 1);
  return sha(Uint8Array.of(1), left, right);
}

function grow(rows: readonly Uint8Array[], secret = secretOf(1), watch: number | null = null) {
  const blinds = blindsOf(secret, CONTENT);
  const bytes = blinds.next(rows.length);
  const at = (i: number): Uint8Array => bytes.subarray(32 * i, 32 * i + 32);
  const tree = growTree(blinds.empty, watch);
  rows.forEach((row, i) => tree.add(at(i), row));
  const root = tree.finish();
  const leaves = rows.map((row, i) => sha(Uint8Array.of(0), at(i), row));
  return { root, leaves, blinds, path: tree.path };
}

describe('the tree', () => {
  it('is the one of its definition, for any number of rows', () =>
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 70 }), (n) => {
        const rows = Array.from({ length: n }, (_, i) => utf8(`row ${i} of the table`));
        const { root, leaves, blinds } = grow(rows);
        expect(toHex(root)).toBe(toHex(referenceRoot(leaves, blinds.empty)));
      }),
      { numRuns: 40 },
    ));

  it('pins its bytes', () => {
    const rows = ['a', 'b', 'c'].map(utf8);
    expect(toHex(grow(rows).root)).toMatchInlineSnapshot(
      `"0b3895ec9afdd80b408d5c67ab3d0e3cac7b302c186457a00192bbe36f687e89"`,
    );
    expect(toHex(grow([]).root)).toMatchInlineSnapshot(
      `"c2847233fc50d17966a4211bb0bb6e167fa83c978f6a42356c47479fed1906d5"`,
    );
  });

  it('hides: another secret or content shares neither a blind nor an empty subtree', () => {
    const seen = new Set<string>();
    let drawn = 0;
    for (const [secret, content] of [
      [1, CONTENT],
      [2, CONTENT],
      [1, 'cd'.repeat(32)],
    ] as const) {
      const { next, empty } = blindsOf(secretOf(secret), content);
      const blinds = next(100);
      for (let i = 0; i < 100; i += 1) seen.add(toHex(blinds.subarray(32 * i, 32 * i + 32)));
      for (let level = 0; level <= TREE_HEIGHT; level += 1) seen.add(toHex(empty(level, 1)));
      drawn += 100 + TREE_HEIGHT + 1;
    }
    expect(seen.size).toBe(drawn);
  });
});

const TABLE: TablePolicy = {
  privacy_unit_column: { name: 'email', kind: 'email' },
  max_users: 100,
  max_rows_per_user: 4,
  columns: {
    spent: { type: 'decimal', nullable: true, scale: 2 },
    day: { type: 'date', nullable: false, min: '1960-01-01', max: '2026-12-31' },
  },
};
const SALT = new Uint8Array(32).fill(9);
const HEADER = 'email,spent,day\n';
const ROWS = [
  'a@x.com,-1.50,1969-12-31',
  'b@x.com,,2025-01-01',
  'c@x.com,9000000000.01,2025-01-02',
  'c@x.com,0,2025-01-03',
  'd@x.com,7,2025-01-04',
];

let stores = 0;
const newStore = (): string => join(dir, `${(stores += 1)}.duckdb`);

async function importRows(rows: readonly string[], storePath: string): Promise<string> {
  const file = join(dir, 'purchases.csv');
  writeFileSync(file, HEADER + rows.map((row) => `${row}\n`).join(''));
  const imported = await importTable({
    ...{ file, tableName: 'purchases', table: TABLE, salt: SALT, storePath },
  });
  return imported.commitment;
}

async function openingsIn(storePath: string): Promise<{
  readonly openings: readonly RowOpening[];
  readonly commitment: { readonly table: string; readonly commitment: string };
}> {
  const store = await openStore(storePath);
  try {
    const { commitment, rows } = store.table('purchases', TABLE, SALT);
    const openings: RowOpening[] = [];
    for (let i = 0; i < rows; i += 1) {
      openings.push(await store.openRow('purchases', TABLE, SALT, i));
    }
    await expect(store.openRow('purchases', TABLE, SALT, rows)).rejects.toMatchObject({
      code: 'BAD_ARGUMENT',
    });
    return { openings, commitment: { table: 'purchases', commitment } };
  } finally {
    store.close();
  }
}

describe('a commitment', () => {
  it('stays with equal content, and is another one for any changed cell', async () => {
    const path = newStore();
    const first = await importRows(ROWS, path);
    expect(await importRows(ROWS.toReversed(), path)).toBe(first);
    const changed = [
      ROWS.map((row) => row.replace('-1.50', '-1.51')),
      ROWS.map((row) => row.replace('-1.50', '')),
      ROWS.map((row) => row.replace(',,', ',0,')),
      ROWS.map((row) => row.replace('b@x.com', 'e@x.com')),
      ROWS.map((row) => row.replace('1969-12-31', '1970-01-01')),
      ROWS.slice(1),
      [...ROWS, ROWS[0]!],
      [],
    ];
    const seen = new Set([first]);
    for (const rows of changed) seen.add(await importRows(rows, path));
    expect(seen.size).toBe(1 + changed.length);
    expect(await importRows(ROWS, path)).toBe(first);
    // Nobody who guesses the rows can check the guess: another store has another secret.
    expect(await importRows(ROWS, newStore())).not.toBe(first);
  });

  it('opens every row, and that row alone', async () => {
    const path = newStore();
    await importRows(ROWS, path);
    const { openings, commitment } = await openingsIn(path);
    const rows = openings.map((opening) => Buffer.from(verifyRowOpening(opening, commitment)));
    const cells = rows.map((row) => [
      row[32] === 1 ? row.readBigInt64BE(33) : null,
      row[41] === 1 ? row.readBigInt64BE(42) : null,
    ]);
    const day = (iso: string): bigint => BigInt(Date.parse(iso) / 86_400_000);
    // Columns by name: day, spent.
    expect(new Set(cells.map(String))).toEqual(
      new Set(
        [
          [day('1969-12-31'), -150n],
          [day('2025-01-01'), null],
          [day('2025-01-02'), 900_000_000_001n],
          [day('2025-01-03'), 0n],
          [day('2025-01-04'), 700n],
        ].map(String),
      ),
    );
    for (const { path: siblings } of openings) expect(siblings).toHaveLength(TREE_HEIGHT);
  });

  it('refuses everything else', async () => {
    const path = newStore();
    await importRows(ROWS, path);
    const { openings, commitment } = await openingsIn(path);
    const [a, b] = openings as [RowOpening, RowOpening];
    const flipped = a.row.startsWith('A') ? `B${a.row.slice(1)}` : `A${a.row.slice(1)}`;
    const lies: readonly [RowOpening, typeof commitment, string][] = [
      [{ ...a, row: b.row }, commitment, 'RECEIPT_INVALID'],
      [{ ...a, row: flipped }, commitment, 'RECEIPT_INVALID'],
      [{ ...a, blind: b.blind }, commitment, 'RECEIPT_INVALID'],
      [{ ...a, index: 1 }, commitment, 'RECEIPT_INVALID'],
      [{ ...a, index: 2 ** 32 }, commitment, 'RECEIPT_INVALID'],
      [{ ...a, index: -1 }, commitment, 'REQUEST_MALFORMED'],
      [{ ...a, path: a.path.toReversed() }, commitment, 'RECEIPT_INVALID'],
      [{ ...a, path: a.path.slice(1) }, commitment, 'REQUEST_MALFORMED'],
      [{ ...a, layout: CONTENT }, commitment, 'RECEIPT_INVALID'],
      [{ ...a, table: 'exposures' }, commitment, 'RECEIPT_INVALID'],
      [{ ...a, table: 'exposures' }, { ...commitment, table: 'exposures' }, 'RECEIPT_INVALID'],
      [a, { ...commitment, commitment: CONTENT }, 'RECEIPT_INVALID'],
    ];
    for (const [opening, stated, code] of lies) {
      expect(() => verifyRowOpening(opening, stated)).toThrow(expect.objectContaining({ code }));
    }
    expect(() => verifyRowOpening(a, commitment)).not.toThrow();
  });

  it('binds the layout', () => {
    const root = fromHex(CONTENT, 32);
    const names = [
      commitmentOf('purchases', CONTENT, root),
      commitmentOf('exposures', CONTENT, root),
      commitmentOf('purchases', 'cd'.repeat(32), root),
      commitmentOf('purchases', CONTENT, root.toReversed().fill(0)),
    ];
    expect(new Set(names).size).toBe(names.length);
  });
});
