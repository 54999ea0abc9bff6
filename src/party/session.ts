import { monitorEventLoopDelay } from 'node:perf_hooks';
import { asParleyError, expect, ParleyError, type ErrorCode } from '../core/errors.ts';
import type { OutputShare } from '../engine/types.ts';
import type { LedgerExtension, SignedGo } from '../records/index.ts';
import type { Link } from '../transport/index.ts';
import { EPOCHS_MAX } from '../transport/index.ts';
import type { AnswerReport } from './checkpoints/index.ts';
import { RunFolder } from './checkpoints/index.ts';
import { reserveAndGo, sessionWith, type ReservedGo } from './consent.ts';
import { datasetOfSide } from './dataset.ts';
import { bytesSent, openLinks, settingOf, type EpochOf } from './epoch.ts';
import { LedgerTalk } from './heads.ts';
import { runLocalStage } from './local/index.ts';
import type { PartyContext } from './node.ts';
import { keepAnswer } from './replay.ts';
import { releaseShare } from './release.ts';
import { agreeOnAll, runShards, setUpAll, type RunKeep, type RunSetting } from './run/runner.ts';
import { seedsOf, takeBatch, type TakenBatch } from './stock/index.ts';
import type { VettedQuery } from './vet.ts';

/** LOCAL. How long a finish goes on after a party was lost: what it needs may be here already. */
const FINISH_GRACE_MS = 2_000;

/** Ends of an epoch that say nothing against another one: a party or a link was lost. */
const INTERRUPTIONS: ReadonlySet<ErrorCode> = new Set([
  'CHANNEL_CLOSED',
  'PEER_ABORTED',
  'COORDINATOR_AWAY',
  'CANCELLED',
]);

/**
 * Where a query stands at one party. `parked` is between two epochs; from `finishing` on there is
 * no other epoch, since one query id is one noise draw.
 */
export type SessionState =
  'vetted' | 'reserved' | 'running' | 'parked' | 'finishing' | 'answered' | 'over';

/** What a restarted node found of a run, checked again in full (resume.ts). */
export interface RestoredRun {
  readonly session: string;
  readonly gos: readonly SignedGo[];
  readonly go: SignedGo;
  readonly folder: RunFolder;
  readonly answer: AnswerReport | null;
}

/**
 * One query at one party, from a vetted question to a signed receipt. Each step is taken once and in order;
 * a coordinator that repeats or reorders them is refused. Whatever goes wrong after `reserve` keeps the charge.
 *
 * A run is at most EPOCHS_MAX epochs. Each has links, base OTs and labels of its own; all it has
 * from the one before are finished shards. Epochs only grow, through restarts too.
 */
export class QuerySession {
  readonly #context: PartyContext;
  readonly query: VettedQuery;
  /** Of ledgers, before the run; null when it was restored. */
  readonly talk: LedgerTalk | null;
  #stop = new AbortController();
  #state: SessionState = 'vetted';
  #go: SignedGo | null = null;
  /** Of all parties, once the run began. */
  #gos: readonly SignedGo[] = [];
  #session = '';
  #epoch = -1;
  #folder: RunFolder | null = null;
  #answer: AnswerReport | null = null;

  constructor(context: PartyContext, query: VettedQuery, restored: RestoredRun | null = null) {
    this.#context = context;
    this.query = query;
    this.talk = restored === null ? new LedgerTalk(context, query) : null;
    if (restored === null) return;
    this.#go = restored.go;
    this.#gos = restored.gos;
    this.#session = restored.session;
    this.#folder = restored.folder;
    this.#epoch = restored.folder.epoch;
    this.#answer = restored.answer;
    this.#state = restored.answer === null ? 'parked' : 'answered';
  }

  get state(): SessionState {
    return this.#state;
  }

  /** Of the present or last run; -1 before the first. */
  get epoch(): number {
    return this.#epoch;
  }

  /** What the coordinator was told, once answered. */
  get answer(): AnswerReport | null {
    return this.#answer;
  }

  /** Charges the ledger durably and consents. @throws ParleyError BUDGET_EXHAUSTED, STORAGE_FAILED. */
  reserve(): ReservedGo {
    this.#step('vetted', 'reserved');
    expect(this.talk !== null, 'a new session talks of ledgers');
    const reserved = reserveAndGo(this.#context, this.query, this.talk);
    this.#go = reserved.go;
    return reserved;
  }

  /**
   * Takes everybody's goes, keeps the ledger heads they name, puts on disk what a restarted node
   * needs, and runs the first epoch.
   * @returns the answer, or null when the run was interrupted and waits to be resumed.
   * @throws ParleyError GO_INVALID, LEDGER_FORKED, STORAGE_FAILED, FINISH_INTERRUPTED, and whatever
   *   link, protocols and local stage throw.
   */
  async begin(
    gos: readonly SignedGo[],
    extensions: readonly LedgerExtension[],
  ): Promise<AnswerReport | null> {
    this.#step('reserved', 'running');
    const [own, talk] = [this.#go, this.talk];
    expect(own !== null && talk !== null, 'a reserved session has its go');
    const { shelf, dataset } = this.#context;
    const { submission, plan, planDigest, signed, side } = this.query;
    this.#session = sessionWith(this.#context, this.query, gos, own);
    talk.keep(gos, extensions);
    this.#gos = gos;
    // Said before anything takes time: an order to stop names the epoch it stops.
    this.#epoch = 0;
    const record = {
      version: 1,
      query_id: submission.query_id,
      started_at: Date.now(),
      plan_digest: planDigest,
      dataset: datasetOfSide(plan.sides[side]!, dataset),
      submission: signed,
      gos,
    } as const;
    this.#folder = await RunFolder.create(shelf.directory, shelf.owner, record, this.#session);
    return this.#run(0);
  }

  /**
   * Runs the next epoch of an interrupted run.
   * @throws ParleyError FRAME_MALFORMED when the run is not parked or the epoch was entered before,
   *   and what `begin` throws.
   */
  async resume(epoch: number): Promise<AnswerReport | null> {
    if (epoch <= this.#epoch || epoch >= EPOCHS_MAX) {
      throw new ParleyError('FRAME_MALFORMED', 'the coordinator named an epoch that is past');
    }
    this.#step('parked', 'running');
    this.#stop = new AbortController();
    return this.#run(epoch);
  }

  async #run(epoch: number): Promise<AnswerReport | null> {
    const folder = this.#folder;
    expect(folder !== null, 'a run has its folder');
    let links: readonly (Link | null)[] = [];
    try {
      this.#epoch = epoch;
      await folder.enterEpoch(epoch);
      const of: EpochOf = { session: this.#session, epoch, signal: this.#stop.signal };
      links = await openLinks(this.#context, this.query, of);
      const share = await this.#compute(settingOf(this.#context, this.query, of, links));
      this.#answer = await this.#release(share, this.#session);
      this.#step('finishing', 'answered');
      return this.#answer;
    } catch (thrown) {
      const error = asParleyError(thrown);
      for (const link of links) link?.abort(error.code);
      return this.#interrupted(error);
    } finally {
      await Promise.all(links.map(async (link) => link?.close()));
    }
  }

  /** Null when the run may be resumed. @throws ParleyError why it may not. */
  #interrupted(error: ParleyError): null {
    const former = this.#state;
    if (former === 'running' && INTERRUPTIONS.has(error.code)) {
      this.#state = 'parked';
      return null;
    }
    this.#state = 'over';
    if (former !== 'finishing' || !INTERRUPTIONS.has(error.code)) throw error;
    throw new ParleyError(
      'FINISH_INTERRUPTED',
      'a party was lost while the answer was drawn, which is done once',
      { hint: 'ask again with a new query id' },
      error,
    );
  }

  /** Stops the present epoch: a party was lost. What is finished of it stays. */
  park(): void {
    if (this.#state === 'running') this.#stop.abort();
    const stop = this.#stop;
    if (this.#state === 'finishing') setTimeout(() => stop.abort(), FINISH_GRACE_MS).unref();
  }

  /** Stops a run for good. The charge stays, and so does what is kept, until `forget`. */
  cancel(): void {
    this.#state = 'over';
    this.#stop.abort();
  }

  /** Removes what is kept of the run. */
  async forget(): Promise<void> {
    await this.#folder?.remove();
  }

  #step(from: SessionState, to: SessionState): void {
    if (this.#state !== from) {
      throw new ParleyError('FRAME_MALFORMED', 'the coordinator sent a step out of order');
    }
    this.#state = to;
  }

  async #compute(base: RunSetting): Promise<OutputShare> {
    const { store, policy } = this.#context;
    const { plan, side } = this.query;
    const { onProgress, links, log } = base;
    const began = performance.now();
    await agreeOnAll(base);
    const batch = await this.#takeBatch(base);
    try {
      onProgress({ stage: 'local', done: 0, total: 1 });
      const lag = monitorEventLoopDelay({ resolution: 10 });
      lag.enable();
      const [local, seeds] = await Promise.all([
        runLocalStage(store, policy, plan, side),
        batch === null ? setUpAll(base) : seedsOf(batch, side),
      ]);
      onProgress({ stage: 'local', done: 1, total: 1 });
      if (local.dropped.rows > 0) log.info(local.dropped, 'rows beyond the bounds left out');
      const share = await runShards({ ...base, keep: this.#keep(), batch }, seeds, local.table);
      lag.disable();
      const online = { ms: Math.round(performance.now() - began), bytes_sent: bytesSent(links) };
      const [p99, max] = [lag.percentile(99) / 1e6, lag.max / 1e6];
      const from = { batch: batch?.meta.batch ?? null, ...online };
      log.info({ loop_lag_p99_ms: p99, loop_lag_max_ms: max, ...from }, 'computed');
      return share;
    } finally {
      batch?.release();
    }
  }

  /**
   * In the first epoch only: a run that was interrupted has used its batch up, and another one would
   * be spent on what may be a few shards. All parties are in the same epoch, so all ask or none.
   */
  async #takeBatch(base: RunSetting): Promise<TakenBatch | null> {
    if (base.epoch > 0) return null;
    const batch = await takeBatch(this.#context.stock, base);
    if (batch !== null) {
      base.log.info({ batch: batch.meta.batch }, 'stock taken');
      base.onProgress({ stage: 'stock', done: 1, total: 1 });
    }
    return batch;
  }

  #keep(): RunKeep {
    const folder = this.#folder;
    expect(folder !== null, 'a run has its folder');
    return {
      shards: folder.shards,
      saveShard: (shard, attempt, totals) => folder.saveShard(shard, attempt, totals),
      beginFinish: () => {
        // First the state: whatever interrupts the write finds a run that is not resumed.
        this.#step('running', 'finishing');
        return folder.beginFinish();
      },
    };
  }

  async #release(share: OutputShare, session: string): Promise<AnswerReport> {
    const [go, folder] = [this.#go, this.#folder];
    expect(go !== null && folder !== null, 'a run has its go and folder');
    const run = { session, gos: this.#gos, go };
    const released = await releaseShare(this.#context, this.query, run, share);
    const { query_id } = this.query.submission;
    const answer = { type: 'answer', query_id, ...released } as const;
    await folder.saveAnswer(answer);
    await keepAnswer(this.#context, this.query, { session, gos: this.#gos, answer: released });
    return answer;
  }
}
