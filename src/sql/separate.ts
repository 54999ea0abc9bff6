/** Brings the parts of a comparison that belong to one table to one side of it. */
import type { TableIndex } from './names.ts';
import { addTerms, literal, negateTerm } from './terms.ts';
import { numberType, sumType, type ValueType } from './types.ts';
import { localValue, type LocalValue, type Value } from './value.ts';

type Parts = Map<TableIndex | null, LocalValue>;

const negatedType = (type: ValueType): ValueType =>
  sumType('-', numberType({ min: 0n, max: 0n }, type.scale), type);

/** Adds ±value, part by part, to what is known; false when a part is a product of tables. */
function collect(parts: Parts, value: Value, plus: boolean): boolean {
  if (value.kind === 'arithmetic' && value.op !== '*') {
    const rightPlus = value.op === '+' ? plus : !plus;
    return collect(parts, value.left, plus) && collect(parts, value.right, rightPlus);
  }
  if (value.kind !== 'local') return false;
  const { table } = value;
  const before = parts.get(table);
  const [term, type] = plus
    ? [value.term, value.type]
    : [negateTerm(value.term), negatedType(value.type)];
  parts.set(
    table,
    before === undefined
      ? localValue(table, term, type)
      : localValue(
          table,
          plus ? addTerms('+', before.term, value.term) : addTerms('-', before.term, value.term),
          sumType(plus ? '+' : '-', before.type, value.type),
        ),
  );
  return true;
}

/**
 * `a op b` as `left op right` with each side of one table: everything of the first table moves to
 * the left, everything of the second and all constants to the right. NULL when any part is, which
 * comparisons and sums agree on.
 * @returns null when three tables or products of two are compared.
 */
export function separate(
  a: Value,
  b: Value,
): { readonly left: LocalValue; readonly right: LocalValue } | null {
  const parts: Parts = new Map();
  // Left of the operator with its sign, right of it with the other: a − b op 0.
  const linear = collect(parts, a, true) && collect(parts, b, false);
  const tables = [...parts.keys()].filter((table) => table !== null).sort((x, y) => x - y);
  const [first, second] = tables;
  if (!linear || first === undefined || second === undefined || tables.length > 2) {
    return null;
  }
  const own = parts.get(first)!;
  const other = parts.get(second)!;
  const rest = parts.get(null);
  const zero = localValue(null, literal(0n), numberType({ min: 0n, max: 0n }, own.type.scale));
  const moved = rest ?? zero;
  const term = negateTerm(addTerms('+', other.term, moved.term));
  const type = negatedType(sumType('+', other.type, moved.type));
  return { left: own, right: localValue(second, term, type) };
}
