import { ParleyError } from '../../core/errors.ts';
import {
  datasetsOfGos,
  queryKeyOf,
  verifyReplay,
  verifySubmission,
  type Replay,
  type ReplayEvidence,
  type SignedGo,
} from '../../records/index.ts';
import { alignPlans, coreDigest, releasedMeasures, tablesOfSides } from '../../sql/index.ts';
import { shareBytes } from '../decode.ts';
import { deriveExpected, type Derived } from './derive.ts';
import { badReceipt } from './charged.ts';
import { verifyRun, type RunRecords, type VerifiedRun } from './run.ts';
import type { OpenedAnswer } from './shares.ts';

/** The earlier run that answers a question again, checked in full. */
export interface VerifiedReplay {
  readonly earlier: Derived;
  readonly run: VerifiedRun;
}

/** The earlier run as every statement must name it. */
export interface EarlierRun {
  readonly earlier: Derived;
  readonly session: string;
  readonly gos: readonly SignedGo[];
  /** Digest of what each party of the plan gave then, in the order of the plan's sides. */
  readonly given: readonly { readonly party: string; readonly share_digest: string }[];
}

/**
 * Exactly one statement of each party, over both questions, the key and what it gave then.
 * @returns them in the order of the plan's sides.
 * @throws ParleyError RECEIPT_INVALID with path and party; GO_INVALID.
 */
export function expectStatements(
  { statements }: ReplayEvidence,
  expected: Derived,
  { earlier, session, gos, given }: EarlierRun,
): readonly Replay[] {
  const { policy, policyDigest, backend, sealingKey } = expected;
  const core = coreDigest(expected.plan);
  const datasets = datasetsOfGos(gos, tablesOfSides(earlier.plan));
  const queryKey = queryKeyOf({ backend, core, policyDigest, datasets, sealingKey });
  const parties = given.map(({ party }) => party);
  for (const { document } of statements) {
    const { party } = document;
    const once = statements.filter((one) => one.document.party === party).length === 1;
    if (!parties.includes(party) || !once) {
      throw badReceipt(party, 'a replay is stated by a party outside the plan, or twice', 'replay');
    }
  }
  return given.map(({ party, share_digest }) => {
    const signed = statements.find((one) => one.document.party === party);
    if (signed === undefined) {
      throw badReceipt(party, 'a replay needs the statement of each party of the plan', 'replay');
    }
    const stated = verifyReplay(signed, policy);
    const asked: Omit<Replay, 'version' | 'party' | 'earlier'> = {
      backend,
      room: policy.room,
      policy_digest: policyDigest,
      query_id: expected.queryId,
      submission_digest: expected.submissionDigest,
      plan_digest: expected.planDigest,
      query_key: queryKey,
    };
    const before: Omit<Replay['earlier'], 'appraised_at'> = {
      query_id: earlier.queryId,
      submission_digest: earlier.submissionDigest,
      plan_digest: earlier.planDigest,
      session,
      share_digest,
    };
    expectFields(party, stated, asked, 'replay');
    expectFields(party, stated.earlier, before, 'replay.earlier');
    return stated;
  });
}

function expectFields<T extends object>(
  party: string,
  stated: T,
  fields: Partial<T>,
  path: string,
): void {
  for (const [field, value] of Object.entries(fields)) {
    if (stated[field as keyof T] === value) continue;
    throw badReceipt(party, 'a replay is stated of another question or run', `${path}.${field}`);
  }
}

/**
 * The earlier question that answers one asked now: of this policy, for the same sealing key and
 * backend, and with the same core of its plan.
 *
 * @param expected - of the question as it is asked now.
 * @throws ParleyError PLAN_MISMATCH (another question), RESULT_INVALID (another analyst's or
 *   backend's), and the codes of `verifySubmission`.
 */
export function earlierOf({ submission }: ReplayEvidence, expected: Derived): Derived {
  const { policy, policyDigest, sealingKey, backend } = expected;
  const earlier = deriveExpected(policy, policyDigest, verifySubmission(submission, policy));
  if (earlier.sealingKey !== sealingKey) {
    throw new ParleyError('RESULT_INVALID', 'the earlier answer is for another analyst', {
      path: 'replay.submission.analyst',
    });
  }
  if (earlier.backend !== backend) {
    throw new ParleyError('RESULT_INVALID', 'the earlier answer is of another backend', {
      path: 'replay.submission.backend',
    });
  }
  if (coreDigest(earlier.plan) !== coreDigest(expected.plan)) {
    throw new ParleyError('PLAN_MISMATCH', 'the earlier answer is to another question', {
      path: 'replay.submission.sql',
    });
  }
  return earlier;
}

/**
 * Checks that a question is answered by an earlier run on shares: the earlier question is
 * {@link earlierOf} it, its run is genuine, and every party signed that it gives that very answer
 * again, with its data as it then was.
 *
 * @param expected - of the question as it is asked now.
 * @param records - goes and receipts of the earlier run.
 * @throws ParleyError of `earlierOf` and `verifyRun`; RECEIPT_INVALID with path and party.
 */
export function verifyReplayed(
  evidence: ReplayEvidence,
  records: RunRecords,
  expected: Derived,
): VerifiedReplay {
  const earlier = earlierOf(evidence, expected);
  const run = verifyRun(records, earlier);
  const given = run.receipts.map(({ document }) => document);
  expectStatements(evidence, expected, { earlier, session: run.session, gos: records.gos, given });
  return { earlier, run };
}

const CELL_BYTES = 8;

/** The opened answer of one plan, laid out for another of the same core. */
export function realign(
  opened: OpenedAnswer,
  from: Derived['plan'],
  to: Derived['plan'],
): OpenedAnswer {
  const { measures, groups } = alignPlans(to, from);
  const bytes = shareBytes(to);
  const [open, cells] = [new Uint8Array(bytes.open), new Uint8Array(bytes.cells)];
  const released = releasedMeasures(from);
  groups.forEach((source, group) => {
    const bit = ((opened.open[source >> 3] ?? 0) >> (source & 7)) & 1;
    open[group >> 3] = (open[group >> 3] ?? 0) | (bit << (group & 7));
  });
  releasedMeasures(to).forEach((measure, i) => {
    const row = released.indexOf(measures[measure]!);
    groups.forEach((source, group) => {
      const at = CELL_BYTES * (row * groups.length + source);
      const cell = opened.cells.subarray(at, at + CELL_BYTES);
      cells.set(cell, CELL_BYTES * (i * groups.length + group));
    });
  });
  return { open, cells };
}
