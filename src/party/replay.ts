import { asParleyError, expect, ParleyError, type ErrorDocument } from '../core/errors.ts';
import { digestOf } from '../policy/index.ts';
import type { Replay } from '../records/index.ts';
import {
  backendMark,
  datasetsOfGos,
  queryKeyOf,
  signReplay,
  submissionDigest,
} from '../records/index.ts';
import { coreDigest, tablesOfSides } from '../sql/index.ts';
import type { GivenAnswer, GivenByEnclave, GivenShare } from './answers/index.ts';
import { shareDigestOf } from './answers/index.ts';
import type { OfferReport, ReplayedReport } from './control.ts';
import { datasetsOfSide } from './dataset.ts';
import type { PartyContext } from './node.ts';
import type { VettedQuery } from './vet.ts';

/** What this party could give again instead of running the question. */
export interface ReplayOffer {
  readonly given: GivenAnswer;
  /** Why the question cannot be run; null when it can. */
  readonly otherwise: ErrorDocument | null;
}

/** An offer as the coordinator is told it. */
export function offerReport({ given, otherwise }: ReplayOffer): OfferReport {
  const { session, submission } = given;
  // Of an enclave's answer the coordinator has the bytes.
  const kept = 'enclave' in given ? { kept: submission.document.query_id } : {};
  return { session, otherwise, ...kept };
}

function sealingKeyOf({ policy }: PartyContext, { submission }: VettedQuery): string {
  const analyst = policy.analysts.find(({ name }) => name === submission.analyst);
  expect(analyst !== undefined, 'the submission was verified');
  return analyst.sealing_key;
}

/**
 * What this party looks its own answers up by: the part of the query key it can say alone. The data
 * of the others is theirs to speak for, each in its own statement.
 */
export function lookupOf(context: PartyContext, query: VettedQuery): string {
  const { policyDigest, dataset } = context;
  return digestOf('parley/answer-lookup/v1', {
    core: coreDigest(query.plan),
    policy_digest: policyDigest,
    datasets: datasetsOfSide(query.plan.sides[query.side]!, dataset),
    sealing_key: sealingKeyOf(context, query),
    ...backendMark(query.submission.backend),
  });
}

/**
 * Keeps an answer for identical questions to come. One that cannot be kept is an answer all the
 * same, so a full disk is told to the owner alone.
 */
export async function keepAnswer(
  context: PartyContext,
  query: VettedQuery,
  given:
    Omit<GivenShare, 'version' | 'submission'> | Omit<GivenByEnclave, 'version' | 'submission'>,
): Promise<void> {
  const { answers, log } = context;
  if (answers === null || !keepsAnswers(context)) return;
  try {
    const { signed: submission } = query;
    await answers.keep(lookupOf(context, query), { version: 1, submission, ...given });
  } catch (error) {
    const { code } = asParleyError(error);
    log.warn({ code }, 'an answer is not kept for identical questions');
  }
}

function keepsAnswers({ policy }: PartyContext): boolean {
  return policy.rules.cache_identical_queries !== false;
}

/**
 * The answer to give again to a vetted question: the one this very query id got, or the newest to an
 * identical question, on the data this node has now. Null when there is none or the policy says no.
 */
export function findAnswer(context: PartyContext, query: VettedQuery): GivenAnswer | null {
  const { answers, ledger } = context;
  if (answers === null || !keepsAnswers(context)) return null;
  const { query_id, purpose } = query.submission;
  if (purpose === 'prepare') return null;
  const own = answers.ofQuery(query_id);
  // An id that was charged and has no answer here has failed: it gets its error again, nothing else.
  if (own === null) return ledger.has(query_id) ? null : answers.find(lookupOf(context, query));
  // One id is one question: another one under it is a mistake or an attack, and gets nothing.
  return submissionDigest(own.submission.document) === query.submissionDigest &&
    sameData(context, query, own)
    ? own
    : null;
}

function sameData(
  { dataset, party }: PartyContext,
  query: VettedQuery,
  { gos }: GivenAnswer,
): boolean {
  const now = datasetsOfSide(query.plan.sides[query.side]!, dataset);
  const then = gos.find(({ document }) => document.party === party)?.document.datasets ?? [];
  return (
    now.length === then.length &&
    now.every(({ table, commitment }, i) => {
      return then[i]?.table === table && then[i].commitment === commitment;
    })
  );
}

/**
 * Signs that a question gets an earlier answer again, and hands over what proves it. Nothing is
 * drawn, opened or charged.
 *
 * @param session - the run the coordinator says all parties hold; one that lies gets nothing.
 * @throws ParleyError FRAME_MALFORMED when this party offered another one.
 */
export function replayAnswer(
  context: PartyContext,
  query: VettedQuery,
  { given }: ReplayOffer,
  session: string,
): ReplayedReport {
  if (given.session !== session) {
    throw new ParleyError('FRAME_MALFORMED', 'the coordinator named another run than was offered');
  }
  const { policy, policyDigest, party, keys } = context;
  const { backend, query_id } = query.submission;
  const { submission } = given;
  const document: Replay = {
    version: 1,
    backend,
    room: policy.room,
    policy_digest: policyDigest,
    party,
    query_id,
    submission_digest: query.submissionDigest,
    plan_digest: query.planDigest,
    query_key: queryKeyOf({
      backend,
      core: coreDigest(query.plan),
      policyDigest,
      datasets: datasetsOfGos(given.gos, tablesOfSides(query.plan)),
      sealingKey: sealingKeyOf(context, query),
    }),
    earlier: {
      query_id: submission.document.query_id,
      submission_digest: submissionDigest(submission.document),
      plan_digest: given.gos[0]!.document.plan_digest,
      session,
      share_digest: shareDigestOf(given),
      ...('enclave' in given ? { appraised_at: given.enclave.appraised_at } : {}),
    },
  };
  return {
    type: 'replayed',
    query_id,
    statement: signReplay(document, keys.identity.privateKey),
    submission,
    gos: [...given.gos],
  };
}
