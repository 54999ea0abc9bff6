import { formatRational, parseRational, type Rational } from '../core/rational.ts';
import { promiseOf, type Calibration } from '../dp/index.ts';
import type { Policy } from '../policy/types.ts';
import { planQuery, type Plan } from '../sql/index.ts';
import type { PlannedMeasure } from '../sql/plan.ts';
import { calibrationOf, explainQuery, type Explanation, type ExplainOptions } from './explain.ts';
import { epsilonNeeded, type EpsilonNeeded } from './inverse.ts';

/** One noised number of a group: its part of the price and what it is noised with. */
export interface NoisedPart {
  readonly what: string;
  /** False for a count that only decides which groups open. */
  readonly released: boolean;
  /** `num/den`. */
  readonly epsilon: string;
  /** Most that one person changes it by, over all groups: D1, in coded units. */
  readonly sensitivity: string;
  /** B: the noise is drawn on [-2^B, 2^B). */
  readonly bits: number;
  /** Half-width at the policy's confidence level, in coded units. */
  readonly halfWidth: string;
}

/** What a question gives away and what holds that in bounds. Amounts are exact: `num/den`. */
export interface PrivacyExplanation {
  readonly explanation: Explanation;
  /** What is promised to one person, and what the promise does not cover; in words. */
  readonly promise: readonly string[];
  readonly parts: readonly NoisedPart[];
  /** Upper bounds on what delta is made of; null without differential privacy. */
  readonly delta: {
    readonly selection: string;
    readonly truncation: string;
    readonly quantisation: string;
  } | null;
  /** L0 and C, the bounds on one person; null without differential privacy. */
  readonly bounds: { readonly partitions: number; readonly contributions: number } | null;
  /** The inverse question; null without differential privacy. */
  readonly needed: EpsilonNeeded | null;
}

/** The inverse question when none is asked: ±5% at 200 people. */
const TARGET = { percent: '5', groupSize: 200 } as const;

/** A measure in words. */
function measureText({ measure }: PlannedMeasure): string {
  switch (measure.kind) {
    case 'users':
      return 'people';
    case 'usersIf':
      return 'people for whom a condition holds';
    case 'rows':
      return 'joined rows';
    case 'nonNull':
      return `values of ${measure.column}`;
    case 'sum':
      return `sum of ${measure.column}`;
    case 'centredSum':
      return `sum of ${measure.column}, about the middle of its bounds`;
    case 'terms':
      return measure.counts ? 'joined rows that count' : 'sum of an expression';
  }
}

function partsOf(plan: Plan, calibration: Calibration): NoisedPart[] {
  return plan.measures.flatMap((measure, m) => {
    const law = calibration.laws[m];
    if (law == null || measure.epsilon === null) return [];
    return [
      {
        what: measureText(measure),
        released: measure.released,
        epsilon: measure.epsilon,
        sensitivity: measure.sensitivity,
        bits: law.bits,
        halfWidth: `${calibration.halfWidths[m] ?? 0n}`,
      },
    ];
  });
}

/**
 * The privacy of one question, before it is asked: price and its parts, error, what opens, budget,
 * what epsilon a wanted error takes, and what each role learns. Asks nobody, costs nothing.
 * @throws ParleyError as `explainQuery` and `epsilonNeeded`.
 */
export async function explainPrivacy(
  policy: Policy,
  policyDigest: string,
  sql: string,
  options: ExplainOptions & {
    readonly target?: { readonly percent: string; readonly groupSize: number };
  },
): Promise<PrivacyExplanation> {
  const { target = TARGET, ...rest } = options;
  const explanation = await explainQuery(policy, policyDigest, sql, { ...rest, withoutCost: true });
  const plan = planQuery(policy, policyDigest, sql, { epsilon: options.epsilon });
  const calibration = calibrationOf(plan);
  const { differential } = plan.privacy;
  const { selection, truncation, quantisation } = calibration.delta;
  const [s, t, q] = [selection, truncation, quantisation].map(formatRational) as [
    string,
    string,
    string,
  ];
  return {
    explanation,
    promise: promiseOf(plan.privacy),
    parts: partsOf(plan, calibration),
    delta: differential && { selection: s, truncation: t, quantisation: q },
    bounds: differential && {
      partitions: differential.maxPartitions,
      contributions: differential.maxContributions,
    },
    needed: differential && epsilonNeeded(policy, policyDigest, sql, target),
  };
}

/** The smallest power of two that is not below a rational, as text. */
export function powerText(text: string): string {
  const { num, den }: Rational = parseRational(text);
  if (num === 0n) return '0';
  const bits = (n: bigint): number => n.toString(2).length;
  let power = bits(num) - bits(den) - 1;
  const shift = (n: bigint, by: number): bigint => (by > 0 ? n << BigInt(by) : n);
  while (shift(num, -power) > shift(den, power)) power += 1;
  return `2^${power}`;
}
