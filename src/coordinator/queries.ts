import { setTimeout as pause } from 'node:timers/promises';
import { asParleyError, ParleyError } from '../core/errors.ts';
import type { Policy, PolicyPacket } from '../policy/types.ts';
import {
  submissionDigest,
  verifySubmission,
  type QueryError,
  type QueryRecord,
  type SignedSubmission,
} from '../records/index.ts';
import { planDigest, planQuery } from '../sql/index.ts';
import type { Order, Report } from '../transport/index.ts';
import { noteGo, noteReady, type Readied } from './agreement.ts';
import { checkAnswer } from './answer.ts';
import type { Audit, AuditEvent } from './audit.ts';
import { EnclaveDesk, type EnclaveHost } from './enclave.ts';
import type { PartyHub } from './hub.ts';
import { PROGRESS_INTERVAL_MS, type CoordinatorLimits } from './limits.ts';
import { StartLine } from './line.ts';
import type { Log } from './log.ts';
import {
  askedIn,
  away,
  changed,
  endOrder,
  inEnclave,
  isDone,
  isEcho,
  lostIn,
  newQuery,
  noteProgress,
  notePrepared,
  recordOf,
  TERMINAL,
  timeout,
  wake,
  type Query,
} from './query.ts';
import { RecoveryDesk } from './recovery.ts';
import { noteReplayed } from './replay.ts';
import type { RecordStore } from './store.ts';
import { Waiters } from './waiters.ts';

export interface QueryBookOptions {
  readonly packet: PolicyPacket;
  readonly policy: Policy;
  readonly policyDigest: string;
  /** Null in a room without enclaves. */
  readonly enclaveHost: EnclaveHost | null;
  readonly limits: CoordinatorLimits;
  readonly store: RecordStore;
  readonly audit: Audit;
  readonly log: Log;
  readonly hub: Pick<
    PartyHub,
    'isConnected' | 'send' | 'openRoute' | 'closeRoute' | 'openInputs' | 'feed'
  >;
}

/**
 * The life of every query, from submission to its one terminal state: `answered` (or `prepared`),
 * `refused` or `failed`. All checks here are courtesy, so that mistakes fail early and with a good
 * sentence; the parties and the analyst repeat every one that matters.
 */
export class QueryBook {
  readonly #o: QueryBookOptions;
  readonly #active = new Map<string, Query>();
  readonly #recovery: RecoveryDesk;
  readonly #enclaves: EnclaveDesk;
  readonly #line: StartLine;
  /** Ids on their way in: two requests with one id are looked at one after the other. */
  readonly #arriving = new Map<string, Promise<unknown>>();
  readonly #waiters: Waiters;
  #draining = false;

  constructor(options: QueryBookOptions) {
    this.#o = options;
    const { hub, audit, limits, log, packet, policyDigest, enclaveHost: host } = options;
    this.#waiters = new Waiters(limits.waitersMax);
    const fail = (query: Query, error: QueryError): void => this.#end(query, 'failed', error);
    const graceMs = limits.resumeGraceMs;
    this.#recovery = new RecoveryDesk({ hub, audit, graceMs, fail, changed });
    const answered = (query: Query): void => {
      if (!TERMINAL.has(query.state)) this.#end(query, 'answered', null);
    };
    const ends = { fail, changed, answered };
    const read = (id: string): Promise<QueryRecord> => this.read(id);
    this.#enclaves = new EnclaveDesk({ packet, policyDigest, host, hub, log, read, ...ends });
    this.#line = new StartLine({ limits, fail, start: (query) => this.#start(query) });
  }

  /**
   * Takes a submission whose form has been checked.
   *
   * @returns the record; an id seen before with the same bytes returns what became of it.
   * @throws ParleyError POLICY_MISMATCH, ANALYST_UNKNOWN, REQUEST_UNSIGNED, QUERY_ID_REUSED,
   *   TOO_MANY_QUERIES, COORDINATOR_AWAY (closing), STORAGE_FAILED. What is wrong with the SQL is
   *   in the record instead, in state `refused`.
   */
  async submit(submission: SignedSubmission): Promise<QueryRecord> {
    const { query_id: id } = verifySubmission(submission, this.#o.policy);
    const before = this.#arriving.get(id) ?? Promise.resolve();
    const mine = before.then(() => this.#submit(submission));
    const settled = mine.catch(() => undefined);
    this.#arriving.set(id, settled);
    try {
      return await mine;
    } finally {
      if (this.#arriving.get(id) === settled) this.#arriving.delete(id);
    }
  }

  /** The record of an id. @throws ParleyError QUERY_UNKNOWN, STORAGE_FAILED. */
  async read(id: string): Promise<QueryRecord> {
    const query = this.#active.get(id);
    if (query !== undefined) {
      // An end that a crash could take back is told to nobody: one id has one answer or one error.
      if (query.stored !== null) await query.stored;
      return recordOf(query);
    }
    const stored = await this.#o.store.load(id);
    if (stored === null) {
      throw new ParleyError('QUERY_UNKNOWN', 'the coordinator knows no query of this id');
    }
    return TERMINAL.has(stored.record.state) ? stored.record : lostIn(stored.record);
  }

  /** The record once its revision is above `seen`, it is terminal, or the time is over. */
  async wait(
    id: string,
    seen: number | null,
    waitMs: number,
    signal: AbortSignal,
  ): Promise<QueryRecord> {
    const query = this.#active.get(id);
    const { full } = this.#waiters;
    if (query !== undefined && waitMs > 0 && !full && query.revision <= (seen ?? query.revision)) {
      await this.#waiters.changed(query, waitMs, signal);
    }
    return this.read(id);
  }

  /** A party's report. Never throws: what is wrong with it fails the query. */
  report(party: string, report: Report): void {
    if (report.type === 'held') {
      this.#recovery.held(party, report.runs, this.#active);
      return;
    }
    const query = this.#active.get(report.query_id);
    // It may have ended while the report was on its way.
    if (query?.parties.includes(party) !== true || TERMINAL.has(query.state)) return;
    try {
      this.#handle(query, party, report);
    } catch (cause) {
      const error = asParleyError(cause);
      if (error.code === 'INTERNAL') this.#o.log.error({ err: cause }, 'a report was not handled');
      this.#end(query, 'failed', { ...error.toJSON(), party });
    }
  }

  /** A party's connection is gone: a run waits for it, anything earlier ends. */
  partyGone(party: string): void {
    for (const query of this.#active.values()) {
      // A party that has delivered its answer is done with the query.
      if (!query.parties.includes(party) || isDone(query, party)) continue;
      if (query.state === 'running') this.#recovery.interrupt(query, party);
      else if (!TERMINAL.has(query.state)) this.#end(query, 'failed', away(party));
    }
  }

  /** Takes no more queries and waits for those that run; then fails the rest. */
  async drain(): Promise<void> {
    this.#draining = true;
    const { drainTimeoutMs } = this.#o.limits;
    const deadline = performance.now() + drainTimeoutMs;
    while (this.#active.size > 0 && performance.now() < deadline) await pause(20);
    const closing = new ParleyError('COORDINATOR_AWAY', 'the coordinator was closed');
    for (const query of this.#active.values()) {
      if (!TERMINAL.has(query.state)) this.#end(query, 'failed', closing.toJSON());
    }
    for (let i = 0; i < 50 && this.#active.size > 0; i += 1) await pause(20);
  }

  async #submit(submission: SignedSubmission): Promise<QueryRecord> {
    const { document } = submission;
    const digest = submissionDigest(document);
    const known = await this.#known(document.query_id);
    if (known !== null) {
      if (known.submissionDigest === digest) return this.read(document.query_id);
      throw new ParleyError('QUERY_ID_REUSED', 'the query id was used for another query', {
        hint: 'choose a fresh random id for every query',
      });
    }
    if (this.#draining) {
      throw new ParleyError('COORDINATOR_AWAY', 'the coordinator is closing');
    }
    this.#line.expectRoom(this.#active.values(), document.analyst);
    const query = newQuery(submission, digest);
    this.#active.set(query.id, query);
    try {
      await this.#o.store.save({ submissionDigest: digest, record: recordOf(query) }, false);
    } catch (error) {
      this.#active.delete(query.id);
      throw error;
    }
    this.#audit(query, { event: 'submitted', ...askedIn(document) });
    this.#line.enter(query);
    return this.read(query.id);
  }

  async #known(id: string): Promise<{ readonly submissionDigest: string } | null> {
    return this.#active.get(id) ?? (await this.#o.store.load(id));
  }

  /** Plans the query and asks its parties to vet it. */
  #start(query: Query): void {
    const { policy, policyDigest, limits, hub } = this.#o;
    const { sql, epsilon } = query.submission.document;
    let digest: string;
    try {
      const plan = planQuery(policy, policyDigest, sql, { epsilon });
      query.sides = plan.sides;
      query.parties = plan.sides.map((side) => side.party);
      digest = planDigest(plan);
      query.planDigest = digest;
    } catch (cause) {
      const error = asParleyError(cause);
      if (error.code === 'INTERNAL') this.#o.log.error({ err: cause }, 'planning failed');
      this.#end(query, error.fault === 'bug' ? 'failed' : 'refused', error.toJSON());
      return;
    }
    const absent = query.parties.find((party) => !hub.isConnected(party));
    if (absent !== undefined) {
      this.#end(query, 'failed', away(absent));
      return;
    }
    this.#after(query, limits.agreeTimeoutMs, () => {
      const late = query.parties.find((party) => !query.gos.has(party));
      if (query.state !== 'agreeing' || late === undefined) return;
      this.#end(query, 'failed', timeout('a party did not answer in time', late));
    });
    this.#after(query, limits.queryTimeoutMs, () => {
      this.#end(query, 'failed', timeout('the query took longer than the coordinator allows'));
    });
    query.state = 'agreeing';
    this.#audit(query, { event: 'agreeing', plan_digest: digest });
    changed(query);
    const order = {
      type: 'query',
      query_id: query.id,
      submission: query.submission,
      plan_digest: digest,
    } as const;
    for (const party of query.parties) hub.send(party, order);
  }

  #handle(query: Query, party: string, report: Exclude<Report, { type: 'held' }>): void {
    switch (report.type) {
      case 'ready':
        this.#ready(query, party, report);
        break;
      case 'go':
        this.#go(query, party, report);
        break;
      case 'refuse': {
        const refusal = report.error.fault === 'caller' || report.error.fault === 'policy';
        this.#end(query, refusal ? 'refused' : 'failed', { ...report.error, party }, party);
        break;
      }
      case 'fail':
        this.#failed(query, party, report.error);
        break;
      case 'progress':
        this.#progress(query, party, report);
        break;
      case 'answer':
        this.#answer(query, party, report);
        break;
      case 'replayed':
        if (noteReplayed(query, party, report, this.#o.policy)) this.#end(query, 'answered', null);
        break;
      case 'authorise':
        this.#enclaves.authorised(query, party, report);
        break;
      case 'parked':
        this.#recovery.parked(query, party, report.epoch);
        break;
      case 'prepared':
        if (notePrepared(query, party)) this.#end(query, 'prepared', null);
        break;
    }
  }

  /** The first failure ends the query, unless it is an echo of one that is still to be told. */
  #failed(query: Query, party: string, told: QueryError): void {
    const end = (): void => this.#end(query, 'failed', { ...told, party }, party);
    if (isEcho(query, told)) this.#after(query, this.#o.limits.causeWaitMs, end);
    else end();
  }

  #ready(query: Query, party: string, report: Extract<Report, { type: 'ready' }>): void {
    const readied = noteReady(query, party, report);
    if (readied === null) return;
    if (!inEnclave(query)) this.#tell(query, readied);
    else void this.#enclaves.ready(query, readied).then((told) => told && this.#tell(query, told));
  }

  #tell(query: Query, order: Order | Exclude<Readied, Order>): void {
    if (order.type === 'refusal') this.#end(query, 'refused', order.error);
    else for (const name of query.parties) this.#o.hub.send(name, order);
  }

  #go(query: Query, party: string, report: Extract<Report, { type: 'go' }>): void {
    const { policy, hub } = this.#o;
    const order = noteGo(query, party, report, policy);
    changed(query);
    if (order === null) return;
    query.state = 'running';
    this.#audit(query, { event: 'running' });
    changed(query);
    // The route first: a party may send its first frame the moment it hears of the goes.
    // Direct links pass it by: then nothing may be relayed either.
    const shared = !inEnclave(query);
    if (shared && policy.execution.links === 'relay') hub.openRoute(query.id, query.parties);
    this.#tell(query, order);
    if (!shared) this.#enclaves.begin(query, [...query.gos.values()]);
  }

  #progress(query: Query, party: string, report: Extract<Report, { type: 'progress' }>): void {
    noteProgress(query, party, report);
    // Many reports in a row are one change.
    query.progressTimer ??= setTimeout(() => {
      query.progressTimer = null;
      if (!TERMINAL.has(query.state)) changed(query);
    }, PROGRESS_INTERVAL_MS);
  }

  #answer(query: Query, party: string, report: Extract<Report, { type: 'answer' }>): void {
    const answer = checkAnswer(query, party, report, this.#o.policy);
    // A party that lost its connection cannot know whether its answer arrived.
    if (answer === 'again') return;
    query.answers.set(party, answer);
    changed(query);
    if (query.answers.size === query.parties.length) this.#end(query, 'answered', null);
  }

  /** The one way into a terminal state. `from` is the party that need not be told. */
  #end(
    query: Query,
    state: 'answered' | 'prepared' | 'refused' | 'failed',
    error: QueryError | null,
    from?: string,
  ): void {
    query.state = state;
    query.error = error;
    for (const timer of query.timers) clearTimeout(timer);
    this.#recovery.close(query);
    this.#line.leave(query);
    this.#enclaves.close(query);
    if (query.progressTimer !== null) clearTimeout(query.progressTimer);
    const relayed = this.#o.hub.closeRoute(query.id);
    const order = endOrder(query.id, error);
    for (const party of query.parties) if (party !== from) this.#o.hub.send(party, order);
    if (error !== null) {
      // Half an answer opens nothing; it is not kept.
      query.answers.clear();
      query.enclave = null;
    }
    const blame = error === null ? {} : { code: error.code };
    const party = error?.party === undefined ? {} : { party: error.party };
    this.#audit(query, { event: state, relayed_bytes: relayed, ...blame, ...party });
    query.revision += 1;
    const stored = { submissionDigest: query.submissionDigest, record: recordOf(query) };
    query.stored = this.#o.store
      .save(stored, true)
      // Kept in memory when the disk fails: the analyst can still fetch it.
      .then(() => void this.#active.delete(query.id))
      .catch((cause: unknown) => this.#o.log.error({ err: cause }, 'a record was not stored'));
    wake(query);
  }

  #after(query: Query, delayMs: number, act: () => void): void {
    query.timers.add(
      setTimeout(() => {
        if (!TERMINAL.has(query.state)) act();
      }, delayMs),
    );
  }

  #audit(query: Query, event: AuditEvent): void {
    this.#o.audit.write({ ...event, query_id: query.id });
  }
}
