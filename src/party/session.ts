import { monitorEventLoopDelay } from 'node:perf_hooks';
import { concat, fromHex, toHex, utf8 } from '../core/bytes.ts';
import { asParleyError, expect, ParleyError } from '../core/errors.ts';
import type { OnProgress } from '../core/progress.ts';
import { formatRational } from '../core/rational.ts';
import { noiseRecord } from '../dp/index.ts';
import type { OutputShare } from '../engine/types.ts';
import { parsePublicKey } from '../policy/index.ts';
import type { Json, SignedGo } from '../records/index.ts';
import { sealShare, sessionOf, shareDigest, signGo, signReceipt, SUITE } from '../records/index.ts';
import type { Link, LinkEndpoint } from '../transport/index.ts';
import { openLink } from '../transport/index.ts';
import type { ToCoordinator } from './control.ts';
import { pipeTo } from './links.ts';
import { runLocalStage } from './local/index.ts';
import type { PartyContext } from './node.ts';
import type { Side } from '../sql/index.ts';
import { parametersOf } from './run/parameters.ts';
import { agreeOnAll, runShards, setUpAll, type NodeRun } from './run/runner.ts';
import type { VettedQuery } from './vet.ts';
import { releaseRuleOf } from './vet.ts';

export const SOFTWARE = 'parley/0.1.0';

/** LOCAL. Least part of a stage between two progress reports. */
const PROGRESS_STEP = 0.05;

/** Where a query stands at one party; it only moves forward. */
export type SessionState = 'vetted' | 'reserved' | 'running' | 'over';

/**
 * One query at one party, from a vetted question to a signed receipt. Each step is taken once and in order;
 * a coordinator that repeats or reorders them is refused. Whatever goes wrong after `reserve` keeps the charge.
 */
export class QuerySession {
  readonly #context: PartyContext;
  readonly query: VettedQuery;
  readonly #cancel = new AbortController();
  #state: SessionState = 'vetted';
  #go: SignedGo | null = null;

  constructor(context: PartyContext, query: VettedQuery) {
    this.#context = context;
    this.query = query;
  }

  get state(): SessionState {
    return this.#state;
  }

  /** Charges the ledger durably and consents. @throws ParleyError BUDGET_EXHAUSTED, STORAGE_FAILED. */
  reserve(): SignedGo {
    this.#step('vetted', 'reserved');
    const { ledger, policy, policyDigest, party, keys, dataset, budget, rng } = this.#context;
    const { submission, plan, price } = this.query;
    const heads = ledger.reserve(
      {
        queryId: submission.query_id,
        planDigest: this.query.planDigest,
        policyDigest,
        dataset: dataset(plan.sides[this.query.side]!.table),
        epsilon: price.epsilon,
        delta: price.delta,
      },
      budget,
    );
    this.#go = signGo(
      {
        version: 1,
        room: policy.room,
        policy_digest: policyDigest,
        query_id: submission.query_id,
        plan_digest: this.query.planDigest,
        submission_digest: this.query.submissionDigest,
        party,
        ledger_before: heads.before,
        ledger_after: heads.after,
        suite: SUITE,
        nonce: toHex(rng(32)),
      },
      keys.identity.privateKey,
    );
    return this.#go;
  }

  /**
   * Runs the plan with the other parties and answers the coordinator with receipt and sealed share.
   * @throws ParleyError GO_INVALID, and whatever link, protocols and local stage throw.
   */
  async run(gos: readonly SignedGo[]): Promise<Extract<ToCoordinator, { type: 'answer' }>> {
    this.#step('reserved', 'running');
    const own = this.#go;
    expect(own !== null, 'a reserved session has its go');
    const { policy } = this.#context;
    const { plan, submission } = this.query;
    const parties = plan.sides.map((side) => side.party);
    const session = sessionOf(gos, policy, parties, {
      query_id: submission.query_id,
      plan_digest: this.query.planDigest,
      submission_digest: this.query.submissionDigest,
      suite: SUITE,
    });
    if (!gos.some((go) => go.signature === own.signature)) {
      throw new ParleyError('GO_INVALID', 'the coordinator passed on another go than ours');
    }
    const links = await this.#openLinks(session);
    try {
      const share = await this.#compute(links, session);
      return await this.#release(share, session, own);
    } catch (error) {
      for (const link of links) link?.abort(asParleyError(error).code);
      throw error;
    } finally {
      await Promise.all(links.map(async (link) => link?.close()));
      this.#state = 'over';
    }
  }

  /** Stops a run: another party or the coordinator gave up. The charge stays. */
  cancel(): void {
    this.#state = 'over';
    this.#cancel.abort();
  }

  #step(from: SessionState, to: SessionState): void {
    if (this.#state !== from) {
      throw new ParleyError('FRAME_MALFORMED', 'the coordinator sent a step out of order');
    }
    this.#state = to;
  }

  /** One link with every other party, by side; all or none. */
  async #openLinks(session: string): Promise<readonly (Link | null)[]> {
    const open = async (side: Side): Promise<Link | null> =>
      side === this.query.side ? null : this.#openLink(session, side);
    const settled = await Promise.allSettled(this.query.plan.sides.map((_, side) => open(side)));
    const failed = settled.find((result) => result.status === 'rejected');
    const links = settled.map((result) => (result.status === 'fulfilled' ? result.value : null));
    if (failed === undefined) return links;
    for (const link of links) link?.abort(asParleyError(failed.reason).code);
    throw failed.reason;
  }

  #openLink(session: string, peerSide: Side): Promise<Link> {
    const { policy, policyDigest, keys } = this.#context;
    const { side, submission, plan } = this.query;
    const peer = plan.sides[peerSide]!.party;
    const remote = policy.parties.find((p) => p.name === peer);
    expect(remote !== undefined, 'the plan names parties of the policy');
    const fields = [policy.room, policyDigest, submission.query_id, session];
    const endpoint: LinkEndpoint = {
      role: side < peerSide ? 'initiator' : 'responder',
      localStatic: keys.link.privateKey,
      remoteStatic: parsePublicKey('x25519', remote.link_key),
      prologue: concat([utf8(`parley/link/v1\0${fields.join('\0')}`)]),
    };
    return openLink({
      ...endpoint,
      raw: pipeTo(this.#context, submission.query_id, remote, endpoint),
      path: submission.query_id,
      signal: this.#cancel.signal,
      ...(this.#context.trace === undefined ? {} : { trace: this.#context.trace }),
    });
  }

  async #compute(links: readonly (Link | null)[], session: string): Promise<OutputShare> {
    const { store, policy, pool, log } = this.#context;
    const { plan, side, calibration } = this.query;
    const onProgress = this.#progress(links);
    const { query_id } = this.query.submission;
    const run: NodeRun = {
      plan,
      calibration,
      side,
      links,
      parameters: parametersOf(plan, this.query.planDigest, session),
      sessionId: fromHex(session, 32),
      pool,
      signal: this.#cancel.signal,
      onProgress,
      log: log.child({ query_id }),
    };
    await agreeOnAll(run);
    onProgress({ stage: 'local', done: 0, total: 1 });
    const lag = monitorEventLoopDelay({ resolution: 10 });
    lag.enable();
    const [local, seeds] = await Promise.all([
      runLocalStage(store, policy, plan, side),
      setUpAll(run),
    ]);
    onProgress({ stage: 'local', done: 1, total: 1 });
    if (local.dropped.rows > 0) {
      log.info({ query_id, ...local.dropped }, 'rows beyond the bounds left out');
    }
    const share = await runShards(run, seeds, local.table);
    lag.disable();
    log.info({ query_id, loop_lag_p99_ms: lag.percentile(99) / 1e6 }, 'computed');
    return share;
  }

  async #release(
    share: OutputShare,
    session: string,
    go: SignedGo,
  ): Promise<Extract<ToCoordinator, { type: 'answer' }>> {
    const { policy, policyDigest, party, keys, ledger } = this.#context;
    const { submission, plan, calibration } = this.query;
    const analyst = policy.analysts.find((a) => a.name === submission.analyst);
    expect(analyst !== undefined, 'the submission was verified');
    const names = {
      room: policy.room,
      policy_digest: policyDigest,
      query_id: submission.query_id,
      plan_digest: this.query.planDigest,
      session,
      party,
    };
    const bytes = concat([share.open, share.cells]);
    const sealed = await sealShare(bytes, analyst.sealing_key, names);
    bytes.fill(0);
    share.cells.fill(0);
    const digest = shareDigest(sealed);
    ledger.commit(submission.query_id, digest);
    const receipt = signReceipt(
      {
        version: 1,
        ...names,
        submission_digest: this.query.submissionDigest,
        ledger_before: go.document.ledger_before,
        ledger_after: go.document.ledger_after,
        noise: noiseRecord(releaseRuleOf(plan), calibration) as unknown as Record<string, Json>,
        share_digest: digest,
        spent: {
          epsilon: formatRational(ledger.spent.epsilon),
          delta: formatRational(ledger.spent.delta),
        },
        software: SOFTWARE,
      },
      keys.identity.privateKey,
    );
    return { type: 'answer', query_id: submission.query_id, receipt, sealed };
  }

  /** Passes on at most one report per stage and step of {@link PROGRESS_STEP}, with bytes sent. */
  #progress(links: readonly (Link | null)[]): OnProgress {
    let stage = '';
    let next = 0;
    const { query_id } = this.query.submission;
    const say = (name: string, done: number, total: number): void => {
      this.#context.relay.sendControl({ type: 'progress', query_id, stage: name, done, total });
    };
    let over = this.#cancel.signal.aborted;
    for (const link of links) {
      void link?.closed.then(() => {
        over = true;
      });
    }
    const sent = (): number => links.reduce((sum, link) => sum + (link?.stats.bytesSent ?? 0), 0);
    return (event) => {
      // The one place every long computation passes: a run nobody waits for stops here.
      if (over || this.#cancel.signal.aborted) {
        throw new ParleyError('CANCELLED', 'the query was cancelled');
      }
      const part = event.total === 0 ? 1 : event.done / event.total;
      if (event.stage === stage && part < next && part < 1) return;
      stage = event.stage;
      next = part + PROGRESS_STEP;
      say(event.stage, event.done, event.total);
      if (part >= 1) say('link.bytes', sent(), sent());
    };
  }
}
