import { ParleyError, type ErrorCode } from '../core/errors.ts';
import type {
  EnclaveRecord,
  LedgerExtension,
  QueryAnswer,
  QueryError,
  QueryProgress,
  QueryRecord,
  QueryState,
  SignedGo,
  SignedStatement,
  SignedSubmission,
  Submission,
} from '../records/index.ts';
import type { PlanSide } from '../sql/index.ts';
import type { Order } from '../transport/index.ts';
import { STAGES_MAX } from './limits.ts';
import type { Offer, ReplayState } from './replay.ts';

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
  sides: readonly PlanSide[];
  planDigest: string | null;
  session: string | null;
  state: QueryState;
  revision: number;
  error: QueryError | null;
  readonly progress: Map<string, QueryProgress>;
  /** Parties that vetted the query and can afford it. */
  readonly ready: Set<string>;
  /** What ready parties could give again. */
  readonly offers: Map<string, Offer>;
  /** Set when the query gets an earlier answer. */
  replay: ReplayState | null;
  /** What parties said of their ledgers before they reserved, and with their goes. */
  readonly ledgers: SignedStatement[];
  readonly extensions: LedgerExtension[];
  readonly gos: Map<string, SignedGo>;
  readonly answers: Map<string, QueryAnswer>;
  /** Of a run in an enclave, from its greeting on. */
  enclave: EnclaveRecord | null;
  /** An enclave has every party's input and authorisation. */
  inputsIn: boolean;
  /** Of the present or last run; the first is 0. */
  epoch: number;
  recovery: Recovery | null;
  /** Parties that have prepared what was to be prepared. */
  readonly prepared: Set<string>;
  readonly timers: Set<NodeJS.Timeout>;
  progressTimer: NodeJS.Timeout | null;
  readonly waiters: Set<() => void>;
  /** Resolves when its end is on disk, or cannot be put there; null before the end. */
  stored: Promise<void> | null;
}

export const TERMINAL: ReadonlySet<QueryState> = new Set([
  'answered',
  'prepared',
  'refused',
  'failed',
]);

export function recordOf(query: Query): QueryRecord {
  return {
    version: 1,
    query_id: query.id,
    state: query.state,
    revision: query.revision,
    plan_digest: query.planDigest,
    error: query.error,
    progress: [...query.progress.values()],
    gos: [...(query.replay?.gos ?? query.gos.values())],
    answers: [...query.answers.values()],
    ...evidenceOf(query),
    ...(query.enclave === null ? {} : { enclave: query.enclave }),
  };
}

/** What proves an earlier answer, once every party has given it. */
function evidenceOf({ replay, state }: Query): Pick<QueryRecord, 'replay'> {
  if (replay?.submission == null || state !== 'answered') return {};
  const { submission, statements } = replay;
  return { replay: { submission, statements: [...statements.values()] } };
}

export function newQuery(submission: SignedSubmission, digest: string): Query {
  return {
    id: submission.document.query_id,
    submission,
    submissionDigest: digest,
    parties: [],
    sides: [],
    planDigest: null,
    session: null,
    state: 'submitted',
    revision: 0,
    error: null,
    progress: new Map(),
    ready: new Set(),
    offers: new Map(),
    replay: null,
    ledgers: [],
    extensions: [],
    gos: new Map(),
    answers: new Map(),
    enclave: null,
    inputsIn: false,
    epoch: 0,
    recovery: null,
    prepared: new Set(),
    timers: new Set(),
    progressTimer: null,
    waiters: new Set(),
    stored: null,
  };
}

/** What the audit log keeps of a submission. */
export function askedIn(
  document: Submission,
): Pick<Submission, 'analyst' | 'sql' | 'epsilon' | 'backend' | 'purpose'> {
  const { analyst, sql, epsilon, backend, purpose } = document;
  return { analyst, sql, epsilon, backend, ...(purpose === undefined ? {} : { purpose }) };
}

/** True for a query that asks for an enclave. */
export function inEnclave(query: Query): boolean {
  return query.submission.document.backend === 'tee';
}

/** True for a party that is done with the query, so that it may leave. */
export function isDone(query: Query, party: string): boolean {
  const { answers, prepared, inputsIn, replay } = query;
  if (inEnclave(query) && replay?.statements.has(party) === true) return true;
  return answers.has(party) || prepared.has(party) || inputsIn;
}

/** What a party says that lost its peer, or was stopped because of it. */
const ECHOES: ReadonlySet<ErrorCode> = new Set(['PEER_ABORTED', 'CHANNEL_CLOSED', 'CANCELLED']);

/**
 * A party that only lost its peer knows less of the cause than the peer, whose report may come a
 * moment later. So does one whose finish broke off, unless a party is known to be lost.
 */
export function isEcho({ recovery }: Pick<Query, 'recovery'>, { code }: QueryError): boolean {
  const unexplained = code === 'FINISH_INTERRUPTED' && (recovery?.lost ?? null) === null;
  return ECHOES.has(code) || unexplained;
}

/** Keeps the last report of a party's stage, and of so many stages as a record may have. */
export function noteProgress(
  { progress }: Query,
  party: string,
  { stage, done, total }: Omit<QueryProgress, 'party'>,
): void {
  const key = `${party} ${stage}`;
  const own = [...progress.entries()].filter(([, p]) => p.party === party);
  if (!progress.has(key) && own.length >= STAGES_MAX) progress.delete(own[0]![0]);
  progress.set(key, { party, stage, done, total });
}

/**
 * A party has prepared what was to be prepared.
 * @returns whether all have. @throws ParleyError FRAME_MALFORMED out of turn.
 */
export function notePrepared(query: Query, party: string): boolean {
  const asked = query.submission.document.purpose === 'prepare';
  if (!asked || query.state !== 'running' || query.prepared.has(party)) {
    throw new ParleyError('FRAME_MALFORMED', 'a party was prepared out of turn');
  }
  query.prepared.add(party);
  return query.prepared.size === query.parties.length;
}

/** Wakes whoever waits for the query to change. */
export function changed(query: Query): void {
  query.revision += 1;
  wake(query);
}

export function wake({ waiters }: Query): void {
  for (const wakeOne of [...waiters]) wakeOne();
}

/** What parties are told at the end of a query. */
export function endOrder(query_id: string, error: QueryError | null): Order {
  if (error === null) return { type: 'over', query_id };
  const { code, fault, message, detail } = error;
  return { type: 'abort', query_id, error: { code, fault, message, detail } };
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
