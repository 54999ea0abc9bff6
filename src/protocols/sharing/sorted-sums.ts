import type { Channel } from '../../core/channel.ts';
import { breathe } from '../../core/progress.ts';
import type { Rng } from '../../core/rng.ts';
import { receiveSortedSums, sendSortedSums } from '../../kernels/network/index.ts';
import type { SortedSumsShape } from '../../kernels/network/index.ts';
import { addRing, joinLanes, splitLanes, subRing } from '../../kernels/ring64/index.ts';
import { bitBytes } from '../ot/types.ts';
import type { OtReceiver, OtSender } from '../ot/types.ts';
import { SORTED_WIRES } from './limits.ts';
import {
  permutationSwitches,
  selectionOf,
  selectionSwitches,
  setPermutation,
  setSelection,
} from './switch-networks.ts';
import type { RingVector } from './types.ts';

/**
 * Sums of one party's vectors by groups only another party knows, by sorting: the rows and one
 * sentinel of value zero per group go through a permutation network the receiver sets, so that each
 * group is followed by its sentinel; prefix sums are local; a second network brings the sentinels'
 * to the front in order, and differences are local.
 *
 * Both ends hold additive shares of every wire. A switch with setting s on (a, b) leaves
 * (a + s(b - a), b - s(b - a)), and s(b - a) is the receiver's share of b - a in clear plus one
 * correlated OT with the sender's as correction. The sender's share of a switch depends on its first
 * key alone, so it goes through both networks by itself and sends all corrections at once: Mohassel
 * and Sadeghian, "How to hide circuits in MPC", EUROCRYPT 2013 (oblivious switching network in
 * constant rounds), with one ring element per switch and lane where they send four.
 *
 * Semi-honest; nobody learns anything: the sender receives nothing but requests for random OTs, and
 * each correction is masked by the key the receiver has not. Fresh masks at the end make the shares
 * uniform. Cost per wire of N = rows + groups: about log2 N + (log2 groups) / 2 random OTs of
 * ⌈lanes / 2⌉ blocks, and as many times 8·lanes bytes out; two rounds for each slice.
 *
 * Both halves throw ParleyError PEER_BAD_LENGTH, and what the OT and the channel throw.
 */
export interface SortedSumsCall {
  readonly rows: number;
  readonly groups: number;
  readonly lanes: number;
}

/** Rows of every slice but the last: slices are alike, and their wires fit. Both ends cut alike. */
function sliceRows(rows: number, groups: number): number {
  const { width } = selectionOf(1, groups);
  const most = Math.max(SORTED_WIRES, 8 * width) - groups;
  return Math.ceil(rows / Math.max(1, Math.ceil(rows / most)));
}

function shapeOf(rows: number, groups: number, lanes: number): SortedSumsShape {
  const wires = rows + groups;
  const selection = selectionOf(wires, groups);
  const permutation = permutationSwitches(wires);
  const switches = permutation + selectionSwitches(selection);
  return { wires, permutationSwitches: permutation, ...selection, switches, lanes };
}

/** The party whose vectors are summed. @returns per lane `groups` elements, end to end. */
export async function sendSorted(
  channel: Channel,
  ot: OtSender,
  rng: Rng,
  { rows, groups, lanes }: SortedSumsCall,
  values: readonly RingVector[],
): Promise<Uint8Array> {
  const step = sliceRows(rows, groups);
  let sums: Uint8Array = new Uint8Array(8 * groups * lanes);
  for (let from = 0; from < rows; from += step) {
    const n = Math.min(step, rows - from);
    const shape = shapeOf(n, groups, lanes);
    const { k0, k1 } = await ot.random(shape.switches, Math.ceil(lanes / 2));
    const own = joinLanes(
      values.map((lane) => lane.subarray(8 * from, 8 * (from + n))),
      n,
    );
    const half = sendSortedSums(shape, own, k0, k1);
    await channel.send('sorted.corrections', half.corrections);
    sums = addRing(sums, half.sums);
    await breathe();
  }
  const masks = rng(sums.length);
  await channel.send('sorted.masks', masks.slice());
  return byLane(subRing(sums, masks), groups, lanes);
}

/** The party that knows the groups. @param groupOfRow - −1 for none. @returns as the sender. */
export async function receiveSorted(
  channel: Channel,
  ot: OtReceiver,
  { rows, groups, lanes }: SortedSumsCall,
  groupOfRow: Int32Array,
): Promise<Uint8Array> {
  const step = sliceRows(rows, groups);
  let sums: Uint8Array = new Uint8Array(8 * groups * lanes);
  for (let from = 0; from < rows; from += step) {
    const shape = shapeOf(Math.min(step, rows - from), groups, lanes);
    const settings = settingsOf(shape, groupOfRow.subarray(from, from + step));
    await breathe();
    const keys = await ot.random(settings, shape.switches, Math.ceil(lanes / 2));
    const bytes = 8 * lanes * shape.switches;
    const corrections = await channel.recv('sorted.corrections', bytes);
    sums = addRing(sums, receiveSortedSums(shape, settings, keys, corrections));
    await breathe();
  }
  const masks = await channel.recv('sorted.masks', sums.length);
  return byLane(addRing(sums, masks), groups, lanes);
}

function byLane(sums: Uint8Array, groups: number, lanes: number): Uint8Array {
  const out = new Uint8Array(sums.length);
  splitLanes(sums, lanes, groups).forEach((lane, i) => out.set(lane, 8 * groups * i));
  return out;
}

/** Settings of both networks for the groups of one slice. */
function settingsOf(shape: SortedSumsShape, groupOfRow: Int32Array): Uint8Array {
  const { sorted, ends } = sortByGroup(groupOfRow, shape.outputs);
  const bits = new Uint8Array(bitBytes(shape.switches));
  setPermutation(sorted, bits);
  setSelection(shape, ends, shape.permutationSwitches, bits);
  return bits;
}

/**
 * A counting sort. Wire `rows + g` is the sentinel of group g and comes after its rows; rows of no
 * group come last.
 * @returns `sorted`: the wire at every place; `ends`: the sentinels' places.
 */
function sortByGroup(
  groupOfRow: Int32Array,
  groups: number,
): { readonly sorted: Int32Array; readonly ends: Int32Array } {
  const rows = groupOfRow.length;
  const next = new Int32Array(groups + 1);
  for (const group of groupOfRow) next[group < 0 ? groups : group]!++;
  const ends = new Int32Array(groups);
  let place = 0;
  for (let g = 0; g <= groups; g++) {
    const count = next[g]!;
    next[g] = place;
    place += count;
    if (g < groups) ends[g] = place++;
  }
  const sorted = new Int32Array(rows + groups);
  for (let row = 0; row < rows; row++) {
    const group = groupOfRow[row]!;
    sorted[next[group < 0 ? groups : group]!++] = row;
  }
  for (let g = 0; g < groups; g++) sorted[ends[g]!] = rows + g;
  return { sorted, ends };
}
