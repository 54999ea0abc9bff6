import { digestOf } from '../policy/index.ts';
import type { DatasetCommitment } from '../records/index.ts';
import type { PlanSide } from '../sql/plan.ts';

type Tables = Pick<PlanSide, 'table' | 'joined'>;

/** What a party states as its data in a go: each table that the side reads, in the plan's order. */
export function datasetsOfSide(
  { table, joined }: Tables,
  commitment: (table: string) => string,
): readonly DatasetCommitment[] {
  return [table, ...joined].map((name) => ({ table: name, commitment: commitment(name) }));
}

/**
 * The one name of the data a side of a plan reads, for ledger, checkpoint and resume alike: its
 * table's dataset, or a digest of those of all tables that the party joins.
 *
 * @param dataset - commitment to a table's content.
 */
export function datasetOfSide(
  { table, joined }: Tables,
  dataset: (table: string) => string,
): string {
  if (joined.length === 0) return dataset(table);
  return digestOf('parley/datasets/v1', [table, ...joined].map(dataset));
}
