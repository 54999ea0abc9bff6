import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { toHex } from '../core/bytes.ts';
import { ParleyError } from '../core/errors.ts';
import { systemRng } from '../core/rng.ts';
import type { AnalystKeys, PartyKeys, PolicyDraft } from '../policy/index.ts';
import {
  completeDraft,
  formatPacket,
  generateAnalystKeys,
  generatePartyKeys,
  parsePolicyDraft,
  saveKeys,
  signPolicy,
  verifyPacket,
} from '../policy/index.ts';
import type { Policy, PolicyPacket } from '../policy/types.ts';
import { readText, writeText } from './files.ts';
import { SIMULATION_NOTICE } from '../tee-adapter/simulated.ts';
import type { RoleProcess } from './processes.ts';
import { startRole } from './processes.ts';
import { addSimulatedEnclave, type SandboxEnclave } from './sandbox-enclave.ts';

/** The analyst that a sandbox adds to the policy. */
export const SANDBOX_ANALYST = 'analyst';

/** A whole room on this machine: every role its own process, loopback only. */
export interface Room {
  readonly url: string;
  readonly policy: Policy;
  readonly packet: PolicyPacket;
  readonly policyDigest: string;
  readonly packetFile: string;
  readonly analystKeys: AnalystKeys;
  readonly analystKeysFile: string;
  readonly roles: readonly RoleProcess[];
  /** Where logs, stores and ledgers lie; removed by `close` unless it was given. */
  readonly state: string;
  /** What the coordinator has relayed and written down so far. */
  coordinatorView(): CoordinatorView;
  /** Stops every role; may be called again. */
  close(): Promise<void>;
}

/** From the coordinator's audit log and its files. */
export interface CoordinatorView {
  readonly relayedBytes: number;
  readonly relayedBySender: Readonly<Record<string, number>>;
  readonly storedBytes: number;
}

export interface RoomOptions {
  /** Holds `policy.yaml` and `data/<party>/<table>.csv`. */
  readonly directory: string;
  /** Kept and given by the caller; a temporary folder otherwise. */
  readonly state?: string;
  readonly port?: number;
  /** Adds an enclave without hardware to the policy that is signed here. */
  readonly simulatedEnclave?: boolean;
  /** Where a party finds the coordinator; `coordinatorUrl` itself when left out. */
  readonly route?: (party: string, coordinatorUrl: string) => Promise<string>;
  /** Told what is happening, one short line each. */
  readonly say?: (text: string) => void;
  /** Sees the signed policy before any process starts; may throw. */
  readonly check?: (policy: Policy, policyDigest: string) => void;
  /** Aborting it stops a start that is under way; an open room is closed by `close`. */
  readonly signal?: AbortSignal;
}

interface Signed {
  readonly packet: PolicyPacket;
  readonly packetFile: string;
  readonly partyKeyFiles: ReadonlyMap<string, string>;
  /** Ports for direct links by party; empty when links go through the relay. */
  readonly linkPorts: ReadonlyMap<string, number>;
  readonly analystKeys: AnalystKeys;
  readonly analystKeysFile: string;
}

/**
 * Makes keys, completes and signs the policy, starts coordinator and party nodes, waits until all
 * are ready. When it rejects, nothing runs and, unless `state` was given, nothing is left on disk.
 * @throws ParleyError of whichever role refuses to start; CANCELLED; whatever `check` throws.
 */
export async function openRoom(options: RoomOptions): Promise<Room> {
  const draft = readDraft(options.directory);
  const state = options.state ?? mkdtempSync(join(tmpdir(), 'parley-'));
  const roles: RoleProcess[] = [];
  let enclave: SandboxEnclave | null = null;
  const stopAll = async (): Promise<void> => {
    await Promise.all(roles.toReversed().map((role) => role.stop()));
    enclave?.remove();
    if (options.state === undefined) rmSync(state, { recursive: true, force: true });
  };
  let closing: Promise<void> | null = null;
  const close = (): Promise<void> => (closing ??= stopAll());
  try {
    mkdirSync(state, { recursive: true, mode: 0o700 });
    const parsed = parsePolicyDraft(draft);
    if (options.simulatedEnclave === true) enclave = addSimulatedEnclave(parsed);
    const signed = await makeAndSign(enclave?.draft ?? parsed, state);
    const { policy, digest } = verifyPacket(signed.packet);
    options.check?.(policy, digest);
    options.say?.(`policy signed by ${policy.parties.map((p) => p.name).join(' and ')}`);
    if (enclave !== null) {
      options.say?.(`${SIMULATION_NOTICE}; this sandbox added it to the policy it signed`);
    }
    const url = await startRoles(options, state, signed, policy, roles, enclave);
    return {
      url,
      policy,
      packet: signed.packet,
      policyDigest: digest,
      packetFile: signed.packetFile,
      analystKeys: signed.analystKeys,
      analystKeysFile: signed.analystKeysFile,
      roles,
      state,
      coordinatorView: () => coordinatorView(join(state, 'coordinator')),
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** @throws ParleyError FILE_NOT_FOUND saying what a sandbox folder holds. */
export function readDraft(directory: string): string {
  try {
    return readText(join(directory, 'policy.yaml'));
  } catch (error) {
    if (!(error instanceof ParleyError) || error.code !== 'FILE_NOT_FOUND') throw error;
    throw new ParleyError(error.code, error.message, {
      hint: 'a sandbox folder holds policy.yaml and data/<party>/<table>.csv',
    });
  }
}

/** Ports that were free a moment ago, all different. */
async function freePorts(names: readonly string[]): Promise<ReadonlyMap<string, number>> {
  const servers = names.map(() => createServer());
  const listening = servers.map(
    (server) =>
      new Promise<number>((resolve, reject) => {
        server.once('error', reject);
        server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port));
      }),
  );
  const ports = await Promise.all(listening);
  await Promise.all(servers.map((server) => new Promise((done) => server.close(done))));
  return new Map(names.map((name, i) => [name, ports[i]!]));
}

/**
 * A draft with fresh keys for everybody, and the keys.
 * @param ports - of the parties' direct links on this machine; for a draft that is not run, none.
 */
export function completeWithKeys(
  draft: PolicyDraft,
  ports: ReadonlyMap<string, number> = new Map(),
): {
  readonly policy: Policy;
  readonly keysOf: ReadonlyMap<string, PartyKeys>;
  readonly analystKeys: AnalystKeys;
} {
  const direct = draft.execution.links === 'direct';
  const keysOf = new Map<string, PartyKeys>(
    draft.parties.map((p) => [p.name, generatePartyKeys()]),
  );
  const analystKeys = generateAnalystKeys();
  // Real addresses of the parties are not this machine.
  const parties = draft.parties.map((p, i) =>
    direct ? { ...p, address: `ws://127.0.0.1:${ports.get(p.name) ?? i + 1}` } : p,
  );
  const policy = completeDraft(
    { ...draft, parties },
    {
      identifier_salt: toHex(systemRng(32)),
      parties: Object.fromEntries(
        [...keysOf].map(([name, keys]) => [
          name,
          { identity_key: keys.identity.publicKey, link_key: keys.link.publicKey },
        ]),
      ),
      analysts: [
        {
          name: SANDBOX_ANALYST,
          signing_key: analystKeys.signing.publicKey,
          sealing_key: analystKeys.sealing.publicKey,
        },
      ],
    },
  );
  return { policy, keysOf, analystKeys };
}

async function makeAndSign(draft: PolicyDraft, state: string): Promise<Signed> {
  const direct = draft.execution.links === 'direct';
  const linkPorts = await freePorts(direct ? draft.parties.map((p) => p.name) : []);
  const { policy, keysOf, analystKeys } = completeWithKeys(draft, linkPorts);
  const signatures = Object.fromEntries(
    [...keysOf].map(([name, keys]) => [name, signPolicy(policy, name, keys.identity.privateKey)]),
  );
  const packet: PolicyPacket = { policy, signatures };
  const folder = mkdtempSync(join(state, 'room-'));
  const partyKeyFiles = new Map<string, string>();
  for (const [name, keys] of keysOf) {
    const file = join(folder, `${name}.keys.json`);
    saveKeys(file, keys);
    partyKeyFiles.set(name, file);
  }
  const analystKeysFile = join(folder, `${SANDBOX_ANALYST}.keys.json`);
  saveKeys(analystKeysFile, analystKeys);
  const packetFile = join(folder, 'packet.json');
  writeText(packetFile, formatPacket(packet));
  return { packet, packetFile, partyKeyFiles, linkPorts, analystKeys, analystKeysFile };
}

async function startRoles(
  options: RoomOptions,
  state: string,
  signed: Signed,
  policy: Policy,
  roles: RoleProcess[],
  enclave: SandboxEnclave | null,
): Promise<string> {
  const common = ['--policy', signed.packetFile];
  const port = `${options.port ?? 0}`;
  // One role that does not start stops the others at once.
  const failed = new AbortController();
  const signals = options.signal === undefined ? [] : [options.signal];
  const signal = AbortSignal.any([failed.signal, ...signals]);
  if (enclave !== null) {
    const host = await enclave.start(state, signal);
    roles.push(host);
    options.say?.(`enclave host (process ${host.pid}) starts a process for every run`);
  }
  const args = ['coordinator', ...common, '--state', join(state, 'coordinator'), '--port', port];
  if (enclave !== null) args.push('--enclave', enclave.socket);
  const coordinator = await startRole('coordinator', args, join(state, 'coordinator.log'), signal);
  roles.push(coordinator);
  const url = String(coordinator.ready['url']);
  options.say?.(`coordinator (process ${coordinator.pid}) relays on ${url}`);
  const starts = policy.parties.map(async ({ name }) => {
    const reached = (await options.route?.(name, url)) ?? url;
    const args = ['party', ...common, '--party', name, '--coordinator', reached];
    args.push('--keys', signed.partyKeyFiles.get(name) ?? '', '--state', join(state, name));
    args.push('--data', join(options.directory, 'data', name));
    const linkPort = signed.linkPorts.get(name);
    if (linkPort !== undefined) args.push('--listen', `127.0.0.1:${linkPort}`);
    const role = await startRole(name, args, join(state, `${name}.log`), signal);
    roles.push(role);
    options.say?.(`${name} (process ${role.pid}) imported ${importedWords(role)}`);
  });
  try {
    await Promise.all(starts);
  } catch (error) {
    failed.abort();
    await Promise.allSettled(starts);
    throw error;
  }
  return url;
}

function importedWords(role: RoleProcess): string {
  const imported = role.ready['imported'] as readonly {
    table: string;
    rows: number;
    users: number;
  }[];
  return imported.map((i) => `${i.rows} rows of ${i.users} users into ${i.table}`).join(', ');
}

function coordinatorView(folder: string): CoordinatorView {
  const relayedBySender: Record<string, number> = {};
  for (const line of readFileSync(join(folder, 'audit.jsonl'), 'utf8').split('\n')) {
    if (line === '') continue;
    const event = JSON.parse(line) as { readonly relayed_bytes?: Readonly<Record<string, number>> };
    for (const [party, bytes] of Object.entries(event.relayed_bytes ?? {})) {
      relayedBySender[party] = (relayedBySender[party] ?? 0) + bytes;
    }
  }
  const files = readdirSync(folder, { recursive: true }).map((name) =>
    statSync(join(folder, String(name))),
  );
  return {
    relayedBytes: Object.values(relayedBySender).reduce((sum, bytes) => sum + bytes, 0),
    relayedBySender,
    storedBytes: files.reduce((sum, file) => sum + (file.isFile() ? file.size : 0), 0),
  };
}
