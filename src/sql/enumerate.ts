/**
 * Comparisons that neither owner can prepare alone, such as a product of two parties' columns against
 * a number: where one of the values has few, declared ones, an OR over them. Each of its terms says
 * "it is v", which its owner knows, and compares what is left with v in its place: one table fewer.
 */
import { compareTerm, compareValues } from './comparisons.ts';
import { valuesOfLocal } from './groups.ts';
import { allOf, anyOf, constant, isNullLogic, type Logic } from './logic.ts';
import { ENUMERATED_MAX } from './limits.ts';
import type { Scope } from './names.ts';
import type { Comparison } from './plan.ts';
import type { Span } from './syntax.ts';
import * as T from './terms.ts';
import { addOrSubtract, localValue, multiply, type LocalValue, type Value } from './value.ts';

interface Leaves {
  /** Every value of a table that arithmetic is made of. */
  readonly all: readonly LocalValue[];
  /** Those that are factors of a product. */
  readonly factors: readonly LocalValue[];
}

/** Null when something else than arithmetic is in it. */
function leavesOf(value: Value): Leaves | null {
  if (value.kind === 'local') return { all: value.table === null ? [] : [value], factors: [] };
  if (value.kind !== 'arithmetic') return null;
  const [left, right] = [leavesOf(value.left), leavesOf(value.right)];
  if (left === null || right === null) return null;
  const all = [...left.all, ...right.all];
  return { all, factors: value.op === '*' ? all : [...left.factors, ...right.factors] };
}

/** The leaf of the fewest values. */
function fewest(
  scope: Scope,
  leaves: readonly LocalValue[],
): { readonly leaf: LocalValue; readonly values: readonly number[] } | null {
  const candidates = leaves.flatMap((leaf) => {
    const values = valuesOfLocal(scope, { ...leaf, table: leaf.table! });
    return values === null || values.length > ENUMERATED_MAX ? [] : [{ leaf, values }];
  });
  candidates.sort((a, b) => a.values.length - b.values.length);
  return candidates[0] ?? null;
}

/** A value times a constant, term by term, so that sums stay sums. */
function times(scope: Scope, value: Value, by: LocalValue, span: Span): Value {
  if (value.kind !== 'arithmetic') return multiply(scope, value, by, span);
  const left = times(scope, value.left, by, span);
  return value.op === '*'
    ? product(scope, left, value.right, span)
    : addOrSubtract(scope, value.op, left, times(scope, value.right, by, span), span);
}

function product(scope: Scope, left: Value, right: Value, span: Span): Value {
  if (right.kind === 'local' && right.table === null) return times(scope, left, right, span);
  if (left.kind === 'local' && left.table === null) return times(scope, right, left, span);
  return multiply(scope, left, right, span);
}

function replaced(scope: Scope, value: Value, leaf: LocalValue, by: LocalValue, span: Span): Value {
  if (value.kind !== 'arithmetic') {
    const same =
      value.kind === 'local' &&
      value.table === leaf.table &&
      T.termKey(value.term) === T.termKey(leaf.term);
    return same ? by : value;
  }
  const left = replaced(scope, value.left, leaf, by, span);
  const right = replaced(scope, value.right, leaf, by, span);
  return value.op === '*'
    ? product(scope, left, right, span)
    : addOrSubtract(scope, value.op, left, right, span);
}

/**
 * `a op b` as an OR over the values of one of its parts; null where none has few. Three-valued: where
 * the part is NULL the comparison is.
 * Cost: as many comparisons of the rest as the part has values; bits alone when one table is left.
 */
export function enumerated(
  scope: Scope,
  op: Comparison,
  a: Value,
  b: Value,
  span: Span,
): Logic | null {
  const [left, right] = [leavesOf(a), leavesOf(b)];
  if (left === null || right === null) return null;
  // Products first: without them only the number of tables is left to bring down.
  const factors = [...left.factors, ...right.factors];
  const chosen = fewest(scope, factors.length > 0 ? factors : [...left.all, ...right.all]);
  if (chosen === null) return null;
  const { leaf, values } = chosen;
  const cases = values.map((value): Logic => {
    const coded = BigInt(value);
    const type = { ...leaf.type, min: coded, max: coded, nullable: false };
    const by = localValue(null, T.literal(coded), type);
    const [x, y] = [a, b].map((part) => replaced(scope, part, leaf, by, span));
    return allOf([
      compareTerm(leaf, '=', T.literal(coded)),
      compareValues(scope, op, x!, y!, span),
    ]);
  });
  return anyOf([...cases, allOf([isNullLogic(leaf), constant(null)])]);
}
