import { ParleyError } from '../../core/errors.ts';
import {
  datasetsOfGos,
  queryKeyOf,
  verifyReplay,
  verifySubmission,
  type Replay,
  type ReplayEvidence,
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

/** Exactly one statement of each party, each over these values. */
function expectStatements(
  { statements }: ReplayEvidence,
  expected: Derived,
  { earlier, run }: VerifiedReplay,
  queryKey: string,
): void {
  const parties = run.receipts.map(({ document }) => document.party);
  for (const { document } of statements) {
    const { party } = document;
    const once = statements.filter((one) => one.document.party === party).length === 1;
    if (!parties.includes(party) || !once) {
      throw badReceipt(party, 'a replay is stated by a party outside the plan, or twice', 'replay');
    }
  }
  for (const { document: receipt } of run.receipts) {
    const { party, share_digest } = receipt;
    const signed = statements.find((one) => one.document.party === party);
    if (signed === undefined) {
      throw badReceipt(party, 'a replay needs the statement of each party of the plan', 'replay');
    }
    const stated = verifyReplay(signed, expected.policy);
    const asked: Omit<Replay, 'version' | 'backend' | 'party' | 'earlier'> = {
      room: expected.policy.room,
      policy_digest: expected.policyDigest,
      query_id: expected.queryId,
      submission_digest: expected.submissionDigest,
      plan_digest: expected.planDigest,
      query_key: queryKey,
    };
    const before: Replay['earlier'] = {
      query_id: earlier.queryId,
      submission_digest: earlier.submissionDigest,
      plan_digest: earlier.planDigest,
      session: run.session,
      share_digest,
    };
    expectFields(party, stated, asked, 'replay');
    expectFields(party, stated.earlier, before, 'replay.earlier');
  }
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
 * Checks that a question is answered by an earlier run: the earlier question is one of this policy
 * for the same sealing key, its plan has the same core, its run is genuine, and every party signed
 * that it gives that very answer again, with its data as it then was.
 *
 * @param expected - of the question as it is asked now.
 * @param records - goes and receipts of the earlier run.
 * @throws ParleyError PLAN_MISMATCH (another question), RESULT_INVALID (another analyst's), and the
 *   codes of `verifySubmission` and `verifyRun`; RECEIPT_INVALID with path and party.
 */
export function verifyReplayed(
  evidence: ReplayEvidence,
  records: RunRecords,
  expected: Derived,
): VerifiedReplay {
  const { policy, policyDigest, sealingKey } = expected;
  const earlier = deriveExpected(
    policy,
    policyDigest,
    verifySubmission(evidence.submission, policy),
  );
  if (earlier.sealingKey !== sealingKey) {
    throw new ParleyError('RESULT_INVALID', 'the earlier answer is for another analyst', {
      path: 'replay.submission.analyst',
    });
  }
  const core = coreDigest(expected.plan);
  if (coreDigest(earlier.plan) !== core) {
    throw new ParleyError('PLAN_MISMATCH', 'the earlier answer is to another question', {
      path: 'replay.submission.sql',
    });
  }
  const run = verifyRun(records, earlier);
  const datasets = datasetsOfGos(records.gos, tablesOfSides(earlier.plan));
  const queryKey = queryKeyOf({ core, policyDigest, datasets, sealingKey });
  const replay = { earlier, run };
  expectStatements(evidence, expected, replay, queryKey);
  return replay;
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
