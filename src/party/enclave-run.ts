import { deferred } from '../core/deferred.ts';
import { expect, ParleyError } from '../core/errors.ts';
import type { LocalTable } from '../engine/types.ts';
import type {
  EnclaveGreeting,
  LedgerExtension,
  Signed,
  SignedGo,
  TeeEnvelope,
} from '../records/index.ts';
import { ENCLAVE_NAME } from '../records/index.ts';
import {
  appraiseEnclave,
  authorise,
  expectAccepted,
  expectEnvelope,
  inputContextOf,
  type Consent,
} from '../tee-adapter/host/index.ts';
import { PAYLOAD_BYTES_MAX } from '../transport/index.ts';
import { reserveAndGo, sessionWith, spentOf, type ReservedGo } from './consent.ts';
import type { CommittedReport } from './control.ts';
import { LedgerTalk } from './heads.ts';
import { runLocalStage } from './local/index.ts';
import type { PartyContext } from './node.ts';
import { keepAnswer } from './replay.ts';
import { SOFTWARE } from './release.ts';
import { movedBuffers } from './run/moved.ts';
import type { VettedQuery } from './vet.ts';

/** LOCAL. Least part of an input between two progress reports. */
const PROGRESS_STEP = 0.05;

/** Which enclave this party consented to, and when it appraised the evidence. */
interface Accepted {
  readonly greeting: EnclaveGreeting;
  readonly gos: readonly SignedGo[];
  readonly atMs: number;
}

type EnclaveState = 'vetted' | 'reserved' | 'running' | 'consented' | 'answered' | 'over';

interface Sealed {
  readonly enc: string;
  readonly ciphertext: Uint8Array;
}

/**
 * One query in an enclave, at one party: the same vetting, charge and go as on shares; then this
 * party's own look at the enclave's evidence, its sealed input and its one consent, and in the end
 * the commitment in its ledger to what the enclave signed.
 *
 * A session consents to the first enclave it is shown or to none: shown a second one it ends. It
 * lives in memory alone and its query id is in the ledger before its go leaves, so a restarted node
 * refuses the id, and no crash gives a session a second consent. Nothing of it is resumed.
 */
export class EnclaveSession {
  readonly query: VettedQuery;
  readonly talk: LedgerTalk;
  readonly #context: PartyContext;
  readonly #stop = new AbortController();
  readonly #greeting = deferred<EnclaveGreeting>();
  readonly #fed = deferred<null>();
  readonly #committed = deferred<null>();
  #state: EnclaveState = 'vetted';
  #go: SignedGo | null = null;
  #session = '';
  #greeted = false;
  #accepted: Accepted | null = null;
  #kept: Promise<void> = Promise.resolve();

  constructor(context: PartyContext, query: VettedQuery) {
    this.#context = context;
    this.query = query;
    this.talk = new LedgerTalk(context, query);
  }

  get state(): EnclaveState {
    return this.#state;
  }

  /** Charges the ledger durably and consents. @throws ParleyError BUDGET_EXHAUSTED, STORAGE_FAILED. */
  reserve(): ReservedGo {
    this.#step('vetted', 'reserved');
    const reserved = reserveAndGo(this.#context, this.query, this.talk);
    this.#go = reserved.go;
    return reserved;
  }

  /**
   * Takes everybody's goes, keeps the ledger heads they name, reads the own table, and waits for the enclave.
   * @returns when the ledger has committed the enclave's answer.
   * @throws ParleyError GO_INVALID, LEDGER_FORKED, the code of the evidence's rejection, CANCELLED, and what local
   *   stage, worker and connection throw.
   */
  async begin(
    gos: readonly SignedGo[],
    extensions: readonly LedgerExtension[],
  ): Promise<CommittedReport> {
    this.#step('reserved', 'running');
    const own = this.#go;
    expect(own !== null, 'a reserved session has its go');
    this.#session = sessionWith(this.#context, this.query, gos, own);
    this.talk.keep(gos, extensions);
    const local = this.#localStage();
    // It may fail while the enclave is still being started.
    local.catch(() => undefined);
    const greeting = await this.#greeting.promise;
    const consent = this.#appraise(greeting, gos);
    const sealed = await this.#seal(await local, consent);
    this.#consent(sealed, consent);
    await this.#fed.promise;
    await this.#stream(sealed.ciphertext);
    await this.#committed.promise;
    await this.#kept;
    return { type: 'committed' };
  }

  /**
   * Hears of an enclave; the first one only.
   * @throws ParleyError CONSENT_GIVEN for a second one, FRAME_MALFORMED before the goes.
   */
  greet(greeting: EnclaveGreeting): void {
    if (this.#greeted) {
      throw new ParleyError('CONSENT_GIVEN', 'a session consents to one enclave, once');
    }
    if (this.#state !== 'running') throw outOfOrder();
    this.#greeted = true;
    this.#greeting.resolve(greeting);
  }

  /** The coordinator asks for the input. @throws ParleyError FRAME_MALFORMED before the consent. */
  feed(): void {
    if (this.#state !== 'consented') throw outOfOrder();
    this.#fed.resolve(null);
  }

  /**
   * What the enclave signed: checked against the own plan and session, committed durably, and kept
   * for identical questions to come.
   * @throws ParleyError RECEIPT_INVALID, FRAME_MALFORMED before the consent, STORAGE_FAILED.
   */
  commit(envelope: Signed<TeeEnvelope>): void {
    const accepted = this.#accepted;
    if (this.#state !== 'consented' || accepted === null) throw outOfOrder();
    const { plan, submission } = this.query;
    const { greeting, gos, atMs } = accepted;
    const session = this.#session;
    const { share_digest } = expectEnvelope(envelope, { plan, gos, session, greeting });
    this.#context.ledger.commit(submission.query_id, share_digest);
    this.#state = 'answered';
    const enclave = { envelope, appraised_at: new Date(atMs).toISOString() };
    this.#kept = keepAnswer(this.#context, this.query, { session, gos, enclave });
    this.#committed.resolve(null);
  }

  /** Stops it for good. The charge stays. */
  cancel(): void {
    if (this.#state !== 'answered') this.#state = 'over';
    this.#stop.abort();
    for (const { reject } of [this.#greeting, this.#fed, this.#committed]) reject(cancelled());
  }

  #step(from: EnclaveState, to: EnclaveState): void {
    if (this.#state !== from) throw outOfOrder();
    this.#state = to;
  }

  #say(stage: string, done: number, total: number): void {
    const { query_id } = this.query.submission;
    this.#context.relay.sendControl({ type: 'progress', query_id, stage, done, total });
  }

  async #localStage(): Promise<LocalTable> {
    const { store, policy, log } = this.#context;
    const { plan, side } = this.query;
    this.#say('local', 0, 1);
    const { table, dropped } = await runLocalStage(store, policy, plan, side);
    if (dropped.rows > 0) log.info(dropped, 'rows beyond the bounds left out');
    this.#say('local', 1, 1);
    return table;
  }

  /** @throws ParleyError with the code of the rejection. */
  #appraise(greeting: EnclaveGreeting, gos: readonly SignedGo[]): Consent {
    const { policy, party, log } = this.#context;
    const { tee } = policy.execution;
    expect(tee !== null, 'a policy with the backend tee has reference values');
    const session = this.#session;
    const consent = { tee, hello: greeting, gos, party, session, nowMs: Date.now() };
    const result = appraiseEnclave(consent);
    expectAccepted(result);
    const { query_id } = this.query.submission;
    const fields = { query_id, tee: result.tee, decision: result.decision };
    if (result.decision === 'accepted') log.info(fields, 'the evidence is accepted');
    else log.warn(fields, 'SIMULATED: no hardware protects this enclave; the policy names it');
    return consent;
  }

  async #seal(table: LocalTable, consent: Consent): Promise<Sealed> {
    const { pool } = this.#context;
    const side = this.query.plan.sides[this.query.side]!;
    const context = inputContextOf(consent);
    const sealingKey = consent.hello.sealing_key;
    const task = { kind: 'sealInput', table, side, sealingKey, context } as const;
    const { signal } = this.#stop;
    return (await pool.run(task, movedBuffers(table), { signal })) as Sealed;
  }

  #consent({ enc }: Sealed, consent: Consent): void {
    this.#step('running', 'consented');
    const { keys, relay } = this.#context;
    const { hello: greeting, gos, nowMs: atMs } = consent;
    this.#accepted = { greeting, gos, atMs };
    const statement = { spent: spentOf(this.#context, this.query), software: SOFTWARE };
    const authorisation = authorise(consent, statement, keys.identity.privateKey);
    const { query_id } = this.query.submission;
    relay.sendControl({ type: 'authorise', query_id, authorisation, enc });
  }

  /** Ciphertext to the coordinator, in relay frames, as fast as its connection takes them. */
  async #stream(ciphertext: Uint8Array): Promise<void> {
    const { relay } = this.#context;
    const pipe = relay.pipe(this.query.submission.query_id, ENCLAVE_NAME);
    try {
      let next = 0;
      for (let at = 0; at < ciphertext.length; at += PAYLOAD_BYTES_MAX) {
        if (this.#stop.signal.aborted) throw cancelled();
        const piece = ciphertext.subarray(at, at + PAYLOAD_BYTES_MAX);
        await pipe.send(piece);
        const sent = at + piece.length;
        if (sent < ciphertext.length && sent < next) continue;
        next = sent + PROGRESS_STEP * ciphertext.length;
        this.#say('link.bytes', sent, sent);
      }
      this.#say('input', 1, 1);
    } finally {
      pipe.close();
    }
  }
}

function cancelled(): ParleyError {
  return new ParleyError('CANCELLED', 'the query was cancelled');
}

function outOfOrder(): ParleyError {
  return new ParleyError('FRAME_MALFORMED', 'the coordinator sent a step out of order');
}
