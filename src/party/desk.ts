import { asParleyError, ParleyError } from '../core/errors.ts';
import { FREE } from '../dp/index.ts';
import type { LedgerExtension, SignedGo, SignedStatement, Submission } from '../records/index.ts';
import type { AnswerReport } from './checkpoints/index.ts';
import { chargesOf } from './consent.ts';
import type { CommittedReport, FromCoordinator, PreparedReport, ToCoordinator } from './control.ts';
import { EnclaveSession } from './enclave-run.ts';
import type { PartyContext } from './node.ts';
import { expectPermit, usePermit } from './permit.ts';
import { PrepareSession } from './prepare.ts';
import { findAnswer, offerReport, replayAnswer, type ReplayOffer } from './replay.ts';
import type { Restored } from './resume.ts';
import { QuerySession } from './session.ts';
import { vetSubmission } from './vet.ts';

/** LOCAL. Queries a node works on at once; more are refused before they cost anything. */
export const QUERIES_MAX = 4;

/** LOCAL. Longest from a vetted query to everybody's goes; longer than the coordinator waits. */
const AGREE_TIMEOUT_MS = 60_000;

/** LOCAL. Longest run; longer than the coordinator's own deadline, for one that keeps quiet. */
export const RUN_TIMEOUT_MS = 15 * 60_000;

/** LOCAL. Longest wait between two epochs; longer than the coordinator waits. */
const PARK_TIMEOUT_MS = 30_000;

/** One query at the desk. */
interface Entry {
  readonly session: QuerySession | PrepareSession | EnclaveSession;
  /** Ends the whole query, from the vetting on. */
  late: NodeJS.Timeout;
  /** Ends the wait for the next epoch. */
  parked: NodeJS.Timeout | null;
  /** Settles with the present epoch. */
  work: Promise<void>;
  /** An earlier answer that would do. */
  offer: ReplayOffer | null;
}

/**
 * The queries of a node: admits, starts, parks, resumes and ends them on the coordinator's word,
 * which is never believed, only acted on within what session and ledger allow. Every query ends
 * here by itself too, in time, whatever the coordinator says or leaves unsaid.
 */
export class Desk {
  readonly #context: PartyContext;
  readonly #entries = new Map<string, Entry>();
  readonly #running = new Set<Promise<void>>();
  /** Ends nobody could be told of; told on the next connection. */
  readonly #untold = new Map<string, ParleyError>();
  #connections = 0;
  #closing = false;

  constructor(context: PartyContext, { sessions, lost }: Restored) {
    this.#context = context;
    for (const session of sessions) {
      const queryId = session.query.submission.query_id;
      const entry = this.#enter(queryId, session, RUN_TIMEOUT_MS);
      if (session.state === 'parked') this.#waitParked(queryId, entry);
    }
    for (const { queryId, error } of lost) this.#untold.set(queryId, error);
  }

  /** @throws ParleyError whatever is wrong with the message; the caller ignores it then. */
  hear(message: FromCoordinator): void {
    switch (message.type) {
      case 'query':
        this.#admit(message);
        break;
      case 'reserve':
        this.#reserve(message.query_id, message.ledgers);
        break;
      case 'replay':
        this.#replay(message.query_id, message.session);
        break;
      case 'gos':
        this.#start(message.query_id, message.gos, message.extensions);
        break;
      case 'park':
        this.#park(message.query_id, message.epoch);
        break;
      case 'resume':
        this.#resume(message.query_id, message.epoch);
        break;
      case 'enclave':
      case 'feed':
      case 'envelope':
        this.#carry(message);
        break;
      case 'abort':
      case 'over':
        this.#forget(message.query_id);
        break;
    }
  }

  /** What was not begun, or only prepares, is over; runs stop and wait, because another epoch may come. */
  disconnected(): void {
    this.#connections += 1;
    for (const [queryId, { session }] of [...this.#entries]) {
      const begun = session.state !== 'vetted' && session.state !== 'reserved';
      if (begun && session instanceof QuerySession) session.park();
      else this.#forget(queryId);
    }
  }

  /** First words on a connection: what ended meanwhile, what is still held, what is answered. */
  async connected(): Promise<void> {
    const connection = ++this.#connections;
    await Promise.all([...this.#entries.values()].map(({ work }) => work));
    if (this.#closing || connection !== this.#connections) return;
    for (const [queryId, error] of [...this.#untold]) {
      this.#untold.delete(queryId);
      this.#report('fail', queryId, error);
    }
    const begun = this.#questions().filter(
      ([, { state }]) => state === 'parked' || state === 'answered',
    );
    this.#send({
      type: 'held',
      runs: begun.map(([query_id, session]) => ({
        query_id,
        epoch: Math.max(0, session.epoch),
        answered: session.answer !== null,
      })),
    });
    for (const [, session] of begun) if (session.answer !== null) this.#send(session.answer);
  }

  /** Lets runs end for at most `graceMs`; what is kept of the others stays for the next start. */
  async close(graceMs: number): Promise<void> {
    this.#closing = true;
    const stopAll = (): void => {
      for (const [queryId, entry] of [...this.#entries]) {
        this.#drop(queryId, entry);
        entry.session.cancel();
      }
    };
    const timer = setTimeout(stopAll, graceMs);
    await Promise.allSettled(this.#running);
    clearTimeout(timer);
    stopAll();
    await Promise.allSettled(this.#running);
  }

  /** Runs of queries, which may go on in another epoch. */
  #questions(): [string, QuerySession][] {
    return [...this.#entries].flatMap(([queryId, { session }]) =>
      session instanceof QuerySession ? [[queryId, session]] : [],
    );
  }

  #send(message: ToCoordinator): boolean {
    return this.#context.relay.sendControl(message);
  }

  #report(type: 'refuse' | 'fail', queryId: string, thrown: unknown): void {
    const { log } = this.#context;
    const error = asParleyError(thrown);
    const { code, fault } = error;
    log.warn({ query_id: queryId, code, fault }, error.message);
    if (code === 'INTERNAL') {
      log.error({ query_id: queryId, err: error.cause ?? error }, 'a bug of this node');
    }
    const told = this.#send({ type, query_id: queryId, error: error.toJSON() });
    if (!told && type === 'fail') this.#untold.set(queryId, error);
  }

  #enter(queryId: string, session: Entry['session'], timeoutMs: number): Entry {
    const late = setTimeout(() => this.#fail(queryId, timedOut()), timeoutMs);
    const entry: Entry = { session, late, parked: null, work: Promise.resolve(), offer: null };
    this.#entries.set(queryId, entry);
    return entry;
  }

  #drop(queryId: string, entry: Entry): void {
    clearTimeout(entry.late);
    if (entry.parked !== null) clearTimeout(entry.parked);
    this.#entries.delete(queryId);
  }

  /** The query is over: stops it and removes what is kept of it. */
  #forget(queryId: string): void {
    const entry = this.#entries.get(queryId);
    if (entry === undefined) return;
    this.#drop(queryId, entry);
    entry.session.cancel();
    const { session } = entry;
    if (session instanceof QuerySession) this.#track(entry.work.then(() => session.forget()));
  }

  #fail(queryId: string, error: unknown): void {
    if (!this.#entries.has(queryId)) return;
    this.#forget(queryId);
    this.#report('fail', queryId, error);
  }

  #track(work: Promise<void>): void {
    const settled = work.finally(() => this.#running.delete(settled));
    this.#running.add(settled);
  }

  #admit(message: Extract<FromCoordinator, { type: 'query' }>): void {
    const { ledger, budget } = this.#context;
    const queryId = message.submission.document.query_id;
    try {
      const answered = this.#questions().filter(([, { answer }]) => answer !== null);
      if (this.#closing || this.#entries.size - answered.length >= QUERIES_MAX) {
        throw new ParleyError('TOO_MANY_QUERIES', 'this party is busy with other queries');
      }
      if (this.#entries.has(queryId)) throw reused();
      const query = vetSubmission(message.submission, message.plan_digest, this.#context);
      expectPermit(query, this.#context);
      const given = findAnswer(this.#context, query);
      const refusal = refusalOf(() => {
        if (ledger.has(queryId)) throw reused();
        const charges = chargesOf(this.#context, query);
        ledger.expectAffordable(charges, query.price, { limits: budget, missing: FREE });
      });
      if (refusal !== null && given === null) throw refusal;
      const kind = kindOf(query.submission);
      const entry = this.#enter(queryId, new kind(this.#context, query), AGREE_TIMEOUT_MS);
      entry.offer = given === null ? null : { given, otherwise: refusal?.toJSON() ?? null };
      const replay = entry.offer === null ? {} : { replay: offerReport(entry.offer) };
      this.#send({ type: 'ready', query_id: queryId, ...replay, ...talkOf(entry.session) });
    } catch (error) {
      this.#report('refuse', queryId, error);
    }
  }

  /** Everybody offered one run's answer: gives it again. Nothing is charged, and no permit used. */
  #replay(queryId: string, session: string): void {
    const entry = this.#entries.get(queryId);
    if (entry?.session.state !== 'vetted' || entry.offer === null) return;
    try {
      const { query } = entry.session;
      const { given } = entry.offer;
      const replayed = replayAnswer(this.#context, query, entry.offer, session);
      this.#context.log.info({ query_id: queryId }, 'an earlier answer is given again');
      this.#send(replayed);
      if ('answer' in given) this.#send({ type: 'answer', query_id: queryId, ...given.answer });
      this.#forget(queryId);
    } catch (error) {
      this.#fail(queryId, error);
    }
  }

  #reserve(queryId: string, ledgers: readonly SignedStatement[]): void {
    const session = this.#entries.get(queryId)?.session;
    if (session?.state !== 'vetted') return;
    try {
      if (session instanceof PrepareSession) {
        this.#send({ type: 'go', query_id: queryId, go: session.reserve() });
        return;
      }
      session.talk?.hear(ledgers);
      // Before the charge: a crash between the two costs a run of the approval, never gives one.
      // Preparing runs nothing, so it uses none.
      usePermit(session.query, this.#context);
      this.#send({ type: 'go', query_id: queryId, ...session.reserve() });
    } catch (error) {
      this.#forget(queryId);
      this.#report('refuse', queryId, error);
    }
  }

  #start(queryId: string, gos: readonly SignedGo[], extensions: readonly LedgerExtension[]): void {
    const entry = this.#entries.get(queryId);
    if (entry?.session.state !== 'reserved') return;
    clearTimeout(entry.late);
    entry.late = setTimeout(() => this.#fail(queryId, timedOut()), RUN_TIMEOUT_MS);
    this.#follow(queryId, entry, entry.session.begin(gos, extensions));
  }

  /** What the coordinator carries of a run in an enclave; whatever is wrong with it ends the run. */
  #carry(message: Extract<FromCoordinator, { type: 'enclave' | 'feed' | 'envelope' }>): void {
    const { query_id: queryId } = message;
    const session = this.#entries.get(queryId)?.session;
    if (!(session instanceof EnclaveSession)) {
      const unknown = new ParleyError(
        'QUERY_UNKNOWN',
        'no run of this id waits for an enclave here',
      );
      this.#report('fail', queryId, unknown);
      return;
    }
    try {
      if (message.type === 'enclave') session.greet(message.greeting);
      else if (message.type === 'feed') session.feed();
      else session.commit(message.envelope);
    } catch (error) {
      this.#fail(queryId, error);
    }
  }

  #park(queryId: string, epoch: number): void {
    const session = this.#entries.get(queryId)?.session;
    if (session instanceof QuerySession && session.epoch === epoch) session.park();
  }

  #resume(queryId: string, epoch: number): void {
    const entry = this.#entries.get(queryId);
    if (!(entry?.session instanceof QuerySession)) return;
    if (entry.session.state !== 'parked' || epoch <= entry.session.epoch) return;
    if (entry.parked !== null) clearTimeout(entry.parked);
    entry.parked = null;
    this.#follow(queryId, entry, entry.session.resume(epoch));
  }

  /** One epoch to its end: an answer, stock, a failure, or a wait for the next one. */
  #follow(
    queryId: string,
    entry: Entry,
    run: Promise<AnswerReport | PreparedReport | CommittedReport | null>,
  ): void {
    entry.work = run
      .then((report) => {
        if (this.#entries.get(queryId) !== entry) return;
        if (report === null) this.#parked(queryId, entry);
        else if (report.type !== 'committed') this.#send(report);
        // Nobody asks again for what is prepared, or for what an enclave answered.
        if (report !== null && report.type !== 'answer') this.#drop(queryId, entry);
      })
      .catch((error: unknown) => {
        // Who ended the query knows; what the stopped run says is of no interest.
        if (this.#entries.get(queryId) === entry) this.#fail(queryId, error);
      });
    this.#track(entry.work);
  }

  #parked(queryId: string, entry: Entry): void {
    if (!(entry.session instanceof QuerySession)) return;
    const { epoch } = entry.session;
    this.#context.log.info({ query_id: queryId, epoch }, 'the run was interrupted');
    this.#waitParked(queryId, entry);
    this.#send({ type: 'parked', query_id: queryId, epoch });
  }

  #waitParked(queryId: string, entry: Entry): void {
    entry.parked = setTimeout(() => {
      this.#fail(
        queryId,
        this.#context.relay.connected
          ? new ParleyError('PARTY_AWAY', 'a party did not come back to its run')
          : new ParleyError('COORDINATOR_AWAY', 'the coordinator was lost in the middle of a run'),
      );
    }, PARK_TIMEOUT_MS);
  }
}

function reused(): ParleyError {
  return new ParleyError('QUERY_ID_REUSED', 'this query id has been used before');
}

/** Why `check` refuses; null when it does not. */
function refusalOf(check: () => void): ParleyError | null {
  try {
    check();
    return null;
  } catch (error) {
    return asParleyError(error);
  }
}

/** What a party says of its ledger when it is ready; nothing when it only prepares. */
function talkOf(session: Entry['session']): { readonly ledger?: SignedStatement } {
  if (session instanceof PrepareSession || session.talk === null) return {};
  return { ledger: session.talk.statement };
}

function kindOf({ backend, purpose }: Submission) {
  if (purpose === 'prepare') return PrepareSession;
  return backend === 'tee' ? EnclaveSession : QuerySession;
}

function timedOut(): ParleyError {
  return new ParleyError('TIMEOUT', 'the query did not end in time');
}
