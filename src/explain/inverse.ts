import { releaseOf } from '../client/index.ts';
import { ParleyError } from '../core/errors.ts';
import { compare, parseDecimal } from '../core/rational.ts';
import type { Policy } from '../policy/types.ts';
import { planQuery } from '../sql/index.ts';
import { calibrationOf } from './explain.ts';
import { expectedColumns, smallestVisible, type ExpectedColumn } from './visible.ts';

/** What an error was asked for and what it takes. */
export interface EpsilonNeeded {
  readonly targetPercent: string;
  readonly groupSize: number;
  /** Smallest epsilon, in thousandths, that keeps every column with an interval within; or null. */
  readonly epsilon: string | null;
  /** The columns at that epsilon, or at the largest the policy lets a query spend. */
  readonly columns: readonly ExpectedColumn[];
  readonly smallestVisible: string;
}

const THOUSANDTHS = 1000n;

function thousandths(n: bigint): string {
  return `${n / THOUSANDTHS}.${`${n % THOUSANDTHS}`.padStart(3, '0')}`;
}

/**
 * The inverse question: the smallest epsilon at which every column with an interval, of a group of
 * `groupSize` people, one middling row each, is within `targetPercent` at the confidence level, and
 * the group itself likelier open than not. None when no noised column has an interval. Spends nothing.
 *
 * @throws ParleyError BAD_ARGUMENT when the room has no noise or a number is out of range, and the
 *   codes of `planQuery`.
 */
export function epsilonNeeded(
  policy: Policy,
  policyDigest: string,
  sql: string,
  target: { readonly percent: string; readonly groupSize: number },
): EpsilonNeeded {
  const dp = policy.rules.differential_privacy;
  if (dp === 'off') {
    throw new ParleyError('BAD_ARGUMENT', 'a room without noise has no error to choose');
  }
  const { percent, groupSize } = target;
  const limit = parseDecimal(percent);
  if (limit.num <= 0n || !Number.isSafeInteger(groupSize) || groupSize < 1) {
    throw new ParleyError('BAD_ARGUMENT', 'a target is a percentage and a group of people');
  }
  const at = (epsilon: string): { columns: readonly ExpectedColumn[]; smallest: bigint } => {
    const plan = planQuery(policy, policyDigest, sql, { epsilon });
    const smallest = smallestVisible(calibrationOf(plan));
    return { columns: expectedColumns(plan, releaseOf(plan), BigInt(groupSize)), smallest };
  };
  const good = ({ columns, smallest }: ReturnType<typeof at>): boolean => {
    const judged = columns.filter(({ halfWidth }) => halfWidth !== null);
    const within = ({ relativePercent }: ExpectedColumn): boolean =>
      relativePercent !== null && compare(parseDecimal(relativePercent), limit) <= 0;
    const blind = judged.length === 0 && columns.some(({ noised }) => noised);
    return smallest <= BigInt(groupSize) && !blind && judged.every(within);
  };
  const result = (epsilon: string | null, found: ReturnType<typeof at>): EpsilonNeeded => ({
    targetPercent: percent,
    groupSize,
    epsilon,
    columns: found.columns,
    smallestVisible: `${found.smallest}`,
  });
  const cap = parseDecimal(dp.max_epsilon_per_query);
  const most = at(dp.max_epsilon_per_query);
  if (!good(most)) return result(null, most);
  let low = 0n;
  let high = (cap.num * THOUSANDTHS) / cap.den;
  while (high - low > 1n) {
    const middle = (low + high) / 2n;
    if (reaches(() => good(at(thousandths(middle))))) high = middle;
    else low = middle;
  }
  // The largest epsilon need not be whole thousandths.
  const found = high === 0n ? most : at(thousandths(high));
  return high > 0n && good(found)
    ? result(thousandths(high), found)
    : result(dp.max_epsilon_per_query, most);
}

/** An epsilon at which the noise would not fit is too small. */
function reaches(test: () => boolean): boolean {
  try {
    return test();
  } catch (error) {
    const code = error instanceof ParleyError ? error.code : null;
    if (code === 'OVERFLOW_POSSIBLE' || code === 'POLICY_OUT_OF_RANGE') return false;
    throw error;
  }
}
