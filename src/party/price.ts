import { parseRational } from '../core/rational.ts';
import type { Price } from '../dp/index.ts';
import { FREE, rhoOfMeasures } from '../dp/index.ts';
import type { DatasetTerms } from '../policy/index.ts';
import type { Plan, PlanSide } from '../sql/index.ts';

/** What a plan costs every dataset it reads; nothing without differential privacy. */
export function priceOfPlan(plan: Plan): Price {
  const { differential } = plan.privacy;
  if (differential === null) return FREE;
  return {
    epsilon: parseRational(differential.epsilon),
    delta: parseRational(differential.delta),
    rho: rhoOfMeasures(plan.measures),
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
