import { equalBytes, wipe } from '../core/bytes.ts';
import { expect, ParleyError } from '../core/errors.ts';
import type { Redacted } from '../core/redacted.ts';
import { canonicalJson } from '../policy/index.ts';
import type { Policy } from '../policy/types.ts';
import {
  openShare,
  sessionOf,
  shareDigest,
  SUITE,
  verifyReceipt,
  type QueryAnswer,
  type QueryRecord,
  type Receipt,
  type SignedReceipt,
} from '../records/index.ts';
import type { Plan } from '../sql/plan.ts';
import { shareBytes } from './decode.ts';

/** What the analyst derived alone, before looking at anything the coordinator sent. */
export interface Expected {
  readonly policy: Policy;
  readonly policyDigest: string;
  readonly queryId: string;
  readonly submissionDigest: string;
  readonly plan: Plan;
  readonly planDigest: string;
  /** The noise record that follows from the plan. */
  readonly noise: object;
}

/** Receipts and session of a record that passed every check. */
export interface Verified {
  readonly session: string;
  /** In the order of the plan's sides. */
  readonly answers: readonly QueryAnswer[];
  readonly receipts: readonly SignedReceipt[];
}

function badReceipt(party: string, what: string, path?: string): ParleyError {
  return new ParleyError('RECEIPT_INVALID', what, {
    party,
    ...(path === undefined ? {} : { path }),
  });
}

/** Exactly one answer of each plan party, in plan order. */
function answersInOrder(record: QueryRecord, parties: readonly string[]): readonly QueryAnswer[] {
  for (const { receipt } of record.answers) {
    const { party } = receipt.document;
    if (!parties.includes(party))
      throw badReceipt(party, 'a party outside the plan sent a receipt');
  }
  return parties.map((party) => {
    const own = record.answers.filter((a) => a.receipt.document.party === party);
    const [answer] = own;
    if (answer === undefined || own.length !== 1) {
      throw badReceipt(party, 'the answer needs one receipt of each party of the plan');
    }
    return answer;
  });
}

function expectNoise(receipt: Receipt, expected: object): void {
  for (const [field, value] of Object.entries(expected) as [string, unknown][]) {
    const stated = Object.hasOwn(receipt.noise, field) ? receipt.noise[field] : undefined;
    if (stated === undefined || !equalBytes(canonicalJson(stated), canonicalJson(value))) {
      throw badReceipt(
        receipt.party,
        'a receipt states other noise than the policy demands',
        `noise.${field}`,
      );
    }
  }
}

function expectReceipt(
  { receipt, sealed }: QueryAnswer,
  record: QueryRecord,
  expected: Expected,
  session: string,
): void {
  const document = verifyReceipt(receipt, expected.policy);
  const { party } = document;
  const go = record.gos.find((g) => g.document.party === party)?.document;
  const fields: Partial<Receipt> = {
    room: expected.policy.room,
    policy_digest: expected.policyDigest,
    query_id: expected.queryId,
    plan_digest: expected.planDigest,
    submission_digest: expected.submissionDigest,
    session,
    ledger_before: go?.ledger_before ?? '',
    ledger_after: go?.ledger_after ?? '',
  };
  for (const [field, value] of Object.entries(fields)) {
    if (document[field as keyof Receipt] !== value) {
      throw badReceipt(party, 'a receipt speaks of another run', field);
    }
  }
  expectNoise(document, expected.noise);
  if (sealed.party !== party || shareDigest(sealed) !== document.share_digest) {
    throw new ParleyError('RESULT_INVALID', 'a sealed share is not the one its receipt names', {
      party,
    });
  }
}

/**
 * Checks an answered record against what the analyst derived: own plan, goes and receipts of
 * exactly the plan's parties, one session, unbroken ledger fields, noise as the policy demands, and
 * the same noise record at all parties. Nothing the coordinator says is believed without it.
 *
 * @throws ParleyError RESULT_INVALID, PLAN_MISMATCH, GO_INVALID, RECEIPT_INVALID; the last two name
 *   the party.
 */
export function verifyRecord(record: QueryRecord, expected: Expected): Verified {
  if (record.query_id !== expected.queryId || record.state !== 'answered') {
    throw new ParleyError('RESULT_INVALID', 'the coordinator answered another query');
  }
  if (record.plan_digest !== expected.planDigest) {
    throw new ParleyError('PLAN_MISMATCH', 'the coordinator ran another plan than the query asks');
  }
  const parties = expected.plan.sides.map((side) => side.party);
  const session = sessionOf(record.gos, expected.policy, parties, {
    query_id: expected.queryId,
    plan_digest: expected.planDigest,
    submission_digest: expected.submissionDigest,
    suite: SUITE,
  });
  const answers = answersInOrder(record, parties);
  for (const answer of answers) expectReceipt(answer, record, expected, session);
  const receipts = answers.map(({ receipt }) => receipt);
  const noise = receipts.map(({ document }) => canonicalJson(document.noise));
  const first = noise[0] ?? new Uint8Array();
  receipts.forEach(({ document }, i) => {
    if (!equalBytes(noise[i] ?? new Uint8Array(), first)) {
      throw badReceipt(document.party, 'the receipts state different noise', 'noise');
    }
  });
  return { session, answers, receipts };
}

/**
 * Opens the sealed shares and adds them up; the shares are wiped.
 *
 * @returns the open bits and cells of the answer.
 * @throws ParleyError RESULT_INVALID naming the party.
 */
export async function openAnswer(
  verified: Verified,
  expected: Expected,
  sealingKey: Redacted<Uint8Array>,
): Promise<{ readonly open: Uint8Array; readonly cells: Uint8Array }> {
  const bytes = shareBytes(expected.plan);
  const sum = new Uint8Array(bytes.open + bytes.cells);
  const everybody = verified.answers.length === expected.plan.sides.length;
  expect(everybody, 'every party holds a share of the answer');
  for (const { sealed } of verified.answers) {
    const { party } = sealed;
    const share = await openShare(sealed, sealingKey, {
      room: expected.policy.room,
      policy_digest: expected.policyDigest,
      query_id: expected.queryId,
      plan_digest: expected.planDigest,
      session: verified.session,
      party,
    });
    if (share.length !== sum.length) {
      throw new ParleyError('RESULT_INVALID', 'a share has another length than the plan', {
        party,
      });
    }
    for (let i = 0; i < sum.length; i += 1) sum[i] = (sum[i] ?? 0) ^ (share[i] ?? 0);
    wipe(share);
  }
  return { open: sum.subarray(0, bytes.open), cells: sum.slice(bytes.open) };
}
