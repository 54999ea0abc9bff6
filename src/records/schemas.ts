import { z } from 'zod';
import { isErrorCode, ParleyError, type ErrorCode, type ErrorDocument } from '../core/errors.ts';
import { parseRational } from '../core/rational.ts';
import { canonicalJson } from '../policy/canonical.ts';
import type { RowOpening } from './dataset.ts';
import {
  BOUNDS_BYTES_MAX,
  CHARGES_MAX,
  DATASETS_MAX,
  NOISE_BYTES_MAX,
  OPENING_BYTES_MAX,
  SQL_BYTES_MAX,
  TEXT_CHARS_MAX,
} from './limits.ts';
import type {
  DatasetCommitment,
  DatasetSpent,
  Go,
  Json,
  Receipt,
  Replay,
  ReplayEvidence,
  RoomDocument,
  SealedShare,
  Signed,
  SignedGo,
  SignedReceipt,
  SignedReplay,
  SignedSubmission,
  Submission,
} from './types.ts';

export const version = z.literal(1);
export const name = z.string().regex(/^[a-z][a-z0-9_-]{0,62}$/);
export const digest = z.string().regex(/^[0-9a-f]{64}$/);
const text = z.string().max(TEXT_CHARS_MAX);
export const count = z.number().int().min(0).max(Number.MAX_SAFE_INTEGER);

/** Query ids: 16 to 64 characters of base64url's alphabet. */
export const QUERY_ID = /^[A-Za-z0-9_-]{16,64}$/;
export const queryId = z.string().regex(QUERY_ID);
/** A non-negative rational in lowest terms, as `formatRational` writes it. */
export const amount = z
  .string()
  .max(401)
  .refine((text) => {
    try {
      return parseRational(text).num >= 0n;
    } catch {
      return false;
    }
  });

/** Canonical base64url of at most `bytesMax` bytes; the decoder checks the length it needs. */
const base64Url = (bytesMax: number): z.ZodString =>
  z
    .string()
    .max(Math.ceil((bytesMax * 4) / 3))
    .regex(/^[A-Za-z0-9_-]*$/);

export const signature = z.string().regex(/^[A-Za-z0-9_-]{86}$/);

/** A document of this form with a signature. */
export function signed<T extends z.ZodType>(
  document: T,
): z.ZodObject<{ document: T; signature: typeof signature }, z.core.$strict> {
  return z.strictObject({ document, signature });
}

const sql = z
  .string()
  .min(1)
  .refine((value) => Buffer.byteLength(value) <= SQL_BYTES_MAX, 'longer than 64 KiB')
  .refine((value) => !/\p{Surrogate}/u.test(value), 'a lone surrogate');

const templateName = z.string().regex(/^[a-z][a-z0-9_]{0,62}$/);
const templateCall = z.strictObject({
  name: templateName,
  parameters: z
    .record(templateName, z.string().max(256))
    .refine((given) => Object.keys(given).length <= 32, 'more than 32 parameters'),
});

export const submissionSchema: z.ZodType<Submission> = z
  .strictObject({
    version,
    room: name,
    policy_digest: digest,
    query_id: queryId,
    analyst: name,
    sql,
    epsilon: z.string().max(64).nullable(),
    backend: z.enum(['mpc', 'tee']),
    template: templateCall.exactOptional(),
    purpose: z.literal('prepare').exactOptional(),
  })
  .refine(({ backend, purpose }) => purpose === undefined || backend === 'mpc', {
    path: ['purpose'],
    message: 'an enclave has nothing to prepare',
  });

const datasets: z.ZodType<readonly DatasetCommitment[]> = z
  .array(z.strictObject({ table: z.string().min(1).max(63), commitment: digest }))
  .min(1)
  .max(DATASETS_MAX);

export const goSchema: z.ZodType<Go> = z.strictObject({
  version,
  room: name,
  policy_digest: digest,
  query_id: queryId,
  plan_digest: digest,
  submission_digest: digest,
  party: name,
  ledger_before: digest,
  ledger_after: digest,
  datasets,
  ledger_seq: count,
  suite: z.string().min(1).max(200),
  nonce: digest,
});

export const jsonObject = (bytesMax: number): z.ZodType<Readonly<Record<string, Json>>> =>
  z.custom<Readonly<Record<string, Json>>>((value) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
    try {
      return canonicalJson(value).length <= bytesMax;
    } catch {
      return false;
    }
  }, 'expected a JSON object within its limit');
const amounts = z.strictObject({ epsilon: amount, delta: amount });

/** What the datasets of one party have spent. */
export const spent: z.ZodType<readonly DatasetSpent[]> = z
  .array(
    z.strictObject({
      dataset: z.string().min(1).max(128),
      epoch: z.string().min(1).max(63),
      epsilon: amount,
      delta: amount,
      rho: amount.exactOptional(),
    }),
  )
  .min(1)
  .max(CHARGES_MAX);

export const receiptSchema: z.ZodType<Receipt> = z.strictObject({
  version,
  backend: z.literal('mpc'),
  room: name,
  policy_digest: digest,
  query_id: queryId,
  plan_digest: digest,
  submission_digest: digest,
  session: digest,
  party: name,
  suite: z.string().min(1).max(200),
  datasets: z
    .record(name, datasets)
    .refine((given) => Object.keys(given).length <= 8, 'more than 8 parties'),
  ledger_before: digest,
  ledger_after: digest,
  noise: jsonObject(NOISE_BYTES_MAX),
  bounds: jsonObject(BOUNDS_BYTES_MAX),
  price: amounts,
  share_digest: digest,
  share_commitment: digest,
  spent,
  software: z.string().min(1).max(100),
});

export const sealedShareSchema: z.ZodType<SealedShare> = z.strictObject({
  version,
  party: name,
  enc: base64Url(32).length(43),
  // The tag of AES-256-GCM is 16 bytes.
  ciphertext: base64Url(OPENING_BYTES_MAX + 16).min(22),
});

/** RFC 3339 in UTC, to the millisecond. */
export const instant = z.iso.datetime({ precision: 3 });

export const replaySchema: z.ZodType<Replay> = z
  .strictObject({
    version,
    backend: z.enum(['mpc', 'tee']),
    room: name,
    policy_digest: digest,
    party: name,
    query_id: queryId,
    submission_digest: digest,
    plan_digest: digest,
    query_key: digest,
    earlier: z.strictObject({
      query_id: queryId,
      submission_digest: digest,
      plan_digest: digest,
      session: digest,
      share_digest: digest,
      appraised_at: instant.exactOptional(),
    }),
  })
  .refine(({ backend, earlier }) => (backend === 'tee') === (earlier.appraised_at !== undefined), {
    path: ['earlier', 'appraised_at'],
    message: 'a time of appraisal belongs to runs in an enclave',
  });

export const signedReplaySchema: z.ZodType<SignedReplay> = signed(replaySchema);
export const signedSubmissionSchema: z.ZodType<SignedSubmission> = signed(submissionSchema);
export const signedGoSchema: z.ZodType<SignedGo> = signed(goSchema);
export const signedReceiptSchema: z.ZodType<SignedReceipt> = signed(receiptSchema);

export const replayEvidenceSchema: z.ZodType<ReplayEvidence> = z.strictObject({
  submission: signedSubmissionSchema,
  statements: z.array(signedReplaySchema).max(8),
});

/** A row that a party has opened, as `parley data prove` prints it. */
export const rowProofSchema: z.ZodType<{ readonly party: string; readonly opening: RowOpening }> =
  z.strictObject({
    party: name,
    opening: z.strictObject({
      version,
      table: z.string().min(1).max(63),
      layout: digest,
      index: count,
      row: base64Url(64 * 1024),
      blind: digest,
      path: z.array(digest).max(64),
    }),
  });

const detail = z.strictObject({
  fragment: text.exactOptional(),
  hint: text.exactOptional(),
  step: text.exactOptional(),
  path: text.exactOptional(),
  party: text.exactOptional(),
});
export const errorFields = {
  code: z.custom<ErrorCode>(isErrorCode, 'expected an error code'),
  fault: z.enum(['caller', 'policy', 'peer', 'transport', 'storage', 'bug']),
  message: text,
  detail,
};

/** An error as it stands in HTTP bodies and control messages. */
export const errorDocumentSchema: z.ZodType<ErrorDocument> = z.strictObject(errorFields);

export const roomSchema: z.ZodType<RoomDocument> = z.strictObject({
  room: name,
  policy_digest: digest,
  software: z.string().max(100),
  parties: z.array(z.strictObject({ name, connected: z.boolean() })).max(8),
});

/**
 * Checks a parsed JSON value against a record's schema.
 *
 * @param what - the record's name in the error's sentence, such as `go`.
 * @throws ParleyError `code` (REQUEST_MALFORMED unless told) with the dotted path of the first
 *   field that is wrong; never repeats a value.
 */
export function parseRecord<T>(
  schema: z.ZodType<T>,
  value: unknown,
  what: string,
  code: ErrorCode = 'REQUEST_MALFORMED',
): T {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const path = parsed.error.issues[0]?.path.join('.') ?? '';
  throw new ParleyError(code, `the ${what} is not of the form this version reads`, {
    path: path === '' ? '(document)' : path,
  });
}

export type { Signed };
