import { concat, wipe } from '../../core/bytes.ts';
import type { Rng } from '../../core/rng.ts';
import { calibrate, noiseRecord, releaseRuleOf } from '../../dp/index.ts';
import { aggregatePlain, releasePlain } from '../../engine/plain/index.ts';
import type { LocalTable } from '../../engine/types.ts';
import type { Plan } from '../../sql/index.ts';
import { drawLaplace } from './noise.ts';

/** What leaves: open bits and cells as the circuit would open them, and how they were noised. */
export interface Computed {
  /** `open ‖ cells`, of a length that the plan alone decides; wipe after sealing. */
  readonly answer: Uint8Array;
  readonly noise: object;
}

/**
 * Join, aggregation, threshold and noise in clear: the plain engine with the laws of `dp/`, the
 * same that the parties' circuit computes on shares.
 */
export function compute(plan: Plan, tables: readonly LocalTable[], rng: Rng): Computed {
  const rule = releaseRuleOf(plan);
  const calibration = calibrate(rule);
  const totals = aggregatePlain(plan, tables);
  const { open, cells } = releasePlain(plan, calibration, totals, (measure) =>
    drawLaplace(calibration.laws[measure]!, rng),
  );
  const answer = concat([open, cells]);
  wipe(open, cells);
  return { answer, noise: noiseRecord(rule, calibration) };
}
