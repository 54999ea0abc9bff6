import { ParleyError } from '../core/errors.ts';
import type { Redacted } from '../core/redacted.ts';
import { openShare, shareDigest, type QueryAnswer, type QueryRecord } from '../records/index.ts';
import type { Derived, Expected } from './receipt/derive.ts';
import { verifyReplayed } from './receipt/replay.ts';
import { verifyRun, type VerifiedRun } from './receipt/run.ts';
import { contextOf, type PartyOpening } from './receipt/shares.ts';

export type { Derived, Expected } from './receipt/derive.ts';

/** Receipts and session of a record that passed every check, with the sealed shares. */
export interface Verified extends VerifiedRun {
  /** In the order of the plan's sides. */
  readonly answers: readonly QueryAnswer[];
  /** The question that was run: the one asked, or the earlier one whose answer is given again. */
  readonly asRun: Derived;
}

function expectSealed({ receipt, sealed }: QueryAnswer): void {
  const { party, share_digest } = receipt.document;
  if (sealed.party !== party || shareDigest(sealed) !== share_digest) {
    throw new ParleyError('RESULT_INVALID', 'a sealed share is not the one its receipt names', {
      party,
    });
  }
}

/**
 * Checks an answered record against what the analyst derived: own plan, goes and receipts of
 * exactly the plan's parties, one session, unbroken ledger fields, noise as the policy demands, and
 * the sealed shares that the receipts name; of an earlier run when the parties give its answer
 * again. Nothing the coordinator says is believed without it.
 *
 * @throws ParleyError RESULT_INVALID, PLAN_MISMATCH, GO_INVALID, RECEIPT_INVALID; the last two name
 *   the party.
 */
export function verifyRecord(record: QueryRecord, expected: Derived): Verified {
  if (record.query_id !== expected.queryId || record.state !== 'answered') {
    throw new ParleyError('RESULT_INVALID', 'the coordinator answered another query');
  }
  if (record.plan_digest !== expected.planDigest) {
    throw new ParleyError('PLAN_MISMATCH', 'the coordinator ran another plan than the query asks');
  }
  const { replay, gos, answers } = record;
  if (replay === undefined) return { ...withShares(record, expected), asRun: expected };
  const receipts = answers.map(({ receipt }) => receipt);
  const { earlier } = verifyReplayed(replay, { gos, receipts }, expected);
  return { ...withShares(record, earlier), asRun: earlier };
}

/** Goes, receipts and sealed shares of one run. */
function withShares({ gos, answers }: QueryRecord, expected: Expected): Omit<Verified, 'asRun'> {
  const run = verifyRun({ gos, receipts: answers.map(({ receipt }) => receipt) }, expected);
  for (const answer of answers) expectSealed(answer);
  const ordered = run.receipts.map((receipt) => answers.find((a) => a.receipt === receipt)!);
  return { ...run, answers: ordered };
}

/**
 * Opens the sealed shares.
 *
 * @returns salt and share of each party; wipe them after use.
 * @throws ParleyError RESULT_INVALID naming the party.
 */
export async function openShares(
  { answers, session, asRun }: Verified,
  sealingKey: Redacted<Uint8Array>,
): Promise<readonly PartyOpening[]> {
  const openings: PartyOpening[] = [];
  for (const { sealed } of answers) {
    const { party } = sealed;
    const opening = await openShare(sealed, sealingKey, contextOf(asRun, session, party));
    openings.push({ party, opening });
  }
  return openings;
}
