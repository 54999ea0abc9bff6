import { z } from 'zod';
import type { ErrorDocument } from '../core/errors.ts';
import { ParleyError } from '../core/errors.ts';
import type {
  LedgerExtension,
  SealedShare,
  Signed,
  SignedGo,
  SignedReceipt,
  SignedReplay,
  SignedStatement,
  SignedSubmission,
  TeeAuthorisation,
} from '../records/index.ts';
import {
  errorDocumentSchema,
  greetingSchema,
  ledgerExtensionSchema,
  QUERY_ID,
  signedEnvelopeSchema,
  signedGoSchema,
  signedStatementSchema,
  signedSubmissionSchema,
} from '../records/index.ts';
import { EPOCHS_MAX } from '../transport/index.ts';

const queryId = z.string().regex(QUERY_ID);
const epoch = z
  .int()
  .min(0)
  .max(EPOCHS_MAX - 1);

/** What the coordinator tells a party. None of it is believed: see vet.ts and session.ts. */
const fromCoordinator = z.discriminatedUnion('type', [
  z.strictObject({
    type: z.literal('query'),
    query_id: queryId,
    submission: signedSubmissionSchema,
    plan_digest: z.string().regex(/^[0-9a-f]{64}$/),
  }),
  z.strictObject({
    type: z.literal('reserve'),
    query_id: queryId,
    ledgers: z.array(signedStatementSchema).max(8),
  }),
  z.strictObject({
    type: z.literal('replay'),
    query_id: queryId,
    session: z.string().regex(/^[0-9a-f]{64}$/),
  }),
  z.strictObject({
    type: z.literal('gos'),
    query_id: queryId,
    gos: z.array(signedGoSchema).max(8),
    extensions: z.array(ledgerExtensionSchema).max(8),
  }),
  z.strictObject({ type: z.literal('park'), query_id: queryId, epoch }),
  z.strictObject({ type: z.literal('resume'), query_id: queryId, epoch }),
  z.strictObject({ type: z.literal('over'), query_id: queryId }),
  z.strictObject({ type: z.literal('enclave'), query_id: queryId, greeting: greetingSchema }),
  z.strictObject({ type: z.literal('feed'), query_id: queryId }),
  z.strictObject({
    type: z.literal('envelope'),
    query_id: queryId,
    envelope: signedEnvelopeSchema,
  }),
  z.strictObject({ type: z.literal('abort'), query_id: queryId, error: errorDocumentSchema }),
]);

export type FromCoordinator = z.infer<typeof fromCoordinator>;

/** A run a party still has when it connects; an answered one needs nothing but to be heard. */
export interface HeldRun {
  readonly query_id: string;
  readonly epoch: number;
  readonly answered: boolean;
}

/** The run whose answer a party can give again, and why it would not run the question anew. */
export interface OfferReport {
  readonly session: string;
  readonly otherwise: ErrorDocument | null;
  /** Of a run in an enclave: the query whose record the coordinator keeps. */
  readonly kept?: string;
}

/** A batch of stock is on this party's disk, and on every other's. */
export interface PreparedReport {
  readonly type: 'prepared';
  readonly query_id: string;
}

/** An earlier answer is given again; a share follows as after a run, an enclave's answer is kept. */
export interface ReplayedReport {
  readonly type: 'replayed';
  readonly query_id: string;
  readonly statement: SignedReplay;
  /** The earlier question, and the goes of its run. */
  readonly submission: SignedSubmission;
  readonly gos: SignedGo[];
}

/** A run in an enclave is over and this party's ledger has committed it; nobody is told. */
export interface CommittedReport {
  readonly type: 'committed';
}

/** What a party tells the coordinator. */
export type ToCoordinator =
  | {
      readonly type: 'ready';
      readonly query_id: string;
      readonly replay?: OfferReport;
      /** What this party says of its ledger; of no interest when it only prepares. */
      readonly ledger?: SignedStatement;
    }
  | {
      readonly type: 'go';
      readonly query_id: string;
      readonly go: SignedGo;
      readonly extension?: LedgerExtension;
    }
  | { readonly type: 'refuse' | 'fail'; readonly query_id: string; readonly error: ErrorDocument }
  | {
      readonly type: 'progress';
      readonly query_id: string;
      readonly stage: string;
      readonly done: number;
      readonly total: number;
    }
  | { readonly type: 'parked'; readonly query_id: string; readonly epoch: number }
  | { readonly type: 'held'; readonly runs: HeldRun[] }
  | {
      readonly type: 'answer';
      readonly query_id: string;
      readonly receipt: SignedReceipt;
      readonly sealed: SealedShare;
    }
  | {
      readonly type: 'authorise';
      readonly query_id: string;
      readonly authorisation: Signed<TeeAuthorisation>;
      readonly enc: string;
    }
  | PreparedReport
  | ReplayedReport;

/** @throws ParleyError FRAME_MALFORMED for anything but a known message in its exact form. */
export function parseControl(message: unknown): FromCoordinator {
  const parsed = fromCoordinator.safeParse(message);
  if (!parsed.success) {
    throw new ParleyError('FRAME_MALFORMED', 'a control message from the coordinator is malformed');
  }
  return parsed.data;
}
