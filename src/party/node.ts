import type { Logger } from 'pino';
import { fromHex } from '../core/bytes.ts';
import { asParleyError, ParleyError } from '../core/errors.ts';
import { parseDecimal } from '../core/rational.ts';
import type { Rng } from '../core/rng.ts';
import { systemRng } from '../core/rng.ts';
import type { KeyPair } from '../policy/index.ts';
import { signBytes, verifyPacket } from '../policy/index.ts';
import type { Policy, PolicyPacket } from '../policy/types.ts';
import type { SignedGo } from '../records/index.ts';
import type { DirectLinks, Relay, TraceEvent } from '../transport/index.ts';
import { connectRelay } from '../transport/index.ts';
import type { FromCoordinator, ToCoordinator } from './control.ts';
import { parseControl } from './control.ts';
import type { Budget } from './ledger/index.ts';
import { Ledger } from './ledger/index.ts';
import { openDirect, type ListenAddress } from './links.ts';
import { openPool, type WorkerPool } from './run/pool.ts';
import { QuerySession } from './session.ts';
import type { Store } from './store/index.ts';
import { openStore } from './store/index.ts';
import { vetSubmission } from './vet.ts';

/** LOCAL. Queries a node works on at once; more are refused before they cost anything. */
const QUERIES_MAX = 4;

/** LOCAL. Longest from a vetted query to everybody's goes; longer than the coordinator waits. */
const AGREE_TIMEOUT_MS = 60_000;

/** LOCAL. Longest run; longer than the coordinator's own deadline, for one that keeps quiet. */
const RUN_TIMEOUT_MS = 15 * 60_000;

export interface PartyOptions {
  readonly packet: PolicyPacket;
  readonly party: string;
  readonly keys: { readonly identity: KeyPair; readonly link: KeyPair };
  /** The store its data was imported into. */
  readonly storePath: string;
  readonly ledgerDirectory: string;
  readonly coordinatorUrl: string;
  /** Given exactly when the policy's links are direct. */
  readonly listen?: ListenAddress;
  /** Shards of one query computed at once; the number of cores when left out. */
  readonly workers?: number;
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
  readonly store: Store;
  readonly relay: Relay;
  /** Null when links go through the relay. */
  readonly direct: DirectLinks | null;
  readonly budget: Budget | null;
  /** Commitment to a table's content, as the ledger names it. */
  readonly dataset: (table: string) => string;
  readonly pool: WorkerPool;
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
 *   other keys), STORE_MISMATCH, LEDGER_CORRUPT, LEDGER_LOCKED, BAD_CONFIG (`listen`), COORDINATOR_AWAY.
 */
export async function startParty(options: PartyOptions): Promise<PartyNode> {
  const { policy, digest } = verifyPacket(options.packet);
  expectOwnKeys(policy, options);
  const store = await openStore(options.storePath, { readOnly: true });
  let ledger: Ledger | null = null;
  let direct: DirectLinks | null = null;
  try {
    ledger = Ledger.open(options.ledgerDirectory, { room: policy.room, party: options.party });
    direct = await openDirect(policy, options);
    const relay = await connectRelay({
      url: options.coordinatorUrl,
      room: policy.room,
      policyDigest: digest,
      party: options.party,
      sign: (message) => signBytes(options.keys.identity.privateKey, message),
      log: options.log,
    });
    return serve({
      policy,
      policyDigest: digest,
      party: options.party,
      keys: options.keys,
      ledger,
      store,
      relay,
      direct,
      budget: budgetOf(policy),
      dataset: datasetOf(policy, options.party, store),
      pool: openPool(QUERIES_MAX, options.workers),
      rng: systemRng,
      log: options.log,
      ...(options.trace === undefined ? {} : { trace: options.trace }),
    });
  } catch (error) {
    await direct?.close();
    ledger?.close();
    store.close();
    throw error;
  }
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

function budgetOf(policy: Policy): Budget | null {
  const dp = policy.rules.differential_privacy;
  if (dp === 'off') return null;
  return { epsilon: parseDecimal(dp.epsilon_budget), delta: parseDecimal(dp.delta_budget) };
}

function datasetOf(policy: Policy, party: string, store: Store): (table: string) => string {
  const tables = policy.parties.find((p) => p.name === party)?.tables ?? {};
  const salt = fromHex(policy.identifier_salt, 32);
  const digests = new Map(
    Object.entries(tables).map(([name, table]) => [
      name,
      store.table(name, table, salt).datasetDigest,
    ]),
  );
  return (table) => digests.get(table) ?? '';
}

function serve(context: PartyContext): PartyNode {
  const sessions = new Map<
    string,
    { readonly session: QuerySession; readonly late: NodeJS.Timeout }
  >();
  const running = new Set<Promise<void>>();
  let closing = false;
  const send = (message: ToCoordinator): void => {
    context.relay.sendControl(message);
  };
  const report = (type: 'refuse' | 'fail', queryId: string, thrown: unknown): void => {
    const error = asParleyError(thrown);
    const { code, fault } = error;
    context.log.warn({ query_id: queryId, code, fault }, error.message);
    if (code === 'INTERNAL') {
      context.log.error({ query_id: queryId, err: error.cause ?? error }, 'a bug of this node');
    }
    send({ type, query_id: queryId, error: error.toJSON() });
  };
  const forget = (queryId: string): void => {
    const entry = sessions.get(queryId);
    if (entry === undefined) return;
    clearTimeout(entry.late);
    entry.session.cancel();
    sessions.delete(queryId);
  };
  const admit = (message: Extract<FromCoordinator, { type: 'query' }>): void => {
    const queryId = message.submission.document.query_id;
    try {
      if (closing || sessions.size >= QUERIES_MAX) {
        throw new ParleyError('TOO_MANY_QUERIES', 'this party is busy with other queries');
      }
      if (context.ledger.has(queryId) || sessions.has(queryId)) {
        throw new ParleyError('QUERY_ID_REUSED', 'this query id has been used before');
      }
      const query = vetSubmission(message.submission, message.plan_digest, context);
      context.ledger.expectAffordable(query.price, context.budget);
      const late = setTimeout(() => {
        forget(queryId);
        report('fail', queryId, new ParleyError('TIMEOUT', 'the parties did not agree in time'));
      }, AGREE_TIMEOUT_MS);
      sessions.set(queryId, { session: new QuerySession(context, query), late });
      send({ type: 'ready', query_id: queryId });
    } catch (error) {
      report('refuse', queryId, error);
    }
  };
  const start = (queryId: string, gos: readonly SignedGo[]): void => {
    const entry = sessions.get(queryId);
    if (entry?.session.state !== 'reserved') return;
    clearTimeout(entry.late);
    const deadline = setTimeout(() => {
      forget(queryId);
    }, RUN_TIMEOUT_MS);
    const run = entry.session
      .run(gos)
      .then(send)
      .catch((error: unknown) => {
        report('fail', queryId, error);
      });
    const settled = run.finally(() => {
      clearTimeout(deadline);
      forget(queryId);
      running.delete(settled);
    });
    running.add(settled);
  };
  const reserve = (queryId: string): void => {
    const entry = sessions.get(queryId);
    if (entry?.session.state !== 'vetted') return;
    try {
      send({ type: 'go', query_id: queryId, go: entry.session.reserve() });
    } catch (error) {
      forget(queryId);
      report('refuse', queryId, error);
    }
  };
  context.relay.onControl((raw) => {
    try {
      const message = parseControl(raw);
      if (message.type === 'query') admit(message);
      else if (message.type === 'reserve') reserve(message.query_id);
      else if (message.type === 'gos') start(message.query_id, message.gos);
      else forget(message.query_id);
    } catch (error) {
      context.log.warn({ code: asParleyError(error).code }, 'control message ignored');
    }
  });
  // A coordinator that is gone has ended its queries; what was reserved stays charged.
  context.relay.onConnection((connected) => {
    if (!connected) for (const queryId of [...sessions.keys()]) forget(queryId);
  });
  return {
    linkPort: context.direct?.port ?? null,
    ended: context.relay.closed,
    async close(graceMs = 10_000) {
      closing = true;
      const timer = setTimeout(() => {
        for (const queryId of [...sessions.keys()]) forget(queryId);
      }, graceMs);
      await Promise.allSettled(running);
      clearTimeout(timer);
      for (const queryId of [...sessions.keys()]) forget(queryId);
      await context.direct?.close();
      await context.relay.close();
      await context.pool.close();
      context.ledger.close();
      context.store.close();
    },
  };
}
