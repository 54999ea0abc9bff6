import type { PlanSide } from '../../sql/plan.ts';
import { rowBounder } from './bounds.ts';

/** Where a row goes: its slot, and whether it is the first there. Slot −1: dropped. */
export interface Placed {
  readonly slot: number;
  readonly first: boolean;
}

/** Decides, row after row of one user in key order, where each row goes. */
export interface Placer {
  /** Starts the next user. */
  reset(): void;
  /** @param keys - the row's values of the side's own group keys. */
  place(keys: readonly number[]): Placed;
}

const DROPPED: Placed = { slot: -1, first: false };

/**
 * Bounds first, then slots: a row each, or with `eagerRows` a group each, in the order in which its
 * first kept row comes. So adding up early keeps the very rows that joining one by one would keep.
 */
export function rowPlacer(side: Pick<PlanSide, 'slots' | 'bounds' | 'eagerRows'>): Placer {
  const { slots, bounds, eagerRows } = side;
  const bounder = rowBounder({ slots: eagerRows ?? slots, bounds });
  if (eagerRows === null) {
    return {
      reset: () => bounder.reset(),
      place(keys) {
        const slot = bounder.place(keys);
        return slot < 0 ? DROPPED : { slot, first: true };
      },
    };
  }
  let groups: (readonly number[])[] = [];
  return {
    reset() {
      bounder.reset();
      groups = [];
    },
    place(keys) {
      if (bounder.place(keys) < 0) return DROPPED;
      const known = groups.findIndex((group) => group.every((key, i) => key === keys[i]));
      if (known >= 0) return { slot: known, first: false };
      return { slot: groups.push([...keys]) - 1, first: true };
    },
  };
}
