import {
  datasetsOfGos,
  sessionOf,
  SUITE,
  verifyReceipt,
  type Receipt,
  type SignedGo,
  type SignedReceipt,
} from '../../records/index.ts';
import { tablesOfSides } from '../../sql/index.ts';
import { badReceipt, expectCharged } from './charged.ts';
import type { Expected } from './derive.ts';
import { firstDifference } from './difference.ts';

/** What the parties signed about one run. */
export interface RunRecords {
  readonly gos: readonly SignedGo[];
  readonly receipts: readonly SignedReceipt[];
}

/** Records of a run that passed every check. */
export interface VerifiedRun {
  readonly session: string;
  /** In the order of the plan's sides. */
  readonly receipts: readonly SignedReceipt[];
}

/** Exactly one receipt of each plan party, in plan order. */
function receiptsInOrder(
  receipts: readonly SignedReceipt[],
  parties: readonly string[],
): readonly SignedReceipt[] {
  for (const { document } of receipts) {
    const { party } = document;
    if (!parties.includes(party))
      throw badReceipt(party, 'a party outside the plan sent a receipt');
  }
  return parties.map((party) => {
    const own = receipts.filter(({ document }) => document.party === party);
    const [receipt] = own;
    if (receipt === undefined || own.length !== 1) {
      throw badReceipt(party, 'the answer needs one receipt of each party of the plan');
    }
    return receipt;
  });
}

/** What the plan settles: noise, bounds and price. Fields beyond the derived ones are refused. */
function expectStated({ party, noise, bounds, price }: Receipt, expected: Expected): void {
  const differs = firstDifference(noise, expected.noise, 'noise');
  if (differs !== null) {
    throw badReceipt(party, 'a receipt states other noise than the policy demands', differs);
  }
  const bounded = firstDifference(bounds, expected.bounds, 'bounds');
  if (bounded !== null) {
    throw badReceipt(party, 'a receipt states other bounds than the policy demands', bounded);
  }
  const priced = firstDifference(price, expected.price, 'price');
  if (priced !== null) {
    throw badReceipt(party, 'a receipt states another price than the query has', priced);
  }
}

function expectReceipt(
  receipt: SignedReceipt,
  session: string,
  gos: readonly SignedGo[],
  expected: Expected,
): void {
  const document = verifyReceipt(receipt, expected.policy);
  const { party } = document;
  const go = gos.find((g) => g.document.party === party)?.document;
  const fields: Partial<Receipt> = {
    room: expected.policy.room,
    policy_digest: expected.policyDigest,
    query_id: expected.queryId,
    plan_digest: expected.planDigest,
    submission_digest: expected.submissionDigest,
    session,
    suite: go?.suite ?? '',
    ledger_before: go?.ledger_before ?? '',
    ledger_after: go?.ledger_after ?? '',
  };
  for (const [field, value] of Object.entries(fields)) {
    if (document[field as keyof Receipt] !== value) {
      throw badReceipt(party, 'a receipt speaks of another run', field);
    }
  }
  const datasets = datasetsOfGos(gos, tablesOfSides(expected.plan));
  const differs = firstDifference(document.datasets, datasets, 'datasets');
  if (differs !== null) {
    throw badReceipt(party, 'a receipt names other data than the goes', differs);
  }
  expectStated(document, expected);
  expectCharged(document, expected);
}

/**
 * Checks what the parties signed about a run against what policy and question say: goes of exactly
 * the plan's parties, one session, one receipt each, and in every receipt the same run, data, noise,
 * bounds and price, and ledger heads as in its go. Nothing anybody relayed is believed without it.
 *
 * @throws ParleyError GO_INVALID, RECEIPT_INVALID, naming the party and the field.
 */
export function verifyRun({ gos, receipts }: RunRecords, expected: Expected): VerifiedRun {
  const parties = expected.plan.sides.map((side) => side.party);
  const session = sessionOf(gos, expected.policy, parties, {
    query_id: expected.queryId,
    plan_digest: expected.planDigest,
    submission_digest: expected.submissionDigest,
    suite: SUITE,
  });
  const ordered = receiptsInOrder(receipts, parties);
  for (const receipt of ordered) expectReceipt(receipt, session, gos, expected);
  return { session, receipts: ordered };
}
