import { z } from 'zod';
import { concat, fromBase64Url, fromHex, toBase64Url, toHex } from '../../core/bytes.ts';
import { ParleyError } from '../../core/errors.ts';
import { packetOf, parseJsonStrict } from '../../policy/index.ts';
import type { PolicyPacket } from '../../policy/types.ts';
import {
  greetingSchema,
  parseRecord,
  replayEvidenceSchema,
  SALT_BYTES,
  SHARE_BYTES_MAX,
  signedAuthorisationSchema,
  signedEnvelopeSchema,
  signedGoSchema,
  signedReceiptSchema,
  signedSubmissionSchema,
  type EnclaveGreeting,
  type Signed,
  type ReplayEvidence,
  type SignedGo,
  type SignedReceipt,
  type SignedSubmission,
  type TeeAuthorisation,
  type TeeEnvelope,
} from '../../records/index.ts';
import type { AnswerTable } from '../answer.ts';
import type { PartyOpening } from './shares.ts';

/** LOCAL. Largest receipt file: four shares of 720 KiB, and an answer of as many cells. */
export const BUNDLE_BYTES_MAX = 64 * 1024 * 1024;

/** The rows of an answer as a receipt file has them. */
export interface AnswerDocument {
  readonly labels: AnswerTable['labels'];
  readonly columns: AnswerTable['columns'];
  readonly rows: AnswerTable['rows'];
  readonly groups: number;
  readonly groups_suppressed: number;
}

/** One party's output share, opened: whoever has it can check the party's commitment. */
export interface OpeningDocument {
  readonly party: string;
  /** 32 bytes, hex. */
  readonly salt: string;
  /** base64url. */
  readonly share: string;
}

/** What a run on shares leaves behind, whole enough to be checked by anybody offline. */
export interface MpcBundle {
  readonly version: 1;
  readonly backend: 'mpc';
  readonly packet: PolicyPacket;
  /** The question, as the analyst signed it. */
  readonly submission: SignedSubmission;
  /** Null for a run of its own; else `gos` and `receipts` are of the earlier run named here. */
  readonly replay: ReplayEvidence | null;
  readonly gos: readonly SignedGo[];
  readonly receipts: readonly SignedReceipt[];
  /** Null when the holder keeps the shares: then nothing ties `answer` to the receipts. */
  readonly openings: readonly OpeningDocument[] | null;
  readonly answer: AnswerDocument;
}

/** What a run in an enclave leaves behind, whole enough to be checked by anybody offline. */
export interface TeeBundle {
  readonly version: 1;
  readonly backend: 'tee';
  readonly packet: PolicyPacket;
  /** The question, as the analyst signed it. */
  readonly submission: SignedSubmission;
  /** Null for a run of its own; else the rest is of the earlier run named here. */
  readonly replay: ReplayEvidence | null;
  readonly gos: readonly SignedGo[];
  /** The enclave's keys and the evidence that binds them to the run. */
  readonly greeting: EnclaveGreeting;
  readonly authorisations: readonly Signed<TeeAuthorisation>[];
  /** Signed by the enclave; commits to the answer. */
  readonly envelope: Signed<TeeEnvelope>;
  /**
   * When the analyst opened the answer, by the analyst's clock; RFC 3339 in UTC. As of then the
   * evidence is appraised; that of an earlier run as of when each party says it did.
   */
  readonly appraised_at: string;
  /** Null when the holder keeps it: then nothing ties `answer` to the envelope. */
  readonly opening: Omit<OpeningDocument, 'party'> | null;
  readonly answer: AnswerDocument;
}

/** `receipt.json`. */
export type Bundle = MpcBundle | TeeBundle;

const answerSchema: z.ZodType<AnswerDocument> = z.strictObject({
  labels: z.array(z.string().max(500)).max(16),
  // Compared as a whole with what is computed again, so the form need not be known here.
  columns: z.array(z.custom<AnswerTable['columns'][number]>()).max(10_000),
  rows: z.array(z.custom<AnswerTable['rows'][number]>()).max(1_000_000),
  groups: z.int().min(0),
  groups_suppressed: z.int().min(0),
});
const openingSchema = z.strictObject({
  party: z.string().max(63),
  salt: z.string().regex(/^[0-9a-f]{64}$/),
  share: z.string().max(Math.ceil((SHARE_BYTES_MAX * 4) / 3)),
});
const common = { version: z.literal(1), packet: z.unknown(), answer: answerSchema };
const bundleSchema = z.discriminatedUnion('backend', [
  z.strictObject({
    ...common,
    backend: z.literal('mpc'),
    submission: signedSubmissionSchema,
    replay: replayEvidenceSchema.nullable(),
    gos: z.array(signedGoSchema).max(8),
    receipts: z.array(signedReceiptSchema).max(8),
    openings: z.array(openingSchema).max(8).nullable(),
  }),
  z.strictObject({
    ...common,
    backend: z.literal('tee'),
    submission: signedSubmissionSchema,
    // Files from before answers of enclaves were given again have none.
    replay: replayEvidenceSchema.nullable().default(null),
    gos: z.array(signedGoSchema).max(8),
    greeting: greetingSchema,
    authorisations: z.array(signedAuthorisationSchema).max(8),
    envelope: signedEnvelopeSchema,
    appraised_at: z.iso.datetime(),
    opening: openingSchema.omit({ party: true }).nullable(),
  }),
]);

/**
 * Reads a receipt file strictly; signatures and contents are checked by `verifyBundle`.
 *
 * @throws ParleyError RECEIPT_INVALID with the path of the first field of another form; POLICY_* for
 *   a packet that is none.
 */
export function parseBundle(text: string): Bundle {
  const value = parseJsonStrict(text, { bytesMax: BUNDLE_BYTES_MAX, code: 'RECEIPT_INVALID' });
  return bundleOf(value);
}

/** {@link parseBundle} for a document that is parsed already. */
export function bundleOf(value: unknown): Bundle {
  const parsed = parseRecord(bundleSchema, value, 'receipt file', 'RECEIPT_INVALID');
  return { ...parsed, packet: packetOf(parsed.packet) };
}

/** Indented JSON that {@link parseBundle} reads. */
export function formatBundle(bundle: Bundle): string {
  return `${JSON.stringify(bundle, null, 2)}\n`;
}

export function answerDocumentOf(table: AnswerTable): AnswerDocument {
  const { labels, columns, rows, groups, groupsSuppressed } = table;
  return { labels, columns, rows, groups, groups_suppressed: groupsSuppressed };
}

export function openingDocument({ party, opening }: PartyOpening): OpeningDocument {
  return {
    party,
    salt: toHex(opening.subarray(0, SALT_BYTES)),
    share: toBase64Url(opening.subarray(SALT_BYTES)),
  };
}

/** @throws ParleyError RESULT_INVALID naming the party, when a field is not canonical. */
export function openingOfDocument({ party, salt, share }: OpeningDocument): PartyOpening {
  try {
    const opening = concat([fromHex(salt, SALT_BYTES), fromBase64Url(share, 0, SHARE_BYTES_MAX)]);
    return { party, opening };
  } catch (error) {
    throw new ParleyError('RESULT_INVALID', 'a share is not written canonically', { party }, error);
  }
}
