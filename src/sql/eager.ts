/**
 * Eager aggregation (Yan and Larson, Eager Aggregation and Lazy Aggregation, VLDB 1995): when no
 * condition compares rows of several parties, each owner adds its rows of one user and group up
 * before the join. A sum over all combinations of a user's rows is then the owner's sum times the
 * others' numbers of rows, and a user of r rows takes one slot where it took r.
 */
import type { DifferentialPrivacy } from '../policy/types.ts';
import { groupsOf, mixedGroupsOf, type SidesBounds, type Tables } from './bounds.ts';
import type { ResolvedKey } from './groups.ts';
import type { TableIndex } from './names.ts';
import { bitsOf } from './pairs.ts';
import type { Term } from './plan.ts';
import { factorsOf, widestFirst, type Monomial } from './polynomials.ts';
import type { Quantity, Wanted } from './quantities.ts';
import {
  conditionOfTable,
  spans,
  tablesBySide,
  tablesOf,
  type Normal,
  type SplitCondition,
} from './rewrite.ts';
import * as T from './terms.ts';
import { larger, magnitudeOf, numberType, smaller } from './types.ts';
import { tableOfMask, type LocalValue } from './value.ts';

/** A query whose rows are added up before the join. */
export interface Eager {
  /** Slots of a user, by side: its groups, no longer its rows. */
  readonly slots: readonly number[];
  /** Rows of a user that are added up, by side; null where there is one at most. */
  readonly rows: readonly (number | null)[];
  /** What is summed in place of each wanted quantity; null for counts of users, which stay. */
  readonly quantities: readonly (Quantity | null)[];
}

interface EagerContext {
  readonly tables: Tables;
  readonly keys: readonly ResolvedKey[];
  readonly pivot: TableIndex;
  readonly split: SplitCondition;
  readonly differential: DifferentialPrivacy | null;
  readonly bounds: SidesBounds;
}

/** LOCAL. Row values and their sums travel as doubles. */
const EXACT = 1n << 53n;

const product = (numbers: readonly number[]): number =>
  numbers.reduce((n, factor) => n * factor, 1);

/**
 * Whether the bounds on a user's joined rows can never bind: then what is kept of a user is all it
 * has, and adding it up early changes nothing. Holds for any way of enforcing those bounds.
 */
function boundsNeverBind({ differential, tables, keys, bounds }: EagerContext): boolean {
  if (differential === null) return true;
  const cut = bounds.contributions;
  if (cut !== null && (cut.partitions !== null || cut.rowsPerPartition !== null)) return false;
  const rows = tables.map(({ maxRows }) => maxRows);
  const groups = rows.map((most, table) => Math.min(most, groupsOf(keys, table)));
  return (
    product(rows) <= differential.max_contributions_per_partition &&
    product(groups) <= differential.max_partitions_contributed
  );
}

/**
 * Whether some combination of rows meets a condition iff AND, or OR, of "some row of this table meets
 * its part" does: one connective over parts of one table each. (Deeper, tables would recur.)
 */
function splitsByTable(guard: Normal): boolean {
  if (!spans(guard)) return true;
  return (guard.kind === 'and' || guard.kind === 'or') && !guard.terms.some(spans);
}

const BIT = numberType({ min: 0n, max: 1n }, 0);

/** A guard of one table as a factor of it. */
function unguarded(monomial: Monomial): Monomial {
  const { factors, guard } = monomial;
  if (guard === null || spans(guard)) return monomial;
  const table = tableOfMask(tablesOf(guard))!;
  const term = T.indicatorTerm(conditionOfTable([guard]));
  const held = factors.find((factor) => factor.table === table);
  const factor: LocalValue =
    held === undefined
      ? { kind: 'local', table, term, type: BIT }
      : {
          ...held,
          term: T.multiplyTerms(term, held.term),
          type: { ...held.type, min: smaller(held.type.min, 0n), max: larger(held.type.max, 0n) },
        };
  const others = factors.filter((other) => other.table !== table);
  const all = [...others, factor].sort((a, b) => a.table! - b.table!);
  return { ...monomial, factors: all, guard: null };
}

/** What a row of one table adds to a quantity, by the tables that have a say: a sum of products. */
function monomialsOf(quantity: Quantity): readonly Monomial[] {
  const one = (value: LocalValue): readonly Monomial[] => [
    { coefficient: 1n, factors: [value], guard: null },
  ];
  switch (quantity.kind) {
    case 'users':
    case 'usersIf':
      return [];
    case 'rows':
      return [{ coefficient: 1n, factors: [], guard: null }];
    case 'terms':
      return quantity.monomials.map(unguarded);
    case 'nonNull': {
      const { column } = quantity;
      return one({ ...column, term: T.presenceTerm(column.term), type: BIT });
    }
    case 'sum':
    case 'centredSum': {
      const { column, clamp } = quantity;
      if (clamp === null) return one(column);
      const { lower, upper } = clamp;
      const held = T.clampTerm(column.term, lower, upper);
      if (quantity.kind === 'sum') {
        const type = numberType({ min: lower, max: upper }, column.type.scale, true);
        return one({ ...column, term: held, type });
      }
      const twice = T.multiplyTerms(held, T.literal(2n));
      const term = T.addTerms('-', twice, T.literal(lower + upper));
      const width = upper - lower;
      const type = numberType({ min: -width, max: width }, column.type.scale, true);
      return one({ ...column, term, type });
    }
  }
}

/** Its sum over a user's rows of one group. */
function totalOf(value: LocalValue, rows: number): LocalValue {
  const { min, max, scale } = value.type;
  const times = BigInt(rows);
  const type = numberType({ min: times * smaller(min, 0n), max: times * larger(max, 0n) }, scale);
  return { ...value, term: totalTerm(value.term), type };
}

const totalTerm = (of: Term): Term => ({ op: 'total', of });

/** A product per combination of rows as a product per combination of users' sums. */
function addedUp(monomial: Monomial, rowsOf: readonly number[], { pivot }: EagerContext): Monomial {
  const given = factorsOf(monomial, pivot);
  const factors = rowsOf.flatMap((rows, table): LocalValue[] => {
    const own = given.find((factor) => (factor.table ?? pivot) === table);
    if (rows === 1) return own === undefined ? [] : [own];
    const one: LocalValue = {
      kind: 'local',
      table,
      term: T.literal(1n),
      type: numberType({ min: 1n, max: 1n }, 0),
    };
    return [totalOf({ ...(own ?? one), table }, rows)];
  });
  return { coefficient: 1n, factors, guard: null };
}

/** Multiplications of one combination: the widest factor is multiplied whole, the others by bits. */
function multiplications(monomials: readonly Monomial[], pivot: TableIndex): number {
  return monomials.reduce((sum, monomial) => {
    const [, ...rest] = widestFirst(factorsOf(monomial, pivot));
    return rest.reduce((n, { type }) => n + bitsOf(type.max - type.min), sum + 1);
  }, 0);
}

/**
 * The eager form of a query, or null when it has none or gains too little: a condition or a count of
 * users compares rows across parties, bounds on joined rows could bind, a sum would not be exact,
 * or multiplications do not get fewer.
 */
export function eagerOf(wanted: readonly Wanted[], context: EagerContext): Eager | null {
  const { tables, keys, pivot, split, bounds } = context;
  const quantities = wanted.map(({ quantity }) => quantity);
  const before = quantities.map(monomialsOf);
  const guarded =
    quantities.some((one) => one.kind === 'usersIf' && !splitsByTable(one.guard)) ||
    // A bound on a user's sum in a group is applied to the sum over joined rows.
    quantities.some((one) => 'groupSum' in one && one.groupSum !== null) ||
    before.flat().some(({ guard }) => guard !== null);
  // A sum has no label of a key that only a joined row has.
  const labelled = mixedGroupsOf(keys) > 1;
  if (split.mixed !== null || guarded || labelled || !boundsNeverBind(context)) return null;
  const order = tablesBySide(tables.length, pivot);
  const rowsOf = tables.map((_, table) => bounds.slots[order.indexOf(table)]!);
  const slots = order.map((table) => Math.min(rowsOf[table]!, groupsOf(keys, table)));
  const after = before.map((monomials) =>
    monomials.map((monomial) => addedUp(monomial, rowsOf, context)),
  );
  const exact = after
    .flat()
    .every(({ factors }) => factors.every(({ type }) => magnitudeOf(type) < EXACT));
  const combinations = (own: readonly number[]): number =>
    product(own.map((n, side) => n + (split.optional[order[side]!]! ? 1 : 0)));
  const cost = (each: readonly (readonly Monomial[])[], own: readonly number[]): number =>
    combinations(own) * each.reduce((sum, one) => sum + multiplications(one, pivot), 1);
  const gains = cost(after, slots) < cost(before, bounds.slots);
  if (!exact || !gains) return null;
  return {
    slots,
    rows: bounds.slots.map((rows) => (rows === 1 ? null : rows)),
    quantities: quantities.map((quantity, i) => {
      if (quantity.kind === 'users' || quantity.kind === 'usersIf') return null;
      const counts =
        quantity.kind === 'terms'
          ? quantity.counts
          : quantity.kind === 'rows' || quantity.kind === 'nonNull';
      const range = { lower: 0n, upper: 0n };
      return { kind: 'terms', monomials: after[i]!, range, clamp: null, counts };
    }),
  };
}
