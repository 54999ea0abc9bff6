import { concat } from '../../core/bytes.ts';
import { expect } from '../../core/errors.ts';
import {
  addRing,
  multiplyBit,
  negateRing,
  ringFromIntegers,
} from '../../protocols/sharing/index.ts';
import type { MuxTerm } from '../../protocols/sharing/index.ts';
import type { RingVector, Sharing, Wire } from '../../protocols/sharing/types.ts';
import type { MeasureFactor, MeasureTerm, PairPredicate, PlannedMeasure } from '../../sql/plan.ts';
import type { LocalTable } from '../types.ts';
import { absentTable, factorValues, measureValues, sourceOf } from '../values.ts';
import type { Mesh } from './mesh.ts';
import type { SlotLayout } from './payload.ts';
import { evaluate, senderWires, type JoinedInputs } from './predicate.ts';
import { combinedRows, part, placeRing, placeWord, tile } from './rows.ts';

/** What a measure multiplies a qualifying row with, in combination order. */
interface MeasureLane {
  readonly measure: number;
  /** Index into `MeasureLanes.guards`; null where every qualifying row counts. */
  readonly guard: number | null;
  readonly term: MuxTerm;
}

export interface MeasureLanes {
  /** Guards of user counts in measure order first, then those of terms. */
  readonly guards: readonly Wire[];
  readonly lanes: readonly MeasureLane[];
}

/**
 * The values of all measures per combination: a side's own column as it is, a product of several
 * sides' columns on shares. Independent of the groups, so computed once.
 */
export async function measureLanes(mesh: Mesh, inputs: JoinedInputs): Promise<MeasureLanes> {
  const { plan } = inputs;
  const guards: Wire[] = [];
  const known = new Map<string, number>();
  const guardOf = async (node: PairPredicate): Promise<number> => {
    const key = JSON.stringify(node);
    const index = known.get(key) ?? guards.push(await evaluate(mesh, inputs, node)) - 1;
    known.set(key, index);
    return index;
  };
  for (const { measure } of plan.measures) {
    if (measure.kind === 'usersIf') guards.push(await evaluate(mesh, inputs, measure.guard));
  }
  const lanes: MeasureLane[] = [];
  let factor = 0;
  for (const [measure, planned] of plan.measures.entries()) {
    const source = sourceOf(planned.measure);
    if (source.kind === 'one') lanes.push({ measure, guard: null, term: { kind: 'one' } });
    if (source.kind === 'owned') {
      lanes.push({ measure, guard: null, term: ownedLane(inputs, planned, measure, source.side) });
    }
    if (planned.measure.kind !== 'terms') continue;
    for (const term of planned.measure.terms) {
      const guard = term.guard === null ? null : await guardOf(term.guard);
      lanes.push({ measure, guard, term: await productLane(mesh.sharing, inputs, term, factor) });
      factor += term.factors.length;
    }
  }
  return { guards, lanes };
}

/** A column of one side. */
function ownedLane(
  inputs: JoinedInputs,
  planned: PlannedMeasure,
  measure: number,
  side: number,
): MuxTerm {
  const valuesOf = (table: LocalTable): Float64Array => measureValues(planned, table);
  return columnLane(inputs, side, (slot) => slot.lanes[measure]!, valuesOf);
}

function columnLane(
  inputs: JoinedInputs,
  side: number,
  laneOf: (slot: SlotLayout) => number,
  valuesOf: (table: LocalTable) => Float64Array,
): MuxTerm {
  const { plan, shape, layouts, lanes, own } = inputs;
  if (side > 0) {
    const held = lanes[side]!;
    const share = layouts[side]!.slots.map(
      (slot) => held[laneOf(slot)] ?? new Uint8Array(8 * shape.padded),
    );
    const planned = plan.sides[side]!;
    if (planned.absent !== null) {
      // The row of NULLs has one value for everybody, which is public: the pivot holds it.
      const value = own === null ? 0 : valuesOf(absentTable(planned))[0]!;
      share.push(ringFromIntegers(new Float64Array(shape.padded).fill(value)));
    }
    return { kind: 'shared', share: tile(share, shape, side), holders: [0, side] };
  }
  if (own === null) return { kind: 'owned', owner: 0, values: null };
  const values = valuesOf(own.table);
  const slots = Array.from({ length: shape.slots[0]! }, (_, j) =>
    placeRing(shape, own.place, values, j),
  );
  return { kind: 'owned', owner: 0, values: tile(slots, shape, 0) };
}

/** The product of a term's factors. @param first - index of its first factor in the plan. */
async function productLane(
  s: Sharing,
  inputs: JoinedInputs,
  { factors }: MeasureTerm,
  first: number,
): Promise<MuxTerm> {
  const [whole, ...rest] = factors;
  if (whole === undefined) return { kind: 'one' };
  let product = columnLane(
    inputs,
    whole.side,
    (slot) => slot.factorLanes[first]!,
    (table) => factorValues(whole, table),
  );
  for (const [i, factor] of rest.entries()) {
    const word = factorWord(inputs, factor, first + 1 + i);
    product = await multiplyWord(s, product, word, BigInt(factor.base), combinedRows(inputs.shape));
  }
  return product;
}

/** Bits of `value − base`, least significant first, in combination order. */
function factorWord(inputs: JoinedInputs, factor: MeasureFactor, index: number): Wire[] {
  const { plan, shape, own } = inputs;
  const { side, bits } = factor;
  const base = Number(factor.base);
  const valuesOf = (table: LocalTable): Float64Array =>
    factorValues(factor, table).map((value) => value - base);
  if (side === 0) {
    const values = own === null ? null : valuesOf(own.table);
    const words = Array.from({ length: shape.slots[0]! }, (_, i) =>
      placeWord(shape, own?.place ?? null, values, i, bits),
    );
    return Array.from({ length: bits }, (_, bit) =>
      tile(
        words.map((word) => word[bit]!),
        shape,
        0,
      ),
    );
  }
  const planned = plan.sides[side]!;
  const absent = planned.absent === null ? 0 : valuesOf(absentTable(planned))[0]!;
  return Array.from({ length: bits }, (_, bit) => {
    const isSet = Math.floor(absent / 2 ** bit) % 2 === 1;
    return tile(
      senderWires(inputs, side, (slot) => slot.words[index]![bit]!, isSet),
      shape,
      side,
    );
  });
}

/** LOCAL. Rows of one multiplication; more go in turns. */
const PRODUCT_ROWS_MAX = 1 << 20;

/**
 * Shares of value · x for a number x of which every bit is shared: Σ 2^k · (x_k · value), plus what
 * x is counted from (Gilboa, CRYPTO 1999, on shared bits; the multiplication by a bit is
 * `multiplyBit`, with its model and cost, once per bit).
 */
async function multiplyWord(
  s: Sharing,
  value: MuxTerm,
  word: readonly Wire[],
  base: bigint,
  rows: number,
): Promise<MuxTerm> {
  expect(value.kind !== 'one', 'a product has a first factor');
  const atOnce = Math.max(1, Math.floor(PRODUCT_ROWS_MAX / rows));
  let sum: RingVector = new Uint8Array(8 * rows);
  // From the most significant bit down, doubling what is there.
  for (let top = word.length; top > 0; top -= atOnce) {
    const bits = word.slice(Math.max(0, top - atOnce), top);
    const term = repeat(value, bits.length);
    const [products] = await multiplyBit(s, concat([...bits]), rows * bits.length, [term]);
    for (let k = bits.length - 1; k >= 0; k -= 1) {
      sum = addRing(addRing(sum, sum), part(products!, k, bits.length));
    }
  }
  const held = value.kind === 'shared' ? value.share : (value.values ?? new Uint8Array(8 * rows));
  return { kind: 'shared', share: addRing(sum, timesPublic(held, base)) };
}

function repeat(value: MuxTerm, times: number): MuxTerm {
  const again = (vector: RingVector): RingVector =>
    concat(Array.from({ length: times }, () => vector));
  if (value.kind === 'one') return value;
  if (value.kind === 'shared') return { ...value, share: again(value.share) };
  return { ...value, values: value.values === null ? null : again(value.values) };
}

/** A vector times a public integer, by doubling. Local. */
function timesPublic(vector: RingVector, by: bigint): RingVector {
  let sum: RingVector = new Uint8Array(vector.length);
  const size = by < 0n ? -by : by;
  for (const digit of size.toString(2)) {
    sum = addRing(sum, sum);
    if (digit === '1') sum = addRing(sum, vector);
  }
  return by < 0n ? negateRing(sum) : sum;
}

/**
 * Every lane times its bit: the qualifying bit, or that under the lane's guard. Lanes of one bit ride
 * together; counts under guards are one multiplication end to end.
 */
export async function multiplyLanes(
  s: Sharing,
  bits: Wire,
  guarded: readonly Wire[],
  lanes: readonly MeasureLane[],
  rows: number,
): Promise<RingVector[]> {
  const out: RingVector[] = [];
  const at = (test: (lane: MeasureLane) => boolean): number[] =>
    lanes.flatMap((lane, i) => (test(lane) ? [i] : []));
  const multiply = async (bit: Wire, which: readonly number[]): Promise<void> => {
    if (which.length === 0) return;
    const terms = which.map((i) => lanes[i]!.term);
    const products = await multiplyBit(s, bit, rows, terms);
    which.forEach((i, k) => (out[i] = products[k]!));
  };
  await multiply(
    bits,
    at(({ guard }) => guard === null),
  );
  for (let g = 0; g < guarded.length; g += 1) {
    await multiply(
      guarded[g]!,
      at(({ guard, term }) => guard === g && term.kind !== 'one'),
    );
  }
  const counts = at(({ guard, term }) => guard !== null && term.kind === 'one');
  const atOnce = Math.max(1, Math.floor(PRODUCT_ROWS_MAX / rows));
  for (let from = 0; from < counts.length; from += atOnce) {
    const some = counts.slice(from, from + atOnce);
    const wires = concat(some.map((i) => guarded[lanes[i]!.guard!]!));
    const [products] = await multiplyBit(s, wires, rows * some.length, [{ kind: 'one' }]);
    some.forEach((i, k) => (out[i] = part(products!, k, some.length)));
  }
  return out;
}
