import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { randomBytes } from 'node:crypto';
import { pino } from 'pino';
import { toBase64Url, toHex } from '../../src/core/bytes.ts';
import {
  startCoordinator,
  type Coordinator,
  type CoordinatorLimits,
} from '../../src/coordinator/index.ts';
import { signBytes } from '../../src/policy/index.ts';
import {
  queryRecordSchema,
  sealShare,
  sessionOf,
  shareDigest,
  signGo,
  signHead,
  signReceipt,
  signStatement,
  signSubmission,
  submissionDigest,
  type Go,
  type LedgerExtension,
  type QueryRecord,
  type Receipt,
  type SignedGo,
  type SignedHead,
  type SignedStatement,
  type SignedSubmission,
  type Submission,
} from '../../src/records/index.ts';
import {
  connectRelay,
  type Order,
  type Relay,
  type RelayOptions,
} from '../../src/transport/index.ts';
import { sampleRoom } from '../policy/samples.ts';

export const room = sampleRoom();
export const log = pino({ level: 'silent' });
export const SQL = 'SELECT COUNT(DISTINCT hashed_email) AS n FROM joined_data';
export const PARTIES = ['shopgood', 'newsnow'] as const;

export interface TestCoordinator extends Coordinator {
  readonly dataDir: string;
}

/** A coordinator on a free port with short heartbeats. */
export async function coordinatorWith(
  limits: Partial<CoordinatorLimits> = {},
  dataDir?: string,
): Promise<TestCoordinator> {
  const dir = dataDir ?? (await mkdtemp(join(tmpdir(), 'parley-coordinator-')));
  const options = { packet: room.packet, host: '127.0.0.1', port: 0, dataDir: dir, log };
  const drained = { drainTimeoutMs: 200, resumeGraceMs: 300, ...limits };
  return { ...(await startCoordinator({ ...options, limits: drained })), dataDir: dir };
}

export function relayOptions(url: string, party: string): RelayOptions {
  const keys = room.parties[party]!;
  return {
    url,
    room: room.policy.room,
    policyDigest: room.digest,
    party,
    sign: (message) => signBytes(keys.identity.privateKey, message),
    log,
    limits: { backoffMsMin: 20, backoffMsMax: 50 },
  };
}

/** A party without an engine: it says what the test lets it say, over a real socket. */
export interface FakeParty {
  readonly name: string;
  readonly relay: Relay;
  readonly orders: Order[];
  /** The next order of this type, for this query when given. */
  next<K extends Order['type']>(type: K, queryId?: string): Promise<Extract<Order, { type: K }>>;
  close(): Promise<void>;
}

export async function fakeParty(url: string, name: string): Promise<FakeParty> {
  const relay = await connectRelay(relayOptions(url, name));
  const orders: Order[] = [];
  let wake: (() => void)[] = [];
  relay.onControl((order) => {
    orders.push(order);
    for (const w of wake.splice(0)) w();
  });
  return {
    name,
    relay,
    orders,
    async next(type, queryId) {
      for (;;) {
        const at = orders.findIndex(
          (o) => o.type === type && (queryId === undefined || o.query_id === queryId),
        );
        if (at >= 0) return orders.splice(at, 1)[0] as never;
        await new Promise<void>((resolve) => (wake = [...wake, resolve]));
      }
    },
    close: () => relay.close(),
  };
}

export const fakeParties = (url: string): Promise<[FakeParty, FakeParty]> =>
  Promise.all([fakeParty(url, PARTIES[0]), fakeParty(url, PARTIES[1])]);

export function submission(edit: Partial<Submission> = {}): SignedSubmission {
  const document: Submission = {
    version: 1,
    room: room.policy.room,
    policy_digest: room.digest,
    query_id: toBase64Url(randomBytes(18)),
    analyst: 'ana',
    sql: SQL,
    epsilon: '1',
    backend: 'mpc',
    ...edit,
  };
  return signSubmission(document, room.ana.signing.privateKey);
}

export interface Reply {
  readonly status: number;
  readonly record: QueryRecord;
  readonly error: { readonly code: string; readonly message: string };
}

export async function post(url: string, body: unknown): Promise<Reply> {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  const response = await fetch(`${url}/v1/queries`, { method: 'POST', body: text });
  return reply(response);
}

export async function read(url: string, id: string, query = ''): Promise<Reply> {
  return reply(await fetch(`${url}/v1/queries/${id}${query}`));
}

async function reply(response: Response): Promise<Reply> {
  const body = (await response.json()) as { error: Reply['error'] };
  if (response.ok) queryRecordSchema.parse(body);
  return { status: response.status, record: body as unknown as QueryRecord, error: body.error };
}

/** Long-polls until the query is over. */
export async function over(url: string, id: string): Promise<QueryRecord> {
  for (let seen = -1; ;) {
    const query = `?wait_ms=5000${seen < 0 ? '' : `&seen=${seen}`}`;
    const { record } = await read(url, id, query);
    if (['answered', 'prepared', 'refused', 'failed'].includes(record.state)) return record;
    seen = record.revision;
  }
}

export function goOf(
  party: string,
  signed: SignedSubmission,
  plan: string,
  edit: Partial<Go> = {},
) {
  const go: Go = {
    version: 1,
    room: room.policy.room,
    policy_digest: room.digest,
    query_id: signed.document.query_id,
    plan_digest: plan,
    submission_digest: submissionDigest(signed.document),
    party,
    ledger_before: '00'.repeat(32),
    ledger_after: '11'.repeat(32),
    datasets: [{ table: 'purchases', commitment: '33'.repeat(32) }],
    ledger_seq: 2,
    suite: 'test',
    nonce: toHex(randomBytes(32)),
    ...edit,
  };
  return signGo(go, room.parties[party]!.identity.privateKey);
}

function headOf(party: string, seq: number, hash: string): SignedHead {
  const { identity } = room.parties[party]!;
  const own = { room: room.policy.room, party, identity_key: identity.publicKey };
  return signHead({ version: 1, ...own, seq, hash }, identity.privateKey);
}

/** What a party says of its ledger before it reserves. */
export function statementOf(party: string, id: string): SignedStatement {
  const { identity } = room.parties[party]!;
  const names = { room: room.policy.room, policy_digest: room.digest, query_id: id, party };
  const head = headOf(party, 1, '00'.repeat(32));
  const seen = PARTIES.filter((name) => name !== party).map((name) => ({
    party: name,
    heads: [],
    shared: { epsilon: '0', delta: '0', rho: '0' },
  }));
  return signStatement({ version: 1, ...names, head, seen }, identity.privateKey);
}

/** @param more - what it offers beside. */
export function sendReady(party: FakeParty, id: string, more: object = {}): void {
  const ledger = statementOf(party.name, id);
  party.relay.sendControl({ type: 'ready', query_id: id, ledger, ...more });
}

export function extensionOf(party: string): LedgerExtension {
  return { head: headOf(party, 2, '11'.repeat(32)), proofs: [] };
}

export function sendGo(party: FakeParty, id: string, go: unknown): void {
  const extension = extensionOf(party.name);
  party.relay.sendControl({ type: 'go', query_id: id, go, extension });
}

/** Vets, reserves and gives its go; returns everybody's goes. */
export async function agree(party: FakeParty, id: string): Promise<readonly SignedGo[]> {
  const order = await party.next('query', id);
  sendReady(party, id);
  await party.next('reserve', id);
  const go = goOf(party.name, order.submission as SignedSubmission, order.plan_digest);
  sendGo(party, id, go);
  return (await party.next('gos', id)).gos as readonly SignedGo[];
}

/** A receipt and a sealed share that belong to these goes. */
export async function answerOf(
  party: string,
  gos: readonly SignedGo[],
  edit: Partial<Receipt> = {},
): Promise<{ receipt: unknown; sealed: unknown }> {
  const own = gos.find((g) => g.document.party === party)!.document;
  const names = {
    room: own.room,
    policy_digest: own.policy_digest,
    query_id: own.query_id,
    plan_digest: own.plan_digest,
    session: sessionOf(gos, room.policy, [...PARTIES]),
    party,
  };
  const sealed = await sealShare(randomBytes(64), room.ana.sealing.publicKey, names);
  const receipt = signReceipt(
    {
      version: 1,
      backend: 'mpc',
      ...names,
      submission_digest: own.submission_digest,
      suite: 'test',
      datasets: { [party]: own.datasets },
      ledger_before: own.ledger_before,
      ledger_after: own.ledger_after,
      noise: { mechanism: 'test' },
      bounds: {},
      price: { epsilon: '0', delta: '0' },
      share_commitment: '22'.repeat(32),
      share_digest: shareDigest(sealed),
      spent: [{ dataset: `${party}/table`, epoch: '0', epsilon: '0', delta: '0' }],
      software: 'test',
      ...edit,
    },
    room.parties[party]!.identity.privateKey,
  );
  return { receipt, sealed };
}
