import type {
  AggregateName,
  ColumnPolicy,
  DifferentialPrivacy,
  PartitionSelection,
  Policy,
  TablePolicy,
} from '../../src/policy/types.ts';

export const DIGEST = 'ab'.repeat(32);

export const PRIVATE: DifferentialPrivacy = {
  noise_mechanism: 'discrete_laplace',
  epsilon_budget: '3',
  max_epsilon_per_query: '1',
  default_epsilon_per_query: '0.5',
  delta_budget: '1e-6',
  delta_per_query: '5e-8',
  max_partitions_contributed: 1,
  max_contributions_per_partition: 4,
  noise_threshold_bits: 64,
};

export const purchases: TablePolicy = {
  privacy_unit_column: { name: 'email', kind: 'email' },
  max_users: 100_000,
  max_rows_per_user: 4,
  columns: {
    purchase_date: { type: 'date', nullable: false, min: '2025-01-01', max: '2026-12-31' },
    total_spent: { type: 'decimal', nullable: true, scale: 2, lower: '0.00', upper: '500.00' },
    category: { type: 'text', nullable: false, values: ['home', 'beauty', 'sports'] },
  },
};

export const exposures: TablePolicy = {
  privacy_unit_column: { name: 'email', kind: 'email' },
  max_users: 2_000_000,
  max_rows_per_user: 4,
  columns: {
    campaign_id: { type: 'text', nullable: false, values: ['sg_fall25', 'sg_holiday25'] },
    exposure_date: { type: 'date', nullable: false, min: '2025-01-01', max: '2026-12-31' },
  },
};

export interface PolicyParts {
  readonly first?: TablePolicy;
  readonly second?: TablePolicy;
  readonly differential?: DifferentialPrivacy | 'off';
  readonly selection?: PartitionSelection;
  readonly minUsers?: number;
  readonly aggregates?: readonly AggregateName[];
  readonly names?: readonly [string, string];
}

const ALL_AGGREGATES: readonly AggregateName[] = ['COUNT', 'COUNT_DISTINCT', 'SUM', 'AVG'];

/** The seed's room: shopgood.purchases and newsnow.exposures, joined as joined_data. */
export function seedPolicy(parts: PolicyParts = {}): Policy {
  const [first, second] = parts.names ?? ['purchases', 'exposures'];
  const party = (name: string, table: string, policy: TablePolicy): Policy['parties'][number] => ({
    name,
    identity_key: 'ed25519:x',
    link_key: 'x25519:x',
    tables: { [table]: policy },
  });
  return {
    version: 1,
    room: 'shopgood-newsnow',
    identifier_salt: '00'.repeat(32),
    parties: [
      party('shopgood', first, parts.first ?? purchases),
      party('newsnow', second, parts.second ?? exposures),
    ],
    views: { joined_data: { join: [first, second], privacy_unit_alias: 'hashed_email' } },
    analysts: [],
    rules: {
      allowed_aggregates: parts.aggregates ?? ALL_AGGREGATES,
      min_privacy_units_per_group: parts.minUsers ?? 10,
      partition_selection: parts.selection ?? 'pre_threshold',
      differential_privacy: parts.differential ?? PRIVATE,
      confidence_level: '0.95',
      join: { oprf: 'ecdh', ot_field_bits: 4, shard_users: 65_536 },
      size_disclosure: 'declared',
    },
    execution: { backends: ['mpc'], tee: null, links: 'relay' },
  };
}

/** A table with every type of column, for tests of predicates. */
export function wideTable(columns: Readonly<Record<string, ColumnPolicy>>): TablePolicy {
  return {
    privacy_unit_column: { name: 'email', kind: 'email' },
    max_users: 1000,
    max_rows_per_user: 4,
    columns,
  };
}
