import type { Plan } from '../../src/sql/index.ts';

/** A private plan with its bounds as they are and its release wide open: totals come out exact. */
export function bare(plan: Plan): Plan {
  return {
    ...plan,
    measures: plan.measures.map((measure) => ({ ...measure, epsilon: null })),
    privacy: { ...plan.privacy, selection: 'exact_k', minUsers: 1, differential: null },
  };
}
