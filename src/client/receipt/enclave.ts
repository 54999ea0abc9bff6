import { ParleyError } from '../../core/errors.ts';
import type { Plan } from '../../sql/index.ts';
import type { TeeRun, VerifiedTeeRun } from '../../tee-adapter/host/index.ts';
import { SIMULATION_NOTICE } from '../../tee-adapter/simulated.ts';
import type { AnswerTable } from '../answer.ts';
import { shareBytes } from '../decode.ts';
import { expectCharged } from './charged.ts';
import type { Expected } from './derive.ts';
import type { OpenedAnswer } from './shares.ts';

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
export function expectAllCharged(
  authorisations: TeeRun['authorisations'],
  expected: Expected,
): void {
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
