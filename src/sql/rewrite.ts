/**
 * WHERE as the parties run it. The condition goes to negation normal form, where NULL may be read
 * as FALSE: a row pair qualifies iff the tree is TRUE, AND and OR are monotone, and every leaf that
 * is NULL stays NULL when negated. Then each conjunct of one table is pushed down to its owner, and
 * what mixes tables keeps one bit per maximal part of one table.
 */
import { expect } from '../core/errors.ts';
import type { TableIndex } from './names.ts';
import { pairComparison } from './pairs.ts';
import type { LocalPredicate, PairPredicate, Side } from './plan.ts';
import { NEGATED } from './operators.ts';
import type { CrossComparison, Logic } from './predicates.ts';

/** A condition in normal form: flat, without constants inside, terms distinct and sorted by key. */
type Normal =
  | { readonly kind: 'constant'; readonly value: boolean; readonly key: string }
  | {
      readonly kind: 'and' | 'or';
      readonly terms: readonly Normal[];
      readonly tables: number;
      readonly key: string;
    }
  | {
      readonly kind: 'local';
      readonly table: TableIndex;
      readonly predicate: LocalPredicate;
      readonly tables: number;
      readonly key: string;
    }
  | {
      readonly kind: 'cross';
      readonly comparison: CrossComparison;
      readonly tables: number;
      readonly key: string;
    };

type Connective = 'and' | 'or';
const DUAL: Readonly<Record<Connective, Connective>> = { and: 'or', or: 'and' };

/** Tables a condition touches, as bits. */
const tablesOf = (node: Normal): number => (node.kind === 'constant' ? 0 : node.tables);

/** Whether a condition touches several tables. */
const spans = (node: Normal): boolean => {
  const mask = tablesOf(node);
  return (mask & (mask - 1)) !== 0;
};

const constant = (value: boolean): Normal => ({ kind: 'constant', value, key: `${value}` });

function normalise(logic: Logic, negated: boolean): Normal {
  switch (logic.kind) {
    case 'constant':
      // NULL is not TRUE, negated or not.
      return constant(logic.value !== null && logic.value !== negated);
    case 'not':
      return normalise(logic.term, !negated);
    case 'and':
    case 'or': {
      const kind = negated ? DUAL[logic.kind] : logic.kind;
      return connect(
        kind,
        logic.terms.map((term) => normalise(term, negated)),
      );
    }
    case 'local': {
      const { table } = logic;
      const predicate = negated ? logic.negation : logic.predicate;
      const key = `${table}${JSON.stringify(predicate)}`;
      return { kind: 'local', table, predicate, tables: 1 << table, key };
    }
    case 'cross': {
      const comparison = negated ? { ...logic, op: NEGATED[logic.op] } : logic;
      const { op, left, right } = comparison;
      const tables = (1 << left.table) | (1 << right.table);
      const key = `x${left.table}${left.name} ${op} ${right.table}${right.name}`;
      return { kind: 'cross', comparison, tables, key };
    }
  }
}

/** AND or OR of normal forms: flattened, constants folded, terms distinct and in order. */
function connect(kind: Connective, terms: readonly Normal[]): Normal {
  const neutral = kind === 'and';
  const flat = terms.flatMap((term) => (term.kind === kind ? term.terms : [term]));
  const byKey = new Map<string, Normal>();
  for (const term of flat) {
    if (term.kind !== 'constant') byKey.set(term.key, term);
    else if (term.value !== neutral) return constant(!neutral);
  }
  const kept = [...byKey.values()].sort((a, b) => (a.key < b.key ? -1 : 1));
  const [first, second] = kept;
  if (first === undefined) return constant(neutral);
  if (second === undefined) return first;
  const tables = kept.reduce((mask, term) => mask | tablesOf(term), 0);
  return { kind, terms: kept, tables, key: `${kind}(${kept.map((t) => t.key).join()})` };
}

/** WHERE split between the tables, before the pivot is known. */
export interface SplitCondition {
  /** What each table's owner drops rows by. */
  readonly filters: readonly (LocalPredicate | null)[];
  /** What mixes tables. */
  readonly mixed: Normal | null;
}

/** Splits a resolved condition over `tables` tables; null is no WHERE. */
export function splitCondition(logic: Logic | null, tables: number): SplitCondition {
  const all = Array.from({ length: tables }, (_, table) => table);
  const root = logic === null ? constant(true) : normalise(logic, false);
  if (root.kind === 'constant') {
    const filter: LocalPredicate | null = root.value ? null : { kind: 'constant', value: false };
    return { filters: all.map(() => filter), mixed: null };
  }
  const conjuncts = root.kind === 'and' ? root.terms : [root];
  const filterOf = (table: TableIndex): LocalPredicate | null => {
    const own = conjuncts.filter((term) => tablesOf(term) === 1 << table);
    return own.length === 0 ? null : toLocal(connect('and', own));
  };
  const rest = conjuncts.filter(spans);
  return {
    filters: all.map(filterOf),
    mixed: rest.length === 0 ? null : connect('and', rest),
  };
}

function toLocal(node: Normal): LocalPredicate {
  expect(node.kind !== 'cross', 'a condition of one table compares no other');
  if (node.kind === 'constant') return { kind: 'constant', value: node.value };
  if (node.kind === 'local') return node.predicate;
  return { kind: node.kind, terms: node.terms.map(toLocal) };
}

/** The pair predicate with the bits and columns each side brings to it, by side. */
export interface PairPlan {
  readonly pair: PairPredicate | null;
  readonly bits: readonly (readonly LocalPredicate[])[];
  readonly columns: readonly (readonly string[])[];
}

/** The side of a table: the pivot first, then the others in their order. */
export function sideOfTable(table: TableIndex, pivot: TableIndex): Side {
  if (table === pivot) return 0;
  return table < pivot ? table + 1 : table;
}

/** The tables of `count` by side. */
export function tablesBySide(count: number, pivot: TableIndex): readonly TableIndex[] {
  const others = Array.from({ length: count }, (_, table) => table).filter((t) => t !== pivot);
  return [pivot, ...others];
}

/** Lays the mixed part out for a pivot: bits numbered in key order, comparisons by side. */
export function planPairs(mixed: Normal | null, pivot: TableIndex, tables: number): PairPlan {
  const locals = Array.from({ length: tables }, () => new Map<string, Normal>());
  const columns = Array.from({ length: tables }, (): string[] => []);
  if (mixed === null) return { pair: null, bits: locals.map(() => []), columns };
  const grouped = groupByTable(mixed);
  const sideOf = (table: TableIndex): Side => sideOfTable(table, pivot);
  visit(grouped, (leaf) => {
    if (leaf.kind === 'cross') {
      for (const column of [leaf.comparison.left, leaf.comparison.right]) {
        columns[sideOf(column.table)]!.push(column.name);
      }
    } else locals[sideOf(tableOfMask(leaf.tables))]!.set(leaf.key, leaf);
  });
  const keys = locals.map((found) => [...found.keys()].sort());
  const indices = keys.map((own) => new Map(own.map((key, i) => [key, i])));
  const build = (node: Normal): PairPredicate => {
    if (isMixed(node)) return { kind: node.kind, terms: node.terms.map(build) };
    if (node.kind === 'cross') {
      const { op, left, right } = node.comparison;
      return pairComparison(
        op,
        { side: sideOf(left.table), column: left },
        { side: sideOf(right.table), column: right },
      );
    }
    const side = sideOf(tableOfMask(tablesOf(node)));
    return { kind: 'bit', side, index: indices[side]!.get(node.key)! };
  };
  const bits = keys.map((own, side) => own.map((key) => toLocal(locals[side]!.get(key)!)));
  return { pair: build(grouped), bits, columns };
}

/** The one table of a mask with one bit. */
const tableOfMask = (mask: number): TableIndex => 31 - Math.clz32(mask);

type Mixed = Extract<Normal, { kind: Connective }>;

const isMixed = (node: Normal): node is Mixed =>
  (node.kind === 'and' || node.kind === 'or') && spans(node);

/** Gathers, under every mixed AND or OR, the terms of each single table into one term. */
function groupByTable(node: Normal): Normal {
  if (!isMixed(node)) return node;
  const single = node.terms.filter((term) => !spans(term));
  const masks = [...new Set(single.map(tablesOf))].sort((a, b) => a - b);
  const own = masks.map((mask) =>
    connect(
      node.kind,
      single.filter((term) => tablesOf(term) === mask),
    ),
  );
  const rest = node.terms.filter(spans).map(groupByTable);
  // Not connect(): it would flatten the gathered terms back.
  return { ...node, terms: [...own, ...rest] };
}

function visit(node: Normal, leaf: (node: Exclude<Normal, { kind: 'constant' }>) => void): void {
  if (isMixed(node)) for (const term of node.terms) visit(term, leaf);
  else if (node.kind !== 'constant') leaf(node);
}
