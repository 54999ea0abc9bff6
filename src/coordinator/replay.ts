import { ParleyError, type ErrorDocument } from '../core/errors.ts';
import type { Policy } from '../policy/types.ts';
import {
  parseRecord,
  sessionOf,
  signedGoSchema,
  signedReplaySchema,
  signedSubmissionSchema,
  submissionDigest,
  verifyReplay,
  verifySubmission,
  type EnclaveRecord,
  type QueryRecord,
  type SignedGo,
  type SignedReplay,
  type SignedSubmission,
} from '../records/index.ts';
import type { Report } from '../transport/index.ts';
import { inEnclave, type Query } from './query.ts';

/**
 * Earlier answers given again. The coordinator only brings the parties together: each speaks for its
 * own data and signs, and the analyst checks every signature; what is checked here is courtesy.
 */

/** What a ready party said it could give again, and why it would not run anew. */
export interface Offer {
  readonly session: string;
  readonly otherwise: ErrorDocument | null;
  /** Of a run in an enclave: the query whose record has the answer. */
  readonly kept?: string;
}

/** A query that gets an earlier answer. */
export interface ReplayState {
  /** The run it is of. */
  readonly session: string;
  /** The earlier question and its goes, once a party has handed them over. */
  submission: SignedSubmission | null;
  gos: readonly SignedGo[];
  readonly statements: Map<string, SignedReplay>;
  /** Of a run in an enclave: its part of the record that was kept. */
  enclave: EnclaveRecord | null;
}

/** The one run whose answer every party of the query offers, or null. */
export function commonRun({ parties, offers }: Query): string | null {
  const sessions = parties.map((party) => offers.get(party)?.session);
  const [first] = sessions;
  return first !== undefined && sessions.every((session) => session === first) ? first : null;
}

/**
 * The enclave's part of a record, when that is of the run all parties offer and has its answer.
 * @param record - of the query the parties name, or null.
 */
export function keptRun(
  { parties }: Query,
  record: QueryRecord | null,
  session: string,
  policy: Policy,
): EnclaveRecord | null {
  const enclave = record?.enclave;
  if (record?.state !== 'answered' || enclave?.outcome == null) return null;
  try {
    return sessionOf(record.gos, policy, parties) === session ? enclave : null;
  } catch {
    return null;
  }
}

function notFitting(what: string): ParleyError {
  return new ParleyError('RECEIPT_INVALID', `a party gave an earlier answer again ${what}`);
}

/**
 * A party's statement that the query gets an earlier answer, with the question and goes of then.
 * @returns whether that is all there is to come: an enclave's answer is here, shares follow.
 * @throws ParleyError RECEIPT_INVALID, GO_INVALID, POLICY_MISMATCH, ANALYST_UNKNOWN,
 *   REQUEST_UNSIGNED.
 */
export function noteReplayed(
  query: Query,
  party: string,
  report: Extract<Report, { type: 'replayed' }>,
  policy: Policy,
): boolean {
  const { replay } = query;
  if (query.state !== 'agreeing' || replay?.statements.has(party) !== false) {
    throw notFitting('out of turn');
  }
  const statement = parseRecord(signedReplaySchema, report.statement, 'replay', 'RECEIPT_INVALID');
  const submission = parseRecord(
    signedSubmissionSchema,
    report.submission,
    'submission',
    'RECEIPT_INVALID',
  );
  const gos = report.gos.map((go) => parseRecord(signedGoSchema, go, 'go', 'GO_INVALID'));
  verifySubmission(submission, policy);
  const {
    party: by,
    backend,
    query_id,
    submission_digest,
    earlier,
  } = verifyReplay(statement, policy);
  const session = sessionOf(gos, policy, query.parties, {
    query_id: submission.document.query_id,
    submission_digest: submissionDigest(submission.document),
  });
  const fits =
    by === party &&
    backend === query.submission.document.backend &&
    query_id === query.id &&
    submission_digest === query.submissionDigest &&
    earlier.query_id === submission.document.query_id &&
    earlier.session === session &&
    session === replay.session &&
    (replay.enclave === null || earlier.share_digest === shareDigestIn(replay.enclave));
  if (!fits) throw notFitting('that is not the one all hold');
  replay.statements.set(party, statement);
  replay.submission ??= submission;
  if (replay.gos.length === 0) replay.gos = gos;
  if (!inEnclave(query) || replay.statements.size < query.parties.length) return false;
  query.enclave = replay.enclave;
  return true;
}

function shareDigestIn({ outcome }: EnclaveRecord): string | undefined {
  return outcome?.envelope.document.share_digest;
}
