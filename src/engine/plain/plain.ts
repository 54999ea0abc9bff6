import { toHex } from '../../core/bytes.ts';
import type { Comparison, PairPredicate, Plan } from '../../sql/plan.ts';
import { groupOfSlot, groupSpace } from '../groups.ts';
import type { LocalTable } from '../types.ts';
import { comparisonsOf, measureValues, operandValues } from '../values.ts';

/** Exact totals in clear: `totals[m][g]` for measure m and group g. */
export type Totals = readonly (readonly bigint[])[];

const ID_BYTES = 32;

/**
 * Runs a plan's join and aggregation in clear over both local tables: the oracle the
 * multi-party engine is tested against, and the body of an enclave. Single-threaded; O(pairs).
 */
export function aggregatePlain(plan: Plan, tables: readonly [LocalTable, LocalTable]): Totals {
  const space = groupSpace(plan);
  const groups = [groupOfSlot(plan, 0, tables[0]), groupOfSlot(plan, 1, tables[1])] as const;
  const groupAt = groupIndex(space);
  const qualifies = pairTest(plan, tables);
  const values = plan.measures.map((planned) => {
    if (!('column' in planned.measure)) return null;
    return { side: planned.measure.side, of: measureValues(planned, tables[planned.measure.side]) };
  });
  const totals = plan.measures.map(() => Array.from({ length: space.total }, () => 0n));
  for (const [a, b] of matches(tables)) {
    const seen = new Set<number>();
    for (let i = 0; i < tables[0].slots; i += 1) {
      for (let j = 0; j < tables[1].slots; j += 1) {
        const at = [i * tables[0].users + a, j * tables[1].users + b] as const;
        if (tables[0].valid[at[0]] === 0 || tables[1].valid[at[1]] === 0) continue;
        if (!qualifies(at)) continue;
        const g = groupAt(groups[0][at[0]]!, groups[1][at[1]]!);
        plan.measures.forEach(({ measure }, m) => {
          const value = values[m];
          if (measure.kind === 'rows') totals[m]![g]! += 1n;
          else if (value != null) totals[m]![g]! += BigInt(value.of[at[value.side]]!);
        });
        seen.add(g);
      }
    }
    for (const g of seen) totals[0]![g]! += 1n;
  }
  return totals;
}

function groupIndex(space: ReturnType<typeof groupSpace>): (a: number, b: number) => number {
  const table = new Int32Array(space.bySide[0] * space.bySide[1]);
  for (let g = 0; g < space.total; g += 1) {
    table[space.sideIndex[0][g]! * space.bySide[1] + space.sideIndex[1][g]!] = g;
  }
  return (a, b) => table[a * space.bySide[1] + b]!;
}

function matches(tables: readonly [LocalTable, LocalTable]): [number, number][] {
  const idOf = (table: LocalTable, u: number): string =>
    toHex(table.ids.subarray(u * ID_BYTES, (u + 1) * ID_BYTES));
  const senders = new Map<string, number>();
  for (let u = 0; u < tables[1].users; u += 1) senders.set(idOf(tables[1], u), u);
  const found: [number, number][] = [];
  for (let u = 0; u < tables[0].users; u += 1) {
    const match = senders.get(idOf(tables[0], u));
    if (match !== undefined) found.push([u, match]);
  }
  return found;
}

type At = readonly [number, number];

function pairTest(plan: Plan, tables: readonly [LocalTable, LocalTable]): (at: At) => boolean {
  const operands = new Map(
    comparisonsOf(plan).map((c) => [
      c,
      [operandValues(c, 0, tables[0]), operandValues(c, 1, tables[1])] as const,
    ]),
  );
  const test = (node: PairPredicate, at: At): boolean => {
    switch (node.kind) {
      case 'and':
        return node.terms.every((term) => test(term, at));
      case 'or':
        return node.terms.some((term) => test(term, at));
      case 'bit':
        return tables[node.side].bits[node.index]![at[node.side]] === 1;
      case 'compare': {
        const [x, y] = operands.get(node)!;
        if (x.present[at[0]] === 0 || y.present[at[1]] === 0) return false;
        return holds(node.op, x.values[at[0]]! - y.values[at[1]]!);
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
