import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import type { Client } from '../../src/client/index.ts';
import { createClient } from '../../src/client/index.ts';
import type { Coordinator, CoordinatorLimits, EnclaveHost } from '../../src/coordinator/index.ts';
import { startCoordinator } from '../../src/coordinator/index.ts';
import { fromHex } from '../../src/core/bytes.ts';
import type { ListenAddress, PartyNode } from '../../src/party/index.ts';
import { importTable, startParty } from '../../src/party/index.ts';
import type { AnalystKeys, PartyKeys } from '../../src/policy/index.ts';
import { generateAnalystKeys, generatePartyKeys, signPolicy } from '../../src/policy/index.ts';
import type { Policy, PolicyPacket } from '../../src/policy/types.ts';
import type { TraceEvent } from '../../src/transport/index.ts';
import { freePorts } from './free-ports.ts';
import type { Row } from './random-room.ts';
import { writeCsv } from './random-room.ts';

/** A room in this process, over real sockets on loopback: nodes, coordinator, client. */
export interface LiveRoom {
  readonly policy: Policy;
  readonly packet: PolicyPacket;
  readonly coordinator: Coordinator;
  readonly dir: string;
  readonly client: Client;
  readonly keys: Readonly<Record<string, PartyKeys>>;
  readonly analystKeys: AnalystKeys;
  readonly nodes: Map<string, PartyNode>;
  /** Messages of all links, by party. */
  readonly traces: Map<string, TraceEvent[]>;
  /** `listen`: other than the policy's own; null listens nowhere. */
  startNode(party: string, listen?: ListenAddress | null): Promise<void>;
  close(): Promise<void>;
}

const log = pino({ level: 'silent' });

/** Puts fresh keys into a policy and signs it by all. */
export function signRoom(draft: Policy): {
  readonly policy: Policy;
  readonly packet: PolicyPacket;
  readonly keys: Readonly<Record<string, PartyKeys>>;
  readonly analystKeys: AnalystKeys;
} {
  const keys = Object.fromEntries(draft.parties.map((p) => [p.name, generatePartyKeys()]));
  const analystKeys = generateAnalystKeys();
  const policy: Policy = {
    ...draft,
    parties: draft.parties.map((p) => ({
      ...p,
      identity_key: keys[p.name]!.identity.publicKey,
      link_key: keys[p.name]!.link.publicKey,
    })),
    analysts: [
      {
        name: 'ana',
        signing_key: analystKeys.signing.publicKey,
        sealing_key: analystKeys.sealing.publicKey,
      },
    ],
  };
  const signatures = Object.fromEntries(
    policy.parties.map((p) => [
      p.name,
      signPolicy(policy, p.name, keys[p.name]!.identity.privateKey),
    ]),
  );
  return { policy, packet: { policy, signatures }, keys, analystKeys };
}

/** What a test puts between the roles, or adds to them. */
export interface LiveExtras {
  readonly enclaveHost?: EnclaveHost;
  /** Where a party finds the coordinator. */
  readonly route?: (party: string, coordinatorUrl: string) => Promise<string>;
  readonly limits?: Partial<CoordinatorLimits>;
}

export async function liveRoom(
  draft: Policy,
  rows: Readonly<Record<string, readonly Row[]>>,
  fetcher?: typeof fetch,
  /** Whether nodes keep answers for identical questions; most tests want every run to be one. */
  answers = false,
  { enclaveHost, route, limits }: LiveExtras = {},
): Promise<LiveRoom> {
  const direct = draft.execution.links === 'direct';
  const ports = new Map<string, number>();
  if (direct) {
    const free = await freePorts(draft.parties.length);
    draft.parties.forEach(({ name }, i) => ports.set(name, free[i]!));
  }
  const addressed = draft.parties.map((party) =>
    direct ? { ...party, address: `ws://127.0.0.1:${ports.get(party.name)!}` } : party,
  );
  const { policy, packet, keys, analystKeys } = signRoom({ ...draft, parties: addressed });
  const dir = mkdtempSync(join(tmpdir(), 'parley-room-'));
  const coordinator = await startCoordinator({
    packet,
    host: '127.0.0.1',
    port: 0,
    dataDir: join(dir, 'coordinator'),
    log,
    limits: { drainTimeoutMs: 500, ...limits },
    ...(enclaveHost === undefined ? {} : { enclaveHost }),
  });
  const nodes = new Map<string, PartyNode>();
  const traces = new Map<string, TraceEvent[]>(policy.parties.map((p) => [p.name, []]));
  for (const party of policy.parties) {
    for (const [tableName, table] of Object.entries(party.tables)) {
      const file = join(dir, `${tableName}.csv`);
      writeCsv(file, policy, tableName, rows[tableName] ?? []);
      const salt = fromHex(policy.identifier_salt, 32);
      await importTable({
        file,
        tableName,
        table,
        salt,
        storePath: join(dir, `${party.name}.duckdb`),
      });
    }
  }
  const startNode = async (party: string, told?: ListenAddress | null): Promise<void> => {
    const own = direct ? { host: '127.0.0.1', port: ports.get(party)! } : null;
    const listen = told === undefined ? own : told;
    const node = await startParty({
      packet,
      party,
      keys: keys[party]!,
      storePath: join(dir, `${party}.duckdb`),
      ledgerDirectory: join(dir, `${party}-ledger`),
      runsDirectory: join(dir, `${party}-runs`),
      approvalsDirectory: join(dir, `${party}-approvals`),
      ...(answers ? { answersDirectory: join(dir, `${party}-answers`) } : {}),
      coordinatorUrl: (await route?.(party, coordinator.url)) ?? coordinator.url,
      ...(listen === null ? {} : { listen }),
      log,
      trace: (event) => traces.get(party)!.push(event),
    });
    nodes.set(party, node);
  };
  for (const party of policy.parties) await startNode(party.name);
  const client = createClient({
    url: coordinator.url,
    packet,
    analyst: 'ana',
    keys: analystKeys,
    ...(fetcher === undefined ? {} : { fetch: fetcher }),
  });
  return {
    policy,
    packet,
    coordinator,
    dir,
    client,
    keys,
    analystKeys,
    nodes,
    traces,
    startNode,
    async close() {
      for (const node of nodes.values()) await node.close(500);
      await coordinator.close();
      rmSync(dir, { recursive: true });
    },
  };
}
