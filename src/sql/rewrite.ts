/**
 * WHERE as the parties run it. The condition goes to negation normal form, where NULL may be read
 * as FALSE: a row pair qualifies iff the tree is TRUE, AND and OR are monotone, and every leaf that
 * is NULL stays NULL when negated. Then each conjunct of one table is pushed down to its owner, and
 * what mixes tables keeps one bit per maximal part of one table.
 */
import { expect } from '../core/errors.ts';
import { operandColumn, pairComparison } from './pairs.ts';
import type { TableIndex } from './names.ts';
import type { LocalPredicate, PairPredicate, Side } from './plan.ts';
import { NEGATED } from './operators.ts';
import type { CrossComparison, Logic } from './logic.ts';
import { evaluatePredicate, evaluateTerm, indicatorTerm, literal, termKey } from './terms.ts';
import type { LocalValue } from './value.ts';

type CrossNormal = {
  readonly kind: 'cross';
  readonly comparison: CrossComparison;
  readonly tables: number;
  readonly key: string;
};

/** A condition in normal form: flat, without constants inside, terms distinct and sorted by key. */
export type Normal =
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
      /** TRUE where the predicate is not. */
      readonly denial: LocalPredicate;
      readonly tables: number;
      readonly key: string;
    }
  | CrossNormal
  /** TRUE where the comparison is not. */
  | {
      readonly kind: 'not';
      readonly of: CrossNormal;
      readonly tables: number;
      readonly key: string;
    };

type Connective = 'and' | 'or';
const DUAL: Readonly<Record<Connective, Connective>> = { and: 'or', or: 'and' };

/** Tables a condition touches, as bits. */
export const tablesOf = (node: Normal): number => (node.kind === 'constant' ? 0 : node.tables);

/** Whether a condition touches several tables. */
export const spans = (node: Normal): boolean => {
  const mask = tablesOf(node);
  return (mask & (mask - 1)) !== 0;
};

const constant = (value: boolean): Normal => ({ kind: 'constant', value, key: `${value}` });

/** The normal form of a condition, or of its negation. */
export function normalise(logic: Logic, negated = false): Normal {
  switch (logic.kind) {
    case 'constant':
      // NULL is not TRUE, negated or not.
      return constant(logic.value !== null && logic.value !== negated);
    case 'not':
      return normalise(logic.term, !negated);
    case 'isTrue': {
      const truth = normalise(logic.term);
      return negated ? deny(truth) : truth;
    }
    case 'and':
    case 'or': {
      const kind = negated ? DUAL[logic.kind] : logic.kind;
      return connect(
        kind,
        logic.terms.map((term) => normalise(term, negated)),
      );
    }
    case 'local': {
      const { table, nullable } = logic;
      const predicate = negated ? logic.negation : logic.predicate;
      const other = negated ? logic.predicate : logic.negation;
      return localNormal(table, predicate, nullable ? unlessTrue(predicate) : other);
    }
    case 'cross':
      return crossNormal(negated ? { ...logic, op: NEGATED[logic.op] } : logic);
  }
}

function localNormal(table: TableIndex, predicate: LocalPredicate, denial: LocalPredicate): Normal {
  const key = `${table}${JSON.stringify(predicate)}`;
  return { kind: 'local', table, predicate, denial, tables: 1 << table, key };
}

function unlessTrue(predicate: LocalPredicate): LocalPredicate {
  return { kind: 'compare', op: '=', left: indicatorTerm(predicate), right: literal(0n) };
}

function crossNormal(comparison: CrossComparison): CrossNormal {
  const { op, left, right } = comparison;
  const tables = (1 << left.table!) | (1 << right.table!);
  const key = `x${left.table!}${termKey(left.term)} ${op} ${right.table!}${termKey(right.term)}`;
  return { kind: 'cross', comparison, tables, key };
}

/** TRUE where the condition is FALSE or NULL. */
function deny(node: Normal): Normal {
  switch (node.kind) {
    case 'constant':
      return constant(!node.value);
    case 'and':
    case 'or':
      return connect(DUAL[node.kind], node.terms.map(deny));
    case 'local':
      return localNormal(node.table, node.denial, node.predicate);
    case 'not':
      return node.of;
    case 'cross':
      return { kind: 'not', of: node, tables: node.tables, key: `!${node.key}` };
  }
}

/** A condition of at most one table as its owner tests it: TRUE, or something else. */
export function localTruth(logic: Logic): LocalPredicate {
  return toLocal(normalise(logic));
}

/** AND or OR of normal forms: flattened, constants folded, terms distinct and in order. */
export function connect(kind: Connective, terms: readonly Normal[]): Normal {
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

/** Conditions split between the tables, before the pivot is known. */
export interface SplitCondition {
  /** What each table's owner drops rows by. */
  readonly filters: readonly (LocalPredicate | null)[];
  /** What mixes tables, or tests a table whose users need not match. */
  readonly mixed: Normal | null;
  /** Tables whose users still need not match. */
  readonly optional: readonly boolean[];
}

/**
 * Splits WHERE and the conditions of LEFT JOIN on its right side.
 * @param optional - by table. One that WHERE needs a row of is optional no longer.
 */
export function splitCondition(
  where: readonly Logic[],
  onRight: readonly (readonly Logic[])[],
  optional: readonly boolean[],
): SplitCondition {
  const root = connect(
    'and',
    where.map((logic) => normalise(logic)),
  );
  if (root.kind === 'constant' && !root.value) {
    const never: LocalPredicate = { kind: 'constant', value: false };
    return { filters: optional.map(() => never), mixed: null, optional };
  }
  const conjuncts = root.kind === 'and' ? root.terms : root.kind === 'constant' ? [] : [root];
  const still = optional.map(
    (may, table) => may && !conjuncts.some((term) => rejectsAbsent(term, table)),
  );
  const isPushed = (term: Normal): boolean =>
    !spans(term) && !still.some((may, table) => may && tablesOf(term) === 1 << table);
  const filters = optional.map((_, table): LocalPredicate | null => {
    const own = conjuncts.filter((term) => isPushed(term) && tablesOf(term) === 1 << table);
    const on = (onRight[table] ?? []).map((logic) => normalise(logic));
    const filter = connect('and', [...own, ...on]);
    return filter.kind === 'constant' && filter.value ? null : toLocal(filter);
  });
  const rest = conjuncts.filter((term) => !isPushed(term));
  return {
    filters,
    mixed: rest.length === 0 ? null : connect('and', rest),
    optional: still,
  };
}

/** Whether a condition is never TRUE on the row of NULLs of a table. */
function rejectsAbsent(node: Normal, table: TableIndex): boolean {
  const noColumn = (): null => null;
  const isNull = (value: LocalValue): boolean =>
    value.table === table && evaluateTerm(value.term, noColumn, false) === null;
  switch (node.kind) {
    case 'constant':
      return !node.value;
    case 'local':
      return node.table === table && evaluatePredicate(node.predicate, noColumn, false) !== true;
    case 'cross':
      return isNull(node.comparison.left) || isNull(node.comparison.right);
    case 'and':
      return node.terms.some((term) => rejectsAbsent(term, table));
    case 'or':
      return node.terms.every((term) => rejectsAbsent(term, table));
    case 'not':
      return false;
  }
}

/** Conjuncts of one table as its owner tests them. */
export function conditionOfTable(terms: readonly Normal[]): LocalPredicate {
  return toLocal(connect('and', terms));
}

function toLocal(node: Normal): LocalPredicate {
  expect(
    node.kind !== 'cross' && node.kind !== 'not',
    'a condition of one table compares no other',
  );
  if (node.kind === 'constant') return { kind: 'constant', value: node.value };
  if (node.kind === 'local') return node.predicate;
  return { kind: node.kind, terms: node.terms.map(toLocal) };
}

/** Predicates over combinations with the bits and columns each side brings to them, by side. */
export interface PairPlan {
  /** In the order given. */
  readonly pairs: readonly (PairPredicate | null)[];
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

/** Lays conditions out for a pivot: bits numbered in key order, comparisons by side. */
export function planPairs(
  conditions: readonly (Normal | null)[],
  pivot: TableIndex,
  tables: number,
): PairPlan {
  const locals = Array.from({ length: tables }, () => new Map<string, Normal>());
  const columns = Array.from({ length: tables }, (): string[] => []);
  const grouped = conditions.map((node) => (node === null ? null : groupByTable(node)));
  const sideOf = (table: TableIndex): Side => sideOfTable(table, pivot);
  const note = (leaf: Normal): void => {
    if (leaf.kind === 'not') note(leaf.of);
    else if (leaf.kind === 'cross') {
      for (const value of [leaf.comparison.left, leaf.comparison.right]) {
        columns[sideOf(value.table!)]!.push(operandColumn(value));
      }
    } else locals[sideOf(tableOfMask(tablesOf(leaf)))]!.set(leaf.key, leaf);
  };
  for (const node of grouped) if (node !== null) visit(node, note);
  const keys = locals.map((found) => [...found.keys()].sort());
  const indices = keys.map((own) => new Map(own.map((key, i) => [key, i])));
  const build = (node: Normal): PairPredicate => {
    if (isMixed(node)) return { kind: node.kind, terms: node.terms.map(build) };
    if (node.kind === 'not') return { kind: 'not', term: build(node.of) };
    if (node.kind === 'cross') {
      const { op, left, right } = node.comparison;
      return pairComparison(
        op,
        { side: sideOf(left.table!), value: left },
        { side: sideOf(right.table!), value: right },
      );
    }
    const side = sideOf(tableOfMask(tablesOf(node)));
    return { kind: 'bit', side, index: indices[side]!.get(node.key)! };
  };
  const bits = keys.map((own, side) => own.map((key) => toLocal(locals[side]!.get(key)!)));
  return { pairs: grouped.map((node) => (node === null ? null : build(node))), bits, columns };
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
