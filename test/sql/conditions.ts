/** Random WHERE clauses as trees, with their SQL text and their meaning. */
import fc from 'fast-check';
import type { ColumnPolicy } from '../../src/policy/types.ts';
import { wideTable } from './policies.ts';
import { compareValues, type Row } from './interpret.ts';

const column = (type: ColumnPolicy['type'], more: Partial<ColumnPolicy> = {}): ColumnPolicy => ({
  type,
  nullable: true,
  ...more,
});
const dates = { min: '2025-01-01', max: '2025-01-04' };

export const LEFT: Readonly<Record<string, ColumnPolicy>> = {
  d1: column('date', dates),
  n1: column('decimal', { scale: 2 }),
  m1: column('decimal', { scale: 1, nullable: false }),
  i1: column('integer', { scale: 0 }),
  t1: column('text', { values: ['x', 'y', 'z'] }),
  b1: column('boolean'),
};
export const RIGHT: Readonly<Record<string, ColumnPolicy>> = {
  d2: column('date', { ...dates, nullable: false }),
  n2: column('decimal', { scale: 3 }),
  i2: column('integer', { scale: 0, values: ['-1', '0', '1', '2'] }),
  t2: column('text', { values: ['w', 'z', 'y'] }),
  b2: column('boolean', { nullable: false }),
};
export const ALL = { ...LEFT, ...RIGHT };
export const TABLES = { first: wideTable(LEFT), second: wideTable(RIGHT) };

/** Coded values to draw from; decimals in units of their scale. */
const CODED: Readonly<Record<string, readonly number[]>> = {
  d1: [20089, 20090, 20091, 20092],
  d2: [20089, 20090, 20091, 20092],
  n1: [-150, 0, 100, 101, 150],
  m1: [-15, 0, 10, 15],
  n2: [-1500, 0, 1000, 1005, 1500],
  i1: [-1, 0, 1, 2],
  i2: [-1, 0, 1, 2],
  t1: [0, 1, 2],
  t2: [0, 1, 2],
  b1: [0, 1],
  b2: [0, 1],
};

export const someRow = (columns: Readonly<Record<string, ColumnPolicy>>): fc.Arbitrary<Row> =>
  fc.record(
    Object.fromEntries(
      Object.entries(columns).map(([name, { nullable }]) => {
        const values = CODED[name]!;
        return [name, fc.constantFrom<number | null>(...values, ...(nullable ? [null] : []))];
      }),
    ),
  );

/** A literal with its SQL text and its value: numbers in millionths, dates in days, text itself. */
interface Value {
  readonly sql: string;
  readonly value: bigint | string | null;
}

export type Tree =
  | { readonly kind: 'and' | 'or'; readonly terms: readonly Tree[] }
  | { readonly kind: 'not'; readonly term: Tree }
  | { readonly kind: 'atom'; readonly sql: string; readonly test: (row: Row) => boolean | null };

const MILLIONTHS = 1_000_000n;

/** The value of a column in a row, in the units of literals. */
function read(name: string, row: Row): Value['value'] {
  const coded = row[name];
  const { type, scale = 0, values } = ALL[name]!;
  if (coded === null || coded === undefined) return null;
  if (type === 'text') return values![coded]!;
  if (type === 'date' || type === 'boolean') return BigInt(coded);
  return (BigInt(coded) * MILLIONTHS) / 10n ** BigInt(scale);
}

/** SQL text of a column's coded value, for loading rows elsewhere. */
export function sqlOf(name: string, coded: number | null): string {
  if (coded === null) return 'NULL';
  const { type, scale = 0, values } = ALL[name]!;
  if (type === 'text') return `'${values![coded]!}'`;
  if (type === 'boolean') return coded === 1 ? 'TRUE' : 'FALSE';
  if (type === 'date') return `DATE '2025-01-0${coded - 20088}'`;
  return (coded / 10 ** scale).toFixed(scale);
}

const family = ({ type }: ColumnPolicy): string => (type === 'integer' ? 'decimal' : type);
const NUMBERS: readonly (readonly [string, bigint])[] = [
  ['-1.5', -1_500_000n],
  ['0', 0n],
  ['.0', 0n],
  ['1.005', 1_005_000n],
  ['1.00', MILLIONTHS],
  ['+1', MILLIONTHS],
  ['1.0051', 1_005_100n],
  ['-0.9999', -999_900n],
  ['123456789012345678901234567890', 123456789012345678901234567890n * MILLIONTHS],
  ['-99999999999999999999.5', -99999999999999999999500000n],
];

const LITERALS: Readonly<Record<string, readonly Value[]>> = {
  decimal: NUMBERS.map(([sql, value]) => ({ sql, value })),
  date: [20089, 20091, 20200].flatMap((days) => {
    const iso = new Date(days * 86_400_000).toISOString().slice(0, 10);
    return [{ sql: `DATE '${iso}'`, value: BigInt(days) }];
  }),
  text: ['x', 'y', 'z', 'w', 'no', "o'"].map((value) => ({
    sql: `'${value.replaceAll("'", "''")}'`,
    value,
  })),
  boolean: [
    { sql: 'TRUE', value: 1n },
    { sql: 'FALSE', value: 0n },
  ],
};
const NULL: Value = { sql: 'NULL', value: null };

function compareAny(op: string, a: Value['value'], b: Value['value']): boolean | null {
  if (a === null || b === null) return null;
  if (typeof a === 'bigint' && typeof b === 'bigint') return compareValues(op, a, b);
  return op === '=' ? a === b : a !== b;
}

const someColumn = fc.constantFrom(...Object.keys(ALL));
const literalFor = (name: string): fc.Arbitrary<Value> =>
  fc.oneof(
    { weight: 9, arbitrary: fc.constantFrom(...LITERALS[family(ALL[name]!)]!) },
    { weight: 1, arbitrary: fc.constant(NULL) },
  );
const operatorFor = (name: string): fc.Arbitrary<string> =>
  ['text', 'boolean'].includes(ALL[name]!.type)
    ? fc.constantFrom('=', '<>')
    : fc.constantFrom('=', '<>', '<', '<=', '>', '>=');

const withLiteral = someColumn.chain((name) =>
  fc.tuple(operatorFor(name), literalFor(name), fc.boolean()).map(([op, literal, flip]): Tree => {
    const sql = flip ? `${literal.sql} ${op} ${name}` : `${name} ${op} ${literal.sql}`;
    const test = (row: Row): boolean | null => {
      const value = read(name, row);
      return flip ? compareAny(op, literal.value, value) : compareAny(op, value, literal.value);
    };
    return { kind: 'atom', sql, test };
  }),
);

const withColumn = someColumn.chain((name) => {
  const same = Object.keys(ALL).filter((other) => family(ALL[other]!) === family(ALL[name]!));
  return fc.tuple(fc.constantFrom(...same), operatorFor(name)).map(([other, op]): Tree => {
    const test = (row: Row): boolean | null => compareAny(op, read(name, row), read(other, row));
    return { kind: 'atom', sql: `${name} ${op} ${other}`, test };
  });
});

const between = fc.constantFrom('d1', 'd2', 'n1', 'm1', 'n2', 'i1', 'i2').chain((name) =>
  fc.tuple(literalFor(name), literalFor(name), fc.boolean()).map(([low, high, negated]): Tree => {
    const test = (row: Row): boolean | null => {
      const value = read(name, row);
      const parts = [compareAny('>=', value, low.value), compareAny('<=', value, high.value)];
      const inside = parts.includes(false) ? false : parts.includes(null) ? null : true;
      return negated && inside !== null ? !inside : inside;
    };
    const word = negated ? 'NOT BETWEEN' : 'BETWEEN';
    return { kind: 'atom', sql: `${name} ${word} ${low.sql} AND ${high.sql}`, test };
  }),
);

const inList = someColumn.chain((name) =>
  fc
    .tuple(fc.array(literalFor(name), { minLength: 1, maxLength: 4 }), fc.boolean())
    .map(([list, negated]): Tree => {
      const test = (row: Row): boolean | null => {
        const value = read(name, row);
        const parts = list.map((item) => compareAny('=', value, item.value));
        const found = parts.includes(true) ? true : parts.includes(null) ? null : false;
        return negated && found !== null ? !found : found;
      };
      const items = list.map((item) => item.sql).join(', ');
      return { kind: 'atom', sql: `${name} ${negated ? 'NOT ' : ''}IN (${items})`, test };
    }),
);

const isNull = fc.tuple(someColumn, fc.boolean()).map(([name, negated]): Tree => ({
  kind: 'atom',
  sql: `${name} IS ${negated ? 'NOT ' : ''}NULL`,
  test: (row) => (read(name, row) === null) !== negated,
}));

const bare = fc.constantFrom('b1', 'b2').map((name): Tree => ({
  kind: 'atom',
  sql: name,
  test: (row) => {
    const value = read(name, row);
    return value === null ? null : value === 1n;
  },
}));

const constants = fc.constantFrom<readonly [string, boolean | null]>(
  ['TRUE', true],
  ['FALSE', false],
  ['NULL', null],
  ['1 = 1.0', true],
  ['2 < 1', false],
);
const constant = constants.map(([sql, value]): Tree => ({ kind: 'atom', sql, test: () => value }));

const atom = fc.oneof(
  { weight: 4, arbitrary: withLiteral },
  { weight: 5, arbitrary: withColumn },
  { weight: 2, arbitrary: between },
  { weight: 2, arbitrary: inList },
  { weight: 2, arbitrary: isNull },
  { weight: 1, arbitrary: bare },
  { weight: 1, arbitrary: constant },
);

export const someTree: fc.Arbitrary<Tree> = fc.letrec<{ tree: Tree }>((tie) => ({
  tree: fc.oneof(
    { depthSize: 'medium', withCrossShrink: true },
    atom,
    fc
      .tuple(
        fc.constantFrom('and' as const, 'or' as const),
        fc.array(tie('tree'), { minLength: 2, maxLength: 3 }),
      )
      .map(([kind, terms]): Tree => ({ kind, terms })),
    tie('tree').map((term): Tree => ({ kind: 'not', term })),
  ),
})).tree;

/** The tree with the fewest parentheses that standard precedence allows. */
export function sqlText(tree: Tree): string {
  if (tree.kind === 'atom') return tree.sql;
  if (tree.kind === 'not') {
    const loose = tree.term.kind === 'and' || tree.term.kind === 'or';
    return loose ? `NOT (${sqlText(tree.term)})` : `NOT ${sqlText(tree.term)}`;
  }
  const parts = tree.terms.map((term) =>
    tree.kind === 'and' && term.kind === 'or' ? `(${sqlText(term)})` : sqlText(term),
  );
  return parts.join(tree.kind === 'and' ? ' AND ' : ' OR ');
}

/** Three-valued truth of the tree over a joined row. */
export function truthOf(tree: Tree, row: Row): boolean | null {
  if (tree.kind === 'atom') return tree.test(row);
  if (tree.kind === 'not') {
    const inner = truthOf(tree.term, row);
    return inner === null ? null : !inner;
  }
  const parts = tree.terms.map((term) => truthOf(term, row));
  const decisive = tree.kind === 'or';
  return parts.includes(decisive) ? decisive : parts.includes(null) ? null : !decisive;
}
