import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { RoleProcess } from '../../src/cli/processes.ts';
import { startRole } from '../../src/cli/processes.ts';
import type { Room } from '../../src/cli/room.ts';
import { openRoom, SANDBOX_ANALYST } from '../../src/cli/room.ts';
import { clientOf } from '../../src/cli/sandbox.ts';
import type { Answer, Client } from '../../src/client/index.ts';
import { toHex } from '../../src/core/bytes.ts';
import { systemRng } from '../../src/core/rng.ts';
import type { Approval } from '../../src/party/approvals/index.ts';
import { signApproval, writeApproval } from '../../src/party/approvals/index.ts';
import { loadPartyKeys } from '../../src/policy/index.ts';

// A room of real processes whose one query runs as 16 small shards, without noise, so that any of
// them can be killed in the middle and the answer be compared with the exact one.

export const SHARDS = 16;
export const PARTIES = ['shopgood', 'newsnow'] as const;
export const SQL = 'SELECT COUNT(DISTINCT hashed_email) AS n, SUM(spent) AS s FROM joined_data';

const USERS = 200;
const MAX_USERS = 1024;

const NOISE = `
    noise_mechanism: discrete_laplace
    epsilon_budget: "10"
    max_epsilon_per_query: "1"
    delta_budget: "1e-3"
    delta_per_query: "1e-6"
    max_partitions_contributed: 1
    max_contributions_per_partition: 1`;

const policyOf = (noise: boolean, shards: number, approved: boolean): string => `
version: 1
room: shards
parties:
  - name: shopgood
    tables:
      purchases:
        privacy_unit_column: { name: email, kind: exact }
        max_users: ${MAX_USERS}
        max_rows_per_user: 1
        columns: { spent: { type: integer, lower: "0", upper: "1000" } }
  - name: newsnow
    tables:
      exposures:
        privacy_unit_column: { name: email, kind: exact }
        max_users: ${MAX_USERS}
        max_rows_per_user: 1
        columns: { clicked: { type: boolean } }
views:
  joined_data: { join: [purchases, exposures], privacy_unit_alias: hashed_email }
rules:
  allowed_aggregates: [COUNT, COUNT_DISTINCT, SUM]
  min_privacy_units_per_group: 1
  partition_selection: exact_k
  differential_privacy: ${noise ? NOISE : 'off'}
  join: { oprf: kkrt, ot_field_bits: 4, shard_users: ${MAX_USERS / shards} }
  size_disclosure: declared
  cache_identical_queries: false
  ${approved ? 'queries: { mode: approved, templates: [] }' : ''}
execution: { backends: [mpc], tee: null }
`;

/** Users u of one table, u + 50 of the other. */
function writeData(directory: string): void {
  const tables = {
    shopgood: ['purchases', 'email,spent', (u: number) => `u${u},${u}`],
    newsnow: ['exposures', 'email,clicked', (u: number) => `u${u + 50},true`],
  } as const;
  for (const party of PARTIES) {
    const [table, header, row] = tables[party];
    mkdirSync(join(directory, 'data', party), { recursive: true });
    const lines = [header, ...Array.from({ length: USERS }, (_, u) => row(u))];
    writeFileSync(join(directory, 'data', party, `${table}.csv`), `${lines.join('\n')}\n`);
  }
}

const MATCHED = Array.from({ length: USERS - 50 }, (_, i) => i + 50);

/** What the query answers, exactly. */
export const EXACT = [MATCHED.length, MATCHED.reduce((sum, u) => sum + u, 0)];

export const cellsOf = (answer: Answer): number[] =>
  answer.rows[0]!.cells.map(({ value }) => Number(value));

/** One line of a role's log. */
export type LogLine = Readonly<Record<string, unknown>> & { readonly msg: string };

export interface ShardRoom extends Room {
  readonly client: Client;
  readonly directory: string;
  /** SIGKILL; resolves when the process is gone. */
  kill(role: string): Promise<void>;
  /** Starts it again on what it left, with everything as before; `more` are further arguments. */
  restart(role: string, ...more: string[]): Promise<void>;
  pidOf(role: string): number;
  log(role: string): readonly LogLine[];
  /** Resolves when so many lines of the role's log say this. */
  said(role: string, message: string, times?: number): Promise<void>;
  folderOf(party: string): string;
  /** The party's owners approve so many runs of SQL. */
  approve(party: string, runs: number): void;
}

/**
 * Logs of every role are at level debug. Close it.
 * @param noise - then no answer is exact. @param shards - a power of two up to 16. @param approved -
 *   then parties run what they approved.
 */
export async function shardRoom({
  noise = false,
  shards = SHARDS,
  approved = false,
} = {}): Promise<ShardRoom> {
  const directory = mkdtempSync(join(tmpdir(), 'parley-shards-'));
  process.env['PARLEY_LOG'] = 'debug';
  writeFileSync(join(directory, 'policy.yaml'), policyOf(noise, shards, approved));
  writeData(directory);
  const state = join(directory, 'state');
  const room = await openRoom({ directory, state });
  const present = new Map<string, RoleProcess>(room.roles.map((role) => [role.name, role]));
  const folderOf = (role: string): string => join(state, role);
  const log = (role: string): LogLine[] =>
    readFileSync(join(state, `${role}.log`), 'utf8')
      .split('\n')
      .filter((line) => line.startsWith('{'))
      .map((line) => JSON.parse(line) as LogLine);
  const keysOf = (role: string): string => join(dirname(room.packetFile), `${role}.keys.json`);
  const argsOf = (role: string): string[] => {
    const common = [role === 'coordinator' ? role : 'party', '--policy', room.packetFile];
    common.push('--state', folderOf(role));
    if (role === 'coordinator') return [...common, '--port', new URL(room.url).port];
    return [...common, '--party', role, '--keys', keysOf(role), '--coordinator', room.url];
  };
  const client = clientOf(room);
  return {
    ...room,
    client,
    directory,
    approve(party, runs) {
      const document: Approval = {
        version: 1,
        room: room.policy.room,
        policy_digest: room.policyDigest,
        party,
        plan_digest: client.plan(SQL).planDigest,
        analyst: SANDBOX_ANALYST,
        runs,
        expires: null,
        nonce: toHex(systemRng(16)),
      };
      const { identity } = loadPartyKeys(keysOf(party));
      writeApproval(
        join(folderOf(party), 'approvals'),
        signApproval(document, identity.privateKey),
      );
    },
    folderOf,
    log,
    pidOf: (role) => present.get(role)!.pid,
    async kill(role) {
      process.kill(present.get(role)!.pid, 'SIGKILL');
      await present.get(role)!.ended;
    },
    async restart(role, ...more) {
      const never = new AbortController().signal;
      const logFile = join(state, `${role}.log`);
      present.set(role, await startRole(role, [...argsOf(role), ...more], logFile, never));
    },
    async said(role, message, times = 1) {
      const deadline = performance.now() + 30_000;
      while (log(role).filter(({ msg }) => msg === message).length < times) {
        if (performance.now() > deadline) throw new Error(`${role} never said: ${message}`);
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    },
    async close() {
      await Promise.all([...present.values()].map((role) => role.stop(2_000)));
      await room.close();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
