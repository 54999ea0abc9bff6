import { expect } from '../../core/errors.ts';
import { ringFromIntegers } from '../../protocols/sharing/index.ts';
import type { PairComparison, Plan, Side } from '../../sql/plan.ts';
import { boundsRows } from '../contributions.ts';
import { groupOfSlot, groupSpace } from '../groups.ts';
import type { LocalTable } from '../types.ts';
import {
  comparisonsOf,
  factorsOf,
  factorValues,
  measureValues,
  operandValues,
  sourceOf,
} from '../values.ts';

/**
 * Where each of a sender's facts lies in the payload its users carry through the join. Public: all
 * parties derive it from the plan. Offsets are bits of the XOR part; lanes count 64-bit elements
 * of the additive part.
 */
export interface PayloadLayout {
  /** A multiple of 8, so that the payload splits into 64-bit columns. */
  readonly xorBytes: number;
  readonly ringLanes: number;
  readonly slots: readonly SlotLayout[];
}

export interface SlotLayout {
  /** Whether the slot holds a row; null for slot 0, which every matching user fills. */
  readonly valid: number | null;
  /** Per predicate bit of the sender's side. */
  readonly bits: readonly number[];
  /** Per comparison of the pair predicate, null where the sender is not in it. */
  readonly operands: readonly (OperandLayout | null)[];
  /** One-hot combination of the sender's own group keys; empty when it has none. */
  readonly oneHot: readonly number[];
  /** Per earlier slot: whether it has the same combination; empty where no bound asks for it. */
  readonly sameGroup: readonly number[];
  /** Per factor of the plan's terms, null where the sender does not bring it or brings it whole. */
  readonly words: readonly (readonly number[] | null)[];
  /** Per factor of the plan's terms: its lane, where the sender brings it whole. */
  readonly factorLanes: readonly (number | null)[];
  /** Per measure of the plan: its lane, or null when the sender has no value in it. */
  readonly lanes: readonly (number | null)[];
}

interface OperandLayout {
  /** Least significant bit first. */
  readonly value: readonly number[];
  readonly present: number | null;
}

/** The operand of `side` in a comparison, if it has one. */
export function operandOf(comparison: PairComparison, side: Side): PairComparison['left'] | null {
  if (comparison.left.side === side) return comparison.left;
  return comparison.right.side === side ? comparison.right : null;
}

export function payloadLayout(plan: Plan, side: Side): PayloadLayout {
  let nextBit = 0;
  let nextLane = 0;
  const take = (count: number): number[] => Array.from({ length: count }, () => nextBit++);
  const comparisons = comparisonsOf(plan);
  const factors = factorsOf(plan);
  const ownGroups = groupSpace(plan).bySide[side]!;
  const planned = plan.sides[side]!;
  const slots = Array.from({ length: planned.slots }, (_, j): SlotLayout => ({
    valid: j === 0 ? null : nextBit++,
    bits: take(planned.bits.length),
    operands: comparisons.map((c) => {
      const operand = operandOf(c, side);
      if (operand === null) return null;
      return { value: take(c.bits), present: operand.nullable ? nextBit++ : null };
    }),
    oneHot: ownGroups > 1 ? take(ownGroups) : [],
    sameGroup: ownGroups > 1 && boundsRows(plan) ? take(j) : [],
    words: factors.map(({ factor, whole }) =>
      factor.side === side && !whole ? take(factor.bits) : null,
    ),
    factorLanes: factors.map(({ factor, whole }) =>
      factor.side === side && whole ? nextLane++ : null,
    ),
    lanes: plan.measures.map(({ measure }) => {
      const source = sourceOf(measure);
      return source.kind === 'owned' && source.side === side ? nextLane++ : null;
    }),
  }));
  return { xorBytes: Math.ceil(nextBit / 64) * 8, ringLanes: nextLane, slots };
}

/** A sender's payload rows, one per user of its local table. */
export interface Payload {
  /** users · xorBytes. */
  readonly xor: Uint8Array;
  /** users · 8 · ringLanes. */
  readonly ring: Uint8Array;
}

/** Packs a sender's local table into payload rows. */
export function encodePayload(
  plan: Plan,
  layout: PayloadLayout,
  table: LocalTable,
  side: Side,
): Payload {
  const { users } = table;
  const xor = new Uint8Array(users * layout.xorBytes);
  const ring = new Float64Array(users * layout.ringLanes);
  const comparisons = comparisonsOf(plan).map((c) =>
    operandOf(c, side) === null ? null : operandValues(c, side, table),
  );
  const groups = groupOfSlot(plan, side, table);
  const measures = plan.measures.map((planned, m) =>
    layout.slots[0]?.lanes[m] == null ? null : measureValues(planned, table),
  );
  const factors = factorsOf(plan).map(({ factor }) =>
    factor.side === side ? { base: Number(factor.base), of: factorValues(factor, table) } : null,
  );
  const set = (user: number, bit: number): void => {
    xor[user * layout.xorBytes + (bit >> 3)]! |= 1 << (bit & 7);
  };
  layout.slots.forEach((slot, j) => {
    for (let u = 0; u < users; u += 1) {
      const at = j * users + u;
      if (table.valid[at] === 0) continue;
      if (slot.valid !== null) set(u, slot.valid);
      slot.bits.forEach((bit, i) => {
        if (table.bits[i]![at] === 1) set(u, bit);
      });
      slot.operands.forEach((operand, c) => {
        if (operand === null) return;
        const { values, present } = comparisons[c]!;
        if (present[at] === 0) return;
        if (operand.present !== null) set(u, operand.present);
        setNumber(set, u, operand.value, values[at]!);
      });
      if (slot.oneHot.length > 0) set(u, slot.oneHot[groups[at]!]!);
      slot.sameGroup.forEach((bit, before) => {
        if (groups[before * users + u] === groups[at]) set(u, bit);
      });
      slot.words.forEach((word, f) => {
        if (word !== null) setNumber(set, u, word, factors[f]!.of[at]! - factors[f]!.base);
      });
      slot.factorLanes.forEach((lane, f) => {
        if (lane !== null) ring[u * layout.ringLanes + lane] = factors[f]!.of[at]!;
      });
      slot.lanes.forEach((lane, m) => {
        if (lane !== null) ring[u * layout.ringLanes + lane] = measures[m]![at]!;
      });
    }
  });
  return { xor, ring: ringFromIntegers(ring) };
}

function setNumber(
  set: (user: number, bit: number) => void,
  user: number,
  bits: readonly number[],
  value: number,
): void {
  let rest = value;
  for (const bit of bits) {
    if (rest % 2 === 1) set(user, bit);
    rest = Math.floor(rest / 2);
  }
  expect(rest === 0, 'a payload value fits its declared bits');
}
