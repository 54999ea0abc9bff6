import type { Logger } from 'pino';
import { fromHex } from '../core/bytes.ts';
import { asParleyError, ParleyError } from '../core/errors.ts';
import type { Rng } from '../core/rng.ts';
import { systemRng } from '../core/rng.ts';
import type { Limits } from '../dp/index.ts';
import { limitsOf } from '../dp/index.ts';
import type { DatasetTerms, KeyPair } from '../policy/index.ts';
import { datasetTerms, signBytes, verifyPacket } from '../policy/index.ts';
import type { Policy, PolicyPacket } from '../policy/types.ts';
import type { DirectLinks, Relay, TraceEvent } from '../transport/index.ts';
import { connectRelay } from '../transport/index.ts';
import { AnswerBook } from './answers/index.ts';
import type { Owner, Shelf } from './checkpoints/index.ts';
import { openShelf } from './checkpoints/index.ts';
import { ApprovalBook } from './approvals/index.ts';
import { parseControl } from './control.ts';
import { Desk, QUERIES_MAX, RUN_TIMEOUT_MS } from './desk.ts';
import { Ledger } from './ledger/index.ts';
import { openDirect, type ListenAddress } from './links.ts';
import { expectPinnedPlan } from './pinned.ts';
import { openPool, type WorkerPool } from './run/pool.ts';
import type { Restored } from './resume.ts';
import { restoreRuns } from './resume.ts';
import { Stock } from './stock/index.ts';
import type { Store } from './store/index.ts';
import { openStore } from './store/index.ts';

export interface PartyOptions {
  readonly packet: PolicyPacket;
  readonly party: string;
  readonly keys: { readonly identity: KeyPair; readonly link: KeyPair };
  /** The store its data was imported into. */
  readonly storePath: string;
  readonly ledgerDirectory: string;
  /** A ledger for all rooms of the party, which draw on the same budgets; else it is of one room. */
  readonly ledgerShared?: boolean;
  /** Where runs are kept, sealed, until they end; see checkpoints/. */
  readonly runsDirectory: string;
  /** Where answers are kept for identical questions; without it every question is run. */
  readonly answersDirectory?: string;
  /** Where `parley approve` puts approvals; without it nothing is ever approved. */
  readonly approvalsDirectory?: string;
  readonly coordinatorUrl: string;
  /** Given exactly when the policy's links are direct. */
  readonly listen?: ListenAddress;
  /** Shards of one query computed at once; the number of cores when left out. */
  readonly workers?: number;
  /** Where correlations made ahead are kept, and how many bytes of them; none when left out. */
  readonly stock?: { readonly directory: string; readonly bytesMax: number };
  readonly log: Logger;
  /** Every message of every link, by path, step and length; for shape tests and metrics. */
  readonly trace?: (event: TraceEvent) => void;
}

/** What a session needs of its node. */
export interface PartyContext {
  readonly policy: Policy;
  readonly policyDigest: string;
  readonly party: string;
  readonly keys: PartyOptions['keys'];
  readonly ledger: Ledger;
  readonly shelf: Shelf;
  readonly approvals: ApprovalBook | null;
  /** Null at a node that keeps none. */
  readonly answers: AnswerBook | null;
  readonly store: Store;
  readonly relay: Relay;
  /** Null when links go through the relay. */
  readonly direct: DirectLinks | null;
  /** What any dataset may spend under the policy; null without differential privacy. */
  readonly budget: Limits | null;
  /** This party's datasets, as budgets are of them. */
  readonly datasets: readonly DatasetTerms[];
  /** Commitment to a table's content, as the ledger names it. */
  readonly dataset: (table: string) => string;
  readonly pool: WorkerPool;
  /** Null at a node that keeps none. */
  readonly stock: Stock | null;
  readonly rng: Rng;
  readonly log: Logger;
  readonly trace?: (event: TraceEvent) => void;
}

/** A running party node. */
export interface PartyNode {
  /** Where it takes links of other parties; null when they go through the relay. */
  readonly linkPort: number | null;
  /** Stops taking queries, lets running ones end for at most `graceMs`, and lets go of files. */
  close(graceMs?: number): Promise<void>;
  /** Settles when the node has left the room for good: null after `close`, else why. */
  readonly ended: Promise<ParleyError | null>;
}

/**
 * Starts a party node: checks the packet and its own keys, opens store and ledger, joins the room.
 * @throws ParleyError POLICY_UNSIGNED, POLICY_BAD_SIGNATURE, POLICY_FOREIGN (not a party of it, or
 *   other keys), POLICY_OUT_OF_RANGE (it pins a template that has no plan, or changes what the
 *   ledger's datasets spend under), STORE_MISMATCH,
 *   LEDGER_CORRUPT, LEDGER_ROLLED_BACK, LEDGER_FOREIGN, LEDGER_LOCKED, BAD_CONFIG (`listen`), COORDINATOR_AWAY.
 */
export async function startParty(options: PartyOptions): Promise<PartyNode> {
  const { policy, digest } = verifyPacket(options.packet);
  expectOwnKeys(policy, options);
  expectPinnedPlan(policy, digest);
  const budget = budgetOf(policy);
  const store = await openStore(options.storePath, { readOnly: true });
  let ledger: Ledger | null = null;
  let stock: Stock | null = null;
  let direct: DirectLinks | null = null;
  let relay: Relay | null = null;
  let pool: WorkerPool | null = null;
  try {
    ledger = openLedger(policy, options);
    stock = openStock(policy, digest, options);
    direct = await openDirect(policy, options);
    relay = await connectRelay({
      url: options.coordinatorUrl,
      room: policy.room,
      policyDigest: digest,
      party: options.party,
      sign: (message) => signBytes(options.keys.identity.privateKey, message),
      log: options.log,
    });
    const owner: Owner = {
      room: policy.room,
      policyDigest: digest,
      party: options.party,
      secret: options.keys.identity.privateKey,
    };
    const shelf = await openShelf(options.runsDirectory, owner);
    pool = openPool(QUERIES_MAX, options.workers);
    const context: PartyContext = {
      policy,
      policyDigest: digest,
      party: options.party,
      keys: options.keys,
      ledger,
      shelf,
      approvals: approvalsOf(options, policy.room, digest),
      answers: answersOf(options, owner),
      store,
      relay,
      direct,
      budget,
      datasets: datasetTerms(policy, options.party),
      dataset: commitmentsOf(policy, options.party, store),
      pool,
      stock,
      rng: systemRng,
      log: options.log,
      ...(options.trace === undefined ? {} : { trace: options.trace }),
    };
    const limits = { runsMax: QUERIES_MAX, ageMsMax: RUN_TIMEOUT_MS };
    return serve(context, await restoreRuns(context, limits));
  } catch (error) {
    await Promise.all([direct?.close(), relay?.close(), pool?.close()]);
    stock?.close();
    ledger?.close();
    store.close();
    throw error;
  }
}

function openStock(
  policy: Policy,
  policyDigest: string,
  { stock, party, keys, log }: PartyOptions,
): Stock | null {
  if (stock === undefined || stock.bytesMax === 0) return null;
  const linkKey = keys.link.privateKey;
  return Stock.open({ ...stock, room: policy.room, policyDigest, party, linkKey, log });
}

/** @throws ParleyError POLICY_FOREIGN when the policy does not name this party with these keys. */
export function expectOwnKeys(
  policy: Policy,
  { party, keys }: Pick<PartyOptions, 'party' | 'keys'>,
): void {
  const own = policy.parties.find((p) => p.name === party);
  if (own === undefined) {
    throw new ParleyError('POLICY_FOREIGN', 'the policy does not name this party', { party });
  }
  if (own.identity_key !== keys.identity.publicKey || own.link_key !== keys.link.publicKey) {
    throw new ParleyError('POLICY_FOREIGN', "the policy names other keys than this party's", {
      party,
    });
  }
}

function answersOf({ answersDirectory, log }: PartyOptions, owner: Owner): AnswerBook | null {
  return answersDirectory === undefined ? null : AnswerBook.open(answersDirectory, owner, log);
}

function approvalsOf(
  { approvalsDirectory, party, keys }: PartyOptions,
  room: string,
  policyDigest: string,
): ApprovalBook | null {
  if (approvalsDirectory === undefined) return null;
  const identityKey = keys.identity.publicKey;
  return new ApprovalBook(approvalsDirectory, { room, policyDigest, party, identityKey });
}

function budgetOf(policy: Policy): Limits | null {
  const dp = policy.rules.differential_privacy;
  return dp === 'off' ? null : limitsOf(dp);
}

/** The ledger, once it is sure that the policy may spend from it. */
function openLedger(policy: Policy, options: PartyOptions): Ledger {
  const { party, keys, ledgerDirectory, ledgerShared: shared = false } = options;
  const owner = { party, room: policy.room, shared, identity: keys.identity };
  const ledger = Ledger.open(ledgerDirectory, owner);
  const dp = policy.rules.differential_privacy;
  try {
    ledger.expectTerms({
      datasets: datasetTerms(policy, party),
      partyIndex: policy.parties.findIndex(({ name }) => name === party),
      refresh: dp === 'off' ? 'none' : (dp.budget_refresh ?? 'none'),
    });
    return ledger;
  } catch (error) {
    ledger.close();
    throw error;
  }
}

function commitmentsOf(policy: Policy, party: string, store: Store): (table: string) => string {
  const tables = policy.parties.find((p) => p.name === party)?.tables ?? {};
  const salt = fromHex(policy.identifier_salt, 32);
  const commitments = new Map(
    Object.entries(tables).map(([name, table]) => [
      name,
      store.table(name, table, salt).commitment,
    ]),
  );
  return (table) => commitments.get(table) ?? '';
}

function serve(context: PartyContext, restored: Restored): PartyNode {
  const desk = new Desk(context, restored);
  context.relay.onControl((raw) => {
    try {
      desk.hear(parseControl(raw));
    } catch (error) {
      context.log.warn({ code: asParleyError(error).code }, 'control message ignored');
    }
  });
  context.relay.onConnection((connected) => {
    if (connected) void desk.connected();
    else desk.disconnected();
  });
  if (context.relay.connected) void desk.connected();
  return {
    linkPort: context.direct?.port ?? null,
    ended: context.relay.closed,
    async close(graceMs = 10_000) {
      await desk.close(graceMs);
      await context.direct?.close();
      await context.relay.close();
      await context.pool.close();
      context.stock?.close();
      context.ledger.close();
      context.store.close();
    },
  };
}
