// A room of many cells for tests of the engine: two companies, one group per label, everybody matched.
import { createHash } from 'node:crypto';
import type { LocalTable } from '../../src/engine/types.ts';
import type { Policy } from '../../src/policy/types.ts';
import type { Plan } from '../../src/sql/index.ts';
import { OPEN_RULES } from '../support/room-policy.ts';

export const USERS_SQL = 'SELECT g, COUNT(DISTINCT id) AS u FROM v GROUP BY g';

/** `perGroup` people in each of `groups` groups; exact_k at 1, or pre_threshold at `minUsers`. */
export function cellsPolicy(
  groups: number,
  perGroup: number,
  { minUsers = 1, epsilonMax = '20' } = {},
): Policy {
  const key = (kind: string, n: number): string =>
    `${kind}:${Buffer.alloc(32, n).toString('base64url')}`;
  const unit = {
    privacy_unit_column: { name: 'id', kind: 'exact' },
    max_users: groups * perGroup,
    max_rows_per_user: 1,
  } as const;
  const values = Array.from({ length: groups }, (_, g) => `g${g}`);
  return {
    version: 1,
    room: 'cells',
    identifier_salt: '5a'.repeat(32),
    parties: [
      {
        name: 'left',
        identity_key: key('ed25519', 1),
        link_key: key('x25519', 2),
        tables: { l: { ...unit, columns: { g: { type: 'text', nullable: false, values } } } },
      },
      {
        name: 'right',
        identity_key: key('ed25519', 3),
        link_key: key('x25519', 4),
        tables: {
          r: {
            ...unit,
            columns: { a: { type: 'integer', nullable: false, lower: '0', upper: '10' } },
          },
        },
      },
    ],
    views: { v: { join: ['l', 'r'], privacy_unit_alias: 'id' } },
    analysts: [{ name: 'ana', signing_key: key('ed25519', 5), sealing_key: key('x25519', 6) }],
    rules: {
      ...OPEN_RULES,
      min_privacy_units_per_group: minUsers,
      partition_selection: minUsers === 1 ? 'exact_k' : 'pre_threshold',
      differential_privacy: {
        noise_mechanism: 'discrete_laplace',
        epsilon_budget: '10000',
        max_epsilon_per_query: epsilonMax,
        default_epsilon_per_query: '1',
        delta_budget: '1e-3',
        delta_per_query: '1e-6',
        max_partitions_contributed: 1,
        max_contributions_per_partition: 1,
        noise_threshold_bits: 64,
      },
      join: { oprf: 'kkrt', ot_field_bits: 4, shard_users: 65_536 },
    },
    execution: { backends: ['mpc'], tee: null, links: 'relay' },
  };
}

/** Everybody of both tables: person u in group u mod groups, with a = u mod 11. */
export function cellsTables(plan: Plan, groups: number, perGroup: number): LocalTable[] {
  const users = groups * perGroup;
  const ids = new Uint8Array(32 * users);
  for (let u = 0; u < users; u += 1) {
    ids.set(createHash('sha256').update(`person ${u}`).digest(), 32 * u);
  }
  const valueOf: Readonly<Record<string, (u: number) => number>> = {
    g: (u) => u % groups,
    a: (u) => u % 11,
  };
  const ones = (): Uint8Array => new Uint8Array(users).fill(1);
  return plan.sides.map(({ columns, slots, bits }) => {
    if (slots !== 1 || bits.length > 0) throw new Error('one row a person, no predicates');
    return {
      users,
      ids,
      slots,
      valid: ones(),
      values: Object.fromEntries(
        columns.map((c) => [c, Float64Array.from({ length: users }, (_, u) => valueOf[c]!(u))]),
      ),
      present: Object.fromEntries(columns.map((c) => [c, ones()])),
      bits: [],
    };
  });
}
