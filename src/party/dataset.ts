import { digestOf } from '../policy/index.ts';
import type { PlanSide } from '../sql/plan.ts';

/**
 * The one name of the data a side of a plan reads, for ledger, checkpoint and resume alike: its
 * table's dataset, or a digest of those of all tables that the party joins.
 *
 * @param dataset - commitment to a table's content.
 */
export function datasetOfSide(
  { table, joined }: Pick<PlanSide, 'table' | 'joined'>,
  dataset: (table: string) => string,
): string {
  if (joined.length === 0) return dataset(table);
  return digestOf('parley/datasets/v1', [table, ...joined].map(dataset));
}
