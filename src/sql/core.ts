import { fromUtf8 } from '../core/bytes.ts';
import { expect } from '../core/errors.ts';
import { canonicalJson, digestOf } from '../policy/index.ts';
import type { Plan, PlannedMeasure, PlanSide, Side } from './plan.ts';

/**
 * The core of a plan: what is computed, drawn and paid for, without what the analyst's client makes
 * of it (names and order of columns, HAVING, ORDER BY, LIMIT, arithmetic on what is released) and
 * without the order in which a query lists measures and keys. Plans of one core release the same
 * numbers, so one answer serves both.
 *
 * Every rewriting below keeps the meaning (AND and OR are idempotent, commutative and associative in
 * SQL's logic, too). One that is missing costs budget, never privacy.
 */

type Fields = Readonly<Record<string, unknown>>;

const isFields = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const textOf = (value: unknown): string => fromUtf8(canonicalJson(value));

function sorted(values: readonly unknown[]): unknown[] {
  const byText = new Map(values.map((value) => [textOf(value), value]));
  return [...byText.keys()].sort().map((text) => byText.get(text));
}

const SWAPPED: Readonly<Record<string, string>> = {
  '=': '=',
  '<>': '<>',
  '<': '>',
  '<=': '>=',
  '>': '<',
  '>=': '<=',
};

/** Operators whose operands have no order; a list may hold one value twice, which counts. */
function inOrder(node: Fields): Fields {
  const { kind, op, left, right, terms, list } = node;
  if ((kind === 'and' || kind === 'or') && Array.isArray(terms)) {
    const flat = terms.flatMap((term: unknown): unknown[] =>
      isFields(term) && term['kind'] === kind && Array.isArray(term['terms'])
        ? term['terms']
        : [term],
    );
    const rest = sorted(flat);
    return rest.length === 1 && isFields(rest[0]) ? rest[0] : { ...node, terms: rest };
  }
  if ((op === 'least' || op === 'greatest') && Array.isArray(terms)) {
    return { ...node, terms: sorted(terms) };
  }
  if (kind === 'in' && Array.isArray(list)) return { ...node, list: sorted(list) };
  if (left === undefined || right === undefined || textOf(left) <= textOf(right)) return node;
  if (op === '+' || op === '*') return { ...node, left: right, right: left };
  if (kind === 'compare' && typeof op === 'string' && SWAPPED[op] !== undefined) {
    return { ...node, op: SWAPPED[op], left: right, right: left };
  }
  return node;
}

/**
 * Rewrites a part of a plan: references by position or invented name become what they refer to.
 * @param own - the side whose rows a name without a side is of; null in what spans sides.
 */
function resolved(value: unknown, sides: readonly PlanSide[], own: Side | null): unknown {
  if (Array.isArray(value)) return value.map((item) => resolved(item, sides, own));
  if (!isFields(value)) return value;
  const { kind, side: named, index, column } = value;
  const side = typeof named === 'number' ? named : own;
  if (kind === 'bit' && side !== null && typeof index === 'number') {
    const bit = sides[side]?.bits[index];
    expect(bit !== undefined, 'a bit of a plan exists');
    return { kind, side, bit: resolved(bit, sides, side) };
  }
  const fields = Object.entries(value).map(([name, field]) => [name, resolved(field, sides, own)]);
  const rewritten: Fields = Object.fromEntries(fields) as Fields;
  if (typeof column !== 'string' || side === null) return inOrder(rewritten);
  return { ...rewritten, column: columnOf(column, sides, side) };
}

/** A column by its name, a derived one by its term. */
function columnOf(name: string, sides: readonly PlanSide[], side: Side): unknown {
  const derived = sides[side]?.derived.find((one) => one.name === name);
  return derived === undefined ? name : resolved(derived.term, sides, side);
}

/** True for a type without values: a new field of a plan does not compile until it is decided on. */
type Decided<T, Known extends PropertyKey> = [Exclude<keyof T, Known>] extends [never]
  ? true
  : never;

type SideFields =
  | ('party' | 'table' | 'joined' | 'capacity' | 'slots' | 'filter' | 'bits' | 'columns')
  | ('derived' | 'absent' | 'bounds' | 'eagerRows');
const SIDES_DECIDED: Decided<PlanSide, SideFields> = true;

function coreOfSide(side: PlanSide, which: Side, sides: readonly PlanSide[]): unknown {
  expect(SIDES_DECIDED, 'every field of a side is in the core or left out on purpose');
  const { party, table, joined, capacity, slots, eagerRows } = side;
  const { filter, bits, columns, absent, bounds } = side;
  const own = (value: unknown): unknown => resolved(value, sides, which);
  return {
    ...{ party, table, joined, capacity, slots, eagerRows, bounds },
    filter: own(filter),
    bits: sorted(bits.map((bit, i) => [own(bit), absent?.bits[i] ?? null])),
    columns: sorted(
      columns.map((name, i) => [columnOf(name, sides, which), absent?.values[i] ?? null]),
    ),
    absent: absent !== null,
  };
}

type MeasureFields =
  | ('measure' | 'clamp' | 'groupSum' | 'sensitivity' | 'epsilon' | 'released')
  | ('nonNullIndex' | 'low' | 'histogram');
const MEASURES_DECIDED: Decided<PlannedMeasure, MeasureFields> = true;

/** Each measure with what it refers to, as text; the first one gates. */
function measureTexts({ measures, sides }: Plan): readonly string[] {
  expect(MEASURES_DECIDED, 'every field of a measure is in the core or left out on purpose');
  const bases = measures.map(({ measure, clamp, groupSum, sensitivity, epsilon, released }) => ({
    measure: resolved(measure, sides, null),
    ...{ clamp, groupSum, sensitivity, epsilon, released },
  }));
  const memberTexts = (histogram: number): unknown[] =>
    sorted(bases.filter((_, i) => measures[i]!.histogram === histogram));
  return measures.map(({ nonNullIndex, low, histogram }, i) =>
    textOf({
      gates: i === 0,
      base: bases[i],
      nonNull: nonNullIndex === null ? null : bases[nonNullIndex],
      low: low === null ? null : { bits: low.bits, of: bases[low.measure] },
      histogram: histogram === null ? null : memberTexts(histogram),
    }),
  );
}

const keyTexts = ({ groups, sides }: Plan): readonly string[] =>
  groups.map((key) => textOf(resolved(key, sides, null)));

type PlanFields =
  | ('version' | 'room' | 'policyDigest' | 'sides' | 'join' | 'pair' | 'groups' | 'measures')
  | ('output' | 'hidden' | 'having' | 'orderBy' | 'limit' | 'offset' | 'privacy')
  | 'contributions';
const PLANS_DECIDED: Decided<Plan, PlanFields> = true;

/** SHA-256 of the plan's core, lower-case hex. */
export function coreDigest(plan: Plan): string {
  expect(PLANS_DECIDED, 'every field of a plan is in the core or left out on purpose');
  const { version, room, policyDigest, sides, join, pair, privacy, contributions } = plan;
  return digestOf('parley/plan-core/v1', {
    ...{ version, room, policyDigest, join, privacy, contributions },
    sides: sides.map((side, which) => coreOfSide(side, which, sides)),
    pair: resolved(pair, sides, null),
    groups: [...keyTexts(plan)].sort(),
    measures: [...measureTexts(plan)].sort(),
  });
}

/** Where the numbers of an answer to one plan are in an answer to another of the same core. */
export interface Alignment {
  /** By measure of the one, the measure of the other. */
  readonly measures: readonly number[];
  /** By group of the one, the group of the other. */
  readonly groups: readonly number[];
}

/** Positions in `there` of the texts of `here`, equal ones in order. */
function positions(here: readonly string[], there: readonly string[]): readonly number[] {
  const order = (texts: readonly string[]): number[] =>
    texts
      .map((_, i) => i)
      .sort((a, b) => (texts[a]! < texts[b]! ? -1 : texts[a] === texts[b] ? a - b : 1));
  const [from, to] = [order(here), order(there)];
  const out = here.map(() => 0);
  from.forEach((at, i) => (out[at] = to[i]!));
  expect(
    out.every((at, i) => there[at] === here[i]) && here.length === there.length,
    'plans of one core have the same measures and keys',
  );
  return out;
}

/** @param here - a plan of the same {@link coreDigest} as `there`. */
export function alignPlans(here: Plan, there: Plan): Alignment {
  const keys = positions(keyTexts(here), keyTexts(there));
  const sizes = here.groups.map(({ domain }) => domain.length);
  const total = sizes.reduce((n, size) => n * size, 1);
  // What a step of each key of `here` adds to the group's index in `there`, last key fastest.
  const strides = keys.map((at) =>
    there.groups.slice(at + 1).reduce((n, { domain }) => n * domain.length, 1),
  );
  const groups = Array.from({ length: total }, (_, group) => {
    let rest = group;
    let index = 0;
    for (let i = sizes.length - 1; i >= 0; i -= 1) {
      index += (rest % sizes[i]!) * strides[i]!;
      rest = Math.floor(rest / sizes[i]!);
    }
    return index;
  });
  return { measures: positions(measureTexts(here), measureTexts(there)), groups };
}
