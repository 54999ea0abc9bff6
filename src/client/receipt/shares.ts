import { wipe } from '../../core/bytes.ts';
import { expect, ParleyError } from '../../core/errors.ts';
import { expectCommitted, type SealContext } from '../../records/index.ts';
import { shareBytes } from '../decode.ts';
import type { Expected } from './derive.ts';
import type { VerifiedRun } from './run.ts';

/** A party's opened share with the salt of its commitment in front, as its sealed share opens. */
export interface PartyOpening {
  readonly party: string;
  readonly opening: Uint8Array;
}

/** The opened answer: open bits, then cells, as `decodeAnswer` takes them. */
export interface OpenedAnswer {
  readonly open: Uint8Array;
  readonly cells: Uint8Array;
}

/** The names a share is sealed and committed under. */
export function contextOf(expected: Expected, session: string, party: string): SealContext {
  return {
    room: expected.policy.room,
    policy_digest: expected.policyDigest,
    query_id: expected.queryId,
    plan_digest: expected.planDigest,
    session,
    party,
  };
}

/**
 * Checks each opening against the commitment in its party's receipt and adds the shares up.
 *
 * @param openings - one of each receipt, in any order.
 * @throws ParleyError RESULT_INVALID naming the party: one is missing, surplus, of another length or
 *   not the one its party committed to.
 */
export function addShares(
  openings: readonly PartyOpening[],
  { session, receipts }: VerifiedRun,
  expected: Expected,
): OpenedAnswer {
  const bytes = shareBytes(expected.plan);
  const sum = new Uint8Array(bytes.open + bytes.cells);
  expect(receipts.length === expected.plan.sides.length, 'every party holds a share of the answer');
  const parties = receipts.map(({ document }) => document.party);
  for (const { party } of openings) {
    if (parties.includes(party) && openings.filter((o) => o.party === party).length === 1) continue;
    throw new ParleyError('RESULT_INVALID', 'a share is not of the plan, or there twice', {
      party,
    });
  }
  for (const { document } of receipts) {
    const { party, share_commitment } = document;
    const own = openings.find((o) => o.party === party);
    if (own === undefined) {
      throw new ParleyError('RESULT_INVALID', "a party's share is missing", { party });
    }
    const context = contextOf(expected, session, party);
    const { share } = expectCommitted(own.opening, share_commitment, context);
    if (share.length !== sum.length) {
      throw new ParleyError('RESULT_INVALID', 'a share has another length than the plan', {
        party,
      });
    }
    for (let i = 0; i < sum.length; i += 1) sum[i] = (sum[i] ?? 0) ^ (share[i] ?? 0);
  }
  const answer = { open: sum.slice(0, bytes.open), cells: sum.slice(bytes.open) };
  wipe(sum);
  return answer;
}
