import type { Wire } from '../../protocols/sharing/types.ts';
import type { Side } from '../../sql/plan.ts';
import { groupOfSlot } from '../groups.ts';
import type { JoinedInputs } from './predicate.ts';
import { placeBits, zeroBins } from './rows.ts';

/** One shared bit per bin: whether slots a and b of a side, a before b, hold rows of one group. */
export type SameGroup = (side: Side, a: number, b: number) => Wire;

/**
 * Which slots of a side hold rows of one combination of that side's own group keys. Its owner knows; a
 * sender's bits came with its payload. The row of NULLs that stands for a user whom the side lacks
 * never shares a bin with the side's rows, so its bits are 0. Local.
 */
export function slotGroups(inputs: JoinedInputs): SameGroup {
  const { shape, plan, own, layouts, payloads } = inputs;
  const groups = own === null ? null : groupOfSlot(plan, 0, own.table);
  const ofPivot = (a: number, b: number): Wire => {
    if (own === null || groups === null) return zeroBins(shape);
    const { users } = own.table;
    const equal = new Uint8Array(users);
    for (let u = 0; u < users; u += 1) {
      const at = groups[b * users + u]!;
      equal[u] = at >= 0 && at === groups[a * users + u] ? 1 : 0;
    }
    return placeBits(shape, own.place, equal, 0);
  };
  return (side, a, b) => {
    if (side === 0) return ofPivot(a, b);
    const bit = layouts[side]!.slots[b]?.sameGroup[a];
    return (bit === undefined ? undefined : payloads[side]![bit]) ?? zeroBins(shape);
  };
}
