import { ParleyError } from '../../core/errors.ts';
import type { Plan } from '../../sql/index.ts';
import { verifyTeeRun, type TeeRun, type VerifiedTeeRun } from '../../tee-adapter/host/index.ts';
import { SIMULATION_NOTICE } from '../../tee-adapter/simulated.ts';
import type { AnswerTable } from '../answer.ts';
import { shareBytes } from '../decode.ts';
import type { TeeBundle } from './bundle.ts';
import { badReceipt, expectCharged } from './charged.ts';
import type { Derived, Expected } from './derive.ts';
import { earlierOf, expectStatements } from './replay.ts';
import type { OpenedAnswer } from './shares.ts';

/** LOCAL. How far a party's clock may run ahead of the reader's. */
const CLOCK_SKEW_MS = 5 * 60_000;

/** What a run in an enclave leaves behind before anything is opened. */
export type TeeRecords = TeeRun & Pick<TeeBundle, 'submission' | 'replay'>;

/** The run that answers a question, checked. */
export interface AnsweringRun {
  readonly run: VerifiedTeeRun;
  /** The question that was run: the one asked, or the earlier one whose answer is given again. */
  readonly asRun: Derived;
  /** As of when its evidence was appraised; RFC 3339 in UTC, each once. */
  readonly appraisedAt: readonly string[];
}

/** When each party says it appraised the evidence. @throws ParleyError RECEIPT_INVALID. */
function statedTimes({ statements }: NonNullable<TeeRecords['replay']>, openedAtMs: number) {
  const times = statements.map(({ document: { party, earlier } }) => {
    const at = earlier.appraised_at ?? '';
    // Not a number, when there is none, is not before either.
    if (Date.parse(at) <= openedAtMs + CLOCK_SKEW_MS) return at;
    const path = 'replay.earlier.appraised_at';
    throw badReceipt(party, 'evidence was appraised at no time, or at one still to come', path);
  });
  if (times.length > 0) return [...new Set(times)];
  throw new ParleyError('RECEIPT_INVALID', 'an earlier answer needs a statement of each party', {
    path: 'replay.statements',
  });
}

/**
 * Checks a run in an enclave against the question asked, or an earlier run that every party signed
 * is given again: the earlier question is this one, its run is genuine, the evidence was acceptable
 * at every time a party states, and all speak of the one sealed answer.
 *
 * @param openedAtMs - by the reader's clock, or as a file states it.
 * @throws ParleyError of `earlierOf`, `verifyTeeRun` and `expectStatements`; RECEIPT_INVALID.
 */
export function verifyEnclaveRun(
  records: TeeRecords,
  expected: Derived,
  openedAtMs: number,
): AnsweringRun {
  const { submission, replay, gos, authorisations } = records;
  const asRun = replay === null ? expected : earlierOf(replay, expected);
  const asked = (replay?.submission ?? submission).document;
  const appraisedAt =
    replay === null ? [new Date(openedAtMs).toISOString()] : statedTimes(replay, openedAtMs);
  const atMs = appraisedAt.map((at) => Date.parse(at));
  const run = verifyTeeRun(records, asked, expected.policy, { atMs });
  expectAllCharged(authorisations, asRun);
  if (replay !== null) {
    const { session, shareDigest: share_digest } = run;
    const given = run.plan.sides.map(({ party }) => ({ party, share_digest }));
    expectStatements(replay, expected, { earlier: asRun, session, gos, given });
  }
  return { run, asRun, appraisedAt };
}

/** What the reader found an enclave to be, by the policy's reference values. */
export interface Attestation {
  readonly tee: string;
  readonly decision: 'accepted' | 'accepted_simulated';
  /** Present, and shown by everything, when no hardware was involved. */
  readonly notice?: string;
}

/**
 * What every party states of its ledger fits the price of the query and the room's budget.
 * @throws ParleyError RECEIPT_INVALID naming the party and the field.
 */
function expectAllCharged(authorisations: TeeRun['authorisations'], expected: Expected): void {
  for (const { document } of authorisations) expectCharged(document, expected);
}

export function attestationOf({ attestation }: VerifiedTeeRun): Attestation {
  const { tee, decision } = attestation;
  return decision === 'accepted'
    ? { tee, decision }
    : { tee, decision: 'accepted_simulated', notice: SIMULATION_NOTICE };
}

/** The answer with what must be said before it. */
export function labelled<T extends AnswerTable>(run: VerifiedTeeRun, table: T): T {
  const { notice } = attestationOf(run);
  return notice === undefined ? table : { ...table, labels: [notice, ...table.labels] };
}

/** `open ‖ cells` taken apart. @throws ParleyError RESULT_INVALID for another length than the plan. */
export function openedOf(answer: Uint8Array, plan: Plan): OpenedAnswer {
  const bytes = shareBytes(plan);
  if (answer.length !== bytes.open + bytes.cells) {
    throw new ParleyError('RESULT_INVALID', 'the answer has another length than the plan');
  }
  return { open: answer.slice(0, bytes.open), cells: answer.slice(bytes.open) };
}
