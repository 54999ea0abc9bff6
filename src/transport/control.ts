import { z } from 'zod';
import { isErrorCode, ParleyError, type ErrorCode, type ErrorDocument } from '../core/errors.ts';
import { HELLO_VERSION } from './hello.ts';
import { EPOCHS_MAX, HELD_RUNS_MAX } from './limits.ts';

/**
 * Control messages: JSON text between a party and the coordinator. The signed documents inside are
 * `unknown` here; whoever uses them checks them against their own schemas and signatures.
 */

const name = z.string().regex(/^[a-z][a-z0-9_-]{0,62}$/);
const digest = z.string().regex(/^[0-9a-f]{64}$/);
const queryId = z.string().regex(/^[A-Za-z0-9_-]{16,64}$/);
const text = z.string().max(500);
const count = z.number().int().min(0).max(Number.MAX_SAFE_INTEGER);

const error: z.ZodType<ErrorDocument> = z.strictObject({
  code: z.custom<ErrorCode>(isErrorCode),
  fault: z.enum(['caller', 'policy', 'peer', 'transport', 'storage', 'bug']),
  message: text,
  detail: z.strictObject({
    fragment: text.exactOptional(),
    hint: text.exactOptional(),
    step: text.exactOptional(),
    path: text.exactOptional(),
    party: text.exactOptional(),
  }),
});

const challenge = z.strictObject({
  type: z.literal('challenge'),
  version: z.literal(HELLO_VERSION),
  nonce: digest,
});
const welcome = z.strictObject({ type: z.literal('welcome') });
const refused = z.strictObject({ type: z.literal('refused'), error });
const query = z.strictObject({
  type: z.literal('query'),
  query_id: queryId,
  submission: z.unknown(),
  plan_digest: digest,
});
const gos = z.strictObject({
  type: z.literal('gos'),
  query_id: queryId,
  gos: z.array(z.unknown()).max(8),
  extensions: z.array(z.unknown()).max(8),
});
/**
 * Two phases, so that a refusal by one party costs the other nothing: `query` to all, `ready` (or
 * `refuse`) from all; then `reserve` to all, `go` from all; then `gos` to all, which starts the run.
 * With them travels what parties tell each other of their ledgers: statements before anybody
 * reserves, extensions of what the others keep with the goes. Preparing has neither.
 */
const reserve = z.strictObject({
  type: z.literal('reserve'),
  query_id: queryId,
  ledgers: z.array(z.unknown()).max(8),
});
/**
 * A party that has answered an identical question before says with `ready` which run that was, and
 * why it would refuse to run anew (null: it would not). When all parties name one run, `replay` goes
 * to all in place of `reserve`, and each sends `replayed` and the `answer` it gave then. An answer of
 * an enclave is in the coordinator's record of the query named `kept`; nobody sends it.
 */
const ready = z.strictObject({
  type: z.literal('ready'),
  query_id: queryId,
  replay: z
    .strictObject({
      session: digest,
      otherwise: error.nullable(),
      kept: queryId.exactOptional(),
    })
    .exactOptional(),
  ledger: z.unknown().optional(),
});
const replay = z.strictObject({ type: z.literal('replay'), query_id: queryId, session: digest });
const replayed = z.strictObject({
  type: z.literal('replayed'),
  query_id: queryId,
  statement: z.unknown(),
  submission: z.unknown(),
  gos: z.array(z.unknown()).max(8),
});
const abort = z.strictObject({ type: z.literal('abort'), query_id: queryId, error });
/**
 * A run that broke off: `park` to all, `parked` (or, after a new connection, `held`) from all, then
 * `resume` to all, which starts the next epoch. `parked` unasked says that a link broke. Each party
 * has stopped sending for the old epoch before it says so, and the connection keeps order, so no
 * frame of an old epoch arrives after `resume`.
 */
const epoch = z
  .number()
  .int()
  .min(0)
  .max(EPOCHS_MAX - 1);
const park = z.strictObject({ type: z.literal('park'), query_id: queryId, epoch });
const resume = z.strictObject({ type: z.literal('resume'), query_id: queryId, epoch });
const parked = z.strictObject({ type: z.literal('parked'), query_id: queryId, epoch });
/** First words on every connection: the runs this party still has; `answered` ones end with it. */
const held = z.strictObject({
  type: z.literal('held'),
  runs: z
    .array(z.strictObject({ query_id: queryId, epoch, answered: z.boolean() }))
    .max(HELD_RUNS_MAX),
});
/**
 * A run in an enclave, after `gos`: `enclave` to all with what it says of itself, `authorise` from
 * all; then, one party after the other, `feed`, which asks for its sealed input in relay frames to
 * `enclave`; in the end `envelope` to all, what the enclave signed.
 */
const enclave = z.strictObject({
  type: z.literal('enclave'),
  query_id: queryId,
  greeting: z.unknown(),
});
const authorise = z.strictObject({
  type: z.literal('authorise'),
  query_id: queryId,
  authorisation: z.unknown(),
  /** Encapsulated key of the sealed input. */
  enc: z.string().regex(/^[A-Za-z0-9_-]{43}$/),
});
const feed = z.strictObject({ type: z.literal('feed'), query_id: queryId });
const envelope = z.strictObject({
  type: z.literal('envelope'),
  query_id: queryId,
  envelope: z.unknown(),
});
/** Nobody waits for anything of this query any more: what is kept of it can go. */
const over = z.strictObject({ type: z.literal('over'), query_id: queryId });

const hello = z.strictObject({
  type: z.literal('hello'),
  version: z.literal(HELLO_VERSION),
  room: name,
  policy_digest: digest,
  party: name,
  nonce: digest,
  signature: z.string().regex(/^[A-Za-z0-9_-]{86}$/),
});
const go = z.strictObject({
  type: z.literal('go'),
  query_id: queryId,
  go: z.unknown(),
  extension: z.unknown().optional(),
});
const refuse = z.strictObject({ type: z.literal('refuse'), query_id: queryId, error });
const fail = z.strictObject({ type: z.literal('fail'), query_id: queryId, error });
const progress = z.strictObject({
  type: z.literal('progress'),
  query_id: queryId,
  stage: z.string().max(64),
  done: count,
  total: count,
});
const answer = z.strictObject({
  type: z.literal('answer'),
  query_id: queryId,
  receipt: z.unknown(),
  sealed: z.unknown(),
});

/** What was to be prepared is on this party's disk, and on every other's. */
const prepared = z.strictObject({ type: z.literal('prepared'), query_id: queryId });

const greetingSchema = z.discriminatedUnion('type', [challenge, welcome, refused]);
const orderSchema = z.discriminatedUnion('type', [
  query,
  reserve,
  replay,
  gos,
  abort,
  park,
  resume,
  over,
  enclave,
  feed,
  envelope,
]);
const reportSchema = z.discriminatedUnion('type', [
  ready,
  go,
  refuse,
  fail,
  progress,
  answer,
  authorise,
  prepared,
  replayed,
  parked,
  held,
]);

/** Coordinator to party, before the connection is welcome. */
export type Greeting = z.infer<typeof greetingSchema>;
/** Party to coordinator, in answer to a challenge. */
export type HelloMessage = z.infer<typeof hello>;
/**
 * Coordinator to party: a query to vet; everybody is ready, so reserve the budget; everybody's goes,
 * so start; stop this epoch; start the next; the end of a query, with an error or without.
 */
export type Order = z.infer<typeof orderSchema>;
/** Party to coordinator: vetted and affordable, reserved, stopped, and what became of it. */
export type Report = z.infer<typeof reportSchema>;

function parse<T>(schema: z.ZodType<T>, value: unknown): T {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new ParleyError('FRAME_MALFORMED', 'a control message is not of the form expected here');
}

/** Each reads a parsed JSON value strictly. @throws ParleyError FRAME_MALFORMED. */
export const parseGreeting = (value: unknown): Greeting => parse(greetingSchema, value);
export const parseHello = (value: unknown): HelloMessage => parse(hello, value);
export const parseOrder = (value: unknown): Order => parse(orderSchema, value);
export const parseReport = (value: unknown): Report => parse(reportSchema, value);
