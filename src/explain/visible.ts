import { decodeAnswer, shareBytes, type AnswerTable, type Release } from '../client/index.ts';
import type { Calibration } from '../dp/index.ts';
import { groupCount, releasedMeasures } from '../sql/index.ts';
import type { Plan, PlannedMeasure } from '../sql/plan.ts';

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

/** What a measure would come to in a group of so many people with one middling row each. */
function middling({ measure, clamp, groupSum }: PlannedMeasure, people: bigint): bigint {
  if (groupSum !== null) return (people * (BigInt(groupSum.lower) + BigInt(groupSum.upper))) / 2n;
  if (measure.kind === 'centredSum') return 0n;
  if (measure.kind !== 'sum' || clamp === null) return people;
  return (people * (BigInt(clamp.lower) + BigInt(clamp.upper))) / 2n;
}

/**
 * The answer as it would read if every group were open and held so many people, one middling row
 * each: decoded by the very function that decodes real answers, so its intervals are made as theirs.
 */
export function hypotheticalAnswer(plan: Plan, release: Release, people: bigint): AnswerTable {
  const groups = groupCount(plan);
  const bytes = shareBytes(plan);
  const cells = new Uint8Array(bytes.cells);
  const view = new DataView(cells.buffer);
  releasedMeasures(plan).forEach((m, i) => {
    const value = middling(plan.measures[m]!, people);
    for (let g = 0; g < groups; g += 1) view.setBigInt64(8 * (i * groups + g), value, true);
  });
  const open = new Uint8Array(bytes.open).fill(0xff);
  return decodeAnswer({ ...plan, orderBy: [], limit: null }, open, cells, release.widths);
}

/** One column of the answer, before it is asked for. */
export interface ExpectedColumn {
  readonly name: string;
  readonly type: string;
  readonly role: 'group' | 'aggregate';
  /** Half-width of the interval; null where nothing is noised. */
  readonly halfWidth: string | null;
  /** Half-width over the value, in per cent, for the group below; null where it has no meaning. */
  readonly relativePercent: string | null;
  /**
   * Null when the half-width is the same in every answer. Else, for what is derived from several
   * noised numbers, the people of a group, one middling row each, that it was worked out for.
   */
  readonly assumesPeople: string | null;
}

function relativePercent(halfWidth: string, value: unknown): string | null {
  const size = Math.abs(Number(value));
  if (!(size > 0)) return null;
  // Rounded up: what is shown as within a target is within it.
  return (Math.ceil((10_000 * Number(halfWidth)) / size) / 100).toFixed(2);
}

/** Expected error of every column, at the policy's confidence level. */
export function expectedColumns(
  plan: Plan,
  release: Release,
  people: bigint,
): readonly ExpectedColumn[] {
  const [table, twice] = [people, 2n * people].map((n) => hypotheticalAnswer(plan, release, n));
  return table!.columns.map(({ name, type, role }, c): ExpectedColumn => {
    const cell = table!.rows[0]?.cells[c];
    const halfWidth = cell?.interval?.half_width ?? null;
    const other = twice!.rows[0]?.cells[c]?.interval?.half_width ?? null;
    return {
      name,
      type,
      role,
      halfWidth,
      relativePercent: halfWidth === null ? null : relativePercent(halfWidth, cell?.value),
      assumesPeople: halfWidth === other ? null : `${people}`,
    };
  });
}
