import { ParleyError } from '../core/errors.ts';
import type { Policy } from '../policy/types.ts';
import {
  ledgerExtensionSchema,
  parseRecord,
  sessionOf,
  signedGoSchema,
  signedStatementSchema,
  verifyGo,
  type QueryError,
} from '../records/index.ts';
import type { Order, Report } from '../transport/index.ts';
import type { Query } from './query.ts';
import { commonRun } from './replay.ts';

/** What all parties are told once all have vetted the question. */
export type Readied = Extract<Order, { type: 'reserve' | 'replay' }> | Refusal;

/** A party cannot run the question anew, and not all can give one earlier answer again. */
export interface Refusal {
  readonly type: 'refusal';
  readonly error: QueryError;
}

// What parties tell each other of their ledgers is passed on; only its form is looked at here.
const isQuestion = (query: Query): boolean => query.submission.document.purpose !== 'prepare';

/**
 * A party has vetted the query. Nobody is asked to reserve before everybody has: a refusal costs no
 * party anything.
 *
 * @returns what all parties are told once all are ready: to give an earlier answer again when all
 *   hold that of one run, else to reserve; null before.
 * @throws ParleyError FRAME_MALFORMED out of turn, GO_INVALID.
 */
export function noteReady(
  query: Query,
  party: string,
  report: Extract<Report, { type: 'ready' }>,
): Readied | null {
  if (query.state !== 'agreeing' || query.ready.has(party)) {
    throw new ParleyError('FRAME_MALFORMED', 'a party was ready out of turn');
  }
  if (isQuestion(query)) {
    const what = 'ledger statement';
    query.ledgers.push(parseRecord(signedStatementSchema, report.ledger, what, 'GO_INVALID'));
  }
  query.ready.add(party);
  if (report.replay !== undefined) query.offers.set(party, report.replay);
  if (query.ready.size < query.parties.length) return null;
  const session = commonRun(query);
  if (session !== null) {
    query.replay = { session, submission: null, gos: [], statements: new Map(), enclave: null };
    return { type: 'replay', query_id: query.id, session };
  }
  return anew(query);
}

/** No earlier answer will do: the question is run, or refused for the reason a party has. */
export function anew(query: Query): Exclude<Readied, { type: 'replay' }> {
  query.replay = null;
  for (const [name, { otherwise }] of query.offers) {
    if (otherwise !== null) return { type: 'refusal', error: { ...otherwise, party: name } };
  }
  return { type: 'reserve', query_id: query.id, ledgers: query.ledgers };
}

/**
 * A party has reserved and consented.
 * @returns what starts the run, once all have; null before.
 * @throws ParleyError GO_INVALID, PLAN_MISMATCH.
 */
export function noteGo(
  query: Query,
  party: string,
  report: Extract<Report, { type: 'go' }>,
  policy: Policy,
): Extract<Order, { type: 'gos' }> | null {
  const go = parseRecord(signedGoSchema, report.go, 'go', 'GO_INVALID');
  const ready = query.state === 'agreeing' && query.ready.size === query.parties.length;
  const asked = ready && query.replay === null;
  if (!asked || query.gos.has(party) || go.document.party !== party) {
    throw new ParleyError('GO_INVALID', 'a party sent a go out of turn');
  }
  verifyGo(go, policy);
  if (go.document.plan_digest !== query.planDigest) {
    throw new ParleyError('PLAN_MISMATCH', 'a party derived another plan from the same query');
  }
  if (isQuestion(query)) {
    const what = 'ledger extension';
    query.extensions.push(parseRecord(ledgerExtensionSchema, report.extension, what, 'GO_INVALID'));
  }
  query.gos.set(party, go);
  if (query.gos.size < query.parties.length) return null;
  const gos = [...query.gos.values()];
  query.session = sessionOf(gos, policy, query.parties, {
    query_id: query.id,
    plan_digest: query.planDigest,
    submission_digest: query.submissionDigest,
  });
  return { type: 'gos', query_id: query.id, gos, extensions: query.extensions };
}
