import { deferred, type Deferred } from '../core/deferred.ts';
import { asParleyError, ParleyError } from '../core/errors.ts';
import type { PolicyPacket } from '../policy/types.ts';
import {
  parseRecord,
  signedAuthorisationSchema,
  type EnclaveGreeting,
  type EnclaveOutcome,
  type QueryError,
  type QueryRecord,
  type Signed,
  type SignedGo,
  type SignedSubmission,
  type TeeAuthorisation,
} from '../records/index.ts';
import type { PlanSide } from '../sql/index.ts';
import type { Report } from '../transport/index.ts';
import { anew, type Readied } from './agreement.ts';
import type { PartyHub } from './hub.ts';
import { InputSink } from './input-sink.ts';
import type { Log } from './log.ts';
import { TERMINAL, type Query } from './query.ts';
import { keptRun } from './replay.ts';

/** One enclave, for one run: the four calls. What it says is believed by nobody unverified. */
export interface EnclaveCalls {
  readonly hello: (call: {
    readonly nonces: Readonly<Record<string, string>>;
    readonly policy_digest: string;
    readonly plan_digest: string;
    readonly session: string;
  }) => Promise<EnclaveGreeting>;
  readonly loadPolicy: (packet: unknown) => Promise<void>;
  readonly putInput: (
    call: { readonly party: string; readonly enc: string },
    bytes: number,
    chunks: AsyncIterable<Uint8Array>,
  ) => Promise<void>;
  readonly run: (call: {
    readonly submission: SignedSubmission;
    readonly gos: readonly SignedGo[];
    readonly authorisations: readonly Signed<TeeAuthorisation>[];
  }) => Promise<EnclaveOutcome>;
  readonly close: () => void;
}

/** Where enclaves come from. The coordinator itself knows nothing of keys, evidence or sealing. */
export interface EnclaveHost {
  /** A fresh enclave. @throws ParleyError ENCLAVE_AWAY. */
  connect(): Promise<EnclaveCalls>;
  /** Bytes of a party's sealed input, by the plan alone. */
  inputBytes(side: PlanSide): number;
}

export interface EnclaveDeskOptions {
  readonly packet: PolicyPacket;
  readonly policyDigest: string;
  /** Null in a room whose operator has no enclaves. */
  readonly host: EnclaveHost | null;
  readonly hub: Pick<PartyHub, 'send' | 'openInputs' | 'feed'>;
  /** The record of a query. @throws ParleyError QUERY_UNKNOWN, STORAGE_FAILED. */
  readonly read: (queryId: string) => Promise<QueryRecord>;
  readonly log: Log;
  readonly fail: (query: Query, error: QueryError) => void;
  readonly answered: (query: Query) => void;
  readonly changed: (query: Query) => void;
}

type Authorise = Extract<Report, { type: 'authorise' }>;

interface Consent {
  readonly enc: string;
  readonly authorisation: Signed<TeeAuthorisation>;
}

interface Run {
  readonly calls: EnclaveCalls;
  readonly consents: Map<string, Consent>;
  /** Settles when every party has consented, or when the query ends. */
  readonly allConsented: Deferred<null>;
  sink: InputSink | null;
}

/**
 * Runs in enclaves, one fresh enclave each: it carries the four calls, hands evidence to the parties
 * and their sealed inputs to the enclave. It could carry them badly; then a party, the enclave or the
 * analyst refuses, and the run is over.
 */
export class EnclaveDesk {
  readonly #o: EnclaveDeskOptions;
  readonly #runs = new Map<string, Run>();

  constructor(options: EnclaveDeskOptions) {
    this.#o = options;
  }

  /**
   * All have vetted the question: sees that the record with the earlier answer is here, else that
   * there is an enclave, before any party is asked to pay. A record that is lost costs a run.
   * @returns what the parties are told then; null when the query has ended.
   */
  async ready(query: Query, readied: Readied): Promise<Readied | null> {
    const next = await this.#found(query, readied);
    if (TERMINAL.has(query.state)) return null;
    if (next.type !== 'reserve') return next;
    return (await this.#open(query)) ? next : null;
  }

  async #found(query: Query, readied: Readied): Promise<Readied> {
    if (readied.type !== 'replay' || query.replay === null) return readied;
    const { read, log, packet } = this.#o;
    const [first] = [...query.offers.values()];
    const record = await read(first?.kept ?? '').catch((error: unknown) => {
      log.warn({ query_id: query.id, code: asParleyError(error).code }, 'a kept answer is lost');
      return null;
    });
    const enclave = keptRun(query, record, readied.session, packet.policy);
    if (enclave === null) return anew(query);
    query.replay.enclave = enclave;
    return readied;
  }

  /** Starts a query's enclave. False when the query has ended. */
  async #open(query: Query): Promise<boolean> {
    const { host } = this.#o;
    try {
      if (host === null) throw noHost();
      const calls = await host.connect();
      if (TERMINAL.has(query.state)) {
        calls.close();
        return false;
      }
      this.#runs.set(query.id, newRun(calls));
      return true;
    } catch (error) {
      if (!TERMINAL.has(query.state)) this.#o.fail(query, asParleyError(error).toJSON());
      return false;
    }
  }

  /** Everybody's goes are there: the run begins. Ends in `answered` or `fail`. */
  begin(query: Query, gos: readonly SignedGo[]): void {
    const run = this.#runs.get(query.id);
    if (run === undefined) {
      this.#o.fail(query, noHost().toJSON());
      return;
    }
    this.#o.hub.openInputs(query.id, query.parties);
    this.#drive(query, run, gos).then(
      () => this.#o.answered(query),
      (thrown: unknown) => {
        if (TERMINAL.has(query.state)) return;
        const error = asParleyError(thrown);
        if (error.code === 'INTERNAL') this.#o.log.error({ err: thrown }, 'an enclave run failed');
        this.#o.fail(query, error.toJSON());
      },
    );
  }

  /** A party has appraised the enclave and consents. @throws ParleyError GO_INVALID. */
  authorised(query: Query, party: string, report: Authorise): void {
    const what = 'authorisation';
    const authorisation = parseRecord(
      signedAuthorisationSchema,
      report.authorisation,
      what,
      'GO_INVALID',
    );
    const run = this.#runs.get(query.id);
    const asked = query.state === 'running' && query.enclave !== null;
    const own = authorisation.document.party === party;
    if (run === undefined || !asked || !own || run.consents.has(party)) {
      throw new ParleyError('GO_INVALID', 'a party sent an authorisation out of turn', { party });
    }
    run.consents.set(party, { enc: report.enc, authorisation });
    if (run.consents.size === query.parties.length) run.allConsented.resolve(null);
  }

  /** The query has ended, however: so has its enclave. */
  close(query: Query): void {
    const run = this.#runs.get(query.id);
    if (run === undefined) return;
    this.#runs.delete(query.id);
    const over = new ParleyError('CANCELLED', 'the query is over');
    run.allConsented.reject(over);
    run.sink?.end(over);
    run.calls.close();
  }

  async #drive(query: Query, run: Run, gos: readonly SignedGo[]): Promise<void> {
    const { packet, policyDigest, hub, changed } = this.#o;
    const { calls } = run;
    const greeting = await calls.hello({
      nonces: Object.fromEntries(gos.map(({ document }) => [document.party, document.nonce])),
      policy_digest: policyDigest,
      plan_digest: query.planDigest ?? '',
      session: query.session ?? '',
    });
    if (TERMINAL.has(query.state)) return;
    query.enclave = { greeting, authorisations: [], outcome: null };
    changed(query);
    const query_id = query.id;
    for (const party of query.parties) hub.send(party, { type: 'enclave', query_id, greeting });
    await calls.loadPolicy(packet);
    await run.allConsented.promise;
    await this.#feed(query, run);
    const authorisations = query.parties.map((party) => run.consents.get(party)!.authorisation);
    const outcome = await calls.run({ submission: query.submission, gos, authorisations });
    if (TERMINAL.has(query.state)) return;
    query.enclave = { greeting, authorisations, outcome };
    const { envelope } = outcome;
    for (const party of query.parties) hub.send(party, { type: 'envelope', query_id, envelope });
  }

  /** One input after the other, since an enclave takes one call at a time. */
  async #feed(query: Query, run: Run): Promise<void> {
    const { hub, host } = this.#o;
    const { calls } = run;
    for (const side of query.sides) {
      const { party } = side;
      const bytes = host!.inputBytes(side);
      const sink = new InputSink(party, bytes);
      run.sink = sink;
      hub.feed(query.id, sink);
      hub.send(party, { type: 'feed', query_id: query.id });
      await calls.putInput({ party, enc: run.consents.get(party)!.enc }, bytes, sink.chunks());
      hub.feed(query.id, null);
    }
    // From here on the run needs no party.
    query.inputsIn = true;
  }
}

function newRun(calls: EnclaveCalls): Run {
  return { calls, consents: new Map(), allConsented: deferred(), sink: null };
}

function noHost(): ParleyError {
  return new ParleyError('ENCLAVE_AWAY', 'the room has no enclave host', {
    hint: 'the operator starts one: parley enclave, then parley coordinator --enclave',
  });
}
