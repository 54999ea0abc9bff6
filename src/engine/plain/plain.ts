import { toHex } from '../../core/bytes.ts';
import { comparisonsIn, guardsOfPlan, labelsOfPlan, mixedKeys } from '../../sql/index.ts';
import type {
  Comparison,
  PairComparison,
  PairPredicate,
  Plan,
  PlannedMeasure,
  PlanSide,
  Side,
} from '../../sql/plan.ts';
import { contributionOrder, keptRows, type BoundingRule } from '../contributions.ts';
import { groupOfSlot, groupSpace, type GroupSpace } from '../groups.ts';
import type { LocalTable } from '../types.ts';
import { absentTable, factorValues, measureValues, operandValues } from '../values.ts';

/** Exact totals in clear: `totals[m][g]` for measure m and group g. */
export type Totals = readonly (readonly bigint[])[];

const ID_BYTES = 32;

/**
 * Runs a plan's join and aggregation in clear over all local tables, by side: the oracle the
 * multi-party engine is tested against, and the body of an enclave. Single-threaded; O(combinations).
 *
 * @param keep - which of a user's qualifying rows count: tests plant faults here and see them caught.
 */
export function aggregatePlain(
  plan: Plan,
  locals: readonly LocalTable[],
  keep: BoundingRule = keptRows,
): Totals {
  const tables = locals.map((table, side) => withAbsent(plan.sides[side]!, table));
  const space = groupSpace(plan);
  const groups = tables.map((table, side) => groupOfSlot(plan, side, table));
  const groupAt = groupIndex(space);
  const test = rowTest(plan, tables);
  const labelAt = labelIndex(plan, test);
  const qualifies = (at: At): boolean => plan.pair === null || test(plan.pair, at);
  const adders = plan.measures.map((planned) => adderOf(planned, tables, test));
  const totals = plan.measures.map(() => Array.from({ length: space.total }, () => 0n));
  const bounded = bounder(plan, keep, (at) =>
    groupAt([...groups.map((own, side) => own[at[side]!]!), labelAt(at)]),
  );
  for (const users of matches(plan, locals)) {
    const seen = plan.measures.map(() => new Set<number>());
    const sums = plan.measures.map(() => new Map<number, bigint>());
    for (const { at, group } of bounded(combinations(tables, users).filter(qualifies))) {
      plan.measures.forEach(({ measure }, m) => {
        const added = adders[m]!(at);
        if (measure.kind !== 'users' && measure.kind !== 'usersIf') {
          sums[m]!.set(group, (sums[m]!.get(group) ?? 0n) + added);
        } else if (added === 1n) seen[m]!.add(group);
      });
    }
    sums.forEach((own, m) => {
      const { groupSum } = plan.measures[m]!;
      own.forEach((sum, g) => (totals[m]![g]! += groupSum === null ? sum : held(sum, groupSum)));
    });
    seen.forEach((own, m) => own.forEach((g) => (totals[m]![g]! += 1n)));
  }
  return totals;
}

/** One user's sum in a group, moved to the nearer bound. */
function held(sum: bigint, bounds: NonNullable<PlannedMeasure['groupSum']>): bigint {
  const [lower, upper] = [BigInt(bounds.lower), BigInt(bounds.upper)];
  return sum < lower ? lower : sum > upper ? upper : sum;
}

/** What a row adds to a measure; 1 for a user that counts. */
function adderOf(
  planned: PlannedMeasure,
  tables: readonly LocalTable[],
  test: (node: PairPredicate, at: At) => boolean,
): (at: At) => bigint {
  const { measure } = planned;
  switch (measure.kind) {
    case 'users':
    case 'rows':
      return () => 1n;
    case 'usersIf':
      return (at) => (test(measure.guard, at) ? 1n : 0n);
    case 'terms': {
      const terms = measure.terms.map(({ guard, factors }) => {
        const values = factors.map((factor) => factorValues(factor, tables[factor.side]!));
        return (at: At): bigint => {
          if (guard !== null && !test(guard, at)) return 0n;
          return factors.reduce(
            (product, { side }, f) => product * BigInt(values[f]![at[side]!]!),
            1n,
          );
        };
      });
      return (at) => terms.reduce((sum, term) => sum + term(at), 0n);
    }
    default: {
      const { side } = measure;
      const values = measureValues(planned, tables[side]!);
      return (at) => BigInt(values[at[side]!]!);
    }
  }
}

/** The table with one user more, last, who has the row of NULLs alone. */
function withAbsent(side: PlanSide, table: LocalTable): LocalTable {
  if (side.absent === null) return table;
  const absent = absentTable(side);
  const { slots, users } = table;
  const grow = <T extends Float64Array | Uint8Array>(from: T, own: T, to: T): T => {
    for (let s = 0; s < slots; s += 1) {
      for (let u = 0; u < users; u += 1) to[s * (users + 1) + u] = from[s * users + u]!;
    }
    to[users] = own[0]!;
    return to;
  };
  const bytes = (): Uint8Array => new Uint8Array(slots * (users + 1));
  const doubles = (): Float64Array => new Float64Array(slots * (users + 1));
  const all = <T extends Float64Array | Uint8Array>(
    from: Readonly<Record<string, T>>,
    own: Readonly<Record<string, T>>,
    make: () => T,
  ): Record<string, T> =>
    Object.fromEntries(
      Object.keys(own).map((name) => [name, grow(from[name]!, own[name]!, make())]),
    );
  return {
    ...table,
    users: users + 1,
    valid: grow(table.valid, absent.valid, bytes()),
    values: all(table.values, absent.values, doubles),
    present: all(table.present, absent.present, bytes),
    bits: table.bits.map((bit, i) => grow(bit, absent.bits[i]!, bytes())),
  };
}

/** Number of the group with these parts, one per side and last that of the mixed keys. */
function groupIndex({
  total,
  bySide,
  sideIndex,
  labels,
  labelIndex,
}: GroupSpace): (parts: readonly number[]) => number {
  const sizes = [...bySide, labels];
  const flat = (parts: readonly number[]): number =>
    parts.reduce((index, part, i) => index * sizes[i]! + part, 0);
  const table = new Int32Array(sizes.reduce((n, size) => n * size, 1));
  for (let g = 0; g < total; g += 1) {
    table[flat([...sideIndex, labelIndex].map((own) => own[g]!))] = g;
  }
  return (parts) => table[flat(parts)]!;
}

/** Which combination of the mixed keys' labels a joined row has. */
function labelIndex(
  plan: Plan,
  test: (node: PairPredicate, at: At) => boolean,
): (at: At) => number {
  const keys = mixedKeys(plan).map(({ labels }) => ({ labels, spare: labels.indexOf(null) }));
  return (at) =>
    keys.reduce((index, { labels, spare }) => {
      const found = labels.findIndex((label) => label !== null && test(label, at));
      return index * labels.length + (found < 0 ? spare : found);
    }, 0);
}

/** The users of the pivot whom all other tables have, or need not: their place in each. */
function matches(plan: Plan, tables: readonly LocalTable[]): number[][] {
  const idOf = (table: LocalTable, u: number): string =>
    toHex(table.ids.subarray(u * ID_BYTES, (u + 1) * ID_BYTES));
  const [pivot, ...senders] = tables.map((table) => {
    const places = new Map<string, number>();
    for (let u = 0; u < table.users; u += 1) places.set(idOf(table, u), u);
    return places;
  });
  const found: number[][] = [];
  for (const [id, user] of pivot ?? []) {
    const others = senders.flatMap((places, i) => {
      const place = places.get(id);
      if (place !== undefined) return [place];
      return plan.sides[i + 1]!.absent === null ? [] : [tables[i + 1]!.users];
    });
    if (others.length === senders.length) found.push([user, ...others]);
  }
  return found;
}

/** Cell of a row in each table. */
type At = readonly number[];

/** Every combination of one filled slot per table of a matched user, in slot order. */
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

/** Qualifying rows of one user that the plan's bounds keep, with their groups. */
function bounder(
  plan: Plan,
  keep: BoundingRule,
  groupOf: (at: At) => number,
): (rows: readonly At[]) => readonly { readonly at: At; readonly group: number }[] {
  const { contributions } = plan;
  if (contributions === null) return (rows) => rows.map((at) => ({ at, group: groupOf(at) }));
  const { sides } = contributionOrder(plan);
  // A user's cells of a table ascend with their slots.
  const inOrder = (a: At, b: At): number => {
    const side = sides.find((each) => a[each] !== b[each]);
    return side === undefined ? 0 : a[side]! - b[side]!;
  };
  return (rows) => {
    const ordered = [...rows].sort(inOrder).map((at) => ({ at, group: groupOf(at) }));
    const kept = keep(
      ordered.map(({ group }) => group),
      contributions,
    );
    return kept.map((row) => ordered[row]!);
  };
}

type Operands = readonly {
  readonly side: Side;
  readonly values: Float64Array;
  readonly present: Uint8Array;
}[];

function rowTest(
  plan: Plan,
  tables: readonly LocalTable[],
): (node: PairPredicate, at: At) => boolean {
  const operands = new Map(
    [plan.pair, ...guardsOfPlan(plan), ...labelsOfPlan(plan)]
      .flatMap(comparisonsIn)
      .map((c): [PairComparison, Operands] => [
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
      case 'not':
        return !test(node.term, at);
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
  return test;
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
