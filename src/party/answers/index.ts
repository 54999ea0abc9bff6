/** Answers a party has given, kept so that an identical question gets the same bytes again. */
export { ANSWER_LIMITS, AnswerBook } from './book.ts';
export type { AnswerLimits } from './book.ts';
export { shareDigestOf } from './record.ts';
export type { GivenAnswer, GivenByEnclave, GivenShare } from './record.ts';
