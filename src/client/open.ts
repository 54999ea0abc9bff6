import { wipe } from '../core/bytes.ts';
import type { Redacted } from '../core/redacted.ts';
import type { Policy, PolicyPacket } from '../policy/types.ts';
import type { QueryRecord, SignedSubmission } from '../records/index.ts';
import type { Plan } from '../sql/index.ts';
import type { Answer } from './answer.ts';
import { budgetLeft, rhoOfPlan } from './budget.ts';
import { decodeAnswer } from './decode.ts';
import { answerDocumentOf, openingDocument, type MpcBundle } from './receipt/bundle.ts';
import type { Derived } from './receipt/derive.ts';
import { realign } from './receipt/replay.ts';
import { addShares } from './receipt/shares.ts';
import { openShares, verifyRecord } from './verify.ts';

/** The analyst's own side of a query. */
export interface Asked {
  readonly packet: PolicyPacket;
  readonly submission: SignedSubmission;
  readonly expected: Derived;
  readonly sealingKey: Redacted<Uint8Array>;
}

/**
 * Verifies an answered record, opens it, and keeps with the answer what proves it to others.
 * @throws ParleyError of `verifyRecord`, `openShares`, `addShares` and `decodeAnswer`.
 */
export async function openRecord(
  record: QueryRecord,
  { packet, submission, expected, sealingKey }: Asked,
): Promise<Answer> {
  const verified = verifyRecord(record, expected);
  const { asRun } = verified;
  const openings = await openShares(verified, sealingKey);
  const opened = realign(addShares(openings, verified, asRun), asRun.plan, expected.plan);
  const { plan } = expected;
  const table = decodeAnswer(plan, opened.open, opened.cells, expected.widths);
  const bundle: MpcBundle = {
    version: 1,
    backend: 'mpc',
    packet,
    submission,
    replay: record.replay ?? null,
    gos: record.gos,
    receipts: verified.receipts,
    openings: openings.map(openingDocument),
    answer: answerDocumentOf(table),
  };
  wipe(...openings.map(({ opening }) => opening));
  const again = record.replay !== undefined;
  return {
    ...table,
    queryId: expected.queryId,
    replayOf: again ? asRun.queryId : null,
    plan,
    planDigest: expected.planDigest,
    session: verified.session,
    ...spentOn(expected.policy, plan, again),
    // What an earlier receipt says of the budget is no longer so.
    budgetLeft: again ? null : budgetLeft(expected.policy, plan, verified.receipts),
    backend: 'mpc',
    receipts: verified.receipts,
    attestation: null,
    bundle,
  };
}

/** What an answer has spent: nothing when it is an earlier one; null without differential privacy. */
export function spentOn(
  policy: Policy,
  plan: Plan,
  again: boolean,
): Pick<Answer, 'epsilonSpent' | 'deltaSpent' | 'rhoSpent'> {
  const { differential } = plan.privacy;
  const rho = rhoOfPlan(policy, plan);
  const spent = again && differential !== null ? { epsilon: '0', delta: '0' } : differential;
  return {
    epsilonSpent: spent?.epsilon ?? null,
    deltaSpent: spent?.delta ?? null,
    rhoSpent: again && rho !== null ? '0' : rho,
  };
}
