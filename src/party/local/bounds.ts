import type { PlanSide } from '../../sql/plan.ts';

/** Decides, row after row of one user in key order, which rows are kept and in which slot. */
export interface RowBounder {
  /** Starts the next user. */
  reset(): void;
  /**
   * @param keys - the row's values of the side's own group keys.
   * @returns the slot of the row, or -1 when it is dropped.
   */
  place(keys: readonly number[]): number;
}

function equalKeys(a: readonly number[], b: readonly number[]): boolean {
  return a.every((key, i) => key === b[i]);
}

/**
 * The bounds of a plan's side. A private plan keeps at most `partitions` distinct group tuples per
 * user, those of the smallest row keys, then at most `rowsPerPartition` rows of each; every plan
 * keeps at most `slots` rows, again by row key. Rows of other users play no part, which is what
 * makes the bound on one user's influence hold (privacy.md: bounds look at that user's rows alone).
 */
export function rowBounder(side: Pick<PlanSide, 'slots' | 'bounds'>): RowBounder {
  const { slots, bounds } = side;
  let tuples: { readonly keys: readonly number[]; rows: number }[] = [];
  let kept = 0;
  const admit = (keys: readonly number[]): boolean => {
    if (bounds === null) return true;
    let tuple = tuples.find((known) => equalKeys(known.keys, keys));
    if (tuple === undefined) {
      if (tuples.length === bounds.partitions) return false;
      tuple = { keys: [...keys], rows: 0 };
      tuples.push(tuple);
    }
    tuple.rows += 1;
    return tuple.rows <= bounds.rowsPerPartition;
  };
  return {
    reset() {
      tuples = [];
      kept = 0;
    },
    place(keys) {
      if (kept === slots || !admit(keys)) return -1;
      kept += 1;
      return kept - 1;
    },
  };
}
