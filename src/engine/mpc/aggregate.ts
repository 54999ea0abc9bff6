import { concat } from '../../core/bytes.ts';
import {
  addRing,
  bitToRing,
  groupSums,
  notWire,
  orTree,
  sumRows,
} from '../../protocols/sharing/index.ts';
import type { RingVector, Sharing, Wire } from '../../protocols/sharing/types.ts';
import type { Side } from '../../sql/plan.ts';
import { groupOfSlot, groupSpace, type GroupSpace } from '../groups.ts';
import { absentTable } from '../values.ts';
import { splitByLabels, type RowLabels } from './labels.ts';
import { measureLanes, multiplyLanes, type MeasureLanes } from './lanes.ts';
import type { Mesh } from './mesh.ts';
import type { JoinedInputs } from './predicate.ts';
import { senderWires } from './predicate.ts';
import { combinations, combinedRows, part, slotOf, tile } from './rows.ts';
import { slotGroups } from './same-group.ts';
import { boundUserSums } from './user-sums.ts';

/**
 * Sums every measure per group on shares.
 *
 * The senders' keys split the qualifying bits (one AND per combination and group, from their
 * one-hot payloads), and so do the labels that nobody knows; the pivot knows its own key of every
 * row in clear, so its keys are a group sum. Counting users first keeps one bit per user and group
 * (see {@link firstOfGroup}).
 *
 * @param qualifying - bit per (combination, bin).
 * @param labels - of every combination and bin.
 * @returns per measure of the plan, one additive share per group, in group order.
 */
export async function groupTotals(
  mesh: Mesh,
  inputs: JoinedInputs,
  qualifying: Wire,
  labels: RowLabels,
): Promise<RingVector[]> {
  const { plan, shape, own } = inputs;
  const s = mesh.sharing;
  const space = groupSpace(plan);
  const pivotGroups = space.bySide[0]!;
  const bySenders = await splitBySenders(s, inputs, qualifying, space.bySide);
  const split = await splitByLabels(s, bySenders, labels, combinedRows(shape));
  const perGroup: RingVector[] = [];
  const lanes = await measureLanes(mesh, inputs);
  for (const bits of split) {
    perGroup.push(...(await measureRows(s, inputs, bits, lanes, pivotGroups)));
  }
  const sums =
    pivotGroups === 1
      ? perGroup.map((lane) => sumRows(lane))
      : await groupSums(s, {
          groups: pivotGroups,
          groupOfRow: s.party === 0 && own !== null ? pivotGroupOfRow(inputs) : null,
          rows: shape.padded * shape.slots[0]!,
          lanes: perGroup,
        });
  const measures = plan.measures.length;
  return plan.measures.map((_, m) =>
    concat(
      Array.from({ length: space.total }, (__, g) => {
        const lane = sums[splitIndex(space, g) * measures + m]!;
        const at = 8 * space.sideIndex[0]![g]!;
        return lane.subarray(at, at + 8);
      }),
    ),
  );
}

/** Number of a group's part that the pivot does not know: the senders' in order, then the labels. */
function splitIndex({ bySide, sideIndex, labels, labelIndex }: GroupSpace, group: number): number {
  const senders = bySide.reduce(
    (index, size, side) => (side === 0 ? 0 : index * size + sideIndex[side]![group]!),
    0,
  );
  return senders * labels + labelIndex[group]!;
}

async function splitBySenders(
  s: Sharing,
  inputs: JoinedInputs,
  qualifying: Wire,
  groups: readonly number[],
): Promise<Wire[]> {
  const { shape } = inputs;
  let split: Wire[] = [qualifying];
  for (let side = 1; side < groups.length; side += 1) {
    const own = groups[side]!;
    if (own === 1) continue;
    const planned = inputs.plan.sides[side]!;
    const absent =
      planned.absent === null ? -1 : groupOfSlot(inputs.plan, side, absentTable(planned))[0]!;
    const hot = Array.from({ length: own }, (_, g) =>
      tile(
        senderWires(inputs, side, (slot) => slot.oneHot[g]!, absent === g),
        shape,
        side,
      ),
    );
    split = await s.and(
      split.flatMap((bits) => hot.map(() => bits)),
      split.flatMap(() => hot),
      combinedRows(shape),
    );
  }
  return split;
}

/**
 * Per measure, one additive value per (pivot slot, bin): the sum over the senders' slots. With a
 * single pivot group user counts are per bin, since nothing tells its slots apart.
 */
async function measureRows(
  s: Sharing,
  inputs: JoinedInputs,
  bits: Wire,
  { guards, lanes }: MeasureLanes,
  pivotGroups: number,
): Promise<RingVector[]> {
  const { shape, plan } = inputs;
  const rows = combinedRows(shape);
  const guarded = await s.and(
    guards.map(() => bits),
    [...guards],
    rows,
  );
  const products = await multiplyLanes(s, bits, guarded, lanes, rows);
  const sums: (RingVector | null)[] = plan.measures.map(() => null);
  products.forEach((product, i) => {
    const { measure } = lanes[i]!;
    const before = sums[measure] ?? null;
    sums[measure] = before === null ? product : addRing(before, product);
  });
  const perMeasure: RingVector[] = [];
  let counted = 0;
  for (const [m, { measure, groupSum }] of plan.measures.entries()) {
    if (measure.kind === 'users' || measure.kind === 'usersIf') {
      const own = measure.kind === 'users' ? bits : guarded[counted++]!;
      const users = await firstOfGroup(s, inputs, own, pivotGroups);
      const userRows = pivotGroups === 1 ? shape.padded : shape.padded * shape.slots[0]!;
      perMeasure.push(await bitToRing(s, users, userRows));
    } else {
      const summed = sumOverSenders(sums[m] ?? new Uint8Array(8 * rows), inputs);
      const bounded = groupSum && boundUserSums(s, inputs, groupSum, summed, pivotGroups);
      perMeasure.push((await bounded) ?? summed);
    }
  }
  return perMeasure;
}

/** Combinations that hold slot `i` of the pivot. */
function combinationsOf({ shape }: JoinedInputs, i: Side): number[] {
  return Array.from({ length: combinations(shape) }, (_, c) => c).filter(
    (c) => slotOf(shape, c, 0) === i,
  );
}

function sumOverSenders(product: RingVector, inputs: JoinedInputs): RingVector {
  const count = combinations(inputs.shape);
  return concat(
    Array.from({ length: inputs.shape.slots[0]! }, (_, i) =>
      combinationsOf(inputs, i)
        .map((c) => part(product, c, count))
        .reduce((sum, next) => addRing(sum, next)),
    ),
  );
}

/**
 * One bit per (pivot slot, bin), 1 on the first slot of each of the user's groups that has a
 * qualifying row, so that summing it counts users. Two slots of a user are in one group iff the
 * pivot says so (its own keys, a private input). With one group it is one bit per bin.
 *
 * Cost: (combinations per pivot slot − 1) ANDs per row, then 2 per pair of pivot slots, fewer when
 * the plan allows a user one row per group.
 */
async function firstOfGroup(
  s: Sharing,
  inputs: JoinedInputs,
  bits: Wire,
  pivotGroups: number,
): Promise<Wire> {
  const { shape, plan } = inputs;
  const pivotSlots = shape.slots[0]!;
  const count = combinations(shape);
  if (pivotGroups === 1) {
    return orTree(
      s,
      Array.from({ length: count }, (_, c) => part(bits, c, count)),
      shape.padded,
    );
  }
  const perSlot = Array.from({ length: pivotSlots }, (_, i) => combinationsOf(inputs, i));
  const bySender = perSlot[0]!.map((_, j) =>
    concat(perSlot.map((own) => part(bits, own[j]!, count))),
  );
  const any = await orTree(s, bySender, shape.padded * pivotSlots);
  const { bounds, eagerRows } = plan.sides[0]!;
  const onePerGroup = eagerRows !== null || bounds?.rowsPerPartition === 1;
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
async function sameGroupBefore(s: Sharing, inputs: JoinedInputs, any: Wire): Promise<Wire[]> {
  const { shape } = inputs;
  const slots = shape.slots[0]!;
  const slot = (i: number): Wire => part(any, i, slots);
  const couples = Array.from({ length: slots }, (_, i) =>
    Array.from({ length: i }, (__, before) => ({ i, before })),
  ).flat();
  const twins = slotGroups(inputs);
  const same = couples.map(({ i, before }) => twins(0, before, i));
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

function pivotGroupOfRow({ plan, shape, own }: JoinedInputs): Int32Array {
  const slots = shape.slots[0]!;
  const out = new Int32Array(shape.padded * slots).fill(-1);
  if (own === null) return out;
  const groups = groupOfSlot(plan, 0, own.table);
  const { users } = own.table;
  for (let i = 0; i < slots; i += 1) {
    for (let b = 0; b < shape.bins; b += 1) {
      const user = own.place.userOfBin[b]!;
      if (user >= 0) out[i * shape.padded + b] = groups[i * users + user]!;
    }
  }
  return out;
}
