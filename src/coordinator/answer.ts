import { ParleyError } from '../core/errors.ts';
import type { Policy } from '../policy/types.ts';
import {
  parseRecord,
  sealedShareSchema,
  shareDigest,
  signedReceiptSchema,
  verifyReceipt,
  type QueryAnswer,
} from '../records/index.ts';
import type { Report } from '../transport/index.ts';
import { inEnclave, type Query } from './query.ts';

/**
 * A party's answer to a query, of its own run or an earlier one that is given again; or `again`
 * when it is the one it gave before.
 * @throws ParleyError RECEIPT_INVALID when it is not in turn, not signed by the party, or not for
 *   this query, session and share.
 */
export function checkAnswer(
  query: Query,
  party: string,
  report: Extract<Report, { type: 'answer' }>,
  policy: Policy,
): QueryAnswer | 'again' {
  const receipt = parseRecord(signedReceiptSchema, report.receipt, 'receipt', 'RECEIPT_INVALID');
  const sealed = parseRecord(sealedShareSchema, report.sealed, 'answer', 'RECEIPT_INVALID');
  const { document } = receipt;
  const known = query.answers.get(party)?.receipt.document.share_digest;
  if (known !== undefined && known === document.share_digest) return 'again';
  const asked = query.submission.document.purpose === undefined;
  const { replay } = query;
  const due = replay === null ? query.state === 'running' : replay.statements.has(party);
  if (!asked || inEnclave(query) || !due || known !== undefined) {
    throw new ParleyError('RECEIPT_INVALID', 'a party sent an answer out of turn');
  }
  verifyReceipt(receipt, policy);
  const belongs =
    document.party === party &&
    sealed.party === party &&
    document.query_id === (replay?.submission?.document.query_id ?? query.id) &&
    document.session === (replay?.session ?? query.session) &&
    document.share_digest === shareDigest(sealed);
  if (!belongs) {
    throw new ParleyError('RECEIPT_INVALID', 'a party sent a receipt that is not for its answer');
  }
  return { receipt, sealed };
}
