import { expect, ParleyError } from '../core/errors.ts';
import {
  add,
  compare,
  formatRational,
  parseDecimal,
  parseRational,
  rational,
  sub,
  ZERO,
  type Rational,
} from '../core/rational.ts';
import { promiseOf } from '../dp/index.ts';
import {
  groupCount,
  releasedMeasures,
  type GroupKey,
  type OutputColumn,
  type OutputExpression,
  type Plan,
} from '../sql/index.ts';
import type { AnswerCell, AnswerColumn, AnswerRow, AnswerTable, Interval } from './answer.ts';
import {
  evaluate,
  isTrue,
  measuresOf,
  NULL,
  orderOf,
  type Ends,
  type Evaluated,
  type GroupView,
} from './evaluate.ts';
import { nearestDouble, rationalText, scaledText } from './numbers.ts';
import type { Widths } from './release.ts';

/** What a suppressed cell opens to (engine/types.ts): the most negative 64-bit integer. */
const SENTINEL = -(1n << 63n);

/** A cell with what ORDER BY compares. */
interface Sortable {
  readonly cell: AnswerCell;
  readonly key: Evaluated;
}
interface SortableRow {
  readonly suppressed: boolean;
  /** The plan's output, then its hidden columns. */
  readonly cells: readonly Sortable[];
}

const NULL_CELL: Sortable = { cell: { value: null, interval: null }, key: NULL };

/** The opened answer by group and measure. */
interface Opened {
  readonly isOpen: (group: number) => boolean;
  /** Null where the measure's cell is the sentinel. */
  readonly cell: (measure: number, group: number) => bigint | null;
}

/**
 * Bytes of a plan's output share: open bits in whole 16-byte lanes, their padding arbitrary; then 8
 * bytes per released measure and group.
 */
export function shareBytes(plan: Plan): { readonly open: number; readonly cells: number } {
  const groups = groupCount(plan);
  const released = releasedMeasures(plan).length;
  return { open: 16 * Math.ceil(groups / 128), cells: 8 * released * groups };
}

function invalid(what: string): ParleyError {
  return new ParleyError('RESULT_INVALID', `the opened answer is inconsistent: ${what}`);
}

function openedAnswer(plan: Plan, open: Uint8Array, cells: Uint8Array): Opened {
  const bytes = shareBytes(plan);
  expect(open.length === bytes.open && cells.length === bytes.cells, 'shares have plan lengths');
  const groups = groupCount(plan);
  const view = new DataView(cells.buffer, cells.byteOffset, cells.byteLength);
  const released = releasedMeasures(plan);
  const isOpen = (g: number): boolean => (((open[g >> 3] ?? 0) >> (g & 7)) & 1) === 1;
  // The circuit writes the sentinel into every cell of a closed group, and into an open one only
  // for a sum over NULLs alone. Anything else is not an answer, so none is given.
  for (let g = 0; g < groups; g += 1) {
    released.forEach((m, i) => {
      const sentinel = view.getBigInt64(8 * (i * groups + g), true) === SENTINEL;
      if (!isOpen(g) && !sentinel) throw invalid('a closed group holds a value');
      const mayBeNull = plan.measures[m]?.nonNullIndex !== null;
      if (isOpen(g) && sentinel && !mayBeNull) throw invalid('an open group lacks a value');
    });
  }
  return {
    isOpen,
    cell: (measure, group) => {
      const i = released.indexOf(measure);
      expect(i >= 0, 'output columns use released measures');
      const value = view.getBigInt64(8 * (i * groups + group), true);
      return value === SENTINEL ? null : value;
    },
  };
}

function integerValue(value: bigint): string | number {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : `${value}`;
}

/** A group's label as a value. */
function labelValue({ domain, type }: GroupKey, label: string | null): Evaluated {
  expect(label === null || domain.includes(label), 'a label is of its domain');
  if (label === null) return NULL;
  if (type === 'boolean') return { kind: 'boolean', value: label === 'true' };
  if (type === 'integer' || type === 'decimal') {
    return { kind: 'number', value: parseDecimal(label), ends: null };
  }
  return { kind: 'text', value: label };
}

/** The value of a number in the column's type: text where a JSON number would lose digits. */
function numberCell(column: OutputColumn, value: Rational): Omit<AnswerCell, 'interval'> {
  const { type, scale } = column;
  if (type === 'double') {
    const coded = rational(value.num * 10n ** BigInt(scale), value.den);
    return { value: rationalText(coded, scale), double: nearestDouble(value) };
  }
  return { value: type === 'integer' ? integerValue(value.num) : exactText(value, scale) };
}

function exactText({ num, den }: Rational, scale: number): string {
  const unit = 10n ** BigInt(scale);
  expect(unit % den === 0n, 'a decimal has its digits');
  return scaledText(num * (unit / den), scale);
}

/** Whether an output is in units of 10^-scale: a released quantity by itself. */
const isCoded = ({ value }: OutputColumn): boolean =>
  ['measure', 'average', 'variance', 'quantile'].includes(value.kind);

/** The interval of a number of which at least one part was noised; null without one that holds. */
function intervalOf(
  plan: Plan,
  column: OutputColumn,
  parts: readonly number[],
  { value, ends }: { readonly value: Rational; readonly ends: Ends | 'unbounded' | null },
): Interval | null {
  if (ends === null || ends === 'unbounded') return null;
  const { type, scale } = column;
  const epsilon = epsilonOf(plan, parts);
  const [only] = column.value.kind === 'measure' ? parts : [];
  const text = (x: Rational): string =>
    type === 'double'
      ? rationalText(rational(x.num * 10n ** BigInt(scale), x.den), scale)
      : exactText(x, scale);
  const [below, above] = [sub(value, ends.low), sub(ends.high, value)];
  return {
    mechanism: 'discrete_laplace',
    level: plan.privacy.confidenceLevel,
    epsilon: formatRational(epsilon),
    sensitivity:
      only === undefined ? null : scaledText(BigInt(plan.measures[only]!.sensitivity), scale),
    half_width: text(compare(below, above) > 0 ? below : above),
    low: text(ends.low),
    high: text(ends.high),
  };
}

/** Epsilon of some measures together; the buckets of a histogram share one. */
function epsilonOf(plan: Plan, parts: readonly number[]): Rational {
  const seen = new Set<number>();
  return parts.reduce<Rational>((sum, part) => {
    const { epsilon, histogram } = plan.measures[part]!;
    if (epsilon === null || (histogram !== null && seen.has(histogram))) return sum;
    if (histogram !== null) seen.add(histogram);
    return add(sum, parseRational(epsilon));
  }, ZERO);
}

/** What expressions read of one group. */
function viewOf(
  plan: Plan,
  opened: Opened,
  group: number,
  widths: readonly (bigint | null)[],
): GroupView {
  const labels = groupLabels(plan, group);
  const empty = !opened.isOpen(group);
  return {
    cell: (measure) => (empty ? emptyCell(plan, measure) : wideCell(plan, opened, measure, group)),
    width: (measure) => (plan.measures[measure]!.epsilon === null ? null : widths[measure]!),
    clamp: (measure) => plan.measures[measure]!.clamp,
    group: (key) => labelValue(plan.groups[key]!, labels[key] ?? null),
  };
}

/** A released value, put together where it was too wide for one cell. */
function wideCell(plan: Plan, opened: Opened, measure: number, group: number): bigint | null {
  const value = opened.cell(measure, group);
  const half = plan.measures[measure]!.low;
  if (value === null || half === null) return value;
  const low = opened.cell(half.measure, group);
  if (low === null || low < 0n || low >> BigInt(half.bits) !== 0n) {
    throw invalid('the halves of a wide sum do not fit');
  }
  return (value << BigInt(half.bits)) + low;
}

function outputCell(
  plan: Plan,
  column: OutputColumn,
  opened: Opened,
  group: number,
  widths: Widths,
): Sortable {
  const parts = [...new Set(measuresOf(column.value))].filter(
    (part) => plan.measures[part]!.epsilon !== null,
  );
  const view = viewOf(plan, opened, group, widths.together(Math.max(1, parts.length)));
  const expression: OutputExpression = isCoded(column)
    ? { kind: 'scaled', of: column.value, scale: column.scale }
    : column.value;
  const key = evaluate(expression, view);
  switch (key.kind) {
    case 'null':
      return NULL_CELL;
    case 'number': {
      const cell = numberCell(column, key.value);
      return { cell: { ...cell, interval: intervalOf(plan, column, parts, key) }, key };
    }
    default:
      return { cell: { value: key.value, interval: null }, key };
  }
}

/** Labels of group g: one value of every key's domain, last key fastest. */
function groupLabels(plan: Plan, group: number): readonly (string | null)[] {
  const labels: (string | null)[] = [];
  let rest = group;
  for (let i = plan.groups.length - 1; i >= 0; i -= 1) {
    const { domain } = plan.groups[i] ?? { domain: [] };
    labels.unshift(domain[rest % domain.length] ?? null);
    rest = Math.floor(rest / domain.length);
  }
  return labels;
}

/** Everything opens, so a closed group is an empty one: SQL's rules for no rows apply. */
function opensEverything(plan: Plan): boolean {
  return plan.privacy.differential === null && plan.privacy.minUsers === 1;
}

/** What a measure is over no rows. */
function emptyCell(plan: Plan, index: number): bigint | null {
  const { measure } = plan.measures[index]!;
  if (measure.kind === 'terms') return measure.counts ? 0n : null;
  return measure.kind === 'sum' || measure.kind === 'centredSum' ? null : 0n;
}

/** The row of a group, or null when SQL has none. */
function rowOf(plan: Plan, opened: Opened, group: number, widths: Widths): SortableRow | null {
  const open = opened.isOpen(group);
  const everything = opensEverything(plan);
  if (!open && everything && plan.groups.length > 0) return null;
  const suppressed = !open && !everything;
  if (plan.having !== null) {
    // A group that stays closed is not known to pass.
    const view = viewOf(plan, opened, group, widths.together(1));
    if (suppressed || !isTrue(evaluate(plan.having, view))) return null;
  }
  const cells = [...plan.output, ...plan.hidden].map((column): Sortable => {
    const readable = !suppressed || column.value.kind === 'group';
    return readable ? outputCell(plan, column, opened, group, widths) : NULL_CELL;
  });
  return { suppressed, cells };
}

function compareRows(plan: Plan, a: SortableRow, b: SortableRow): number {
  if (a.suppressed !== b.suppressed) return a.suppressed ? 1 : -1;
  for (const { column, descending, nullsFirst } of plan.orderBy) {
    const [left, right] = [a.cells[column]?.key ?? NULL, b.cells[column]?.key ?? NULL];
    if (left.kind === 'null' && right.kind === 'null') continue;
    if (left.kind === 'null') return nullsFirst ? -1 : 1;
    if (right.kind === 'null') return nullsFirst ? 1 : -1;
    const d = orderOf(left, right) ?? 0;
    if (d !== 0) return descending ? -d : d;
  }
  return 0;
}

function columnOf(plan: Plan, { name, type, value }: OutputColumn): AnswerColumn {
  const parts = measuresOf(value);
  const role = parts.length === 0 ? 'group' : 'aggregate';
  return { name, type, role, noised: parts.some((m) => plan.measures[m]?.epsilon != null) };
}

function labelsOf(plan: Plan): readonly string[] {
  const { differential, minUsers, selection } = plan.privacy;
  return [
    ...(differential === null
      ? ['NOISE OFF: these are exact values, without differential privacy']
      : []),
    ...(minUsers <= 1 ? ['THRESHOLD OFF: groups of a single person are shown'] : []),
    ...(differential !== null && selection === 'exact_k'
      ? ['EXACT THRESHOLD: epsilon does not cover which groups are shown']
      : []),
    ...(selection === 'noisy'
      ? ['NOISY THRESHOLD: a group below k may be shown, with the chance that the policy allows']
      : []),
  ];
}

/**
 * Turns opened integers into the rows the SQL asked for: labels of groups, scaled numbers,
 * averages, suppressed groups as NULL and marked, ORDER BY and LIMIT. Post-processing only.
 *
 * @param open - packed bits, one per group, in whole 16-byte lanes.
 * @param cells - measure-major, 8 bytes little-endian per released measure and group.
 * @param widths - half-widths of the noise, from `releaseOf`.
 * @throws ParleyError RESULT_INVALID when bits and cells contradict each other.
 */
export function decodeAnswer(
  plan: Plan,
  open: Uint8Array,
  cells: Uint8Array,
  widths: Widths,
): AnswerTable {
  const opened = openedAnswer(plan, open, cells);
  const groups = groupCount(plan);
  const rows: SortableRow[] = [];
  for (let g = 0; g < groups; g += 1) {
    const row = rowOf(plan, opened, g, widths);
    if (row !== null) rows.push(row);
  }
  const all = Array.from({ length: groups }, (_, g) => g);
  const groupsSuppressed = opensEverything(plan) ? 0 : all.filter((g) => !opened.isOpen(g)).length;
  // LIMIT takes visible rows first, so a suppressed row never takes the place of one.
  const decides = plan.orderBy.length > 0 || plan.limit !== null || plan.offset > 0;
  if (decides) rows.sort((a, b) => compareRows(plan, a, b));
  const end = plan.limit === null ? rows.length : plan.offset + plan.limit;
  return {
    columns: plan.output.map((column) => columnOf(plan, column)),
    rows: rows.slice(plan.offset, end).map(({ suppressed, cells: sortable }): AnswerRow => ({
      suppressed,
      cells: sortable.slice(0, plan.output.length).map(({ cell }) => cell),
    })),
    groups,
    groupsSuppressed,
    labels: labelsOf(plan),
    promise: promiseOf(plan.privacy),
  };
}
