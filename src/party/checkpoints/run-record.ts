import { z } from 'zod';
import { utf8, fromUtf8 } from '../../core/bytes.ts';
import type { ToCoordinator } from '../control.ts';
import {
  QUERY_ID,
  sealedShareSchema,
  signedGoSchema,
  signedReceiptSchema,
  signedSubmissionSchema,
} from '../../records/index.ts';
import type { SignedGo, SignedSubmission } from '../../records/index.ts';
import { corrupt } from './sealed-file.ts';

/** What a run starts from: all of it signed, so a restarted node checks it like the first time. */
export interface RunRecord {
  readonly version: 1;
  readonly query_id: string;
  /** Wall clock of the start, milliseconds; old runs are swept by it. */
  readonly started_at: number;
  readonly plan_digest: string;
  /** Commitment to the content of the party's own table. */
  readonly dataset: string;
  readonly submission: SignedSubmission;
  /** Of all parties; one of them is this party's own. */
  readonly gos: readonly SignedGo[];
}

/** A finished run: what the coordinator was or will be told. Opens to the analyst only. */
export type AnswerReport = Extract<ToCoordinator, { type: 'answer' }>;

const digest = z.string().regex(/^[0-9a-f]{64}$/);

const recordSchema: z.ZodType<RunRecord> = z.strictObject({
  version: z.literal(1),
  query_id: z.string().regex(QUERY_ID),
  started_at: z.int().min(0),
  plan_digest: digest,
  dataset: z.string().max(128),
  submission: signedSubmissionSchema,
  gos: z.array(signedGoSchema).max(8),
});

const answerSchema: z.ZodType<AnswerReport> = z.strictObject({
  type: z.literal('answer'),
  query_id: z.string().regex(QUERY_ID),
  receipt: signedReceiptSchema,
  sealed: sealedShareSchema,
});

export const encodeJson = (value: RunRecord | AnswerReport): Uint8Array =>
  utf8(JSON.stringify(value));

function parse<T>(schema: z.ZodType<T>, bytes: Uint8Array): T {
  try {
    return schema.parse(JSON.parse(fromUtf8(bytes)));
  } catch (error) {
    throw corrupt(error);
  }
}

/** @throws ParleyError CHECKPOINT_CORRUPT: sealed by this party, but not in this version's form. */
export const decodeRecord = (bytes: Uint8Array): RunRecord => parse(recordSchema, bytes);
export const decodeAnswer = (bytes: Uint8Array): AnswerReport => parse(answerSchema, bytes);
