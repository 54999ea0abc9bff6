import { z } from 'zod';
import { ParleyError } from '../../core/errors.ts';

const hex32 = z.string().regex(/^[0-9a-f]{64}$/);
const link = { seq: z.int().min(0), previous: hex32 };
const amount = z.string().regex(/^\d{1,200}(\/\d{1,200})?$/);

const openSchema = z.strictObject({
  ...link,
  kind: z.literal('open'),
  room: z.string(),
  party: z.string(),
});
const reserveSchema = z.strictObject({
  ...link,
  kind: z.literal('reserve'),
  query_id: z.string().regex(/^[A-Za-z0-9_-]{16,64}$/),
  plan_digest: hex32,
  policy_digest: hex32,
  dataset: z.string().max(128),
  epsilon: amount,
  delta: amount,
});
const commitSchema = z.strictObject({
  ...link,
  kind: z.literal('commit'),
  query_id: z.string(),
  share_digest: hex32,
});
const lineSchema = z.strictObject({
  entry: z.discriminatedUnion('kind', [openSchema, reserveSchema, commitSchema]),
  hash: hex32,
});

/** One entry of the ledger; `previous` is the hash of the one before. */
export type Entry = z.infer<typeof lineSchema>['entry'];

type Unlinked<T> = T extends unknown ? Omit<T, 'seq' | 'previous'> : never;
/** An entry before it is given its place in the chain. */
export type EntryBody = Unlinked<Entry>;

/** Reads one line strictly. @throws ParleyError LEDGER_CORRUPT naming the entry's number. */
export function parseEntry(text: string, line: number): z.infer<typeof lineSchema> {
  try {
    return lineSchema.parse(JSON.parse(text));
  } catch (error) {
    throw new ParleyError('LEDGER_CORRUPT', `ledger entry ${line} cannot be read`, {}, error);
  }
}
