import type { Plan } from './plan.ts';

/** What a receipt states of contribution bounds: every sensitivity follows from it. */
export interface BoundsRecord {
  /** L0 and C of the policy; null when differential privacy is off. */
  readonly max_partitions: number | null;
  readonly max_contributions: number | null;
  /** Where they are applied: what is cut on shares, null where the sides' bounds leave nothing. */
  readonly joined: {
    readonly rule: 'joined' | 'split';
    readonly max_partitions: number | null;
    readonly max_contributions: number | null;
  } | null;
  /** Declared sizes, by which every party pads what it brings. */
  readonly sides: readonly {
    readonly party: string;
    readonly tables: readonly string[];
    readonly max_users: number;
    readonly rows_per_user: number;
  }[];
  /** Per measure of the plan: bounds of each value in coded units; null where none applies. */
  readonly clamps: readonly ({ readonly lower: string; readonly upper: string } | null)[];
  /** Per measure of the plan: bounds of one user's sum in a group; null where none applies. */
  readonly group_sums: readonly ({ readonly lower: string; readonly upper: string } | null)[];
}

/** The bounds of a plan; derived by parties, analyst and auditor alike. */
export function boundsRecord({ sides, measures, privacy, contributions }: Plan): BoundsRecord {
  const { differential } = privacy;
  return {
    max_partitions: differential?.maxPartitions ?? null,
    max_contributions: differential?.maxContributions ?? null,
    joined: contributions && {
      rule: contributions.rule,
      max_partitions: contributions.partitions,
      max_contributions: contributions.rowsPerPartition,
    },
    sides: sides.map(({ party, table, joined, capacity, slots, eagerRows }) => ({
      party,
      tables: [table, ...joined],
      max_users: capacity,
      rows_per_user: eagerRows ?? slots,
    })),
    clamps: measures.map(({ clamp }) => clamp),
    group_sums: measures.map(
      ({ groupSum }) => groupSum && { lower: groupSum.lower, upper: groupSum.upper },
    ),
  };
}
