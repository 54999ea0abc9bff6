import { z } from 'zod';
import { ParleyError } from '../../core/errors.ts';
import { canonicalJson } from '../../policy/index.ts';
import { HEADS_MAX, signedHeadSchema } from '../../records/index.ts';
import { entryDigest } from './chain.ts';

const hex32 = z.string().regex(/^[0-9a-f]{64}$/);
const seq = z.int().min(1);
const name = z.string().max(63);
const queryId = z.string().regex(/^[A-Za-z0-9_-]{16,64}$/);
const amount = z.string().regex(/^\d{1,200}(\/\d{1,200})?$/);
const datasetEpoch = z.strictObject({ dataset: z.string().max(128), epoch: z.string().max(63) });

/** Whose ledger it is, and of one room or of all rooms of the party. */
const openSchema = z.strictObject({
  seq,
  kind: z.literal('open'),
  version: z.literal(2),
  party: name,
  identity_key: z.string().max(64),
  room: name.nullable(),
  nonce: hex32,
});
/** Under what bounds a dataset spends from here on. */
const termsSchema = z.strictObject({
  seq,
  kind: z.literal('terms'),
  ...datasetEpoch.shape,
  tables: z.array(name).max(16),
  bounds: z.record(z.string().max(256), z.string()),
});
const reserveSchema = z.strictObject({
  seq,
  kind: z.literal('reserve'),
  query_id: queryId,
  room: name,
  plan_digest: hex32,
  policy_digest: hex32,
  /** The other parties of the plan. */
  peers: z.array(name).max(8),
  /** Commitment to the data that is read. */
  dataset: z.string().max(128),
  charges: z.array(datasetEpoch).min(1).max(16),
  epsilon: amount,
  delta: amount,
  rho: amount,
});
/** Another party's head after it reserved for a query, and which kept ones it was shown to continue. */
const peerHeadSchema = z.strictObject({
  seq,
  kind: z.literal('peer_head'),
  query_id: queryId,
  head: signedHeadSchema,
  continues: z.array(z.int().min(1)).max(HEADS_MAX),
});
const commitSchema = z.strictObject({
  seq,
  kind: z.literal('commit'),
  query_id: queryId,
  share_digest: hex32,
});
const entrySchema = z.discriminatedUnion('kind', [
  openSchema,
  termsSchema,
  reserveSchema,
  peerHeadSchema,
  commitSchema,
]);

/** One entry of the ledger. */
export type Entry = z.infer<typeof entrySchema>;
export type ReserveEntry = z.infer<typeof reserveSchema>;
export type TermsEntry = z.infer<typeof termsSchema>;
export type PeerHeadEntry = z.infer<typeof peerHeadSchema>;
export type OpenEntry = z.infer<typeof openSchema>;

type Unnumbered<T> = T extends unknown ? Omit<T, 'seq'> : never;
/** An entry before it is given its place in the chain. */
export type EntryBody = Unnumbered<Entry>;

const BEFORE = Buffer.from('{"entry":');
const BETWEEN = Buffer.from(',"hash":"');
const AFTER = Buffer.from('"}');
const TAIL_BYTES = BETWEEN.length + 64 + AFTER.length;

/** LOCAL. Longest line: a dataset of 16 tables of 128 columns, with domains, fits. */
export const LINE_BYTES_MAX = 8 * 1024 * 1024;

/** A line as it stands on disk, taken apart. */
export interface Line {
  readonly entry: Entry;
  /** Of the entry's bytes. */
  readonly digest: Buffer;
  /** What the line says its hash is. */
  readonly hash: string;
}

export function corrupt(seqOfEntry: number, what: string, cause?: unknown): ParleyError {
  return new ParleyError(
    'LEDGER_CORRUPT',
    `ledger entry ${seqOfEntry} ${what}`,
    { hint: 'restore the ledger from a copy that is at least as new, or retire this dataset' },
    cause,
  );
}

/** The bytes that are digested: RFC 8785. */
export function entryBytes(entry: Entry): Uint8Array {
  return canonicalJson(entry);
}

/** The line of an entry, with its line end. */
export function formatLine(bytes: Uint8Array, hash: string): Buffer {
  return Buffer.concat([BEFORE, bytes, BETWEEN, Buffer.from(hash), AFTER, Buffer.from('\n')]);
}

/**
 * Reads one line, without its end. Only frame and kind are looked at: that the entry is one this
 * ledger wrote, byte for byte, is what its place in the chain proves.
 *
 * @param number - what the line must be the entry of, for the error.
 * @throws ParleyError LEDGER_CORRUPT.
 */
export function readLine(line: Buffer, number: number): Line {
  const [start, end] = [BEFORE.length, line.length - TAIL_BYTES];
  const at = end + BETWEEN.length;
  const framed =
    end > start &&
    line.compare(BEFORE, 0, BEFORE.length, 0, start) === 0 &&
    line.compare(BETWEEN, 0, BETWEEN.length, end, at) === 0 &&
    line.compare(AFTER, 0, AFTER.length, at + 64) === 0;
  if (!framed) throw corrupt(number, 'cannot be read');
  try {
    const entry = JSON.parse(line.toString('utf8', start, end)) as Entry;
    if (entry.seq !== number || !KINDS.has(entry.kind)) throw new Error('another entry');
    const digest = entryDigest(line, start, end);
    return { entry, digest, hash: line.toString('latin1', at, at + 64) };
  } catch (error) {
    throw corrupt(number, 'cannot be read', error);
  }
}

const KINDS: ReadonlySet<unknown> = new Set(['open', 'terms', 'reserve', 'peer_head', 'commit']);

/**
 * Checks form and canonical bytes of an entry in full, which the chain makes needless at every start.
 * @throws ParleyError LEDGER_CORRUPT.
 */
export function expectStrict(line: Buffer, { entry }: Line): void {
  const parsed = entrySchema.safeParse(entry);
  if (!parsed.success) throw corrupt(entry.seq, 'has another form', parsed.error);
  const bytes = line.subarray(BEFORE.length, line.length - TAIL_BYTES);
  if (!bytes.equals(entryBytes(parsed.data))) throw corrupt(entry.seq, 'is not canonical');
}
