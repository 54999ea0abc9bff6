import { expect, ParleyError } from '../core/errors.ts';
import {
  add,
  compare,
  formatRational,
  parseRational,
  rational,
  type Rational,
} from '../core/rational.ts';
import { groupCount, releasedMeasures, type OutputColumn, type Plan } from '../sql/index.ts';
import type { AnswerCell, AnswerColumn, AnswerRow, AnswerTable, Interval } from './answer.ts';
import { averageInterval, averageOf } from './average.ts';
import { compareText, nearestDouble, rationalText, scaledText } from './numbers.ts';
import type { Widths } from './release.ts';

/** What a suppressed cell opens to (engine/types.ts): the most negative 64-bit integer. */
const SENTINEL = -(1n << 63n);

/** A cell with what ORDER BY compares. */
interface Sortable {
  readonly cell: AnswerCell;
  readonly key: Rational | string | null;
}
interface SortableRow {
  readonly suppressed: boolean;
  readonly cells: readonly Sortable[];
}

const NULL_CELL: Sortable = { cell: { value: null, interval: null }, key: null };

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

function groupCell(column: OutputColumn, label: string | null): Sortable {
  if (label === null) return NULL_CELL;
  const of = (value: AnswerCell['value'], key: Rational | string): Sortable => ({
    cell: { value, interval: null },
    key,
  });
  if (column.type === 'boolean') {
    const truth = label === 'true';
    return of(truth, rational(truth ? 1n : 0n));
  }
  if (column.type === 'integer') return of(integerValue(BigInt(label)), rational(BigInt(label)));
  return of(label, label);
}

function measureInterval(
  plan: Plan,
  index: number,
  value: bigint,
  scale: number,
  width: bigint | null,
): Interval | null {
  const measure = plan.measures[index];
  if (width === null || measure?.epsilon == null) return null;
  return {
    mechanism: 'discrete_laplace',
    level: plan.privacy.confidenceLevel,
    epsilon: measure.epsilon,
    sensitivity: scaledText(BigInt(measure.sensitivity), scale),
    half_width: scaledText(width, scale),
    low: scaledText(value - width, scale),
    high: scaledText(value + width, scale),
  };
}

function measureCell(
  plan: Plan,
  column: OutputColumn,
  index: number,
  value: bigint | null,
  widths: Widths,
): Sortable {
  if (value === null) return NULL_CELL;
  const { scale } = column;
  const width = widths.single[index] ?? null;
  return {
    cell: {
      value: column.type === 'integer' ? integerValue(value) : scaledText(value, scale),
      interval: measureInterval(plan, index, value, scale, width),
    },
    key: rational(value),
  };
}

function averageCell(
  plan: Plan,
  column: OutputColumn,
  parts: { readonly sum: number; readonly count: number; readonly centred: boolean },
  opened: Opened,
  group: number,
  widths: Widths,
): Sortable {
  const sum = opened.cell(parts.sum, group);
  const count = opened.cell(parts.count, group);
  // SQL: the average of no values is NULL. Under noise the count is floored at 1 instead.
  if (sum === null || count === null || (!parts.centred && count === 0n)) return NULL_CELL;
  const clamp = plan.measures[parts.sum]?.clamp ?? null;
  const inputs = { sum, count, clamp: parts.centred ? clamp : null };
  const value = averageOf(inputs);
  const [sumWidth, countWidth] = [widths.joint[parts.sum], widths.joint[parts.count]];
  const unit = rational(1n, 10n ** BigInt(column.scale));
  let interval: Interval | null = null;
  if (sumWidth != null && countWidth != null) {
    const ends = averageInterval(inputs, sumWidth, countWidth);
    const epsilon = add(
      parseRational(plan.measures[parts.sum]?.epsilon ?? '0'),
      parseRational(plan.measures[parts.count]?.epsilon ?? '0'),
    );
    interval = {
      mechanism: 'discrete_laplace',
      level: plan.privacy.confidenceLevel,
      epsilon: formatRational(epsilon),
      sensitivity: null,
      half_width: rationalText(ends.halfWidth, column.scale),
      low: rationalText(ends.low, column.scale),
      high: rationalText(ends.high, column.scale),
    };
  }
  return {
    cell: {
      value: rationalText(value, column.scale),
      double: nearestDouble({ num: value.num * unit.num, den: value.den * unit.den }),
      interval,
    },
    key: value,
  };
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

function emptyCell(plan: Plan, column: OutputColumn): Sortable {
  if (column.value.kind !== 'measure') return NULL_CELL;
  const kind = plan.measures[column.value.measure]?.measure.kind;
  if (kind === 'sum' || kind === 'centredSum') return NULL_CELL;
  return { cell: { value: 0, interval: null }, key: rational(0n) };
}

function rowOf(plan: Plan, opened: Opened, group: number, widths: Widths): SortableRow | null {
  const labels = groupLabels(plan, group);
  const open = opened.isOpen(group);
  const everything = opensEverything(plan);
  if (!open && everything && plan.groups.length > 0) return null;
  const cells = plan.output.map((column): Sortable => {
    const { value } = column;
    if (value.kind === 'group') return groupCell(column, labels[value.key] ?? null);
    if (!open) return everything ? emptyCell(plan, column) : NULL_CELL;
    if (value.kind === 'average') return averageCell(plan, column, value, opened, group, widths);
    const cell = opened.cell(value.measure, group);
    return measureCell(plan, column, value.measure, cell, widths);
  });
  return { suppressed: !open && !everything, cells };
}

function compareKeys(a: Sortable['key'], b: Sortable['key']): number {
  if (typeof a === 'string' && typeof b === 'string') return compareText(a, b);
  if (a === null || b === null || typeof a === 'string' || typeof b === 'string') return 0;
  return compare(a, b);
}

function compareRows(plan: Plan, a: SortableRow, b: SortableRow): number {
  if (a.suppressed !== b.suppressed) return a.suppressed ? 1 : -1;
  for (const { column, descending, nullsFirst } of plan.orderBy) {
    const [left, right] = [a.cells[column]?.key ?? null, b.cells[column]?.key ?? null];
    if (left === null && right === null) continue;
    if (left === null) return nullsFirst ? -1 : 1;
    if (right === null) return nullsFirst ? 1 : -1;
    const d = compareKeys(left, right);
    if (d !== 0) return descending ? -d : d;
  }
  return 0;
}

function columnOf(plan: Plan, { name, type, value }: OutputColumn): AnswerColumn {
  const noised = (measure: number): boolean => plan.measures[measure]?.epsilon != null;
  switch (value.kind) {
    case 'group':
      return { name, type, role: 'group', noised: false };
    case 'measure':
      return { name, type, role: 'aggregate', noised: noised(value.measure) };
    case 'average':
      return { name, type, role: 'aggregate', noised: noised(value.sum) || noised(value.count) };
  }
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
  const groupsSuppressed = rows.filter((row) => row.suppressed).length;
  // LIMIT takes visible rows first, so a suppressed row never takes the place of one.
  if (plan.orderBy.length > 0 || plan.limit !== null) rows.sort((a, b) => compareRows(plan, a, b));
  return {
    columns: plan.output.map((column) => columnOf(plan, column)),
    rows: rows
      .slice(0, plan.limit ?? rows.length)
      .map(({ suppressed, cells: sortable }): AnswerRow => ({
        suppressed,
        cells: sortable.map(({ cell }) => cell),
      })),
    groups,
    groupsSuppressed,
    labels: labelsOf(plan),
  };
}
