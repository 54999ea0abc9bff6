import type { Rational } from '../core/rational.ts';
import { parseRational } from '../core/rational.ts';
import type { Price } from '../dp/index.ts';
import { FREE, rhoOf } from '../dp/index.ts';
import type { DatasetTerms } from '../policy/index.ts';
import type { Plan, PlanSide } from '../sql/index.ts';

/** What a plan costs every dataset it reads; nothing without differential privacy. */
export function priceOfPlan(plan: Plan): Price {
  const { differential } = plan.privacy;
  if (differential === null) return FREE;
  // Measures of one histogram have one epsilon together.
  const epsilons = new Map<string, Rational>();
  plan.measures.forEach(({ epsilon, histogram }, i) => {
    if (epsilon === null) return;
    const noised = histogram === null ? `measure ${i}` : `histogram ${histogram}`;
    epsilons.set(noised, parseRational(epsilon));
  });
  return {
    epsilon: parseRational(differential.epsilon),
    delta: parseRational(differential.delta),
    rho: rhoOf([...epsilons.values()]),
  };
}

/** The datasets that a side of a plan reads, each once: a budget is charged the price of the query once. */
export function chargesOfSide(
  { table, joined }: Pick<PlanSide, 'table' | 'joined'>,
  datasets: readonly DatasetTerms[],
): readonly DatasetTerms[] {
  const read = [table, ...joined];
  return datasets.filter(({ tables }) => tables.some((name) => read.includes(name)));
}
