// What every module of this folder answers; scripts/statistics.mjs prints it, privacy.test.ts holds it.

/** One line of the table: a test by its number in privacy.md section 7. */
export interface Check {
  readonly test: string;
  readonly what: string;
  readonly n: number;
  readonly result: string;
  readonly pass: boolean;
}

export interface StatisticsModule {
  readonly title: string;
  /** @param long - the numbers of privacy.md; else few enough for every push. */
  readonly run: (long: boolean) => Promise<readonly Check[]>;
}

/** A p-value or another small chance, for the table. */
export function chance(p: number): string {
  if (p < 1e-300) return 'below 1e-300';
  return p < 1e-4 ? p.toExponential(1) : p.toFixed(4);
}

/** False alarms of a goodness-of-fit test (privacy.md section 7, test 4). */
export const ALARM = 1e-9;
