import { Hono } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import type { ContentfulStatusCode } from 'hono/utils/http-status';
import { asParleyError, ParleyError, type ErrorCode } from '../core/errors.ts';
import { parseJsonStrict } from '../policy/index.ts';
import type { PolicyPacket } from '../policy/types.ts';
import {
  parseRecord,
  QUERY_ID,
  signedSubmissionSchema,
  type RoomDocument,
} from '../records/index.ts';
import { BODY_BYTES_MAX, WAIT_MS_MAX } from './limits.ts';
import type { Log } from './log.ts';
import type { QueryBook } from './queries.ts';

export interface ApiOptions {
  readonly packet: PolicyPacket;
  readonly room: () => RoomDocument;
  readonly queries: Pick<QueryBook, 'submit' | 'wait'>;
  readonly log: Log;
}

/** Codes whose status is not their fault's. */
const STATUS: Partial<Record<ErrorCode, ContentfulStatusCode>> = {
  REQUEST_UNSIGNED: 401,
  ANALYST_UNKNOWN: 403,
  QUERY_UNKNOWN: 404,
  POLICY_MISMATCH: 409,
  QUERY_ID_REUSED: 409,
  INPUT_TOO_LARGE: 413,
  TOO_MANY_QUERIES: 429,
  COORDINATOR_AWAY: 503,
};

function statusOf(error: ParleyError): ContentfulStatusCode {
  return STATUS[error.code] ?? (error.fault === 'caller' || error.fault === 'policy' ? 400 : 500);
}

/** A non-negative decimal integer of a query parameter; null when it is absent. */
function integerOf(text: string | undefined, name: string, max: number): number | null {
  if (text === undefined) return null;
  const value = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
  if (!(value <= max)) {
    throw new ParleyError('REQUEST_MALFORMED', `expected an integer from 0 to ${max}`, {
      path: name,
    });
  }
  return value;
}

/**
 * The analysts' HTTP API. Bodies are JSON; every error is `{ "error": ErrorDocument }`.
 *
 * - `GET /v1/room`: `RoomDocument`.
 * - `GET /v1/policy`: `PolicyPacket`.
 * - `POST /v1/queries` with a `SignedSubmission`: 202 and the `QueryRecord`.
 * - `GET /v1/queries/:id?seen=<revision>&wait_ms=<0..25000>`: `QueryRecord`, at once or as soon as
 *   its revision is above `seen` (without it: above the present one).
 *
 * Reading needs no key: ids are the analysts' own random ones, and answers are sealed.
 */
export function createApi(options: ApiOptions): Hono {
  const app = new Hono();
  app.use(async (c, next) => {
    await next();
    c.header('cache-control', 'no-store');
    c.header('x-content-type-options', 'nosniff');
  });
  app.onError((cause, c) => {
    const error = asParleyError(cause);
    if (error.fault === 'bug' || error.fault === 'storage') {
      options.log.error({ err: cause, code: error.code }, 'a request failed');
    }
    return c.json({ error: error.toJSON() }, statusOf(error));
  });
  app.notFound((c) => {
    const error = new ParleyError('REQUEST_MALFORMED', 'there is nothing at this address');
    return c.json({ error: error.toJSON() }, 404);
  });
  app.get('/v1/room', (c) => c.json(options.room()));
  app.get('/v1/policy', (c) => c.json(options.packet));
  app.post(
    '/v1/queries',
    bodyLimit({
      maxSize: BODY_BYTES_MAX,
      onError: () => {
        throw new ParleyError('INPUT_TOO_LARGE', 'the request body is longer than 1 MiB');
      },
    }),
    async (c) => {
      const body = new Uint8Array(await c.req.arrayBuffer());
      const value = parseJsonStrict(body, { bytesMax: BODY_BYTES_MAX });
      const submission = parseRecord(signedSubmissionSchema, value, 'submission');
      return c.json(await options.queries.submit(submission), 202);
    },
  );
  app.get('/v1/queries/:id', async (c) => {
    const id = c.req.param('id');
    if (!QUERY_ID.test(id)) {
      throw new ParleyError('QUERY_UNKNOWN', 'the coordinator knows no query of this id');
    }
    const waitMs = integerOf(c.req.query('wait_ms'), 'wait_ms', WAIT_MS_MAX) ?? 0;
    const seen = integerOf(c.req.query('seen'), 'seen', Number.MAX_SAFE_INTEGER);
    return c.json(await options.queries.wait(id, seen, waitMs, c.req.raw.signal));
  });
  return app;
}
