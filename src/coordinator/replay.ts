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
  type SignedGo,
  type SignedReplay,
  type SignedSubmission,
} from '../records/index.ts';
import type { Report } from '../transport/index.ts';
import type { Query } from './query.ts';

/**
 * Earlier answers given again. The coordinator only brings the parties together: each speaks for its
 * own data and signs, and the analyst checks every signature; what is checked here is courtesy.
 */

/** What a ready party said it could give again, and why it would not run anew. */
export interface Offer {
  readonly session: string;
  readonly otherwise: ErrorDocument | null;
}

/** A query that gets an earlier answer. */
export interface ReplayState {
  /** The run it is of. */
  readonly session: string;
  /** The earlier question and its goes, once a party has handed them over. */
  submission: SignedSubmission | null;
  gos: readonly SignedGo[];
  readonly statements: Map<string, SignedReplay>;
}

/** The one run whose answer every party of the query offers, or null. */
export function commonRun({ parties, offers }: Query): string | null {
  const sessions = parties.map((party) => offers.get(party)?.session);
  const [first] = sessions;
  return first !== undefined && sessions.every((session) => session === first) ? first : null;
}

function notFitting(what: string): ParleyError {
  return new ParleyError('RECEIPT_INVALID', `a party gave an earlier answer again ${what}`);
}

/**
 * A party's statement that the query gets an earlier answer, with the question and goes of then.
 * @throws ParleyError RECEIPT_INVALID, GO_INVALID, POLICY_MISMATCH, ANALYST_UNKNOWN,
 *   REQUEST_UNSIGNED.
 */
export function noteReplayed(
  query: Query,
  party: string,
  report: Extract<Report, { type: 'replayed' }>,
  policy: Policy,
): void {
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
  const { party: by, query_id, submission_digest, earlier } = verifyReplay(statement, policy);
  const session = sessionOf(gos, policy, query.parties, {
    query_id: submission.document.query_id,
    submission_digest: submissionDigest(submission.document),
  });
  const fits =
    by === party &&
    query_id === query.id &&
    submission_digest === query.submissionDigest &&
    earlier.query_id === submission.document.query_id &&
    earlier.session === session &&
    session === replay.session;
  if (!fits) throw notFitting('that is not the one all hold');
  replay.statements.set(party, statement);
  replay.submission ??= submission;
  if (replay.gos.length === 0) replay.gos = gos;
}
