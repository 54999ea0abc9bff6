import { asParleyError, ParleyError } from '../../core/errors.ts';
import { verifyPacket } from '../../policy/index.ts';
import { ENCLAVE_NAME, expectCommitted, verifySubmission } from '../../records/index.ts';
import { permitOf, type Permit } from '../../templates/index.ts';
import type { AnswerTable } from '../answer.ts';
import { decodeAnswer } from '../decode.ts';
import {
  answerDocumentOf,
  openingOfDocument,
  type AnswerDocument,
  type Bundle,
  type MpcBundle,
  type TeeBundle,
} from './bundle.ts';
import { deriveExpected, type Derived } from './derive.ts';
import { firstDifference } from './difference.ts';
import { attestationOf, labelled, openedOf, verifyEnclaveRun } from './enclave.ts';
import { realign, verifyReplayed } from './replay.ts';
import { verifyRun } from './run.ts';
import { addShares, type OpenedAnswer } from './shares.ts';
import { checkedOf, notChecked, type Check, type CheckName, type Question } from './words.ts';

/** What the one who verifies knows beside the file. */
export interface VerifyOptions {
  /** Digest of the policy the reader agreed to; without it the file's own packet is believed. */
  readonly policyDigest?: string;
}

/** What was recomputed, in order, and what no receipt can show; in words for a person. */
export interface Report {
  readonly genuine: boolean;
  readonly room: string | null;
  readonly queryId: string | null;
  /** What was asked, once its analyst's signature has been checked. */
  readonly question: Question | null;
  readonly policyDigest: string | null;
  readonly checks: readonly Check[];
  /** Why it is not genuine; null when it is. */
  readonly error: ParleyError | null;
  readonly notChecked: readonly string[];
}

interface Trail {
  readonly checks: Check[];
  room: string | null;
  queryId: string | null;
  question: Question | null;
  /** By what right it was asked, once that is known. */
  permit: Permit | null;
  policyDigest: string | null;
}

/** Runs one check and notes how it ended. */
function step<T>(trail: Trail, name: CheckName, work: () => T, says: (value: T) => string): T {
  try {
    const value = work();
    trail.checks.push({ name, passed: true, says: says(value) });
    return value;
  } catch (error) {
    trail.checks.push({ name, passed: false, says: asParleyError(error).message });
    throw error;
  }
}

/**
 * Checks a receipt file offline, from signatures to the last digit, and says what was and was not
 * checked. A pure function: no network, no clock, no keys. Evidence of an enclave is appraised as of
 * the time the file states; of an earlier answer's, as of the times the parties signed.
 *
 * Checks run in the order of `checks` and end with the first that fails; its error has a stable
 * code, the path of the field and the party. It never throws.
 */
export function verifyBundle(bundle: Bundle, options: VerifyOptions = {}): Report {
  const empty = { room: null, queryId: null, question: null, policyDigest: null };
  const trail: Trail = { checks: [], permit: null, ...empty };
  let error: ParleyError | null = null;
  try {
    if (bundle.backend === 'mpc') verifyMpc(bundle, options, trail);
    else verifyTee(bundle, options, trail);
  } catch (thrown) {
    error = asParleyError(thrown);
  }
  const { permit, ...told } = trail;
  return {
    genuine: error === null,
    ...told,
    error,
    notChecked: notChecked({
      pinned: options.policyDigest !== undefined,
      backend: bundle.backend,
      approved: permit === 'approval',
      opened: (bundle.backend === 'mpc' ? bundle.openings : bundle.opening) !== null,
    }),
  };
}

function expectPinned(digest: string, { policyDigest }: VerifyOptions): void {
  if (policyDigest === undefined || policyDigest === digest) return;
  throw new ParleyError('POLICY_MISMATCH', 'the receipt is of another policy than yours', {
    path: 'packet',
  });
}

/** What both backends' receipts begin with: policy, question, and all that follows from the two. */
function verifyQuestion(bundle: Bundle, options: VerifyOptions, trail: Trail): Derived {
  const { policy, digest } = step(
    trail,
    'policy',
    () => {
      const verified = verifyPacket(bundle.packet);
      expectPinned(verified.digest, options);
      return verified;
    },
    ({ policy: { parties } }) => checkedOf.policy(parties.map(({ name }) => name)),
  );
  trail.room = policy.room;
  trail.policyDigest = digest;
  const submission = step(
    trail,
    'submission',
    () => verifySubmission(bundle.submission, policy),
    ({ analyst }) => checkedOf.submission(analyst),
  );
  trail.queryId = submission.query_id;
  const { analyst, sql, epsilon, backend } = submission;
  trail.question = { analyst, sql, epsilon, backend };
  return step(
    trail,
    'plan',
    () => {
      if (submission.backend !== bundle.backend) throw otherBackend();
      const derived = deriveExpected(policy, digest, submission);
      trail.permit = permitOf(submission, derived.planDigest, { policy, policyDigest: digest });
      return derived;
    },
    ({ planDigest }) => checkedOf.plan(planDigest, submission.template?.name ?? null),
  );
}

function otherBackend(): ParleyError {
  return new ParleyError('RECEIPT_INVALID', 'the question was asked of another backend', {
    path: 'submission.document.backend',
  });
}

function verifyMpc(bundle: MpcBundle, options: VerifyOptions, trail: Trail): void {
  const expected = verifyQuestion(bundle, options, trail);
  const { openings, answer, replay } = bundle;
  const { earlier, run } = step(
    trail,
    'run',
    () =>
      replay === null
        ? { earlier: expected, run: verifyRun(bundle, expected) }
        : verifyReplayed(replay, bundle, expected),
    ({ run: { receipts }, earlier: { queryId } }) =>
      checkedOf.run(
        receipts.map(({ document }) => document),
        replay === null ? null : queryId,
      ),
  );
  if (openings === null) return;
  const opened = step(
    trail,
    'shares',
    () => {
      const shares = addShares(openings.map(openingOfDocument), run, earlier);
      return realign(shares, earlier.plan, expected.plan);
    },
    () => checkedOf.shares(openings.length),
  );
  verifyAnswer(answer, trail, () => decodeOpened(opened, expected));
}

function verifyTee(bundle: TeeBundle, options: VerifyOptions, trail: Trail): void {
  const expected = verifyQuestion(bundle, options, trail);
  const { opening, answer, replay, appraised_at } = bundle;
  const { run, asRun } = step(
    trail,
    'enclave',
    () => verifyEnclaveRun(bundle, expected, Date.parse(appraised_at)),
    ({ run: verified, asRun: { queryId }, appraisedAt }) =>
      checkedOf.enclave(attestationOf(verified), appraisedAt, replay === null ? null : queryId),
  );
  if (opening === null) return;
  const opened = step(
    trail,
    'opening',
    () => {
      const { opening: bytes } = openingOfDocument({ party: ENCLAVE_NAME, ...opening });
      const { share } = expectCommitted(bytes, run.commitment, run.sealedFor);
      return realign(openedOf(share, asRun.plan), asRun.plan, expected.plan);
    },
    () => checkedOf.opening(),
  );
  verifyAnswer(answer, trail, () => labelled(run, decodeOpened(opened, expected)));
}

function decodeOpened({ open, cells }: OpenedAnswer, { plan, widths }: Derived): AnswerTable {
  return decodeAnswer(plan, open, cells, widths);
}

/** The answer again from what was opened, cell by cell. */
function verifyAnswer(answer: AnswerDocument, trail: Trail, decode: () => AnswerTable): void {
  step(
    trail,
    'answer',
    () => {
      const table = decode();
      const differs = firstDifference(answer, answerDocumentOf(table), 'answer');
      if (differs === null) return table;
      throw new ParleyError('RESULT_INVALID', 'the shares open to another answer than is stated', {
        path: differs,
      });
    },
    ({ rows, groupsSuppressed }) => checkedOf.answer(rows.length, groupsSuppressed),
  );
}
