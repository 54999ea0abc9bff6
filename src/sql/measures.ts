/** What measures cost: clamps, sensitivities, shares of epsilon, and proof of no overflow. */
import { expect, ParleyError } from '../core/errors.ts';
import {
  add,
  compare,
  div,
  formatRational,
  mul,
  parseDecimal,
  parseRational,
  ZERO,
  type Rational,
} from '../core/rational.ts';
import type { DifferentialPrivacy, Policy } from '../policy/types.ts';
import { differentialOf, type SidesBounds } from './bounds.ts';
import type { Quantity, Wanted } from './quantities.ts';
import { columnName } from './columns.ts';
import { refusal } from './hints.ts';
import { BELOW_K_PROBABILITY, SUM_MAX } from './limits.ts';
import type { TableIndex } from './names.ts';
import { bitsOf } from './pairs.ts';
import { factorsOf, widestFirst, type Monomial } from './polynomials.ts';
import { sideOfTable, type Normal } from './rewrite.ts';
import { larger, magnitude, magnitudeOf, smaller } from './types.ts';
import type { Measure, MeasureTerm, PairPredicate, PlannedMeasure, PlanPrivacy } from './plan.ts';

/**
 * The epsilon of a query.
 * @returns null when the policy has differential privacy off.
 * @throws ParleyError EPSILON_INVALID, EPSILON_OVER_LIMIT.
 */
export function queryEpsilon(policy: Policy, wish: string | null): Rational | null {
  const settings = differentialOf(policy);
  if (settings === null) {
    if (wish === null) return null;
    const hint = 'Leave epsilon out: the policy has differential privacy off.';
    throw refusal('EPSILON_INVALID', 'epsilon has no meaning here', undefined, hint);
  }
  const epsilon = readEpsilon(wish ?? settings.default_epsilon_per_query);
  if (compare(epsilon, parseDecimal(settings.max_epsilon_per_query)) > 0) {
    const hint = `The policy allows at most ${settings.max_epsilon_per_query} per query.`;
    throw refusal('EPSILON_OVER_LIMIT', 'epsilon is over the limit', undefined, hint);
  }
  return epsilon;
}

function readEpsilon(text: string): Rational {
  const hint = 'Give epsilon as a positive decimal such as 0.5.';
  let epsilon = ZERO;
  try {
    epsilon = parseDecimal(text);
  } catch (cause) {
    throw refusal('EPSILON_INVALID', 'epsilon is not a number', text, hint, cause);
  }
  if (compare(epsilon, ZERO) > 0) return epsilon;
  throw refusal('EPSILON_INVALID', 'epsilon is not positive', text, hint);
}

/** The release rule of a query under the policy. */
export function planPrivacy(policy: Policy, epsilon: Rational | null): PlanPrivacy {
  const { rules } = policy;
  const settings = differentialOf(policy);
  const common = {
    minUsers: rules.min_privacy_units_per_group,
    confidenceLevel: rules.confidence_level,
  };
  if (settings === null) {
    return { selection: 'exact_k', belowK: null, differential: null, ...common };
  }
  expect(epsilon !== null, 'a private query has an epsilon');
  return {
    selection: rules.partition_selection,
    belowK:
      rules.partition_selection === 'noisy'
        ? formatRational(parseDecimal(rules.below_k_probability ?? BELOW_K_PROBABILITY))
        : null,
    differential: {
      mechanism: settings.noise_mechanism,
      epsilon: formatRational(epsilon),
      delta: formatRational(parseDecimal(settings.delta_per_query)),
      maxPartitions: settings.max_partitions_contributed,
      maxContributions: settings.max_contributions_per_partition,
      thresholdBits: settings.noise_threshold_bits,
    },
    ...common,
  };
}

/** What sensitivities and overflow depend on beside the measure. */
export interface MeasureContext {
  readonly pivot: TableIndex;
  readonly differential: DifferentialPrivacy | null;
  readonly bounds: SidesBounds;
  /** Declared users of the smallest table whose users must match: no more can be in the answer. */
  readonly users: number;
  /** The planned form of a measure's guard. */
  readonly guard: (condition: Normal) => PairPredicate;
}

/** Conditions that measures need planned, in the order of their terms. */
export function guardsOf(wanted: readonly Wanted[]): readonly Normal[] {
  return wanted.flatMap(({ quantity }) => {
    if (quantity.kind === 'usersIf') return [quantity.guard];
    if (quantity.kind !== 'terms') return [];
    return quantity.monomials.flatMap(({ guard }) => (guard === null ? [] : [guard]));
  });
}

/**
 * Plans the measures. Epsilon is shared out, by the policy's weights, between those that release
 * something derived from it: the opened ones, and the user count when its noise decides which groups
 * open, hidden or not: `eps_i = eps·w_i / Σw`. A histogram counts once: its buckets are disjoint, so
 * what one row changes in it, it changes in one bucket.
 * @throws ParleyError OVERFLOW_POSSIBLE when a sum could leave 62 bits.
 */
export function planMeasures(
  wanted: readonly Wanted[],
  privacy: PlanPrivacy,
  context: MeasureContext,
): readonly PlannedMeasure[] {
  const shares = epsilonShares(wanted, privacy);
  return wanted.map((want, i) => planMeasure(want, shares[i] ?? null, context));
}

/** Each measure's part of the query's epsilon; null where nothing is noised. */
function epsilonShares(
  wanted: readonly Wanted[],
  { differential, selection }: PlanPrivacy,
): readonly (Rational | null)[] {
  if (differential === null) return wanted.map(() => null);
  const nameOf = ({ histogram }: Wanted, i: number): string =>
    histogram === null ? `measure ${i}` : `histogram ${histogram}`;
  const weights = new Map<string, Rational>();
  wanted.forEach((want, i) => {
    if (want.released || (i === 0 && selection !== 'exact_k')) {
      weights.set(nameOf(want, i), want.weight);
    }
  });
  const sum = [...weights.values()].reduce(add, ZERO);
  const epsilon = parseRational(differential.epsilon);
  return wanted.map((want, i) => {
    const weight = weights.get(nameOf(want, i));
    return weight === undefined ? null : div(mul(epsilon, weight), sum);
  });
}

function planMeasure(
  { quantity, released, nonNullIndex, low, histogram }: Wanted,
  epsilon: Rational | null,
  context: MeasureContext,
): PlannedMeasure {
  const clamp = 'clamp' in quantity ? quantity.clamp : null;
  const sensitivity = sensitivityOf(quantity, context);
  expectNoOverflow(quantity, sensitivity, epsilon, context);
  return {
    measure: measureOf(quantity, context),
    clamp: clamp === null ? null : { lower: `${clamp.lower}`, upper: `${clamp.upper}` },
    groupSum: groupSumOf(quantity, context),
    sensitivity: `${sensitivity}`,
    epsilon: epsilon === null ? null : formatRational(epsilon),
    released,
    nonNullIndex,
    low,
    histogram,
  };
}

/** The measure of a quantity, by sides. */
export function measureOf(quantity: Quantity, context: MeasureContext): Measure {
  switch (quantity.kind) {
    case 'users':
    case 'rows':
      return { kind: quantity.kind };
    case 'usersIf':
      return { kind: 'usersIf', guard: context.guard(quantity.guard) };
    case 'terms': {
      const terms = quantity.monomials.map((monomial) => termOf(monomial, context));
      return { kind: 'terms', counts: quantity.counts, terms };
    }
    default: {
      const { table, term } = quantity.column;
      const side = sideOfTable(table!, context.pivot);
      return { kind: quantity.kind, side, column: columnName(term) };
    }
  }
}

function termOf(monomial: Monomial, { pivot, guard }: MeasureContext): MeasureTerm {
  const factors = widestFirst(factorsOf(monomial, pivot));
  return {
    guard: monomial.guard === null ? null : guard(monomial.guard),
    factors: factors.map(({ table, term, type }) => {
      // Zero stands for NULL, so it is always inside.
      const [low, high] = [smaller(type.min, 0n), larger(type.max, 0n)];
      return {
        side: sideOfTable(table!, pivot),
        column: columnName(term),
        base: `${low}`,
        bits: bitsOf(high - low),
      };
    }),
  };
}

/** Largest magnitude one joined row adds to a measure, in coded units. */
function valueMax(quantity: Quantity): bigint {
  switch (quantity.kind) {
    case 'sum':
    case 'centredSum': {
      const { clamp, column } = quantity;
      if (clamp === null) return magnitudeOf(column.type);
      // |2x - (lower + upper)| <= upper - lower.
      return quantity.kind === 'centredSum'
        ? clamp.upper - clamp.lower
        : larger(magnitude(clamp.lower), magnitude(clamp.upper));
    }
    case 'terms':
      return larger(magnitude(quantity.range.lower), magnitude(quantity.range.upper));
    default:
      return 1n;
  }
}

/**
 * D1: by how much one user can change a measure, summed over all groups (privacy.md, section 2), and
 * over all buckets of a histogram. Users: the groups a user can be in, at most L0. Else: joined rows
 * of a user, at most L0·C by the bounds on them and at most the product of all sides' slots, times
 * the largest value. At least 1, so that noise stays defined for a measure that cannot change. 0
 * without noise.
 */
function sensitivityOf(quantity: Quantity, { bounds }: MeasureContext): bigint {
  const { most } = bounds;
  if (most === null) return 0n;
  if (quantity.kind === 'users' || quantity.kind === 'usersIf') return BigInt(most.partitions);
  const byRows = BigInt(most.rows) * valueMax(quantity);
  const bound = groupSumMax(quantity);
  return larger(1n, bound === null ? byRows : smaller(byRows, BigInt(most.partitions) * bound));
}

/** Largest magnitude of one user's sum in a group, where the policy bounds it; else null. */
function groupSumMax(quantity: Quantity): bigint | null {
  if (quantity.kind !== 'sum' || quantity.groupSum == null) return null;
  return larger(magnitude(quantity.groupSum.lower), magnitude(quantity.groupSum.upper));
}

function groupSumOf(quantity: Quantity, { bounds }: MeasureContext): PlannedMeasure['groupSum'] {
  if (quantity.kind !== 'sum' || quantity.groupSum == null) return null;
  const { lower, upper } = quantity.groupSum;
  // What a user's rows come to before the bounds, and the bounds themselves, with a sign.
  const most = larger(BigInt(bounds.most!.rows) * valueMax(quantity), groupSumMax(quantity)!);
  return { lower: `${lower}`, upper: `${upper}`, bits: bitsOf(most) + 1 };
}

/**
 * SECURITY. Noise of scale t stays below 2·D1 + 128·t: its width N = 2^B is the smallest power of
 * two that leaves 2^-64 beyond `N - D1`, which is D1 + 64·ln 2·t or less before rounding up, and
 * that also holds the release threshold, t·ln(L0/delta) with delta at least 1e-15.
 */
const TAIL_SCALES = 128n;

/** Proves that no sum of this measure wraps. @throws ParleyError OVERFLOW_POSSIBLE. */
function expectNoOverflow(
  quantity: Quantity,
  sensitivity: bigint,
  epsilon: Rational | null,
  { bounds, users }: MeasureContext,
): void {
  const rows = bounds.most?.rows ?? bounds.slots.reduce((n, slots) => n * slots, 1);
  const perUser = BigInt(rows) * valueMax(quantity);
  const total = larger(perUser, BigInt(users) * (groupSumMax(quantity) ?? perUser));
  const scale = epsilon === null ? 0n : (sensitivity * epsilon.den) / epsilon.num + 1n;
  const headroom = 2n * sensitivity + TAIL_SCALES * scale;
  if (total + headroom < SUM_MAX) return;
  if (epsilon !== null && total + 2n * sensitivity < SUM_MAX / 2n) {
    const hint = 'Ask with a larger epsilon, or bound the value.';
    throw new ParleyError('OVERFLOW_POSSIBLE', 'the noise could leave 62 bits', { hint });
  }
  throw new ParleyError('OVERFLOW_POSSIBLE', 'a sum over these tables could leave 62 bits', {
    hint:
      'Bound the value with LEAST(GREATEST(column, lower), upper), or lower max_users, ' +
      'max_rows_per_user or the column’s bounds in the policy.',
  });
}
