import { expect } from '../../core/errors.ts';
import { ringFromIntegers } from '../../protocols/sharing/index.ts';
import type { Plan } from '../../sql/plan.ts';
import { groupOfSlot, groupSpace } from '../groups.ts';
import type { LocalTable } from '../types.ts';
import { comparisonsOf, measureValues, operandValues, sourceOf } from '../values.ts';

/**
 * Where each of the sender's facts lies in the payload its users carry through the join. Public:
 * both ends derive it from the plan. Offsets are bits of the XOR part; lanes count 64-bit elements
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
  /** Per comparison of the pair predicate, least significant bit first. */
  readonly operands: readonly {
    readonly value: readonly number[];
    readonly present: number | null;
  }[];
  /** One-hot combination of the sender's own group keys; empty when it has none. */
  readonly oneHot: readonly number[];
  /** Per measure of the plan: its lane, or null when the sender has no value in it. */
  readonly lanes: readonly (number | null)[];
}

export function payloadLayout(plan: Plan): PayloadLayout {
  let nextBit = 0;
  let nextLane = 0;
  const take = (count: number): number[] => Array.from({ length: count }, () => nextBit++);
  const comparisons = comparisonsOf(plan);
  const senderGroups = groupSpace(plan).bySide[1];
  const side = plan.sides[1];
  const slots = Array.from({ length: side.slots }, (_, j): SlotLayout => ({
    valid: j === 0 ? null : nextBit++,
    bits: take(side.bits.length),
    operands: comparisons.map((c) => ({
      value: take(c.bits),
      present: c.sender.nullable ? nextBit++ : null,
    })),
    oneHot: senderGroups > 1 ? take(senderGroups) : [],
    lanes: plan.measures.map(({ measure }) => {
      const source = sourceOf(measure);
      return source.kind === 'owned' && source.side === 1 ? nextLane++ : null;
    }),
  }));
  return { xorBytes: Math.ceil(nextBit / 64) * 8, ringLanes: nextLane, slots };
}

/** The sender's payload rows, one per user of its local table. */
export interface Payload {
  /** users · xorBytes. */
  readonly xor: Uint8Array;
  /** users · 8 · ringLanes. */
  readonly ring: Uint8Array;
}

/** Packs the sender's local table into payload rows. */
export function encodePayload(plan: Plan, layout: PayloadLayout, table: LocalTable): Payload {
  const { users } = table;
  const xor = new Uint8Array(users * layout.xorBytes);
  const ring = new Float64Array(users * layout.ringLanes);
  const comparisons = comparisonsOf(plan).map((c) => operandValues(c, 1, table));
  const groups = groupOfSlot(plan, 1, table);
  const measures = plan.measures.map((planned, m) =>
    layout.slots[0]?.lanes[m] == null ? null : measureValues(planned, table),
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
        const { values, present } = comparisons[c]!;
        if (present[at] === 0) return;
        if (operand.present !== null) set(u, operand.present);
        setNumber(set, u, operand.value, values[at]!);
      });
      if (slot.oneHot.length > 0) set(u, slot.oneHot[groups[at]!]!);
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
