import type { Plan } from './plan.ts';

/** What a receipt states of contribution bounds: every sensitivity follows from it. */
export interface BoundsRecord {
  /** L0 and C of the policy; null when differential privacy is off. */
  readonly max_partitions: number | null;
  readonly max_contributions: number | null;
  /** Declared sizes, by which every party pads what it brings. */
  readonly sides: readonly {
    readonly party: string;
    readonly tables: readonly string[];
    readonly max_users: number;
    readonly rows_per_user: number;
  }[];
  /** Per measure of the plan: bounds of each value in coded units; null where none applies. */
  readonly clamps: readonly ({ readonly lower: string; readonly upper: string } | null)[];
}

/** The bounds of a plan; derived by parties, analyst and auditor alike. */
export function boundsRecord({ sides, measures, privacy }: Plan): BoundsRecord {
  const { differential } = privacy;
  return {
    max_partitions: differential?.maxPartitions ?? null,
    max_contributions: differential?.maxContributions ?? null,
    sides: sides.map(({ party, table, joined, capacity, slots }) => ({
      party,
      tables: [table, ...joined],
      max_users: capacity,
      rows_per_user: slots,
    })),
    clamps: measures.map(({ clamp }) => clamp),
  };
}
