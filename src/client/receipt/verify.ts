import { asParleyError, ParleyError } from '../../core/errors.ts';
import { verifyPacket } from '../../policy/index.ts';
import { verifySubmission } from '../../records/index.ts';
import { decodeAnswer } from '../decode.ts';
import { answerDocumentOf, openingOfDocument, type Bundle, type MpcBundle } from './bundle.ts';
import { deriveExpected, type Derived } from './derive.ts';
import { firstDifference } from './difference.ts';
import { realign, verifyReplayed, type VerifiedReplay } from './replay.ts';
import { verifyRun } from './run.ts';
import { addShares } from './shares.ts';
import { checkedOf, notChecked, type Check, type CheckName } from './words.ts';

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
 * checked. A pure function: no network, no clock, no keys.
 *
 * Checks run in the order of `checks` and end with the first that fails; its error has a stable
 * code, the path of the field and the party. It never throws.
 */
export function verifyBundle(bundle: Bundle, options: VerifyOptions = {}): Report {
  const trail: Trail = { checks: [], room: null, queryId: null, policyDigest: null };
  let error: ParleyError | null = null;
  try {
    if (bundle.backend === 'mpc') verifyMpc(bundle, options, trail);
    else throw new ParleyError('RECEIPT_INVALID', 'receipts of enclaves are not read here yet');
  } catch (thrown) {
    error = asParleyError(thrown);
  }
  return {
    genuine: error === null,
    ...trail,
    error,
    notChecked: notChecked({
      pinned: options.policyDigest !== undefined,
      opened: bundle.backend === 'mpc' && bundle.openings !== null,
    }),
  };
}

function expectPinned(digest: string, { policyDigest }: VerifyOptions): void {
  if (policyDigest === undefined || policyDigest === digest) return;
  throw new ParleyError('POLICY_MISMATCH', 'the receipt is of another policy than yours', {
    path: 'packet',
  });
}

function verifyMpc(bundle: MpcBundle, options: VerifyOptions, trail: Trail): void {
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
  const expected = step(
    trail,
    'plan',
    () => deriveExpected(policy, digest, submission),
    ({ planDigest }) => checkedOf.plan(planDigest),
  );
  const { replay } = bundle;
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
  verifyResult(bundle, expected, { earlier, run }, trail);
}

/** The answer again from the opened shares, cell by cell. */
function verifyResult(
  { openings, answer }: MpcBundle,
  expected: Derived,
  { earlier, run }: VerifiedReplay,
  trail: Trail,
): void {
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
  step(
    trail,
    'answer',
    () => {
      const table = decodeAnswer(expected.plan, opened.open, opened.cells, expected.widths);
      const differs = firstDifference(answer, answerDocumentOf(table), 'answer');
      if (differs === null) return table;
      throw new ParleyError('RESULT_INVALID', 'the shares open to another answer than is stated', {
        path: differs,
      });
    },
    ({ rows, groupsSuppressed }) => checkedOf.answer(rows.length, groupsSuppressed),
  );
}
