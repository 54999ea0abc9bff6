/** Three-valued conditions over all tables, and what follows from their shape alone. */
import * as T from './terms.ts';
import { NULL_VALUE } from './literal-values.ts';
import type { TableIndex } from './names.ts';
import type { Comparison, LocalPredicate } from './plan.ts';
import { booleanType } from './types.ts';
import { type LocalValue, type Value, caseValue, localValue, tablesOfValue } from './value.ts';

/** A three-valued condition over all tables. */
export type Logic =
  | { readonly kind: 'constant'; readonly value: boolean | null }
  | { readonly kind: 'and' | 'or'; readonly terms: readonly Logic[] }
  | { readonly kind: 'not'; readonly term: Logic }
  /** TRUE where the term is, else FALSE. */
  | { readonly kind: 'isTrue'; readonly term: Logic }
  | {
      readonly kind: 'local';
      readonly table: TableIndex;
      readonly predicate: LocalPredicate;
      /** True when the predicate is false, false when it is true, NULL when it is NULL. */
      readonly negation: LocalPredicate;
      readonly nullable: boolean;
    }
  | CrossComparison;

/** `left op right`, with `left` of the table that comes first. */
export interface CrossComparison {
  readonly kind: 'cross';
  readonly op: Comparison;
  readonly left: LocalValue;
  readonly right: LocalValue;
}

export const constant = (value: boolean | null): Logic => ({ kind: 'constant', value });

export const not = (term: Logic): Logic => ({ kind: 'not', term });

export const allOf = (terms: readonly Logic[]): Logic => ({ kind: 'and', terms });

export const anyOf = (terms: readonly Logic[]): Logic => ({ kind: 'or', terms });

/** Tables a condition touches, as bits. */
export function tablesOfLogic(logic: Logic): number {
  switch (logic.kind) {
    case 'constant':
      return 0;
    case 'and':
    case 'or':
      return logic.terms.reduce((mask, term) => mask | tablesOfLogic(term), 0);
    case 'not':
    case 'isTrue':
      return tablesOfLogic(logic.term);
    case 'local':
      return 1 << logic.table;
    case 'cross':
      return tablesOfValue(logic.left) | tablesOfValue(logic.right);
  }
}

function mayBeNull(logic: Logic): boolean {
  switch (logic.kind) {
    case 'constant':
      return logic.value === null;
    case 'and':
    case 'or':
      return logic.terms.some(mayBeNull);
    case 'not':
      return mayBeNull(logic.term);
    case 'isTrue':
      return false;
    case 'local':
      return logic.nullable;
    case 'cross':
      return logic.left.type.nullable || logic.right.type.nullable;
  }
}

/** A condition as a boolean value. */
export function booleanValue(logic: Logic): Value {
  const truth = (value: bigint): LocalValue =>
    localValue(null, T.literal(value), booleanType(false));
  const branches = [{ when: logic, then: truth(1n) }];
  if (!mayBeNull(logic)) return caseValue(branches, truth(0n));
  return caseValue([...branches, { when: not(logic), then: truth(0n) }], NULL_VALUE);
}

/** A leaf whose only negation is NOT. */
export function localLeaf(table: TableIndex, predicate: LocalPredicate, nullable: boolean): Logic {
  const negation: LocalPredicate = { kind: 'not', term: predicate };
  return { kind: 'local', table, predicate, negation, nullable };
}

/** Whether a value is NULL, which itself is never NULL. */
export function isNullLogic(value: Value): Logic {
  if (value === NULL_VALUE) return constant(true);
  if (!value.type.nullable) return constant(false);
  switch (value.kind) {
    case 'local': {
      const { table, term } = value;
      if (table === null) return constant(false);
      return localLeaf(table, { kind: 'isNull', term }, false);
    }
    case 'arithmetic':
      return anyOf([isNullLogic(value.left), isNullLogic(value.right)]);
    case 'coalesce':
      return allOf(value.values.map(isNullLogic));
    case 'case':
      return anyOf(taken(value).map(({ when, then }) => allOf([when, isNullLogic(then)])));
  }
}

/** The branches of a CASE, ELSE last, with when each is taken: TRUE or FALSE, one of them TRUE. */
export function taken(
  value: Extract<Value, { kind: 'case' }>,
): readonly { readonly when: Logic; readonly then: Value }[] {
  const tests = value.branches.map(({ when }): Logic => ({ kind: 'isTrue', term: when }));
  const before = (i: number): Logic[] => tests.slice(0, i).map(not);
  return [
    ...value.branches.map(({ then }, i) => ({ when: allOf([...before(i), tests[i]!]), then })),
    { when: allOf(before(tests.length)), then: value.otherwise },
  ];
}
