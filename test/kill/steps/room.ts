// A room for crashes: coordinator and parties in this process, but for one role, the victim, which is a
// process of its own with the preload. Two tiny tables, two shards; questions are all different, and each is
// approved beforehand, so that approvals are used as well.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino, type Logger } from 'pino';
import { completeWithKeys } from '../../../src/cli/room.ts';
import type { Client } from '../../../src/client/index.ts';
import { createClient } from '../../../src/client/index.ts';
import type { Coordinator } from '../../../src/coordinator/index.ts';
import { startCoordinator } from '../../../src/coordinator/index.ts';
import { fromHex, toHex } from '../../../src/core/bytes.ts';
import { systemRng } from '../../../src/core/rng.ts';
import { signApproval, writeApproval } from '../../../src/party/approvals/index.ts';
import type { PartyNode } from '../../../src/party/index.ts';
import { importTable, startParty } from '../../../src/party/index.ts';
import {
  formatPacket,
  parsePolicyDraft,
  policyDigest,
  saveKeys,
  signPolicy,
  verifyPacket,
} from '../../../src/policy/index.ts';
import type { PartyKeys } from '../../../src/policy/index.ts';
import type { Policy, PolicyPacket } from '../../../src/policy/types.ts';
import type { TraceEvent } from '../../../src/transport/index.ts';
import { freePorts } from '../../support/free-ports.ts';
import { addDurably } from './power-cut.ts';
import type { Arm, Victim, VictimFiles } from './victim.ts';
import { startVictim } from './victim.ts';

export const PARTIES = ['shopgood', 'newsnow'] as const;
export type Party = (typeof PARTIES)[number];
export type Role = Party | 'coordinator';

/** What a question costs in a room with noise. */
export const EPSILON = '0.02';

const USERS = 60;
/** Users u of one table, u + APART of the other. */
const APART = 20;

/** Every question is of all who match. */
const MATCHED = Array.from({ length: USERS - APART }, (_, i) => i + APART);
const EXACT = [MATCHED.length, MATCHED.reduce((sum, u) => sum + u, 0)];

const NOISE = `
    noise_mechanism: discrete_laplace
    epsilon_budget: "100"
    max_epsilon_per_query: "1"
    delta_budget: "1e-2"
    delta_per_query: "1e-6"
    max_partitions_contributed: 1
    max_contributions_per_partition: 1`;

const policyOf = (noise: boolean): string => `
version: 1
room: crashes
parties:
  - name: shopgood
    tables:
      purchases:
        privacy_unit_column: { name: email, kind: exact }
        max_users: 128
        max_rows_per_user: 1
        columns: { spent: { type: integer, lower: "0", upper: "1000" } }
  - name: newsnow
    tables:
      exposures:
        privacy_unit_column: { name: email, kind: exact }
        max_users: 128
        max_rows_per_user: 1
        columns: { clicked: { type: boolean } }
views:
  joined_data: { join: [purchases, exposures], privacy_unit_alias: hashed_email }
rules:
  allowed_aggregates: [COUNT, COUNT_DISTINCT, SUM]
  min_privacy_units_per_group: 1
  partition_selection: exact_k
  differential_privacy: ${noise ? NOISE : 'off'}
  join: { oprf: kkrt, ot_field_bits: 4, shard_users: 64 }
  size_disclosure: declared
  queries: { mode: approved, templates: [] }
execution: { backends: [mpc], tee: null }
`;

/** A question nobody asked before, and what it answers without noise. */
export interface Question {
  readonly sql: string;
  readonly epsilon: string | null;
  readonly exact: readonly number[];
}

/** One line of a role's log. */
export type LogLine = Readonly<Record<string, unknown>> & { readonly msg: string };

/** A message of a link, and who sent or got it. */
export type Seen = TraceEvent & { readonly party: Party };

export interface CrashRoom {
  readonly noise: boolean;
  readonly victimRole: Role;
  readonly victim: Victim;
  readonly files: VictimFiles;
  readonly client: Client;
  /** Messages of links, as parties of this process saw them. */
  readonly traces: readonly Seen[];
  /** The state folder of a role. */
  readonly stateOf: (role: Role) => string;
  /** Queries the analyst got an answer of their own to, since the room began. */
  readonly answered: Set<string>;
  /** What roles of this process logged. */
  readonly logs: readonly LogLine[];
  newQuestion(): Question;
  /** Empties traces and logs. */
  forget(): void;
  /** Starts the victim on what it left. It need not become ready. */
  startVictim(arm?: Arm | null): Promise<Victim>;
  close(): Promise<void>;
}

export interface CrashRoomOptions {
  readonly victim: Role;
  readonly noise: boolean;
  /** Dies in its very first start. */
  readonly arm?: Arm | null;
  /** Name of files whose fsyncs the victim's preload leaves out: the control. */
  readonly deaf?: string;
}

interface Signed {
  readonly policy: Policy;
  readonly packet: PolicyPacket;
  readonly keys: ReadonlyMap<string, PartyKeys>;
  readonly clientAt: (url: string) => Client;
}

function sign(noise: boolean): Signed {
  const { policy, keysOf: keys, analystKeys } = completeWithKeys(parsePolicyDraft(policyOf(noise)));
  const signatures = Object.fromEntries(
    [...keys].map(([name, own]) => [name, signPolicy(policy, name, own.identity.privateKey)]),
  );
  const packet = { policy, signatures };
  verifyPacket(packet);
  const analyst = policy.analysts[0]!.name;
  const clientAt = (url: string): Client =>
    createClient({ url, packet, analyst, keys: analystKeys });
  return { policy, packet, keys, clientAt };
}

async function importData(dir: string, policy: Policy, storeOf: (party: string) => string) {
  const rows = {
    purchases: ['email,spent', ...Array.from({ length: USERS }, (_, u) => `u${u},${u}`)],
    exposures: ['email,clicked', ...Array.from({ length: USERS }, (_, u) => `u${u + APART},true`)],
  };
  const salt = fromHex(policy.identifier_salt, 32);
  for (const { name, tables } of policy.parties) {
    for (const [tableName, table] of Object.entries(tables)) {
      const file = join(dir, `${tableName}.csv`);
      writeFileSync(file, `${rows[tableName as keyof typeof rows].join('\n')}\n`);
      await importTable({ file, tableName, table, salt, storePath: storeOf(name) });
    }
  }
}

const storeOf = (state: string): string => join(state, 'store.duckdb');

/** A logger into a list. */
function listLog(lines: LogLine[]): Logger {
  return pino({ level: 'debug' }, { write: (text) => lines.push(JSON.parse(text) as LogLine) });
}

/** What every part of a room needs; made once. */
interface Base extends Signed {
  readonly dir: string;
  readonly url: string;
  readonly files: VictimFiles;
  readonly log: Logger;
  readonly stateOf: (role: Role) => string;
}

/** Coordinator at its port, parties, in this process. */
async function startHere(base: Base, role: Role, traces: Seen[]) {
  const { packet, url, log, stateOf } = base;
  const port = Number(new URL(url).port);
  const dataDir = stateOf(role);
  if (role === 'coordinator') {
    const limits = { drainTimeoutMs: 500 };
    return startCoordinator({ packet, host: '127.0.0.1', port, dataDir, log, limits });
  }
  return startParty({
    packet,
    party: role,
    keys: base.keys.get(role)!,
    storePath: storeOf(dataDir),
    ledgerDirectory: join(dataDir, 'ledger'),
    runsDirectory: join(dataDir, 'runs'),
    approvalsDirectory: join(dataDir, 'approvals'),
    answersDirectory: join(dataDir, 'answers'),
    stock: { directory: join(dataDir, 'stock'), bytesMax: 2 ** 30 },
    coordinatorUrl: url,
    workers: 2,
    log: log.child({ party: role }),
    trace: (event) => traces.push({ ...event, party: role }),
  });
}

function argsOf({ dir, url, stateOf }: Base, role: Role): readonly string[] {
  const common = ['--policy', join(dir, 'packet.json'), '--state', stateOf(role)];
  if (role === 'coordinator') return [role, ...common, '--port', new URL(url).port];
  const own = ['--party', role, '--keys', join(dir, `${role}.keys.json`), '--workers', '2'];
  return ['party', ...common, ...own, '--coordinator', url];
}

function approve(base: Base, client: Client, question: Question, victim: Role): void {
  for (const party of PARTIES) {
    const folder = join(base.stateOf(party), 'approvals');
    const document = {
      version: 1,
      room: base.policy.room,
      policy_digest: policyDigest(base.policy),
      party,
      plan_digest: client.plan(question.sql, { epsilon: question.epsilon }).planDigest,
      analyst: base.policy.analysts[0]!.name,
      runs: 8,
      expires: null,
      nonce: toHex(systemRng(16)),
    } as const;
    const signed = signApproval(document, base.keys.get(party)!.identity.privateKey);
    const path = writeApproval(folder, signed);
    if (party === victim) addDurably(base.files, path);
  }
}

async function prepareBase(victim: Role, noise: boolean, lines: LogLine[]): Promise<Base> {
  const dir = mkdtempSync(join(tmpdir(), 'parley-steps-'));
  const signed = sign(noise);
  const root = join(dir, 'disk');
  const shadow = join(dir, 'shadow');
  mkdirSync(root);
  const files = { root, shadow, trace: join(dir, 'trace'), log: join(dir, 'victim.log') };
  const stateOf = (role: Role): string =>
    role === victim ? join(root, 'state') : join(dir, `${role}-state`);
  for (const party of PARTIES) mkdirSync(join(stateOf(party), 'approvals'), { recursive: true });
  await importData(dir, signed.policy, (party) => storeOf(stateOf(party as Party)));
  writeFileSync(join(dir, 'packet.json'), formatPacket(signed.packet));
  for (const party of PARTIES) {
    saveKeys(join(dir, `${party}.keys.json`), signed.keys.get(party)!);
  }
  const [port] = await freePorts(1);
  const url = `http://127.0.0.1:${port!}`;
  return { ...signed, dir, url, files, stateOf, log: listLog(lines) };
}

/** Close it. */
export async function crashRoom(options: CrashRoomOptions): Promise<CrashRoom> {
  const { victim: role, noise } = options;
  const [logs, traces]: [LogLine[], Seen[]] = [[], []];
  const base = await prepareBase(role, noise, logs);
  const client = base.clientAt(base.url);
  const here: (Coordinator | PartyNode)[] = [];
  let victim: Victim | null = null;
  let asked = 0;
  const start = async (arm: Arm | null = null): Promise<Victim> => {
    const { deaf } = options;
    return (victim = await startVictim(argsOf(base, role), base.files, { arm, deaf }));
  };
  const close = async (): Promise<void> => {
    await victim?.stop();
    for (const one of here.toReversed()) await one.close(500);
    rmSync(base.dir, { recursive: true, force: true });
  };
  try {
    for (const one of ['coordinator', ...PARTIES] as const) {
      if (one === role) await start(options.arm);
      else here.push(await startHere(base, one, traces));
    }
  } catch (error) {
    await close();
    throw error;
  }
  return {
    noise,
    victimRole: role,
    get victim() {
      return victim!;
    },
    files: base.files,
    answered: new Set(),
    client,
    traces,
    stateOf: base.stateOf,
    logs,
    newQuestion() {
      const limit = 1_000 - ((asked += 1) % 900);
      const sql = `SELECT COUNT(DISTINCT hashed_email) AS n, SUM(spent) AS s FROM joined_data WHERE spent < ${limit}`;
      const question = { sql, epsilon: noise ? EPSILON : null, exact: EXACT };
      approve(base, client, question, role);
      return question;
    },
    forget() {
      traces.length = 0;
      logs.length = 0;
      writeFileSync(base.files.log, '');
    },
    startVictim: start,
    close,
  };
}
