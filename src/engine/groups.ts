import { expect } from '../core/errors.ts';
import { groupCount, keysOfSide, mixedKeys } from '../sql/index.ts';
import type { GroupKey, Plan, Side } from '../sql/plan.ts';
import type { LocalTable } from './types.ts';

/** How the groups of a plan split into the part each side knows of its own rows. */
export interface GroupSpace {
  /** All groups: the product of the key domains, last key fastest. */
  readonly total: number;
  /** Number of combinations of each side's own keys. */
  readonly bySide: readonly number[];
  /** `sideIndex[side][g]`: which combination of that side's keys group g has. */
  readonly sideIndex: readonly Int32Array[];
  /** Number of combinations of the labels that no side knows; 1 without mixed keys. */
  readonly labels: number;
  /** `labelIndex[g]`: which of them group g has, the last mixed key's fastest. */
  readonly labelIndex: Int32Array;
}

/** Splits the plan's groups. Public: depends on the plan only. */
export function groupSpace(plan: Plan): GroupSpace {
  const total = groupCount(plan);
  const bySide = plan.sides.map((_, side) => sizeOf(keysOfSide(plan, side)));
  const sideIndex = plan.sides.map(() => new Int32Array(total));
  const labelIndex = new Int32Array(total);
  for (let g = 0; g < total; g += 1) {
    let rest = g;
    const digits = plan.groups.map(() => 0);
    for (let i = plan.groups.length - 1; i >= 0; i -= 1) {
      const size = plan.groups[i]!.domain.length;
      digits[i] = rest % size;
      rest = Math.floor(rest / size);
    }
    plan.groups.forEach(({ side, domain }, i) => {
      const index = side === null ? labelIndex : sideIndex[side]!;
      index[g] = index[g]! * domain.length + digits[i]!;
    });
  }
  return { total, bySide, sideIndex, labels: sizeOf(mixedKeys(plan)), labelIndex };
}

const sizeOf = (keys: readonly GroupKey[]): number =>
  keys.reduce((n, { domain }) => n * domain.length, 1);

/** Index of a slot's value in the key's domain; -1 when it is not in it. */
function label(
  column: { readonly values: Float64Array; readonly index: ReadonlyMap<number, number> | null },
  at: number,
): number {
  const value = column.values[at]!;
  return column.index === null ? value : (column.index.get(value) ?? -1);
}

/**
 * The combination of the side's own group keys of every slot of every user, slot-major; -1 where
 * the slot is empty. NULL is the last value of a nullable key's domain.
 */
export function groupOfSlot(plan: Plan, side: Side, table: LocalTable): Int32Array {
  const out = new Int32Array(table.slots * table.users);
  const columns = keysOfSide(plan, side).map((key) => {
    const values = table.values[key.column];
    const present = table.present[key.column];
    expect(values !== undefined && present !== undefined, 'group columns are in the local table');
    const index = key.codes === null ? null : new Map(key.codes.map((code, i) => [code, i]));
    return { values, present, size: key.domain.length, index };
  });
  for (let at = 0; at < out.length; at += 1) {
    if (table.valid[at] === 0) {
      out[at] = -1;
      continue;
    }
    let index = 0;
    for (const column of columns) {
      const value = column.present[at] === 1 ? label(column, at) : column.size - 1;
      expect(value >= 0 && value < column.size, 'group values lie in the declared domain');
      index = index * column.size + value;
    }
    out[at] = index;
  }
  return out;
}
