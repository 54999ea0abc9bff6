import {
  decodeAnswer,
  partsOfOutput,
  scaledText,
  shareBytes,
  type AnswerCell,
  type AnswerTable,
  type Release,
} from '../client/index.ts';
import { div, mul, parseDecimal, rational } from '../core/rational.ts';
import type { Calibration } from '../dp/index.ts';
import { groupCount, releasedMeasures } from '../sql/index.ts';
import type { OutputExpression, Plan, PlannedMeasure } from '../sql/plan.ts';

/**
 * The smallest group that is likelier to open than not, in distinct people. Under `pre_threshold` a
 * group of n opens iff n is at least k and (n-(k-1))+X at least tau. X is symmetric: 0 or more with a
 * chance above a half, 1 or more below, so the first such n is tau+k-1 (privacy.md section 3).
 */
export function smallestVisible({ minUsers, tau }: Calibration): bigint {
  if (tau === null) return minUsers;
  const gated = tau + minUsers - 1n;
  return gated > minUsers ? gated : minUsers;
}

/** Measures that centred averages and variances are made of, by the part they play. */
function centredParts(plan: Plan): ReadonlyMap<number, 'sum' | 'squares'> {
  const parts = new Map<number, 'sum' | 'squares'>();
  const visit = (node: OutputExpression): void => {
    if ((node.kind === 'average' || node.kind === 'variance') && node.centred) {
      parts.set(node.sum, 'sum');
      if (node.kind === 'variance') parts.set(node.squares, 'squares');
    }
    for (const inner of partsOfOutput(node)) visit(inner);
  };
  for (const { value } of [...plan.output, ...plan.hidden]) visit(value);
  return parts;
}

/**
 * What a measure would come to in a group of so many people with one middling row each: values in
 * the middle of their bounds, and for a variance a quarter of the bounds' distance off it.
 */
function middling(
  { measure, clamp, groupSum }: PlannedMeasure,
  part: 'sum' | 'squares' | undefined,
  people: bigint,
): bigint {
  if (groupSum !== null) return (people * (BigInt(groupSum.lower) + BigInt(groupSum.upper))) / 2n;
  if (part === 'sum' || measure.kind === 'centredSum') return 0n;
  if (clamp === null || (measure.kind !== 'sum' && measure.kind !== 'terms')) return people;
  const [lower, upper] = [BigInt(clamp.lower), BigInt(clamp.upper)];
  // Squares of 2x − (lower + upper) lie in 0..(upper − lower)², which is their clamp.
  return part === 'squares' ? (people * upper) / 4n : (people * (lower + upper)) / 2n;
}

/** Whether every answer states the same half-width: no part's size has a say in it. */
function isFixedWidth(node: OutputExpression): boolean {
  switch (node.kind) {
    case 'measure':
    case 'number':
      return true;
    case 'scaled':
      return isFixedWidth(node.of);
    case '+':
    case '-':
      return isFixedWidth(node.left) && isFixedWidth(node.right);
    case '*':
      return isFixedWidth(node.left) && isFixedWidth(node.right) && hasNumber(node);
    case '/':
      return isFixedWidth(node.left) && node.right.kind === 'number';
    case 'coalesce':
      return (
        node.terms.every(isFixedWidth) && node.terms.slice(1).every((t) => t.kind === 'number')
      );
    default:
      return false;
  }
}

/** Whether no answer has an interval: of a quantile, and of what is no number. */
function neverHolds(node: OutputExpression): boolean {
  return (
    ['quantile', 'compare', 'and', 'or', 'not', 'isNull'].includes(node.kind) ||
    (node.kind === 'scaled' && neverHolds(node.of))
  );
}

const hasNumber = ({ left, right }: { left: OutputExpression; right: OutputExpression }): boolean =>
  left.kind === 'number' || right.kind === 'number';

/**
 * The answer as it would read if every group were open and held so many people, one middling row
 * each: decoded by the very function that decodes real answers, so its intervals are made as theirs.
 */
export function hypotheticalAnswer(plan: Plan, release: Release, people: bigint): AnswerTable {
  const groups = groupCount(plan);
  const bytes = shareBytes(plan);
  const cells = new Uint8Array(bytes.cells);
  const view = new DataView(cells.buffer);
  const parts = centredParts(plan);
  releasedMeasures(plan).forEach((m, i) => {
    const value = middling(plan.measures[m]!, parts.get(m), people);
    for (let g = 0; g < groups; g += 1) view.setBigInt64(8 * (i * groups + g), value, true);
  });
  const open = new Uint8Array(bytes.open).fill(0xff);
  const whole = { ...plan, having: null, orderBy: [], limit: null, offset: 0 };
  return decodeAnswer(whole, open, cells, release.widths);
}

/** One column of the answer, before it is asked for. */
export interface ExpectedColumn {
  readonly name: string;
  readonly type: string;
  readonly role: 'group' | 'aggregate';
  /** Whether anything in it is noised. */
  readonly noised: boolean;
  /** Half-width of the interval; null where nothing is noised, or no interval would hold. */
  readonly halfWidth: string | null;
  /** Half-width over the value, in per cent, for the group below; null where it has no meaning. */
  readonly relativePercent: string | null;
  /**
   * Null when the half-width, or that there is none, is the same in every answer. Else, for what is
   * derived from several noised numbers, the people of a group, one middling row each, that it was
   * worked out for.
   */
  readonly assumesPeople: string | null;
}

/** In hundredths of a per cent, rounded up: what is shown as within a target is within it. */
function relativePercent(halfWidth: string, value: AnswerCell['value']): string | null {
  if (typeof value !== 'number' && typeof value !== 'string') return null;
  const { num, den } = parseDecimal(`${value}`);
  if (num === 0n) return null;
  const size = rational(num < 0n ? -num : num, den);
  const share = div(mul(rational(10_000n), parseDecimal(halfWidth)), size);
  return scaledText((share.num + share.den - 1n) / share.den, 2);
}

/** Expected error of every column, at the policy's confidence level. */
export function expectedColumns(
  plan: Plan,
  release: Release,
  people: bigint,
): readonly ExpectedColumn[] {
  const table = hypotheticalAnswer(plan, release, people);
  return table.columns.map(({ name, type, role, noised }, c): ExpectedColumn => {
    const cell = table.rows[0]?.cells[c];
    const halfWidth = cell?.interval?.half_width ?? null;
    const { value } = plan.output[c]!;
    const fixed = !noised || (halfWidth === null ? neverHolds(value) : isFixedWidth(value));
    return {
      name,
      type,
      role,
      noised,
      halfWidth,
      relativePercent: halfWidth === null ? null : relativePercent(halfWidth, cell?.value ?? null),
      assumesPeople: fixed ? null : `${people}`,
    };
  });
}
