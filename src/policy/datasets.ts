import type { ColumnPolicy, Policy, TablePolicy } from './types.ts';

/** What a budget is of: one owner's data in one state. */
export interface DatasetEpoch {
  readonly dataset: string;
  readonly epoch: string;
}

/** The epoch of tables that name none. */
export const FIRST_EPOCH = '0';

/** Which dataset a table of a party is, in which epoch. */
export function datasetOfTable(party: string, name: string, table: TablePolicy): DatasetEpoch {
  return {
    dataset: table.dataset ?? `${party}/${name}`,
    epoch: table.data_epoch ?? FIRST_EPOCH,
  };
}

/** A dataset of a party under a policy, with everything that one person's share in it depends on. */
export interface DatasetTerms extends DatasetEpoch {
  /** Where the policy names it: the path of its first table. */
  readonly path: string;
  /** Its tables, by name. */
  readonly tables: readonly string[];
  /** Dotted path, below {@link DatasetTerms.pathOf}'s roots, to the value there as text. */
  readonly bounds: Readonly<Record<string, string>>;
}

/** Value of a bound that says the room has no differential privacy; then it has no other. */
const OFF = 'off';

/**
 * The datasets of a party's tables, with their bounds: the privacy unit, rows per user, clamps and
 * domains of columns, L0 and C. A room without differential privacy has one bound, that it has none.
 */
export function datasetTerms(policy: Policy, party: string): readonly DatasetTerms[] {
  const index = policy.parties.findIndex(({ name }) => name === party);
  const { differential_privacy: dp } = policy.rules;
  const found = new Map<string, { terms: DatasetEpoch; path: string; tables: string[] }>();
  const bounds = new Map<string, Record<string, string>>();
  for (const [name, table] of Object.entries(policy.parties[index]?.tables ?? {})) {
    const terms = datasetOfTable(party, name, table);
    const known = found.get(terms.dataset);
    const path = `parties.${index}.tables.${name}`;
    if (known === undefined) found.set(terms.dataset, { terms, path, tables: [name] });
    else known.tables.push(name);
    bounds.set(terms.dataset, {
      ...bounds.get(terms.dataset),
      ...(dp === 'off' ? {} : tableBounds(name, table)),
    });
  }
  const shared: Record<string, string> =
    dp === 'off'
      ? { 'rules.differential_privacy': OFF }
      : {
          'rules.differential_privacy': 'on',
          'rules.differential_privacy.max_partitions_contributed': `${dp.max_partitions_contributed}`,
          'rules.differential_privacy.max_contributions_per_partition': `${dp.max_contributions_per_partition}`,
        };
  return [...found].map(([dataset, { terms, path, tables }]) => ({
    ...terms,
    path,
    tables: tables.sort(),
    bounds: { ...shared, ...bounds.get(dataset) },
  }));
}

/** The datasets that one party's part of a plan reads, each once and by name: a budget is charged once. */
export function chargesOfSide(
  { table, joined }: { readonly table: string; readonly joined: readonly string[] },
  datasets: readonly DatasetTerms[],
): readonly DatasetTerms[] {
  const read = [table, ...joined];
  return datasets
    .filter(({ tables }) => tables.some((name) => read.includes(name)))
    .sort((a, b) => (a.dataset < b.dataset ? -1 : 1));
}

function tableBounds(name: string, table: TablePolicy): Record<string, string> {
  const { name: unit, kind } = table.privacy_unit_column;
  const at = `tables.${name}`;
  const bounds: Record<string, string> = {
    [`${at}.privacy_unit_column`]: `${unit} ${kind}`,
    [`${at}.max_rows_per_user`]: `${table.max_rows_per_user}`,
  };
  for (const [column, policy] of Object.entries(table.columns)) {
    for (const [field, value] of Object.entries(columnBounds(policy))) {
      bounds[`${at}.columns.${column}.${field}`] = value;
    }
  }
  return bounds;
}

function columnBounds(column: ColumnPolicy): Record<string, string> {
  const { type, scale, lower, upper, min, max, values } = column;
  const { min_sum_per_partition, max_sum_per_partition } = column;
  const sums = { min_sum_per_partition, max_sum_per_partition };
  const stated = { scale: scale?.toString(), lower, upper, min, max, ...sums };
  const present = Object.entries(stated).flatMap(([field, value]) =>
    value === undefined ? [] : [[field, value] as const],
  );
  return {
    type,
    ...Object.fromEntries(present),
    ...(values === undefined ? {} : { values: JSON.stringify(values) }),
  };
}

/** The whole path of a bound in a policy in which `party` is at this index. */
export function boundPath(partyIndex: number, bound: string): string {
  return bound.startsWith('tables.') ? `parties.${partyIndex}.${bound}` : bound;
}
