import type { Backend, SignedReceipt } from '../records/index.ts';
import type { BudgetLeft } from './budget.ts';
import type { Bundle } from './receipt/bundle.ts';
import type { ColumnTypeName, Plan } from '../sql/plan.ts';
import type { Attestation } from './receipt/enclave.ts';

/** Where the true value lies at the plan's confidence level; decimal text in the column's units. */
export interface Interval {
  readonly mechanism: 'discrete_laplace';
  readonly level: string;
  /** This cell's share of epsilon, `num/den`. */
  readonly epsilon: string;
  /** L1 bound of the noised quantity over all groups; null for averages, which are derived. */
  readonly sensitivity: string | null;
  /** Largest distance from the value to an end. */
  readonly half_width: string;
  readonly low: string;
  readonly high: string;
}

/**
 * One released value. Counts and integers are numbers (text beyond 2^53), decimals and averages
 * exact decimal text, dates ISO text.
 */
export interface AnswerCell {
  readonly value: string | number | boolean | null;
  /** Averages only: the double nearest to the exact quotient. */
  readonly double?: number;
  readonly interval: Interval | null;
}

export interface AnswerRow {
  /** True when the group did not pass the threshold: its aggregates are NULL and were never open. */
  readonly suppressed: boolean;
  /** In the order of `columns`. */
  readonly cells: readonly AnswerCell[];
}

export interface AnswerColumn {
  readonly name: string;
  readonly type: ColumnTypeName;
  readonly role: 'group' | 'aggregate';
  readonly noised: boolean;
}

/** The rows of an answer in SQL form. */
export interface AnswerTable {
  readonly columns: readonly AnswerColumn[];
  readonly rows: readonly AnswerRow[];
  /** Groups of the declared domain, and how many of them did not pass the threshold. */
  readonly groups: number;
  readonly groupsSuppressed: number;
  /** What the promise does not cover, in capitals, for a person to see first. */
  readonly labels: readonly string[];
  /** What the promise covers and what it does not, one sentence each. */
  readonly promise: readonly string[];
}

/** A verified answer: everything in it was checked against the policy the analyst pinned. */
export interface Answer extends AnswerTable {
  readonly queryId: string;
  /** The earlier query whose very answer this is, for nothing; null for an answer of its own. */
  readonly replayOf: string | null;
  readonly plan: Plan;
  readonly planDigest: string;
  readonly session: string;
  /** Epsilon this query spent, `0` for an earlier answer, or null when differential privacy is off. */
  readonly epsilonSpent: string | null;
  readonly deltaSpent: string | null;
  /** Rho this query spent, as ledgers add it up, where rho has a budget; null elsewhere. */
  readonly rhoSpent: string | null;
  /**
   * What the budgets it touched have left, by every party's signed receipt or authorisation; null
   * when there are none, and for an earlier answer.
   */
  readonly budgetLeft: BudgetLeft | null;
  /** What the query ran on. */
  readonly backend: Backend;
  /** One of each party of the plan; none when it ran in an enclave. */
  readonly receipts: readonly SignedReceipt[];
  /** Everything that proves the answer to others; `formatBundle` writes it as `receipt.json`. */
  readonly bundle: Bundle;
  /** What the enclave was found to be; null when there was none. */
  readonly attestation: Attestation | null;
}
