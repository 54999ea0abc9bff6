import { asParleyError, ParleyError } from '../core/errors.ts';
import { totalsBytes } from '../engine/mpc/index.ts';
import type { SignedGo } from '../records/index.ts';
import { shareDigest, verifyGo } from '../records/index.ts';
import type { RunRecord } from './checkpoints/index.ts';
import { removeLeft, RunFolder } from './checkpoints/index.ts';
import { datasetOfSide } from './dataset.ts';
import type { Reserved } from './ledger/index.ts';
import type { PartyContext } from './node.ts';
import { keepAnswer } from './replay.ts';
import { QuerySession } from './session.ts';
import type { VettedQuery } from './vet.ts';
import { sessionOfGos, vetSubmission } from './vet.ts';

/** A run of a former process that this one does not take up, and why. */
export interface LostRun {
  readonly queryId: string;
  readonly error: ParleyError;
}

export interface Restored {
  readonly sessions: readonly QuerySession[];
  readonly lost: readonly LostRun[];
}

/**
 * Takes up the runs a former process left. Each is vetted like a new query, against this party's
 * own policy, ledger and data; what does not hold is removed, and the coordinator told.
 *
 * @param ageMsMax - older runs are removed unread: nobody waits for them.
 */
export async function restoreRuns(
  context: PartyContext,
  limits: { readonly runsMax: number; readonly ageMsMax: number },
): Promise<Restored> {
  const { shelf, log } = context;
  const sessions: QuerySession[] = [];
  const lost: LostRun[] = [];
  for (const name of shelf.left) {
    let record: RunRecord | null = null;
    try {
      if (sessions.length >= limits.runsMax) throw stale();
      record = await RunFolder.readRecord(shelf.directory, shelf.owner, name);
      if (Math.abs(Date.now() - record.started_at) > limits.ageMsMax) throw stale();
      sessions.push(await restoreRun(context, record));
      log.info({ query_id: record.query_id }, 'a run was found and waits to be resumed');
    } catch (thrown) {
      const error = asParleyError(thrown);
      const { code } = error;
      log.warn({ code, ...(record === null ? {} : { query_id: record.query_id }) }, error.message);
      await removeLeft(shelf.directory, name);
      if (record !== null) lost.push({ queryId: record.query_id, error });
    }
  }
  return { sessions, lost };
}

async function restoreRun(context: PartyContext, record: RunRecord): Promise<QuerySession> {
  const { policy, party, shelf, log } = context;
  const query = vetSubmission(record.submission, record.plan_digest, context);
  if (query.submission.query_id !== record.query_id) throw unfit();
  const session = sessionOfGos(query, policy, record.gos);
  const go = record.gos.find(({ document }) => document.party === party);
  if (go === undefined) throw unfit();
  const { shards } = query.plan.join;
  const shape = { shards, totalsBytes: totalsBytes(query.plan) };
  const { directory, owner } = shelf;
  const folder = await RunFolder.reopen(directory, owner, record, session, shape, log);
  const answer = await folder.loadAnswer();
  const { released } = reservedFor(context, query, record, go);
  if (answer === null && (released !== null || (await folder.finishBegan()))) {
    throw new ParleyError(
      'FINISH_INTERRUPTED',
      'the node was stopped while the answer was drawn, which is done once',
      { hint: 'ask again with a new query id' },
    );
  }
  if (answer !== null && shareDigest(answer.sealed) !== released) throw unfit();
  if (answer !== null) {
    const { receipt, sealed } = answer;
    await keepAnswer(context, query, { session, gos: record.gos, answer: { receipt, sealed } });
  }
  return new QuerySession(context, query, { session, gos: record.gos, go, folder, answer });
}

/**
 * The ledger decides: it holds the charge for exactly this query, plan, policy and data.
 * @throws ParleyError STORE_MISMATCH when the data changed since, CHECKPOINT_CORRUPT.
 */
function reservedFor(
  { ledger, policy, policyDigest, dataset }: PartyContext,
  query: VettedQuery,
  record: RunRecord,
  go: SignedGo,
): Reserved {
  const reserved = ledger.reserved(record.query_id);
  const { ledger_before, ledger_after } = verifyGo(go, policy);
  const charged =
    reserved?.planDigest === query.planDigest &&
    reserved.policyDigest === policyDigest &&
    reserved.dataset === record.dataset &&
    reserved.heads.before === ledger_before &&
    reserved.heads.after === ledger_after;
  if (!charged) throw unfit();
  if (datasetOfSide(query.plan.sides[query.side]!, dataset) !== record.dataset) {
    throw new ParleyError('STORE_MISMATCH', 'the data was changed while a query ran on it', {
      hint: 'ask again with a new query id',
    });
  }
  return reserved;
}

function unfit(): ParleyError {
  return new ParleyError(
    'CHECKPOINT_CORRUPT',
    'a run on disk does not fit the ledger or the records of its query',
  );
}

function stale(): ParleyError {
  return new ParleyError('TIMEOUT', 'a run on disk is too old to be resumed');
}
