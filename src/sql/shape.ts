import type { MixedKey, PairComparison, PairPredicate, Plan, Side, SideKey } from './plan.ts';

/** Groups of a plan: the product of its key domains, 1 without GROUP BY. */
export function groupCount(plan: Plan): number {
  return plan.groups.reduce((count, key) => count * key.domain.length, 1);
}

/** The keys that a side knows of its own rows, in GROUP BY order. */
export function keysOfSide({ groups }: Pick<Plan, 'groups'>, side: Side): readonly SideKey[] {
  return groups.filter((key): key is SideKey => key.side === side);
}

/** The keys that no side knows, in GROUP BY order. */
export function mixedKeys({ groups }: Pick<Plan, 'groups'>): readonly MixedKey[] {
  return groups.filter((key) => key.side === null);
}

/** Indices into `plan.measures` of what is opened, in the order of the answer's cells. */
export function releasedMeasures(plan: Plan): readonly number[] {
  return plan.measures.flatMap((measure, i) => (measure.released ? [i] : []));
}

/**
 * Cells of an answer: one per released measure and group. A cell of released measure i and group g
 * is at `i * groupCount(plan) + g`, 8 bytes each.
 */
export function measureCells(plan: Plan): number {
  return releasedMeasures(plan).length * groupCount(plan);
}

/** The guards of the plan's measures, in order. */
export function guardsOfPlan(plan: Plan): readonly PairPredicate[] {
  return plan.measures.flatMap(({ measure }) => {
    if (measure.kind === 'usersIf') return [measure.guard];
    if (measure.kind !== 'terms') return [];
    return measure.terms.flatMap(({ guard }) => (guard === null ? [] : [guard]));
  });
}

/** The predicates that tell the labels of the plan's mixed keys, in order. */
export function labelsOfPlan(plan: Plan): readonly PairPredicate[] {
  return mixedKeys(plan).flatMap(({ labels }) => labels.filter((label) => label !== null));
}

/** Comparisons of a predicate, in the order of a depth-first walk. */
export function comparisonsIn(pair: PairPredicate | null): readonly PairComparison[] {
  if (pair === null || pair.kind === 'bit') return [];
  if (pair.kind === 'compare') return [pair];
  if (pair.kind === 'not') return comparisonsIn(pair.term);
  return pair.terms.flatMap(comparisonsIn);
}

/** The tables that each party of a plan reads, in the plan's order; by which it names its data. */
export function tablesOfSides({ sides }: Pick<Plan, 'sides'>): readonly {
  readonly party: string;
  readonly tables: readonly string[];
}[] {
  return sides.map(({ party, table, joined }) => ({ party, tables: [table, ...joined] }));
}
