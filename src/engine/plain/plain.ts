import { toHex } from '../../core/bytes.ts';
import type { Comparison, PairPredicate, Plan } from '../../sql/plan.ts';
import { groupOfSlot, groupSpace } from '../groups.ts';
import type { LocalTable } from '../types.ts';
import { comparisonsOf, measureValues, operandValues } from '../values.ts';

/** Exact totals in clear: `totals[m][g]` for measure m and group g. */
export type Totals = readonly (readonly bigint[])[];

const ID_BYTES = 32;

/**
 * Runs a plan's join and aggregation in clear over all local tables, by side: the oracle the
 * multi-party engine is tested against, and the body of an enclave. Single-threaded; O(combinations).
 */
export function aggregatePlain(plan: Plan, tables: readonly LocalTable[]): Totals {
  const space = groupSpace(plan);
  const groups = tables.map((table, side) => groupOfSlot(plan, side, table));
  const groupAt = groupIndex(space);
  const qualifies = rowTest(plan, tables);
  const values = plan.measures.map((planned) => {
    if (!('column' in planned.measure)) return null;
    const { side } = planned.measure;
    return { side, of: measureValues(planned, tables[side]!) };
  });
  const totals = plan.measures.map(() => Array.from({ length: space.total }, () => 0n));
  for (const users of matches(tables)) {
    const seen = new Set<number>();
    for (const at of combinations(tables, users)) {
      if (!qualifies(at)) continue;
      const g = groupAt(groups.map((own, side) => own[at[side]!]!));
      plan.measures.forEach(({ measure }, m) => {
        const value = values[m];
        if (measure.kind === 'rows') totals[m]![g]! += 1n;
        else if (value != null) totals[m]![g]! += BigInt(value.of[at[value.side]!]!);
      });
      seen.add(g);
    }
    for (const g of seen) totals[0]![g]! += 1n;
  }
  return totals;
}

/** Number of the group with these parts, one per side. */
function groupIndex(space: ReturnType<typeof groupSpace>): (parts: readonly number[]) => number {
  const flat = (parts: readonly number[]): number =>
    parts.reduce((index, part, side) => index * space.bySide[side]! + part, 0);
  const table = new Int32Array(space.bySide.reduce((n, size) => n * size, 1));
  for (let g = 0; g < space.total; g += 1) {
    table[flat(space.sideIndex.map((own) => own[g]!))] = g;
  }
  return (parts) => table[flat(parts)]!;
}

/** The users all tables have: their place in each. */
function matches(tables: readonly LocalTable[]): number[][] {
  const idOf = (table: LocalTable, u: number): string =>
    toHex(table.ids.subarray(u * ID_BYTES, (u + 1) * ID_BYTES));
  const [pivot, ...senders] = tables.map((table) => {
    const places = new Map<string, number>();
    for (let u = 0; u < table.users; u += 1) places.set(idOf(table, u), u);
    return places;
  });
  const found: number[][] = [];
  for (const [id, user] of pivot ?? []) {
    const others = senders.flatMap((places) => places.get(id) ?? []);
    if (others.length === senders.length) found.push([user, ...others]);
  }
  return found;
}

/** Cell of a row in each table. */
type At = readonly number[];

/** Every combination of one filled slot per table of a matched user. */
function combinations(tables: readonly LocalTable[], users: readonly number[]): At[] {
  return tables.reduce<At[]>(
    (all, table, side) => {
      const cells = Array.from({ length: table.slots }, (_, s) => s * table.users + users[side]!);
      const filled = cells.filter((cell) => table.valid[cell] === 1);
      return all.flatMap((at) => filled.map((cell) => [...at, cell]));
    },
    [[]],
  );
}

function rowTest(plan: Plan, tables: readonly LocalTable[]): (at: At) => boolean {
  const operands = new Map(
    comparisonsOf(plan).map((c) => [
      c,
      [c.left.side, c.right.side].map((side) => ({
        side,
        ...operandValues(c, side, tables[side]!),
      })),
    ]),
  );
  const test = (node: PairPredicate, at: At): boolean => {
    switch (node.kind) {
      case 'and':
        return node.terms.every((term) => test(term, at));
      case 'or':
        return node.terms.some((term) => test(term, at));
      case 'bit':
        return tables[node.side]!.bits[node.index]![at[node.side]!] === 1;
      case 'compare': {
        const [x, y] = operands.get(node)!.map(({ side, values, present }) => ({
          value: values[at[side]!]!,
          present: present[at[side]!] === 1,
        }));
        return x!.present && y!.present && holds(node.op, x!.value - y!.value);
      }
    }
  };
  const { pair } = plan;
  return pair === null ? () => true : (at) => test(pair, at);
}

function holds(op: Comparison, difference: number): boolean {
  switch (op) {
    case '=':
      return difference === 0;
    case '<>':
      return difference !== 0;
    case '<':
      return difference < 0;
    case '<=':
      return difference <= 0;
    case '>':
      return difference > 0;
    case '>=':
      return difference >= 0;
  }
}
