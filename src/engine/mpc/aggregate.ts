import { concat } from '../../core/bytes.ts';
import {
  addRing,
  bitToRing,
  groupSums,
  multiplyBit,
  notWire,
  orTree,
  sumRows,
} from '../../protocols/sharing/index.ts';
import type { MuxTerm } from '../../protocols/sharing/index.ts';
import type { RingVector, Sharing, Wire } from '../../protocols/sharing/types.ts';
import { groupOfSlot, groupSpace } from '../groups.ts';
import { measureValues, sourceOf } from '../values.ts';
import type { PairInputs } from './predicate.ts';
import { pairRows, part, placeBits, placeRing, tilePivot, tileSender } from './rows.ts';

/**
 * Sums every measure per group on shares.
 *
 * The sender's keys split the qualifying bits (one AND per combination, from its one-hot payload);
 * the pivot knows its own key of every row in clear, so its keys are a group sum by correlated OT.
 * Counting users first keeps one bit per user and group (see {@link firstOfGroup}).
 *
 * @param qualifying - bit per pair row. @param lanes - the sender's additive payload per lane.
 * @returns per measure of the plan, one additive share per group, in group order.
 */
export async function groupTotals(
  s: Sharing,
  inputs: PairInputs,
  qualifying: Wire,
  lanes: readonly RingVector[],
): Promise<RingVector[]> {
  const { plan, shape, own } = inputs;
  const space = groupSpace(plan);
  const [pivotGroups, senderGroups] = space.bySide;
  const split = await splitBySender(s, inputs, qualifying, senderGroups);
  const perGroup: RingVector[] = [];
  const terms = measureTerms(inputs, lanes);
  for (const bits of split) {
    perGroup.push(...(await measureRows(s, inputs, bits, terms, pivotGroups)));
  }
  const sums =
    pivotGroups === 1
      ? perGroup.map((lane) => sumRows(lane))
      : await groupSums(s, {
          groups: pivotGroups,
          groupOfRow: own === null ? null : pivotGroupOfRow(inputs),
          rows: shape.padded * shape.slots[0],
          lanes: perGroup,
        });
  const measures = plan.measures.length;
  return plan.measures.map((_, m) =>
    concat(
      Array.from({ length: space.total }, (__, g) => {
        const lane = sums[space.sideIndex[1][g]! * measures + m]!;
        const at = 8 * space.sideIndex[0][g]!;
        return lane.subarray(at, at + 8);
      }),
    ),
  );
}

async function splitBySender(
  s: Sharing,
  { layout, payload, shape }: PairInputs,
  qualifying: Wire,
  senderGroups: number,
): Promise<Wire[]> {
  if (senderGroups === 1) return [qualifying];
  const hot = Array.from({ length: senderGroups }, (_, g) =>
    tileSender(
      layout.slots.map((slot) => payload[slot.oneHot[g]!]!),
      shape,
    ),
  );
  return s.and(
    hot.map(() => qualifying),
    hot,
    pairRows(shape),
  );
}

/** What each measure after the user count multiplies a qualifying pair with, in pair order. */
function measureTerms(
  { plan, shape, layout, own }: PairInputs,
  lanes: readonly RingVector[],
): MuxTerm[] {
  return plan.measures.slice(1).map((planned, i): MuxTerm => {
    const source = sourceOf(planned.measure);
    if (source.kind !== 'owned') return { kind: 'one' };
    if (source.side === 1) {
      const share = layout.slots.map((slot) => lanes[slot.lanes[i + 1]!]!);
      return { kind: 'shared', share: tileSender(share, shape) };
    }
    if (own === null) return { kind: 'owned', owner: 0, values: null };
    const values = measureValues(planned, own.table);
    const slots = Array.from({ length: shape.slots[0] }, (_, j) =>
      placeRing(shape, own.place, values, j),
    );
    return { kind: 'owned', owner: 0, values: tilePivot(slots, shape) };
  });
}

/**
 * Per measure, one additive value per (pivot slot, bin): the sum over the sender's slots. With a
 * single pivot group the user count is per bin, since nothing tells its slots apart.
 */
async function measureRows(
  s: Sharing,
  inputs: PairInputs,
  bits: Wire,
  terms: readonly MuxTerm[],
  pivotGroups: number,
): Promise<RingVector[]> {
  const { shape } = inputs;
  const users = await firstOfGroup(s, inputs, bits, pivotGroups);
  const userRows = pivotGroups === 1 ? shape.padded : shape.padded * shape.slots[0];
  const counted = await bitToRing(s, users, userRows);
  const products = terms.length === 0 ? [] : await multiplyBit(s, bits, pairRows(shape), terms);
  return [counted, ...products.map((product) => sumOverSender(product, inputs))];
}

function sumOverSender(product: RingVector, { shape }: PairInputs): RingVector {
  const [pivotSlots, senderSlots] = shape.slots;
  const pairs = pivotSlots * senderSlots;
  return concat(
    Array.from({ length: pivotSlots }, (_, i) => {
      const row = Array.from({ length: senderSlots }, (__, j) =>
        part(product, i * senderSlots + j, pairs),
      );
      return row.slice(1).reduce((sum, next) => addRing(sum, next), row[0]!);
    }),
  );
}

/**
 * One bit per (pivot slot, bin), 1 on the first slot of each of the user's groups that has a
 * qualifying pair, so that summing it counts users. Two slots of a user are in one group iff the
 * pivot says so (its own keys, a private input). With one group it is one bit per bin.
 *
 * Cost: (senderSlots − 1) ANDs per row, then 2 per pair of pivot slots, fewer when the plan
 * allows a user one row per group.
 */
async function firstOfGroup(
  s: Sharing,
  inputs: PairInputs,
  bits: Wire,
  pivotGroups: number,
): Promise<Wire> {
  const { shape, plan } = inputs;
  const [pivotSlots, senderSlots] = shape.slots;
  const pairs = pivotSlots * senderSlots;
  const rows = shape.padded * pivotSlots;
  if (pivotGroups === 1) {
    return orTree(
      s,
      Array.from({ length: pairs }, (_, p) => part(bits, p, pairs)),
      shape.padded,
    );
  }
  const bySlot = Array.from({ length: senderSlots }, (_, j) =>
    concat(Array.from({ length: pivotSlots }, (__, i) => part(bits, i * senderSlots + j, pairs))),
  );
  const any = await orTree(s, bySlot, rows);
  const onePerGroup = plan.sides[0].bounds?.rowsPerPartition === 1;
  if (pivotSlots === 1 || onePerGroup) return any;
  const earlier = await sameGroupBefore(s, inputs, any);
  const first = Array.from({ length: pivotSlots }, (_, i) => part(any, i, pivotSlots));
  const kept = await s.and(
    first.slice(1),
    earlier.map((wire) => notWire(s, wire)),
    shape.padded,
  );
  return concat([first[0]!, ...kept]);
}

/** For each slot after the first: whether an earlier slot of the same group has its bit set. */
async function sameGroupBefore(
  s: Sharing,
  { shape, own, plan }: PairInputs,
  any: Wire,
): Promise<Wire[]> {
  const slots = shape.slots[0];
  const slot = (i: number): Wire => part(any, i, slots);
  const groups = own === null ? null : groupOfSlot(plan, 0, own.table);
  const couples = Array.from({ length: slots }, (_, i) =>
    Array.from({ length: i }, (__, before) => ({ i, before })),
  ).flat();
  const same = couples.map(({ i, before }) => {
    if (own === null || groups === null) return placeBits(shape, null, null, 0);
    const { users } = own.table;
    const equal = new Uint8Array(users);
    for (let u = 0; u < users; u += 1) {
      const at = groups[i * users + u]!;
      equal[u] = at >= 0 && at === groups[before * users + u] ? 1 : 0;
    }
    return placeBits(shape, own.place, equal, 0);
  });
  const met = await s.and(
    couples.map(({ before }) => slot(before)),
    same,
    shape.padded,
  );
  const out: Wire[] = [];
  for (let i = 1; i < slots; i += 1) {
    out.push(
      await orTree(
        s,
        met.filter((_, c) => couples[c]!.i === i),
        shape.padded,
      ),
    );
  }
  return out;
}

function pivotGroupOfRow({ plan, shape, own }: PairInputs): Int32Array {
  const out = new Int32Array(shape.padded * shape.slots[0]).fill(-1);
  if (own === null) return out;
  const groups = groupOfSlot(plan, 0, own.table);
  const { users } = own.table;
  for (let i = 0; i < shape.slots[0]; i += 1) {
    for (let b = 0; b < shape.bins; b += 1) {
      const user = own.place.userOfBin[b]!;
      if (user >= 0) out[i * shape.padded + b] = groups[i * users + user]!;
    }
  }
  return out;
}
