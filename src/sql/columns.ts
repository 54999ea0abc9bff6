/**
 * Columns of a side by name. A derived column is called by its term until the plan is complete;
 * then `=0`, `=1` and so on, in the order of the terms, so that names depend on meaning alone.
 */
import { expect } from '../core/errors.ts';
import type {
  GroupKey,
  MeasureTerm,
  Measure,
  PairPredicate,
  Plan,
  PlannedMeasure,
  PlanSide,
  Side,
  Term,
} from './plan.ts';
import { isColumnTerm, termKey } from './terms.ts';

const DERIVED = '=';

/** The column a term is: its own, or a derived one. */
export function columnName(term: Term): string {
  if (isColumnTerm(term) && term.scaleUp === 1) return term.column;
  return `${DERIVED}${termKey(term)}`;
}

const isDerived = (name: string): boolean => name.startsWith(DERIVED);

/** The term of a column by its name. */
export function termOfColumn(name: string): Term {
  if (!isDerived(name)) return { column: name, scaleUp: 1 };
  const term = JSON.parse(name.slice(DERIVED.length)) as Term;
  expect(columnName(term) === name, 'a derived column is named by its term');
  return term;
}

/** Gives the derived columns of a complete plan their short names. */
export function nameDerived(plan: Plan): Plan {
  const names = plan.sides.map(({ columns }) => {
    const derived = [...columns].filter(isDerived).sort();
    return new Map(derived.map((name, i) => [name, `${DERIVED}${i}`]));
  });
  const short = (side: Side, name: string): string => names[side]!.get(name) ?? name;
  const inPair = <P extends PairPredicate | null>(pair: P): P => renamePair(pair, short) as P;
  return {
    ...plan,
    sides: plan.sides.map((side, which) => renameSide(side, names[which]!)),
    pair: inPair(plan.pair),
    groups: plan.groups.map((key): GroupKey =>
      key.side === null
        ? { ...key, labels: key.labels.map(inPair) }
        : { ...key, column: short(key.side, key.column) },
    ),
    measures: plan.measures.map((planned): PlannedMeasure => ({
      ...planned,
      measure: renameMeasure(planned.measure, short, inPair),
    })),
  };
}

function renameSide(side: PlanSide, names: ReadonlyMap<string, string>): PlanSide {
  // Values of the absent row follow their columns.
  const order = side.columns
    .map((long, i) => ({ long, name: names.get(long) ?? long, i }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
  return {
    ...side,
    columns: order.map(({ name }) => name),
    derived: order
      .filter(({ long }) => names.has(long))
      .map(({ long, name }) => ({ name, term: termOfColumn(long) })),
    absent:
      side.absent === null
        ? null
        : { ...side.absent, values: order.map(({ i }) => side.absent!.values[i]!) },
  };
}

type Short = (side: Side, name: string) => string;

function renamePair(pair: PairPredicate | null, short: Short): PairPredicate | null {
  if (pair === null || pair.kind === 'bit') return pair;
  if (pair.kind === 'not') return { ...pair, term: renamePair(pair.term, short)! };
  if (pair.kind !== 'compare') {
    return { ...pair, terms: pair.terms.map((term) => renamePair(term, short)!) };
  }
  const { left, right } = pair;
  return {
    ...pair,
    left: { ...left, column: short(left.side, left.column) },
    right: { ...right, column: short(right.side, right.column) },
  };
}

function renameMeasure(
  measure: Measure,
  short: Short,
  inPair: <P extends PairPredicate | null>(pair: P) => P,
): Measure {
  switch (measure.kind) {
    case 'users':
    case 'rows':
      return measure;
    case 'usersIf':
      return { ...measure, guard: inPair(measure.guard) };
    case 'terms':
      return {
        ...measure,
        terms: measure.terms.map(({ guard, factors }): MeasureTerm => ({
          guard: inPair(guard),
          factors: factors.map((f) => ({ ...f, column: short(f.side, f.column) })),
        })),
      };
    default:
      return { ...measure, column: short(measure.side, measure.column) };
  }
}
