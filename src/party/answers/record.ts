import { z } from 'zod';
import { fromUtf8, utf8 } from '../../core/bytes.ts';
import {
  sealedShareSchema,
  signedGoSchema,
  signedReceiptSchema,
  signedSubmissionSchema,
  type QueryAnswer,
  type SignedGo,
  type SignedSubmission,
} from '../../records/index.ts';
import { corrupt } from '../checkpoints/sealed-file.ts';

/** An answer a party has given, with what it answered. Opens to the analyst only. */
export interface GivenAnswer {
  readonly version: 1;
  readonly session: string;
  readonly submission: SignedSubmission;
  /** Of all parties of the run. */
  readonly gos: readonly SignedGo[];
  readonly answer: QueryAnswer;
}

const schema: z.ZodType<GivenAnswer> = z.strictObject({
  version: z.literal(1),
  session: z.string().regex(/^[0-9a-f]{64}$/),
  submission: signedSubmissionSchema,
  gos: z.array(signedGoSchema).max(8),
  answer: z.strictObject({ receipt: signedReceiptSchema, sealed: sealedShareSchema }),
});

export const encodeGiven = (given: GivenAnswer): Uint8Array => utf8(JSON.stringify(given));

/** @throws ParleyError CHECKPOINT_CORRUPT: sealed by this party, but not in this version's form. */
export function decodeGiven(bytes: Uint8Array): GivenAnswer {
  try {
    return schema.parse(JSON.parse(fromUtf8(bytes)));
  } catch (error) {
    throw corrupt(error);
  }
}
