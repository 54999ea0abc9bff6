import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { decodeAnswer, releaseOf } from '../client/index.ts';
import { fromHex, toHex } from '../core/bytes.ts';
import { expect } from '../core/errors.ts';
import { systemRng } from '../core/rng.ts';
import { runLocalStage } from '../party/local/index.ts';
import { importTable, openStore, SALT_BYTES, type Store } from '../party/store/index.ts';
import {
  completeDraft,
  generateAnalystKeys,
  generatePartyKeys,
  parsePolicyDraft,
  policyDigest,
} from '../policy/index.ts';
import type { Policy } from '../policy/types.ts';
import { planQuery, type Plan } from '../sql/index.ts';
import type { Engine } from './engine.ts';

/** What differs between the synthetic rooms of the games. */
export interface RoomRules {
  /** Trials per run: each is a group of its own. */
  readonly groups: number;
  readonly usersMax: number;
  readonly minUsers: number;
  /** Null: `exact_k` with noise off. */
  readonly differential: { readonly epsilon: string; readonly delta: string } | null;
  /** Rows of one person in the attacker's table. */
  readonly rowsPerUser: number;
}

/** A row of the attacker's own table. */
export interface OwnRow {
  readonly id: string;
  readonly trial: number;
  readonly code: number;
  readonly marked: boolean;
}

/** What both companies hold in one run. */
export interface RoomData {
  readonly own: readonly OwnRow[];
  /** People of the company that is attacked. */
  readonly theirs: readonly string[];
}

export interface Asked {
  readonly sql: string;
  /** Null with noise off. */
  readonly epsilon: string | null;
}

/** What the analyst sees of one group: its noised numbers, or null where it stays closed. */
export type Seen = readonly number[] | null;

/** A room of two companies whose data an audit makes up, all of it in one process. */
export interface AuditRoom {
  planOf(asked: Asked): Plan;
  /** Imports both tables anew. */
  load(data: RoomData): Promise<void>;
  /** Per group, by its number: local stage, joint run, and the client's own decoder. */
  ask(plan: Plan): Promise<readonly Seen[]>;
  close(): void;
}

const TABLE_OF = { attacker: 'own', owner: 'theirs' } as const;

function policyOf(rules: RoomRules): Policy {
  const { groups, usersMax, minUsers, differential, rowsPerUser } = rules;
  const unit = { privacy_unit_column: { name: 'id', kind: 'exact' }, max_users: usersMax };
  const labels = Array.from({ length: groups }, (_, g) => `g${g}`);
  const own = {
    g: { type: 'text', values: labels },
    code: { type: 'integer', lower: '0', upper: '63' },
    marked: { type: 'boolean' },
  };
  const draft = {
    version: 1,
    room: 'audit',
    parties: [
      {
        name: 'attacker',
        tables: { own: { ...unit, max_rows_per_user: rowsPerUser, columns: own } },
      },
      { name: 'owner', tables: { theirs: { ...unit, max_rows_per_user: 1, columns: {} } } },
    ],
    views: { joined: { join: ['own', 'theirs'], privacy_unit_alias: 'id' } },
    rules: {
      allowed_aggregates: ['COUNT', 'COUNT_DISTINCT'],
      min_privacy_units_per_group: minUsers,
      partition_selection: differential === null ? 'exact_k' : 'pre_threshold',
      differential_privacy:
        differential === null
          ? 'off'
          : {
              noise_mechanism: 'discrete_laplace',
              epsilon_budget: differential.epsilon,
              max_epsilon_per_query: differential.epsilon,
              delta_budget: '1e-3',
              delta_per_query: differential.delta,
              max_partitions_contributed: 1,
              max_contributions_per_partition: rowsPerUser,
            },
      join: { oprf: 'kkrt' },
    },
  };
  const keys = [generatePartyKeys(), generatePartyKeys()].map(({ identity, link }) => ({
    identity_key: identity.publicKey,
    link_key: link.publicKey,
  }));
  const { signing, sealing } = generateAnalystKeys();
  return completeDraft(parsePolicyDraft(JSON.stringify(draft)), {
    identifier_salt: toHex(systemRng(SALT_BYTES)),
    parties: { attacker: keys[0]!, owner: keys[1]! },
    analysts: [{ name: 'analyst', signing_key: signing.publicKey, sealing_key: sealing.publicKey }],
  });
}

function csvOf({ own, theirs }: RoomData): Readonly<Record<'own' | 'theirs', string>> {
  const rows = own.map(({ id, trial, code, marked }) => `${id},g${trial},${code},${marked}`);
  return {
    own: `${['id,g,code,marked', ...rows].join('\n')}\n`,
    theirs: `${['id', ...theirs].join('\n')}\n`,
  };
}

/** What the client's decoder shows of every group. */
function seenOf(plan: Plan, open: Uint8Array, cells: Uint8Array, groups: number): Seen[] {
  const seen: Seen[] = Array.from({ length: groups }, () => null);
  for (const row of decodeAnswer(plan, open, cells, releaseOf(plan).widths).rows) {
    const [label, ...values] = row.cells;
    expect(typeof label?.value === 'string', 'the first column is the label');
    if (row.suppressed) continue;
    seen[Number(label.value.slice(1))] = values.map(({ value }) => Number(value));
  }
  return seen;
}

/**
 * Makes a room for one game: a policy of its own, and stores in a folder that is removed.
 * @throws ParleyError of policy, planner, store and protocols.
 */
export function makeRoom(rules: RoomRules, engine: Engine): AuditRoom {
  const policy = policyOf(rules);
  const digest = policyDigest(policy);
  const folder = mkdtempSync(join(tmpdir(), 'parley-audit-'));
  let stores = new Map<string, Store>();
  const closeStores = (): void => {
    for (const store of stores.values()) store.close();
    stores = new Map();
  };
  return {
    planOf: ({ sql, epsilon }) => planQuery(policy, digest, sql, { epsilon }),
    async load(data) {
      closeStores();
      const salt = fromHex(policy.identifier_salt, SALT_BYTES);
      const texts = csvOf(data);
      for (const { name, tables } of policy.parties) {
        const tableName = TABLE_OF[name as keyof typeof TABLE_OF];
        const file = join(folder, `${tableName}.csv`);
        const storePath = join(folder, `${name}.duckdb`);
        writeFileSync(file, texts[tableName]);
        await importTable({ file, tableName, table: tables[tableName]!, salt, storePath });
        stores.set(name, await openStore(storePath, { readOnly: true }));
      }
    },
    async ask(plan) {
      const tables = await Promise.all(
        plan.sides.map(async ({ party }, side) => {
          return (await runLocalStage(stores.get(party)!, policy, plan, side)).table;
        }),
      );
      const { open, cells } = await engine.run(plan, tables);
      return seenOf(plan, open, cells, rules.groups);
    },
    close() {
      closeStores();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
