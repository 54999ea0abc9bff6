import { ParleyError } from '../core/errors.ts';
import type {
  QueryAnswer,
  QueryError,
  QueryProgress,
  QueryRecord,
  QueryState,
  SignedGo,
  SignedSubmission,
} from '../records/index.ts';

/** A run that broke off and waits for its parties. */
export interface Recovery {
  /** Whose loss began it; null when a link broke between parties that are here. */
  readonly lost: string | null;
  /** Parties that have stopped the old epoch and can go on. */
  readonly parked: Set<string>;
  readonly timer: NodeJS.Timeout;
}

/** A query that has not been answered, refused or failed yet. */
export interface Query {
  readonly id: string;
  readonly submission: SignedSubmission;
  readonly submissionDigest: string;
  /** Pivot first; empty until planned. */
  parties: readonly string[];
  planDigest: string | null;
  session: string | null;
  state: QueryState;
  revision: number;
  error: QueryError | null;
  readonly progress: Map<string, QueryProgress>;
  /** Parties that vetted the query and can afford it. */
  readonly ready: Set<string>;
  readonly gos: Map<string, SignedGo>;
  readonly answers: Map<string, QueryAnswer>;
  /** Of the present or last run; the first is 0. */
  epoch: number;
  recovery: Recovery | null;
  readonly timers: Set<NodeJS.Timeout>;
  progressTimer: NodeJS.Timeout | null;
  readonly waiters: Set<() => void>;
}

export const TERMINAL: ReadonlySet<QueryState> = new Set(['answered', 'refused', 'failed']);

export function recordOf(query: Query): QueryRecord {
  return {
    version: 1,
    query_id: query.id,
    state: query.state,
    revision: query.revision,
    plan_digest: query.planDigest,
    error: query.error,
    progress: [...query.progress.values()],
    gos: [...query.gos.values()],
    answers: [...query.answers.values()],
  };
}

export function newQuery(submission: SignedSubmission, digest: string): Query {
  return {
    id: submission.document.query_id,
    submission,
    submissionDigest: digest,
    parties: [],
    planDigest: null,
    session: null,
    state: 'submitted',
    revision: 0,
    error: null,
    progress: new Map(),
    ready: new Set(),
    gos: new Map(),
    answers: new Map(),
    epoch: 0,
    recovery: null,
    timers: new Set(),
    progressTimer: null,
    waiters: new Set(),
  };
}

/** A record left behind by a coordinator that ended before the query did. */
export function lostIn(record: QueryRecord): QueryRecord {
  const error = new ParleyError('COORDINATOR_AWAY', 'the coordinator was restarted meanwhile');
  return { ...record, state: 'failed', revision: record.revision + 1e6, error: error.toJSON() };
}

export function away(party: string): QueryError {
  const error = new ParleyError('PARTY_AWAY', 'a party of the query is not connected', { party });
  return { ...error.toJSON(), party };
}

export function timeout(message: string, party?: string): QueryError {
  const error = new ParleyError('TIMEOUT', message, party === undefined ? {} : { party });
  return party === undefined ? error.toJSON() : { ...error.toJSON(), party };
}
