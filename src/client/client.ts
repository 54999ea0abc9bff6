import { toBase64Url, fromUtf8 } from '../core/bytes.ts';
import { ParleyError } from '../core/errors.ts';
import { systemRng } from '../core/rng.ts';
import { canonicalJson, packetOf, verifyPacket, type AnalystKeys } from '../policy/index.ts';
import type { Policy, PolicyPacket } from '../policy/types.ts';
import {
  parseRecord,
  QUERY_ID,
  QUERY_RECORD_BYTES_MAX,
  queryRecordSchema,
  roomSchema,
  SHARE_BYTES_MAX,
  signSubmission,
  type Backend,
  type QueryRecord,
  type RoomDocument,
  type SignedSubmission,
  type TemplateCall,
} from '../records/index.ts';
import { planDigest, planQuery, type Plan } from '../sql/index.ts';
import type { Answer } from './answer.ts';
import { shareBytes } from './decode.ts';
import { backendOf, enclaveAnswerOf } from './enclave.ts';
import { requestJson, type Fetch } from './http.ts';
import { openRecord } from './open.ts';
import { BACK_OFF_MS_MIN, pause, whileAway } from './patience.ts';
import { deriveExpected } from './receipt/derive.ts';

export interface ClientOptions {
  /** Address of the coordinator, such as `http://127.0.0.1:8080`. */
  readonly url: string;
  /** The packet the analyst pinned; its signatures are checked here. */
  readonly packet: PolicyPacket;
  /** The analyst's name in the policy. */
  readonly analyst: string;
  readonly keys: AnalystKeys;
  /** Replaces the platform's fetch. */
  readonly fetch?: Fetch;
}

export interface QueryOptions {
  /** Decimal string; the policy's default when left out. */
  readonly epsilon?: string | null;
  /** What it runs on; when left out, shares where the policy allows them. */
  readonly backend?: Backend;
  /** 16 to 64 characters `A-Z a-z 0-9 _ -`. The same id asks for the same charge and answer. */
  readonly queryId?: string;
  /** In rooms that run templates: the one this text is an instance of, and its values. */
  readonly template?: TemplateCall;
}

export interface WaitOptions {
  readonly onProgress?: (record: QueryRecord) => void;
  readonly signal?: AbortSignal;
  /** Whole wait; 15 minutes unless told, more than a coordinator lets a query run. */
  readonly timeoutMs?: number;
}

export interface Client {
  readonly policy: Policy;
  readonly policyDigest: string;
  /** What the coordinator says about its room; unverified. */
  room(): Promise<RoomDocument>;
  /** Derives the plan the parties must run. @throws ParleyError every refusal of the SQL rooms. */
  plan(sql: string, options?: QueryOptions): { readonly plan: Plan; readonly planDigest: string };
  /** Signs and sends a query. Safe to repeat with the same id. */
  submit(sql: string, options?: QueryOptions): Promise<QueryRecord>;
  /** Waits until the query is answered, refused or failed. The record is unverified. */
  wait(queryId: string, options?: WaitOptions): Promise<QueryRecord>;
  /** Submits, waits, verifies everything, opens and decodes. */
  answer(sql: string, options?: QueryOptions & WaitOptions): Promise<Answer>;
  /**
   * Has the parties make ahead, once, everything a query of this shape consumes that depends on
   * nobody's data; the next such query is answered sooner. Charges and answers nothing.
   * @throws ParleyError as `answer`; STOCK_OFF, STOCK_FULL of a party.
   */
  prepare(sql: string, options?: QueryOptions & WaitOptions): Promise<QueryRecord>;
}

const REQUEST_MS = 15_000;
/** AGREEMENT. Longest a coordinator holds a poll. */
const POLL_MS = 20_000;
const WAIT_MS = 15 * 60_000;
/** LOCAL. Lets a poll that ends with the wait be answered before it is cut off. */
const DEADLINE_SLACK_MS = 500;
/** LOCAL. How long the coordinator may be unreachable before a wait gives up (R1: under 60 s). */
const AWAY_MS_MAX = 30_000;
const POLICY_RESPONSE_BYTES_MAX = 1024 * 1024;

export function newQueryId(): string {
  return toBase64Url(systemRng(16));
}

function endpoint(base: string, path: string, query: Readonly<Record<string, string>> = {}): URL {
  let url: URL;
  try {
    url = new URL(path, base.endsWith('/') ? base : `${base}/`);
  } catch {
    throw new ParleyError('BAD_ARGUMENT', 'the coordinator address is not a URL', {
      fragment: base,
    });
  }
  if (url.protocol !== 'http:' && url.protocol !== 'https:') {
    throw new ParleyError('BAD_ARGUMENT', 'the coordinator address must be http or https');
  }
  for (const [key, value] of Object.entries(query)) url.searchParams.set(key, value);
  return url;
}

/**
 * Fetches a room's policy packet and checks its signatures. Whoever has not compared the digest
 * with the parties trusts the coordinator for which room this is.
 *
 * @throws ParleyError of the packet's checks and of the connection.
 */
export async function fetchPacket(
  url: string,
  fetcher: Fetch = fetch,
): Promise<{ readonly packet: PolicyPacket; readonly digest: string }> {
  const value = await requestJson(fetcher, {
    method: 'GET',
    url: endpoint(url, 'v1/policy'),
    timeoutMs: REQUEST_MS,
    bytesMax: POLICY_RESPONSE_BYTES_MAX,
  });
  const packet = packetOf(value);
  return { packet, digest: verifyPacket(packet).digest };
}

const PENDING: ReadonlySet<string> = new Set(['submitted', 'agreeing', 'running']);

function isTerminal(record: QueryRecord): boolean {
  return !PENDING.has(record.state);
}

/** The error a refused or failed record states, with the party it came from. */
function errorOf(record: QueryRecord): ParleyError {
  if (record.error === null) {
    return new ParleyError('RESULT_INVALID', 'the query ended without an answer or a reason');
  }
  const { code, message, detail, party } = record.error;
  return new ParleyError(code, message, party === undefined ? detail : { ...detail, party });
}

/** State shared by the client's functions. */
interface Session {
  readonly options: ClientOptions;
  readonly policy: Policy;
  readonly digest: string;
  readonly fetcher: Fetch;
}

function submissionOf(
  session: Session,
  sql: string,
  options: QueryOptions,
  purpose?: 'prepare',
): SignedSubmission {
  const queryId = options.queryId ?? newQueryId();
  if (!QUERY_ID.test(queryId)) {
    throw new ParleyError('BAD_ARGUMENT', 'a query id is 16 to 64 letters, digits, _ or -');
  }
  return signSubmission(
    {
      version: 1,
      room: session.policy.room,
      policy_digest: session.digest,
      query_id: queryId,
      analyst: session.options.analyst,
      sql,
      epsilon: options.epsilon ?? null,
      backend: purpose === undefined ? backendOf(session.policy, options.backend) : 'mpc',
      ...(options.template === undefined ? {} : { template: options.template }),
      ...(purpose === undefined ? {} : { purpose }),
    },
    session.options.keys.signing.privateKey,
  );
}

async function send(
  session: Session,
  submission: SignedSubmission,
  signal: AbortSignal | undefined,
): Promise<QueryRecord> {
  const value = await requestJson(session.fetcher, {
    method: 'POST',
    url: endpoint(session.options.url, 'v1/queries'),
    body: fromUtf8(canonicalJson(submission)),
    timeoutMs: REQUEST_MS,
    bytesMax: QUERY_RECORD_BYTES_MAX,
    ...(signal === undefined ? {} : { signal }),
  });
  return recordOf(value, submission.document.query_id);
}

function recordOf(value: unknown, queryId: string): QueryRecord {
  const record = parseRecord(queryRecordSchema, value, 'query record', 'RESULT_INVALID');
  if (record.query_id !== queryId) {
    throw new ParleyError('RESULT_INVALID', 'the coordinator spoke of another query');
  }
  return record;
}

async function waitFor(
  session: Session,
  queryId: string,
  options: WaitOptions,
): Promise<QueryRecord> {
  const { onProgress, signal, timeoutMs = WAIT_MS } = options;
  const deadline = performance.now() + timeoutMs;
  let seen = -1;
  for (;;) {
    const leftMs = deadline - performance.now();
    if (leftMs <= 0) throw new ParleyError('TIMEOUT', 'the query did not end in time');
    const waitMs = Math.round(Math.min(POLL_MS, leftMs));
    const poll = async (): Promise<QueryRecord> => {
      const value = await requestJson(session.fetcher, {
        method: 'GET',
        url: endpoint(session.options.url, `v1/queries/${queryId}`, {
          wait_ms: `${waitMs}`,
          ...(seen < 0 ? {} : { seen: `${seen}` }),
        }),
        timeoutMs: Math.min(waitMs + REQUEST_MS, Math.ceil(leftMs) + DEADLINE_SLACK_MS),
        bytesMax: QUERY_RECORD_BYTES_MAX,
        ...(signal === undefined ? {} : { signal }),
      });
      return recordOf(value, queryId);
    };
    const record = await whileAway(poll, signal, Math.min(AWAY_MS_MAX, leftMs));
    if (record.revision !== seen) onProgress?.(record);
    if (isTerminal(record)) return record;
    // A coordinator that ignores wait_ms must not turn this into a busy loop.
    if (record.revision === seen) await pause(BACK_OFF_MS_MIN, signal);
    seen = record.revision;
  }
}

/** @throws ParleyError DOMAIN_TOO_LARGE when the answer would not fit one sealed share. */
function expectFits(plan: Plan): void {
  const { open, cells } = shareBytes(plan);
  if (open + cells > SHARE_BYTES_MAX) {
    throw new ParleyError('DOMAIN_TOO_LARGE', 'the answer has more cells than a share carries', {
      hint: 'select fewer aggregates or group by fewer columns',
    });
  }
}

async function answerQuery(
  session: Session,
  sql: string,
  options: QueryOptions & WaitOptions,
): Promise<Answer> {
  // Everything expected is derived before the coordinator is asked; a refusal costs no request.
  const { policy, digest } = session;
  expectFits(planQuery(policy, digest, sql, { epsilon: options.epsilon ?? null }));
  const submission = submissionOf(session, sql, options);
  const expected = deriveExpected(policy, digest, submission.document);
  const { signal } = options;
  const first = await whileAway(() => send(session, submission, signal), signal, AWAY_MS_MAX);
  const record = isTerminal(first) ? first : await waitFor(session, expected.queryId, options);
  if (record.state !== 'answered') throw errorOf(record);
  const { backend } = submission.document;
  if (backend === 'tee') return enclaveAnswerOf(session.options, submission, record, expected);
  const { packet, keys } = session.options;
  return openRecord(record, { packet, submission, expected, sealingKey: keys.sealing.privateKey });
}

async function prepareQuery(
  session: Session,
  sql: string,
  options: QueryOptions & WaitOptions,
): Promise<QueryRecord> {
  planQuery(session.policy, session.digest, sql, { epsilon: options.epsilon ?? null });
  const submission = submissionOf(session, sql, options, 'prepare');
  const { signal } = options;
  const first = await whileAway(() => send(session, submission, signal), signal, AWAY_MS_MAX);
  const { query_id } = submission.document;
  const record = isTerminal(first) ? first : await waitFor(session, query_id, options);
  if (record.state !== 'prepared') throw errorOf(record);
  return record;
}

/**
 * An analyst's client of one room: asks, waits, verifies, and alone reconstructs the answer.
 *
 * @throws ParleyError of the packet's checks; ANALYST_UNKNOWN when the policy does not name the
 *   analyst with these keys.
 */
export function createClient(options: ClientOptions): Client {
  const { policy, digest } = verifyPacket(options.packet);
  const { analyst, keys } = options;
  const known = policy.analysts.find((a) => a.name === analyst);
  if (
    known?.signing_key !== keys.signing.publicKey ||
    known.sealing_key !== keys.sealing.publicKey
  ) {
    throw new ParleyError('ANALYST_UNKNOWN', 'the policy does not name this analyst and keys', {
      fragment: analyst,
    });
  }
  const session: Session = { options, policy, digest, fetcher: options.fetch ?? fetch };
  return {
    policy,
    policyDigest: digest,
    async room() {
      const value = await requestJson(session.fetcher, {
        method: 'GET',
        url: endpoint(options.url, 'v1/room'),
        timeoutMs: REQUEST_MS,
        bytesMax: POLICY_RESPONSE_BYTES_MAX,
      });
      return parseRecord(roomSchema, value, 'room', 'RESULT_INVALID');
    },
    plan(sql, { epsilon = null } = {}) {
      const plan = planQuery(policy, digest, sql, { epsilon });
      return { plan, planDigest: planDigest(plan) };
    },
    submit: (sql, query = {}) => send(session, submissionOf(session, sql, query), undefined),
    wait: (queryId, wait = {}) => waitFor(session, queryId, wait),
    answer: (sql, query = {}) => answerQuery(session, sql, query),
    prepare: (sql, query = {}) => prepareQuery(session, sql, query),
  };
}
