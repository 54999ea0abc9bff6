import type { ColumnPolicy, Policy, RulesPolicy } from '../../src/policy/types.ts';

/** Rules with noise and threshold off, for comparing with a plain engine. */
export const OPEN_RULES: RulesPolicy = {
  allowed_aggregates: ['COUNT', 'COUNT_DISTINCT', 'SUM', 'AVG'],
  min_privacy_units_per_group: 1,
  partition_selection: 'exact_k',
  differential_privacy: 'off',
  confidence_level: '0.95',
  join: { oprf: 'ecdh', ot_field_bits: 4, shard_users: 65_536 },
  size_disclosure: 'declared',
};

const CAPACITY = 64;

/** The table of each party, in policy order. */
export const TABLES = ['purchases', 'exposures', 'members', 'answers'] as const;

/**
 * A retailer and a publisher, then a loyalty programme, then a panel: 2 to 4 parties with every
 * column type, nullable ones everywhere.
 */
export function roomPolicy(rules: RulesPolicy = OPEN_RULES, rowsPerUser = 4, parties = 2): Policy {
  const key = (kind: string, n: number): string =>
    `${kind}:${Buffer.alloc(32, n).toString('base64url')}`;
  return {
    version: 1,
    room: 'shopgood-newsnow',
    identifier_salt: '5a'.repeat(32),
    parties: [
      {
        name: 'shopgood',
        identity_key: key('ed25519', 1),
        link_key: key('x25519', 2),
        tables: {
          purchases: {
            privacy_unit_column: { name: 'email', kind: 'email' },
            max_users: CAPACITY,
            max_rows_per_user: rowsPerUser,
            columns: {
              purchase_date: { type: 'date', nullable: true, min: '2025-01-01', max: '2026-12-31' },
              total_spent: {
                type: 'decimal',
                nullable: true,
                scale: 2,
                lower: '-50.00',
                upper: '500.00',
              },
              items: { type: 'integer', nullable: false, lower: '0', upper: '9' },
              category: { type: 'text', nullable: true, values: ['home', 'beauty', 'sports'] },
              online: { type: 'boolean', nullable: false },
            },
          },
        },
      },
      {
        name: 'newsnow',
        identity_key: key('ed25519', 3),
        link_key: key('x25519', 4),
        tables: {
          exposures: {
            privacy_unit_column: { name: 'email', kind: 'email' },
            max_users: CAPACITY,
            max_rows_per_user: rowsPerUser,
            columns: {
              campaign_id: {
                type: 'text',
                nullable: false,
                values: ['sg_fall25', 'sg_holiday25', 'home'],
              },
              exposure_date: { type: 'date', nullable: true, min: '2025-06-01', max: '2026-06-30' },
              seconds: { type: 'decimal', nullable: true, scale: 1, lower: '0.0', upper: '60.0' },
              clicked: { type: 'boolean', nullable: true },
            },
          },
        },
      },
      {
        name: 'pointsplus',
        identity_key: key('ed25519', 7),
        link_key: key('x25519', 8),
        tables: {
          members: {
            privacy_unit_column: { name: 'email', kind: 'email' },
            max_users: CAPACITY,
            max_rows_per_user: Math.min(2, rowsPerUser),
            columns: {
              tier: { type: 'text', nullable: true, values: ['gold', 'home', 'blue'] },
              member_since: { type: 'date', nullable: true, min: '2025-08-01', max: '2025-12-31' },
              points: { type: 'integer', nullable: false, lower: '0', upper: '9' },
            },
          },
        },
      },
      {
        name: 'panel',
        identity_key: key('ed25519', 9),
        link_key: key('x25519', 10),
        tables: {
          answers: {
            privacy_unit_column: { name: 'email', kind: 'email' },
            max_users: CAPACITY,
            max_rows_per_user: 1,
            columns: {
              score: { type: 'decimal', nullable: true, scale: 1, lower: '0.0', upper: '10.0' },
              consent: { type: 'boolean', nullable: false },
            },
          },
        },
      },
    ].slice(0, parties) as Policy['parties'],
    views: {
      joined_data: { join: TABLES.slice(0, parties), privacy_unit_alias: 'hashed_email' },
    },
    analysts: [{ name: 'ana', signing_key: key('ed25519', 5), sealing_key: key('x25519', 6) }],
    rules,
    execution: { backends: ['mpc'], tee: null, links: 'relay' },
  };
}

/**
 * The room with bounds on what one user adds up to in a group, for two columns: one beside the bounds
 * of single values, one in their place.
 */
export function withGroupSums(policy: Policy, [min, max]: readonly [string, string]): Policy {
  const bound = { min_sum_per_partition: min, max_sum_per_partition: max };
  const edits: Readonly<Record<string, (column: ColumnPolicy) => ColumnPolicy>> = {
    total_spent: (column) => ({ ...column, ...bound }),
    seconds: ({ type, nullable, scale = 0 }) => ({ type, nullable, scale, ...bound }),
  };
  const parties = policy.parties.map((party) => ({
    ...party,
    tables: Object.fromEntries(
      Object.entries(party.tables).map(([name, table]) => [
        name,
        {
          ...table,
          columns: Object.fromEntries(
            Object.entries(table.columns).map(([of, c]) => [of, edits[of]?.(c) ?? c]),
          ),
        },
      ]),
    ),
  }));
  return { ...policy, parties };
}

/** The room with another number of campaigns. */
export function withCampaigns(policy: Policy, campaigns: number): Policy {
  const values = Array.from({ length: campaigns }, (_, c) => `c${c}`);
  const campaign_id: ColumnPolicy = { type: 'text', nullable: false, values };
  const parties = policy.parties.map((party) => {
    const { exposures } = party.tables;
    if (exposures === undefined) return party;
    const columns = { ...exposures.columns, campaign_id };
    return { ...party, tables: { exposures: { ...exposures, columns } } };
  });
  return { ...policy, parties };
}
