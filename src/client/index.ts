/** The analyst's side: ask, verify every signature, and alone reconstruct the answer. */
export { budgetLeft, budgetState, leftAmounts, rhoOfPlan } from './budget.ts';
export type {
  BindingBudget,
  BudgetLeft,
  BudgetState,
  LeftAmounts,
  StatedSpending,
  TouchedBudget,
} from './budget.ts';
export {
  amountsText,
  amountText,
  budgetName,
  budgetText,
  questionsText,
  touchedDocument,
} from './format-budget.ts';
export { createClient, fetchPacket, newQueryId } from './client.ts';
export type { Client, ClientOptions, QueryOptions, WaitOptions } from './client.ts';
export { decodeAnswer, shareBytes } from './decode.ts';
export type { Attestation } from './receipt/enclave.ts';
export { partsOfOutput } from './evaluate.ts';
export { answerDocument, formatCsv, formatJson, formatTable } from './format.ts';
export { scaledText } from './numbers.ts';
export { releaseOf } from './release.ts';
export type { Release, Widths } from './release.ts';
export { bundleOf, BUNDLE_BYTES_MAX, formatBundle, parseBundle } from './receipt/bundle.ts';
export type { Bundle, MpcBundle, TeeBundle } from './receipt/bundle.ts';
export { verifyBundle } from './receipt/verify.ts';
export type { Report, VerifyOptions } from './receipt/verify.ts';
export { questionText } from './receipt/words.ts';
export { openShares, verifyRecord } from './verify.ts';
export type { Derived, Expected, Verified } from './verify.ts';
export type {
  Answer,
  AnswerCell,
  AnswerColumn,
  AnswerRow,
  AnswerTable,
  Interval,
} from './answer.ts';
