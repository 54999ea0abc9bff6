import { createHash } from 'node:crypto';
import { expect, ParleyError } from '../core/errors.ts';
import type { Rational } from '../core/rational.ts';
import {
  add,
  compare,
  formatRational,
  mul,
  parseDecimal,
  parseRational,
  rational,
  sub,
  ZERO,
} from '../core/rational.ts';
import type { DiscreteLaplace } from './discrete-laplace.ts';
import {
  discreteLaplace,
  halfWidth,
  quantisationDelta,
  smallest,
  TRUNCATION_DELTA,
  upperTail,
} from './discrete-laplace.ts';
import { promiseOf } from './promise.ts';

/** What calibration needs to know of a query; the planner settles all of it from the policy. */
export interface ReleaseRule {
  readonly selection: 'exact_k' | 'pre_threshold' | 'noisy';
  readonly minUsers: number;
  /** noisy: bound on the chance that a given group below k opens, `num/den`; null or absent elsewhere. */
  readonly belowK?: string | null;
  /** Null when differential privacy is off. */
  readonly differential: {
    readonly epsilon: string;
    readonly delta: string;
    readonly maxPartitions: number;
    readonly thresholdBits: number;
  } | null;
  readonly confidenceLevel: string;
  /** Measure 0 counts distinct users. `epsilon` is `num/den`, null where nothing is noised. */
  readonly measures: readonly { readonly epsilon: string | null; readonly sensitivity: string }[];
}

/** A plan, as far as noise and threshold follow from it. */
export interface Released {
  readonly privacy: Omit<ReleaseRule, 'measures'>;
  readonly measures: ReleaseRule['measures'];
}

/** The part of a plan that noise and threshold follow from. */
export function releaseRuleOf({ privacy, measures }: Released): ReleaseRule {
  const { selection, minUsers, belowK = null, differential, confidenceLevel } = privacy;
  return {
    ...{ selection, minUsers, belowK, differential, confidenceLevel },
    measures: measures.map(({ epsilon, sensitivity }) => ({ epsilon, sensitivity })),
  };
}

/** The release rule with everything derived: what the circuit draws and what the receipt states. */
export interface Calibration {
  readonly selection: ReleaseRule['selection'];
  readonly minUsers: bigint;
  /** Least `(n-(k-1))+X` that opens a group under pre_threshold and noisy; null otherwise. */
  readonly tau: bigint | null;
  /** Per measure: its noise, or null. */
  readonly laws: readonly (DiscreteLaplace | null)[];
  /** Per measure: half-width of the interval at the confidence level; null without noise. */
  readonly halfWidths: readonly (bigint | null)[];
  /** Upper bounds on the parts of delta, already times L0; zero with exact_k's selection part. */
  readonly delta: {
    readonly selection: Rational;
    readonly truncation: Rational;
    readonly quantisation: Rational;
  };
}

/**
 * Derives noise laws and the selection threshold; deterministic, so every party, the analyst and
 * an auditor get the same. Source: privacy.md §1.2, §1.4, §3.
 * @throws ParleyError OVERFLOW_POSSIBLE (noise too wide), POLICY_OUT_OF_RANGE (delta too small).
 */
export function calibrate(rule: ReleaseRule): Calibration {
  const minUsers = BigInt(rule.minUsers);
  const dp = rule.differential;
  if (dp === null) {
    const none = rule.measures.map(() => null);
    const delta = { selection: ZERO, truncation: ZERO, quantisation: ZERO };
    return { selection: rule.selection, minUsers, tau: null, laws: none, halfWidths: none, delta };
  }
  const epsilons = rule.measures.map((m) => (m.epsilon === null ? null : parseRational(m.epsilon)));
  const laws = epsilons.map((epsilon, i) =>
    epsilon === null
      ? null
      : discreteLaplace(epsilon, BigInt(rule.measures[i]!.sensitivity), dp.thresholdBits),
  );
  const partitions = rational(BigInt(dp.maxPartitions));
  const sumOf = (part: (law: DiscreteLaplace, epsilon: Rational) => Rational): Rational =>
    laws.reduce<Rational>(
      (sum, law, i) => (law === null ? sum : add(sum, part(law, epsilons[i]!))),
      ZERO,
    );
  const truncation = mul(
    partitions,
    sumOf(() => TRUNCATION_DELTA),
  );
  const quantisation = mul(partitions, sumOf(quantisationDelta));
  if (compare(add(truncation, quantisation), parseRational(dp.delta)) > 0) throw deltaTooSmall();
  const available = sub(parseRational(dp.delta), add(truncation, quantisation));
  const chosen = chooseGate(rule, laws[0] ?? null, partitions, available);
  const level = parseDecimal(rule.confidenceLevel);
  return {
    selection: rule.selection,
    minUsers,
    tau: chosen.tau,
    laws,
    halfWidths: laws.map((law) => (law === null ? null : halfWidth(law, level))),
    delta: { selection: chosen.selection, truncation, quantisation },
  };
}

/** The threshold on the noisy user count, and what of delta it takes. */
function chooseGate(
  { selection, belowK }: ReleaseRule,
  law: DiscreteLaplace | null,
  partitions: Rational,
  available: Rational,
): { readonly tau: bigint | null; readonly selection: Rational } {
  if (selection === 'exact_k' || law === null) return { tau: null, selection: ZERO };
  if (selection === 'pre_threshold') return selectionThreshold(law, partitions, available);
  expect(belowK != null, 'a noisy selection has its bound');
  return { tau: noisyThreshold(law, parseRational(belowK)), selection: ZERO };
}

/**
 * Smallest m at least 1 with `P[X >= m] <= beta`: a group opens iff `n + X >= k' = k-1+m`, so one of at
 * most k-1 users opens with a chance of at most beta (privacy.md §3). All that is looked at is the
 * noisy count, so this is post-processing and takes no delta.
 */
function noisyThreshold(law: DiscreteLaplace, beta: Rational): bigint {
  const limit = 1n << BigInt(law.bits);
  const found = smallest(limit, (m) => compare(upperTail(law.rate, m), beta) <= 0);
  if (found === null) {
    throw new ParleyError(
      'POLICY_OUT_OF_RANGE',
      'below_k_probability is too small for this query',
      {
        path: 'rules.below_k_probability',
        hint: 'raise it, or ask with a larger epsilon',
      },
    );
  }
  return found > 0n ? found : 1n;
}

/**
 * Whether a group opens, in clear: what the circuit of the engine decides on shares.
 * @param users - exact distinct users. @param shown - the same with its noise.
 */
export function opensGroup(
  { selection, minUsers, tau }: Calibration,
  users: bigint,
  shown: bigint,
): boolean {
  const gate = tau === null || shown - (minUsers - 1n) >= tau;
  return gate && (selection === 'noisy' || users >= minUsers);
}

/**
 * Smallest tau with `L0·P[X >= tau-1]` within what delta is left (privacy.md §3), `tau <= N`.
 */
function selectionThreshold(
  law: DiscreteLaplace,
  partitions: Rational,
  available: Rational,
): { readonly tau: bigint; readonly selection: Rational } {
  const tail = (m: bigint): Rational => mul(partitions, upperTail(law.rate, m));
  const found = smallest(1n << BigInt(law.bits), (m) => compare(tail(m), available) <= 0);
  if (found === null) {
    throw deltaTooSmall();
  }
  const m = found > 0n ? found : 1n;
  return { tau: m + 1n, selection: tail(m) };
}

function deltaTooSmall(): ParleyError {
  return new ParleyError('POLICY_OUT_OF_RANGE', 'delta_per_query is too small for this query', {
    path: 'rules.differential_privacy.delta_per_query',
    hint: 'raise delta_per_query or epsilon',
  });
}

/** The noise part of a receipt: plain JSON that a verifier recomputes and compares. */
export interface NoiseRecord {
  readonly mechanism: 'discrete_laplace' | 'off';
  readonly selection: string;
  readonly min_users: number;
  readonly tau: string | null;
  /** noisy: bound on the chance that a given group below k opens, `num/den`. */
  readonly below_k: string | null;
  /** What the promise covers and what it does not, in words: `promiseOf`. */
  readonly promise: readonly string[];
  /** Sum of the delta parts below is at most the plan's delta. Upper bounds as `num/den`. */
  readonly delta_selection: string;
  readonly delta_truncation: string;
  readonly delta_quantisation: string;
  /** Per measure of the plan. */
  readonly measures: readonly {
    readonly epsilon: string | null;
    readonly sensitivity: string;
    readonly bits: number | null;
    readonly half_width: string | null;
  }[];
  /** SHA-256 over all thresholds in measure and digit order, as 17-byte big-endian integers. */
  readonly thresholds_digest: string;
}

export function noiseRecord(rule: ReleaseRule, calibration: Calibration): NoiseRecord {
  const hash = createHash('sha256').update('parley/thresholds/v1\0');
  for (const law of calibration.laws) {
    for (const t of law?.thresholds ?? []) {
      hash.update(Buffer.from(t.toString(16).padStart(34, '0'), 'hex'));
    }
    hash.update('\n');
  }
  return {
    mechanism: rule.differential === null ? 'off' : 'discrete_laplace',
    selection: rule.selection,
    min_users: rule.minUsers,
    tau: calibration.tau === null ? null : calibration.tau.toString(),
    below_k: rule.belowK ?? null,
    promise: promiseOf(rule),
    delta_selection: formatRational(calibration.delta.selection),
    delta_truncation: formatRational(calibration.delta.truncation),
    delta_quantisation: formatRational(calibration.delta.quantisation),
    measures: rule.measures.map((m, i) => ({
      epsilon: m.epsilon,
      sensitivity: m.sensitivity,
      bits: calibration.laws[i]?.bits ?? null,
      half_width: calibration.halfWidths[i]?.toString() ?? null,
    })),
    thresholds_digest: hash.digest('hex'),
  };
}
