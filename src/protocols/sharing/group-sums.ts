import { concat } from '../../core/bytes.ts';
import { expect } from '../../core/errors.ts';
import {
  addRing,
  joinLanes,
  sumByIndex,
  sumRing,
  sumSegments,
} from '../../kernels/ring64/index.ts';
import { bitBytes } from '../ot/types.ts';
import {
  GROUP_COTS_MAX,
  LANES_MAX,
  SORTED_GROUPS_MIN,
  SORTED_LANES_MAX,
  UNIT_GROUPS_MIN,
} from './limits.ts';
import { receiveSorted, sendSorted } from './sorted-sums.ts';
import { channelWith, otWith } from './types.ts';
import type { RingVector, Sharing } from './types.ts';
import { receiveUnitVectors, sendUnitVectors } from './unit-vectors.ts';

export interface GroupSumsInput {
  /** Number of groups, public. */
  readonly groups: number;
  /** Group of each row, −1 for none; known to party 0 only, null at the others. */
  readonly groupOfRow: Int32Array | null;
  readonly rows: number;
  /** This end's additive shares, one vector per value. */
  readonly lanes: readonly RingVector[];
  /** Forced for measurements and tests; by the number of groups when left out. */
  readonly method?: GroupSumMethod;
}

/** One correlated OT per row and group, one tree of random OTs per row, or switching networks. */
export type GroupSumMethod = 'correlatedOts' | 'unitVectors' | 'sorted';

/** The cheapest method; public. */
export function groupSumMethod(groups: number): GroupSumMethod {
  if (groups < UNIT_GROUPS_MIN) return 'correlatedOts';
  return groups < SORTED_GROUPS_MIN ? 'unitVectors' : 'sorted';
}

/** Rows [`from`, `from + rows`) of all groups: groups · rows COTs. */
interface Slice {
  readonly from: number;
  readonly rows: number;
}

/**
 * Additive shares of every lane's sum over the rows of every group, for groups only party 0 knows.
 *
 * Party 0 adds up its own shares in clear; every other party's are moved under the sums of their
 * groups between it and party 0, all parties at once. By correlated OTs: one per (row, group),
 * correction = the share (all lanes in one vector), choice = [group of r is g], 8 bytes per lane each
 * beside the extension's own. By unit vectors: `unit-vectors.ts`. By sorting: `sorted-sums.ts`.
 * Semi-honest; nobody learns anything, and the messages do not depend on `groupOfRow`.
 *
 * @returns per lane, `groups` elements.
 * @throws ParleyError what the OT throws.
 */
export async function groupSums(
  ctx: Sharing,
  input: GroupSumsInput,
  cotsMax: number = GROUP_COTS_MAX,
): Promise<RingVector[]> {
  const { groups, groupOfRow, lanes } = input;
  expectInput(ctx, input);
  const count = lanes.length;
  const most = methodOf(input) === 'sorted' ? SORTED_LANES_MAX : LANES_MAX;
  if (count > most) {
    const first = { ...input, lanes: lanes.slice(0, most) };
    const rest = { ...input, lanes: lanes.slice(most) };
    return [...(await groupSums(ctx, first, cotsMax)), ...(await groupSums(ctx, rest, cotsMax))];
  }
  let sums: Uint8Array = new Uint8Array(8 * groups * count);
  if (groupOfRow !== null) {
    sums.set(concat(lanes.map((lane) => sumByIndex(lane, groupOfRow, groups))));
  }
  if (count > 0) {
    const senders = Array.from({ length: ctx.parties - 1 }, (_, i) => i + 1);
    const moved = await Promise.all(
      senders
        .filter((sender) => ctx.party === 0 || ctx.party === sender)
        .map((sender) => moveShares(ctx, sender, input, cotsMax)),
    );
    for (const part of moved) sums = addRing(sums, part);
  }
  return lanes.map((_, i) => sums.slice(8 * groups * i, 8 * groups * (i + 1)));
}

function methodOf({ method, groups }: GroupSumsInput): GroupSumMethod {
  return method ?? groupSumMethod(groups);
}

/** Shares, between party 0 and one sender, of that sender's lanes summed per group. */
async function moveShares(
  ctx: Sharing,
  sender: number,
  input: GroupSumsInput,
  cotsMax: number,
): Promise<Uint8Array> {
  const { groups, groupOfRow, rows, lanes } = input;
  const method = methodOf(input);
  if (method !== 'correlatedOts') {
    const sorted = method === 'sorted';
    const shape = { rows, groups, lanes: lanes.length };
    if (groupOfRow === null) {
      const send = sorted ? sendSorted : sendUnitVectors;
      return send(channelWith(ctx, 0), otWith(ctx, 0).sender, ctx.rng, shape, lanes);
    }
    const receive = sorted ? receiveSorted : receiveUnitVectors;
    return receive(channelWith(ctx, sender), otWith(ctx, sender).receiver, shape, groupOfRow);
  }
  const count = lanes.length;
  let sums: Uint8Array = new Uint8Array(8 * groups * count);
  for (const slice of slicesOf(rows, groups, cotsMax)) {
    const shares =
      groupOfRow === null
        ? await sendSlice(ctx, slice, groups, lanes)
        : await receiveSlice(ctx, sender, slice, groups, groupOfRow, count);
    sums = addRing(sums, sumSegments(shares, groups, slice.rows, count));
  }
  return sums;
}

/** Additive share of the sum over all rows. Local. @returns one element. */
export function sumRows(lane: RingVector): RingVector {
  return sumRing(lane);
}

function expectInput(ctx: Sharing, input: GroupSumsInput): void {
  const { groups, groupOfRow, rows, lanes } = input;
  expect(groups > 0, 'there is at least one group');
  expect((ctx.party === 0) === (groupOfRow !== null), 'end 0 alone knows the groups');
  for (const lane of lanes) expect(lane.length === 8 * rows, 'a ring vector has 8 bytes per row');
  if (groupOfRow === null) return;
  expect(groupOfRow.length === rows, 'every row has a group or none');
  for (const group of groupOfRow) {
    expect(group >= -1 && group < groups, 'a group is one of the declared groups');
  }
}

/** Slices of equal whole 128-row lanes, but the last; the same at both ends. */
function slicesOf(rows: number, groups: number, cotsMax: number): Slice[] {
  const step = Math.max(128, Math.floor(cotsMax / groups / 128) * 128);
  const slices: Slice[] = [];
  for (let from = 0; from < rows; from += step) {
    slices.push({ from, rows: Math.min(step, rows - from) });
  }
  return slices;
}

/** End 1: the same corrections for every group. OT i is row i mod rows of group ⌊i / rows⌋. */
function sendSlice(
  ctx: Sharing,
  slice: Slice,
  groups: number,
  lanes: readonly RingVector[],
): Promise<Uint8Array> {
  const { from, rows } = slice;
  const rowsOf = lanes.map((lane) => lane.subarray(8 * from, 8 * (from + rows)));
  const once = joinLanes(rowsOf, rows);
  const delta = new Uint8Array(groups * once.length);
  for (let g = 0; g < groups; g++) delta.set(once, g * once.length);
  return otWith(ctx, 0).sender.correlatedRing64(delta, groups * rows, lanes.length);
}

/** End 0: chooses each row in its group. */
function receiveSlice(
  ctx: Sharing,
  sender: number,
  slice: Slice,
  groups: number,
  groupOfRow: Int32Array,
  lanes: number,
): Promise<Uint8Array> {
  const { from, rows } = slice;
  const choices = new Uint8Array(bitBytes(groups * rows));
  for (let i = 0; i < rows; i++) {
    const group = groupOfRow[from + i]!;
    if (group < 0) continue;
    const at = group * rows + i;
    choices[at >> 3] = choices[at >> 3]! | (1 << (at & 7));
  }
  return otWith(ctx, sender).receiver.correlatedRing64(choices, groups * rows, lanes);
}
