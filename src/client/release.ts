import { div, parseDecimal, rational, sub, ONE } from '../core/rational.ts';
import {
  calibrateOnce,
  halfWidth,
  noiseRecord,
  releaseRuleOf,
  type NoiseRecord,
} from '../dp/index.ts';
import type { Plan } from '../sql/plan.ts';

/** Half-widths of the noise per measure of the plan, in coded units; null without noise. */
export interface Widths {
  /**
   * Each at `1 - (1 - level)/parts`, so that `parts` of them hold together at the plan's level
   * (union bound).
   */
  readonly together: (parts: number) => readonly (bigint | null)[];
}

export interface Release {
  /** What every receipt must state about noise and threshold. */
  readonly noise: NoiseRecord;
  readonly widths: Widths;
}

/**
 * What the plan says about noise, derived by the analyst alone, so that neither a party nor the
 * coordinator can report parameters other than those the policy demands.
 * @throws ParleyError OVERFLOW_POSSIBLE, POLICY_OUT_OF_RANGE as the parties would.
 */
export function releaseOf(plan: Plan): Release {
  const { privacy } = plan;
  const rule = releaseRuleOf(plan);
  const calibration = calibrateOnce(rule);
  const known = new Map([[1, calibration.halfWidths]]);
  const together = (parts: number): readonly (bigint | null)[] => {
    const miss = sub(ONE, parseDecimal(privacy.confidenceLevel));
    const level = sub(ONE, div(miss, rational(BigInt(parts))));
    const widths =
      known.get(parts) ??
      calibration.laws.map((law) => (law === null ? null : halfWidth(law, level)));
    known.set(parts, widths);
    return widths;
  };
  return { noise: noiseRecord(rule, calibration), widths: { together } };
}
