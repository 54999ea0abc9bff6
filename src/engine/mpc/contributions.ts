/** Bounds on one user's joined rows, on shares: PROOFS.md beside this folder says what they promise. */
import { concat } from '../../core/bytes.ts';
import { notWire, orTree, xorWire, zeroWire } from '../../protocols/sharing/index.ts';
import type { Sharing, Wire, Word } from '../../protocols/sharing/types.ts';
import { boundsRows, contributionOrder, type ContributionOrder } from '../contributions.ts';
import { addCounts, countsBelow, maskCounts, prefixCounts, sumCounts } from './counts.ts';
import { sameLabels, type RowLabels } from './labels.ts';
import type { JoinedInputs } from './predicate.ts';
import { combinations, part, slotsIndex } from './rows.ts';
import { slotGroups } from './same-group.ts';

/**
 * Clears the qualifying bit of every joined row beyond the plan's bounds on its user: rows of groups
 * after the first L0, and rows of a group after its first C, in the order of `contributionOrder`.
 * All of it per bin, and a bin is one user, so what is kept depends on that user's rows alone.
 *
 * Nobody learns anything: the circuit's shape follows from the plan. Without bounds to apply it
 * returns its argument at no cost. Cost per bin, for K combinations of the slots of sides with group
 * keys and U of the others': about K²/2 masks of a count of ⌈log2(U + 1)⌉ bits and as many additions,
 * then an addition and a comparison with a public number per combination.
 *
 * Source: the counts are Sklansky prefix sums (IRE Transactions on Electronic Computers, 1960) of
 * ripple-carry adders; no primitive beyond those of protocols/sharing.
 *
 * Under a mixed key K is the number of all combinations.
 *
 * @param qualifying - bit per (combination, bin). @returns the same, bounded.
 */
export async function boundContributions(
  s: Sharing,
  inputs: JoinedInputs,
  qualifying: Wire,
  labels: RowLabels,
): Promise<Wire> {
  const { plan, shape } = inputs;
  if (!boundsRows(plan)) return qualifying;
  const { partitions, rowsPerPartition } = plan.contributions!;
  const order = contributionOrder(plan);
  const indices = order.slots.map((slots) => slotsIndex(shape, slots));
  const rows = indices.map((index) => part(qualifying, index, combinations(shape)));
  const keyed = Array.from({ length: order.keyed }, (_, k) =>
    rows.slice(k * order.others, (k + 1) * order.others),
  );
  const pairs = await samePairs(s, inputs, order, labels);
  const { padded } = shape;
  let kept: readonly Wire[] = rows;
  if (partitions !== null) {
    const groups = await keptGroups(s, keyed, pairs, partitions, padded);
    const tests = rows.map((_, row) => groups[Math.floor(row / order.others)]!);
    kept = await keepWhere(s, kept, tests, padded);
  }
  if (rowsPerPartition !== null) {
    const tests = await keptOfGroup(s, keyed, pairs, rowsPerPartition, padded);
    kept = await keepWhere(s, kept, tests, padded);
  }
  const placed = new Array<Wire>(rows.length);
  indices.forEach((index, row) => (placed[index] = kept[row]!));
  return concat(placed);
}

/** One AND per row that has a test. */
async function keepWhere(
  s: Sharing,
  rows: readonly Wire[],
  tests: readonly (Wire | null)[],
  padded: number,
): Promise<readonly Wire[]> {
  const tested = tests.flatMap((wire, row) => (wire === null ? [] : [{ wire, row }]));
  const products = await s.and(
    tested.map(({ row }) => rows[row]!),
    tested.map(({ wire }) => wire),
    padded,
  );
  const out = [...rows];
  tested.forEach(({ row }, i) => (out[row] = products[i]!));
  return out;
}

/** Two combinations of key slots and whether they share a group. */
interface SamePair {
  readonly earlier: number;
  readonly later: number;
  readonly same: Wire;
}

/**
 * Every pair of combinations of key slots: in one group iff every owner says so and the labels that no
 * owner knows are the same. One AND per pair and such say beyond the first, plus `sameLabels`.
 */
async function samePairs(
  s: Sharing,
  inputs: JoinedInputs,
  { keyed, others, owners, slots }: ContributionOrder,
  labels: RowLabels,
): Promise<readonly SamePair[]> {
  const twins = slotGroups(inputs);
  const pairs = Array.from({ length: keyed }, (_, later) =>
    Array.from({ length: later }, (__, earlier) => {
      const [a, b] = [slots[earlier * others]!, slots[later * others]!];
      const wires = owners
        .filter((side) => a[side] !== b[side])
        .map((side) => twins(side, Math.min(a[side]!, b[side]!), Math.max(a[side]!, b[side]!)));
      return { earlier, later, wires };
    }),
  ).flat();
  if (labels.some((key) => key.length > 1)) {
    const at = (key: number): number => slotsIndex(inputs.shape, slots[key * others]!);
    const places = pairs.map(({ earlier, later }) => [at(earlier), at(later)] as const);
    const same = await sameLabels(s, inputs, labels, places);
    pairs.forEach(({ wires }, p) => wires.push(same[p]!));
  }
  const says = Math.max(0, ...pairs.map(({ wires }) => wires.length));
  let found = pairs.map(({ wires }) => wires[0]!);
  for (let i = 1; i < says; i += 1) {
    const more = pairs.flatMap(({ wires }, p) => (wires[i] === undefined ? [] : [p]));
    const both = await s.and(
      more.map((p) => found[p]!),
      more.map((p) => pairs[p]!.wires[i]!),
      inputs.shape.padded,
    );
    const next = [...found];
    more.forEach((p, m) => (next[p] = both[m]!));
    found = next;
  }
  return pairs.map(({ earlier, later }, at) => ({ earlier, later, same: found[at]! }));
}

/**
 * Per combination of key slots: whether its group is among the user's first `limit`; null where it
 * always is. A combination is the first of its group when it qualifies and no earlier one of the
 * group does; it is kept when fewer than `limit` firsts come before it, and the others of its group
 * with it. A group has one first, so at most one term of each exclusive or is set.
 */
async function keptGroups(
  s: Sharing,
  keyed: readonly Word[],
  pairs: readonly SamePair[],
  limit: number,
  padded: number,
): Promise<readonly (Wire | null)[]> {
  const count = keyed.length;
  const split = (wires: Wire): Wire[] => keyed.map((_, k) => part(wires, k, count));
  const any = split(
    await orTree(
      s,
      keyed[0]!.map((_, u) => concat(keyed.map((rows) => rows[u]!))),
      count * padded,
    ),
  );
  const met = await s.and(
    pairs.map(({ earlier }) => any[earlier]!),
    pairs.map(({ same }) => same),
    padded,
  );
  const columns = Array.from({ length: Math.max(1, count - 1) }, (_, earlier) =>
    concat(
      keyed.map((__, later) => {
        const at = pairs.findIndex((p) => p.later === later && p.earlier === earlier);
        return met[at] ?? zeroWire(padded);
      }),
    ),
  );
  const seen = split(await orTree(s, columns, count * padded));
  const first = await s.and(
    any,
    seen.map((wire) => notWire(s, wire)),
    padded,
  );
  const [before] = await prefixCounts(s, [first], padded);
  const early = await countsBelow(s, before!.slice(0, count), limit, padded);
  const opens = await keepWhere(s, first, early, padded);
  const late = pairs.filter(({ later }) => later >= limit);
  const follows = await s.and(
    late.map(({ earlier }) => opens[earlier]!),
    late.map(({ same }) => same),
    padded,
  );
  return opens.map((own, k) =>
    k < limit
      ? null
      : late.reduce((sum, { later }, i) => (later === k ? xorWire(sum, follows[i]!) : sum), own),
  );
}

/**
 * Per combination: whether fewer than `limit` earlier qualifying rows of its user share its group;
 * null where that is always so.
 */
async function keptOfGroup(
  s: Sharing,
  keyed: readonly Word[],
  pairs: readonly SamePair[],
  limit: number,
  padded: number,
): Promise<(Wire | null)[]> {
  // Counts within a combination of key slots; the last of them is all its rows.
  const within = await prefixCounts(s, keyed, padded);
  const masked = await maskCounts(
    s,
    pairs.map(({ earlier, same }) => ({ count: within[earlier]!.at(-1)!, bit: same })),
    padded,
  );
  const base = await sumCounts(
    s,
    keyed.map((_, k) => masked.filter((__, i) => pairs[i]!.later === k)),
    padded,
  );
  const ranks = await addCounts(
    s,
    keyed.flatMap((_, k) => within[k]!.slice(0, -1).map((count) => [base[k]!, count] as const)),
    padded,
  );
  return countsBelow(s, ranks, limit, padded);
}
