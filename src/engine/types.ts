/**
 * What a party brings to a run of a plan, after its local stage: distinct users with their rows in
 * slots. All arrays are slot-major: entry of user u in slot s is at `s * users + u`.
 */
export interface LocalTable {
  /** Distinct users with at least one row left; at most the side's capacity. */
  readonly users: number;
  /** users · ID_BYTES, distinct. */
  readonly ids: Uint8Array;
  readonly slots: number;
  /** 1 where the slot holds a row. A user's rows fill its slots from 0. */
  readonly valid: Uint8Array;
  /** Coded values per column of `PlanSide.columns`, exact integers; 0 where NULL or empty. */
  readonly values: Readonly<Record<string, Float64Array>>;
  /** 1 where the column is not NULL and the slot holds a row. */
  readonly present: Readonly<Record<string, Uint8Array>>;
  /** Per predicate of `PlanSide.bits`: 1 where it is TRUE. */
  readonly bits: readonly Uint8Array[];
}

/**
 * One party's XOR share of the vetted answer. Cells are measure-major: released measure i of group
 * g at `i * groups + g`, 8 bytes little-endian each, two's complement.
 */
export interface OutputShare {
  /** Packed bits, one per group: whether the group opens. */
  readonly open: Uint8Array;
  readonly cells: Uint8Array;
}

/** The value a suppressed cell opens to: the most negative 64-bit integer. */
export const SENTINEL = -(1n << 63n);
