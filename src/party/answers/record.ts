import { z } from 'zod';
import { fromUtf8, utf8 } from '../../core/bytes.ts';
import {
  instant,
  sealedShareSchema,
  signedEnvelopeSchema,
  signedGoSchema,
  signedReceiptSchema,
  signedSubmissionSchema,
  type QueryAnswer,
  type Signed,
  type SignedGo,
  type SignedSubmission,
  type TeeEnvelope,
} from '../../records/index.ts';
import { corrupt } from '../checkpoints/sealed-file.ts';

/** A run and the question it was of. */
interface GivenRun {
  readonly version: 1;
  readonly session: string;
  readonly submission: SignedSubmission;
  /** Of all parties of the run. */
  readonly gos: readonly SignedGo[];
}

/** This party's part of an answer computed on shares. Opens to the analyst only. */
export interface GivenShare extends GivenRun {
  readonly answer: QueryAnswer;
}

/**
 * What an enclave signed about the answer it sealed, which this party never had: the coordinator
 * keeps the bytes, and the digest in the envelope says which.
 */
export interface GivenByEnclave extends GivenRun {
  readonly enclave: {
    readonly envelope: Signed<TeeEnvelope>;
    /** When this party appraised the evidence; RFC 3339 in UTC. */
    readonly appraised_at: string;
  };
}

/** An answer a party has given, or was a party of, with what it answered. */
export type GivenAnswer = GivenShare | GivenByEnclave;

const run = {
  version: z.literal(1),
  session: z.string().regex(/^[0-9a-f]{64}$/),
  submission: signedSubmissionSchema,
  gos: z.array(signedGoSchema).max(8),
};
const schema: z.ZodType<GivenAnswer> = z.union([
  z.strictObject({
    ...run,
    answer: z.strictObject({ receipt: signedReceiptSchema, sealed: sealedShareSchema }),
  }),
  z.strictObject({
    ...run,
    enclave: z.strictObject({ envelope: signedEnvelopeSchema, appraised_at: instant }),
  }),
]);

/** SHA-256 of what opens to the analyst: this party's sealed share, or the enclave's answer. */
export function shareDigestOf(given: GivenAnswer): string {
  const { document } = 'answer' in given ? given.answer.receipt : given.enclave.envelope;
  return document.share_digest;
}

export const encodeGiven = (given: GivenAnswer): Uint8Array => utf8(JSON.stringify(given));

/** @throws ParleyError CHECKPOINT_CORRUPT: sealed by this party, but not in this version's form. */
export function decodeGiven(bytes: Uint8Array): GivenAnswer {
  try {
    return schema.parse(JSON.parse(fromUtf8(bytes)));
  } catch (error) {
    throw corrupt(error);
  }
}
