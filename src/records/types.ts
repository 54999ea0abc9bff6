/** The signed records of a query, as they travel and as they are kept. All are plain JSON. */

import type { ErrorDocument } from '../core/errors.ts';
import type { EnclaveRecord } from './enclave.ts';

export type Json =
  null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

/** A document with the base64url Ed25519 signature of the role its docstring names. */
export interface Signed<T> {
  readonly document: T;
  readonly signature: string;
}

/** The template of the policy that a question is an instance of, with the values it was given. */
export interface TemplateCall {
  readonly name: string;
  readonly parameters: Readonly<Record<string, string>>;
}

/** What a plan is run on: shares at the parties, or an attested enclave. One plan for both. */
export type Backend = 'mpc' | 'tee';

/** What an analyst asks. Signed by the analyst. */
export interface Submission {
  readonly version: 1;
  readonly room: string;
  readonly policy_digest: string;
  /** Chosen by the client; one id is one charge and one noise draw. */
  readonly query_id: string;
  readonly analyst: string;
  readonly sql: string;
  /** Decimal string; null takes the policy's default. */
  readonly epsilon: string | null;
  /** One that `execution.backends` of the policy lists. */
  readonly backend: Backend;
  /** In rooms that run templates; a node derives the question from it again and compares plans. */
  readonly template?: TemplateCall;
  /**
   * Left out for a question. `prepare` asks the parties to make ahead what the query consumes that
   * depends on nobody's data: nothing is charged, read or answered.
   */
  readonly purpose?: 'prepare';
}

/** What a party states as the content of one of its tables; see dataset.ts. */
export interface DatasetCommitment {
  readonly table: string;
  /** 64 hex characters: binding, and hiding everything, the number of rows too. */
  readonly commitment: string;
}

/** A party's consent to run one plan for one submission, after it reserved the budget. */
export interface Go {
  readonly version: 1;
  readonly room: string;
  readonly policy_digest: string;
  readonly query_id: string;
  readonly plan_digest: string;
  readonly submission_digest: string;
  readonly party: string;
  /** Head of the party's ledger before and after the reservation, SHA-256 hex. */
  readonly ledger_before: string;
  readonly ledger_after: string;
  /** Of the party's own tables that the plan reads, in the plan's order. */
  readonly datasets: readonly DatasetCommitment[];
  /** Number of the entry that `ledger_after` is the head of, from 1. */
  readonly ledger_seq: number;
  /** Names every protocol and its parameters; parties with different suites do not run. */
  readonly suite: string;
  /** 32 fresh bytes, hex: makes every session new even for equal inputs. */
  readonly nonce: string;
}

/** What a dataset has spent in an epoch, over all rooms, the query that says so included; `num/den`. */
export interface DatasetSpent {
  readonly dataset: string;
  readonly epoch: string;
  readonly epsilon: string;
  readonly delta: string;
  /** Where the policy's accounting is zcdp. */
  readonly rho?: string;
}

/** What a party did, beside its sealed share. Signed by the party. */
export interface Receipt {
  readonly version: 1;
  /** Receipts of enclaves are another form; see docs/tee.md. */
  readonly backend: 'mpc';
  readonly room: string;
  readonly policy_digest: string;
  readonly query_id: string;
  readonly plan_digest: string;
  readonly submission_digest: string;
  readonly session: string;
  readonly party: string;
  /** Names every protocol of the run and their versions, as in the goes. */
  readonly suite: string;
  /** The data of every party of the plan, as this party saw it in the goes. */
  readonly datasets: { readonly [party: string]: readonly DatasetCommitment[] };
  readonly ledger_before: string;
  readonly ledger_after: string;
  /** Noise and threshold parameters the engine ran with; equal at all parties. */
  readonly noise: { readonly [key: string]: Json };
  /** Contribution bounds and clamps that the sensitivities follow from; equal at all parties. */
  readonly bounds: { readonly [key: string]: Json };
  /** What the query costs, `num/den`; `0` without differential privacy. */
  readonly price: { readonly epsilon: string; readonly delta: string };
  /** SHA-256 hex over the sealed share: `enc ‖ ciphertext`. */
  readonly share_digest: string;
  /** Commitment to the share inside, which its opening proves; see commitment.ts. */
  readonly share_commitment: string;
  /** Of every dataset of the party that the query is charged to, by name. */
  readonly spent: readonly DatasetSpent[];
  readonly software: string;
}

/**
 * A party's word that a question is an earlier one again: it was a party of that run and keeps its
 * answer (its own share, or an enclave's envelope), its data and policy are the same, and nothing is
 * drawn or charged. Signed by the party.
 */
export interface Replay {
  readonly version: 1;
  /** Of both questions: an answer of one backend is none of the other. */
  readonly backend: Backend;
  readonly room: string;
  readonly policy_digest: string;
  readonly party: string;
  /** The question as it is asked now. */
  readonly query_id: string;
  readonly submission_digest: string;
  readonly plan_digest: string;
  /** What both questions have in common; see replay.ts. */
  readonly query_key: string;
  /** The run whose answer is given again. */
  readonly earlier: {
    readonly query_id: string;
    readonly submission_digest: string;
    readonly plan_digest: string;
    readonly session: string;
    /** Of this party's sealed share; of the enclave's sealed answer, the same at all parties. */
    readonly share_digest: string;
    /**
     * Exactly of runs in an enclave: when this party appraised its evidence and consented, by its
     * own clock; RFC 3339 in UTC. Evidence ages, and an answer does not.
     */
    readonly appraised_at?: string;
  };
}

/** One party's output share, sealed to the analyst (HPKE). */
export interface SealedShare {
  readonly version: 1;
  readonly party: string;
  /** Encapsulated key, base64url of 32 bytes. */
  readonly enc: string;
  /** base64url; the opening of the share's commitment (salt, then share) and a 16-byte tag. */
  readonly ciphertext: string;
}

export type SignedSubmission = Signed<Submission>;
export type SignedGo = Signed<Go>;
export type SignedReceipt = Signed<Receipt>;
export type SignedReplay = Signed<Replay>;

/** `prepared` ends what was submitted to prepare, as `answered` ends a question. */
export type QueryState =
  'submitted' | 'agreeing' | 'running' | 'answered' | 'prepared' | 'refused' | 'failed';

export interface QueryError extends ErrorDocument {
  /** The party the error came from. */
  readonly party?: string;
}

export interface QueryProgress {
  readonly party: string;
  readonly stage: string;
  readonly done: number;
  readonly total: number;
}

export interface QueryAnswer {
  readonly receipt: SignedReceipt;
  readonly sealed: SealedShare;
}

/** What stands in for a run when an earlier answer is given again. */
export interface ReplayEvidence {
  /** The earlier question, as its analyst signed it. */
  readonly submission: SignedSubmission;
  /** One of each party of the plan. */
  readonly statements: readonly SignedReplay[];
}

/** Where a query stands, as the coordinator tells it. Nothing in it is trusted unverified. */
export interface QueryRecord {
  readonly version: 1;
  readonly query_id: string;
  readonly state: QueryState;
  /** Grows with every change; `?seen=` waits for a larger one. */
  readonly revision: number;
  readonly plan_digest: string | null;
  readonly error: QueryError | null;
  readonly progress: readonly QueryProgress[];
  /** Of the run that was answered; of the earlier one when its answer is given again. */
  readonly gos: readonly SignedGo[];
  readonly answers: readonly QueryAnswer[];
  /** Present when the answers are an earlier run's. */
  readonly replay?: ReplayEvidence;
  /** Of a run in an enclave, in the place of answers; left out until it has been greeted. */
  readonly enclave?: EnclaveRecord;
}

/** `GET /v1/room`. */
export interface RoomDocument {
  readonly room: string;
  readonly policy_digest: string;
  readonly software: string;
  readonly parties: readonly { readonly name: string; readonly connected: boolean }[];
}
