import type { Backend, Receipt, Submission } from '../../records/index.ts';
import type { Attestation } from './enclave.ts';

/** The checks, in the order they are made. */
export type CheckName =
  'policy' | 'submission' | 'plan' | 'run' | 'shares' | 'enclave' | 'opening' | 'answer';

/** What an analyst signed, as far as a reader asks. */
export type Question = Pick<Submission, 'analyst' | 'sql' | 'epsilon' | 'backend'>;

export interface Check {
  readonly name: CheckName;
  readonly passed: boolean;
  /** One sentence: what was found, or why it failed. */
  readonly says: string;
}

function givenAgain(replayOf: string | null): string {
  if (replayOf === null) return '';
  return (
    `; each party signed too that this question gets the answer of query ${replayOf} again, ` +
    'its data unchanged, for nothing'
  );
}

/** What each check that passed has shown. */
export const checkedOf = {
  policy: (parties: readonly string[]): string =>
    `the policy carries the signatures of all its parties: ${parties.join(', ')}`,
  submission: (analyst: string): string => `${analyst} signed this question under this policy`,
  plan: (digest: string, template: string | null): string =>
    `planning the question again gives plan ${digest.slice(0, 16)}…, and from it noise, threshold, ` +
    `bounds and price${template === null ? '' : `; the policy pins it as template ${template}`}`,
  run: (receipts: readonly Receipt[], replayOf: string | null): string => {
    const [first] = receipts;
    const parties = receipts.map(({ party }) => party).join(', ');
    const price = first?.price.epsilon ?? '0';
    return (
      `${parties} each signed one go and one receipt of this run: the same plan, data, suite, ` +
      `noise, bounds and price (epsilon ${price}), and ledger heads as in the goes${givenAgain(replayOf)}`
    );
  },
  shares: (count: number): string =>
    `the ${count} opened shares are the ones their parties committed to`,
  enclave: (
    { tee, notice }: Attestation,
    appraisedAt: readonly string[],
    replayOf: string | null,
  ): string =>
    (notice === undefined
      ? `evidence of ${tee}, within the policy's reference values on ${appraisedAt.join(', ')}, `
      : `${notice}; a ${tee} statement, which the policy names, on ${appraisedAt.join(', ')}, `) +
    'binds the enclave that every party authorised for this plan, session and ledger heads, and ' +
    `that signed the noise of this plan${givenAgain(replayOf)}`,
  opening: (): string => 'the opened answer is the one the enclave committed to',
  answer: (rows: number, suppressed: number): string =>
    `what was opened gives exactly the stated answer: ${rows} rows with their intervals, ` +
    `${suppressed} groups suppressed`,
} as const;

/** The question as it was signed; what a terminal would hide or reorder is written out. */
export function questionText({ analyst, sql, epsilon, backend }: Question): readonly string[] {
  const spends = epsilon === null ? 'the policy’s default epsilon' : `epsilon ${epsilon}`;
  const visible = (line: string): string =>
    line.replaceAll(/[\p{C}\p{Zl}\p{Zp}]/gu, (c) => `\\u{${c.codePointAt(0)!.toString(16)}}`);
  const lines = sql.split(/\r\n|\r|\n/).map((line) => `  ${visible(line)}`);
  return [`asked by ${analyst} with ${spends}, on ${backend}:`, ...lines];
}

const UNSEEN = [
  'that the rows of any party are true, or the ones it should have brought: a commitment fixes ' +
    'which rows were stated, not whether they are right',
  'that the parties followed the protocol: receipts are statements of semi-honest parties, and all ' +
    'of them together could have made up an answer',
  'that the noise was drawn at random: that holds when one party drew its bits at random; the ' +
    'receipt fixes the law of the noise, not the draw',
  'that a ledger is whole: its heads are stated and named in the goes; its owner and the other ' +
    'parties check that they follow one another',
  'when the query ran: nothing in a receipt depends on a clock',
] as const;

const UNSEEN_IN_ENCLAVE = [
  UNSEEN[0],
  'that the hardware kept what it attests: no evidence shows an attack on the chip, its memory bus ' +
    'or its vendor (docs/tee.md says which are known)',
  'that the parties sealed the data they committed to: an enclave takes what it is given',
  UNSEEN[3],
  'when the query ran: the evidence is appraised as of a time that the file itself states, or that ' +
    'the parties do for an earlier answer',
] as const;

/** What no offline check can show, and what this file left out. */
export function notChecked(file: {
  readonly backend: Backend;
  readonly pinned: boolean;
  readonly opened: boolean;
  /** The policy lets it run because its parties approved it. */
  readonly approved: boolean;
}): readonly string[] {
  const pinned = file.pinned
    ? []
    : [
        'that the policy is the one you agreed to: compare its digest with your own copy, or give ' +
          'that copy (--policy)',
      ];
  const opened = file.opened
    ? []
    : [
        'the answer itself: the file does not open the shares, so nothing ties the rows to what was signed',
      ];
  const approved = file.approved
    ? ['that every owner approved the question: each keeps its approvals, and looks before it runs']
    : [];
  return [
    ...pinned,
    ...opened,
    ...approved,
    ...(file.backend === 'tee' ? UNSEEN_IN_ENCLAVE : UNSEEN),
  ];
}
