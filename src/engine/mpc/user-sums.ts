/** Bounds on what one user's rows add up to in a group, on shares. */
import { concat } from '../../core/bytes.ts';
import {
  addRing,
  multiplyBit,
  notWire,
  publicWord,
  ringFromIntegers,
  ringToWord,
  signedAtLeastPublic,
  subRing,
} from '../../protocols/sharing/index.ts';
import type { RingVector, Sharing, Wire } from '../../protocols/sharing/types.ts';
import type { PlannedMeasure } from '../../sql/plan.ts';
import { groupOfSlot } from '../groups.ts';
import type { JoinedInputs } from './predicate.ts';
import { part, placeBits } from './rows.ts';

/**
 * Moves one user's sum in every group into its bounds, between which 0 lies, so that users without
 * rows in a group go on adding 0. The sums of the pivot's slots in one group are first gathered in
 * the first of them, with the pivot's private knowledge of which those are; the others become 0.
 *
 * `T + [T >= upper]·(upper − T) + [T < lower]·(lower − T)`, two products of a shared bit. Cost per
 * (slot, bin): the gathering, (slots + 1)/2 correlated OTs of one lane; an adder and two comparisons
 * with public numbers of `bits` bits; two correlated OTs. Nobody learns anything.
 *
 * @param lane - the rows' sum per (pivot slot, bin), of the rows of one combination of senders' keys.
 * @param pivotGroups - with one group, all slots of a user are in it, and the result is per bin.
 */
export async function boundUserSums(
  s: Sharing,
  inputs: JoinedInputs,
  { lower, upper, bits }: NonNullable<PlannedMeasure['groupSum']>,
  lane: RingVector,
  pivotGroups: number,
): Promise<RingVector> {
  const sums = pivotGroups === 1 ? sumSlots(inputs, lane) : await gatherSlots(s, inputs, lane);
  const rows = sums.length / 8;
  const word = await ringToWord(s, sums, rows, bits);
  const atLeast = (bound: string): Promise<Wire> =>
    signedAtLeastPublic(s, word, publicWord(BigInt(bound), bits), rows);
  const over = await atLeast(upper);
  const under = notWire(s, await atLeast(lower));
  const missing = [upper, lower].map((bound) => subRing(constant(s, bound, rows), sums));
  const moves = await productsOf(s, [over, under], missing);
  return moves.reduce((sum, move) => addRing(sum, move), sums);
}

/** Shares of a public number in every row. */
function constant(s: Sharing, value: string, rows: number): RingVector {
  if (s.party !== 0) return new Uint8Array(8 * rows);
  return ringFromIntegers(new Float64Array(rows).fill(Number(value)));
}

/** Bit times value, for several vectors of one length end to end. */
async function productsOf(
  s: Sharing,
  bits: readonly Wire[],
  values: readonly RingVector[],
): Promise<readonly RingVector[]> {
  const share = concat([...values]);
  const [product] = await multiplyBit(s, concat([...bits]), share.length / 8, [
    { kind: 'shared', share },
  ]);
  return values.map((_, i) => part(product!, i, values.length));
}

function sumSlots({ shape }: JoinedInputs, lane: RingVector): RingVector {
  const slots = shape.slots[0]!;
  return Array.from({ length: slots }, (_, i) => part(lane, i, slots)).reduce(addRing);
}

/** Each slot's sum moved to the first slot of its user's group; 0 in the others. */
async function gatherSlots(
  s: Sharing,
  inputs: JoinedInputs,
  lane: RingVector,
): Promise<RingVector> {
  const { plan, shape } = inputs;
  const slots = shape.slots[0]!;
  if (slots === 1 || plan.sides[0]!.bounds?.rowsPerPartition === 1) return lane;
  const slot = (i: number): RingVector => part(lane, i, slots);
  const moves = Array.from({ length: slots }, (_, to) =>
    Array.from({ length: slots - to }, (__, i) => ({ to, from: to + i })),
  )
    .flat()
    // The first slot of a user is always the first of its group.
    .filter(({ to, from }) => from > 0 || to > 0);
  const joins = gathering(inputs);
  const products = await productsOf(
    s,
    moves.map(({ to, from }) => joins(to, from)),
    moves.map(({ from }) => slot(from)),
  );
  const gathered = Array.from({ length: slots }, (_, to): RingVector => {
    const parts = products.filter((__, i) => moves[i]!.to === to);
    return (to === 0 ? [slot(0), ...parts] : parts).reduce(addRing);
  });
  return concat(gathered);
}

/** The pivot's bit of whether slot `from` is in the group of which slot `to` is the user's first. */
function gathering({ plan, shape, own }: JoinedInputs): (to: number, from: number) => Wire {
  if (own === null) return () => placeBits(shape, null, null, 0);
  const groups = groupOfSlot(plan, 0, own.table);
  const { users } = own.table;
  const groupAt = (slot: number, u: number): number => groups[slot * users + u]!;
  return (to, from) => {
    const bits = Uint8Array.from({ length: users }, (_, u) => {
      const group = groupAt(to, u);
      if (group < 0 || groupAt(from, u) !== group) return 0;
      for (let before = 0; before < to; before += 1) if (groupAt(before, u) === group) return 0;
      return 1;
    });
    return placeBits(shape, own.place, bits, 0);
  };
}
