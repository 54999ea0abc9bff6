import { z } from 'zod';
import { enclaveRecordSchema } from './enclave.ts';
import {
  count,
  digest,
  errorFields,
  name,
  queryId,
  replayEvidenceSchema,
  sealedShareSchema,
  signedGoSchema,
  signedReceiptSchema,
  version,
} from './schemas.ts';
import type { QueryRecord } from './types.ts';

/** Where a query stands, whichever backend it runs on. */
export const queryRecordSchema: z.ZodType<QueryRecord> = z.strictObject({
  version,
  query_id: queryId,
  state: z.enum(['submitted', 'agreeing', 'running', 'answered', 'prepared', 'refused', 'failed']),
  revision: count,
  plan_digest: digest.nullable(),
  error: z.strictObject({ ...errorFields, party: name.exactOptional() }).nullable(),
  progress: z
    .array(z.strictObject({ party: name, stage: z.string().max(64), done: count, total: count }))
    .max(64),
  gos: z.array(signedGoSchema).max(8),
  answers: z
    .array(z.strictObject({ receipt: signedReceiptSchema, sealed: sealedShareSchema }))
    .max(8),
  replay: replayEvidenceSchema.exactOptional(),
  enclave: enclaveRecordSchema.exactOptional(),
});
