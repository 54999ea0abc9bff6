import { toBase64Url, toHex, wipe } from '../core/bytes.ts';
import { ParleyError } from '../core/errors.ts';
import type { AnalystKeys } from '../policy/index.ts';
import type { Policy, PolicyPacket } from '../policy/types.ts';
import {
  expectBackend,
  type Backend,
  type QueryRecord,
  type SignedSubmission,
} from '../records/index.ts';
import { openTeeAnswer } from '../tee-adapter/host/index.ts';
import type { Answer } from './answer.ts';
import { budgetLeft, rhoOfPlan } from './budget.ts';
import { decodeAnswer } from './decode.ts';
import { answerDocumentOf, type TeeBundle } from './receipt/bundle.ts';
import type { Derived } from './receipt/derive.ts';
import { attestationOf, expectAllCharged, labelled, openedOf } from './receipt/enclave.ts';

/** What a question runs on when it does not say. @throws ParleyError BACKEND_NOT_ALLOWED. */
export function backendOf(policy: Policy, asked: Backend | undefined): Backend {
  const backend = asked ?? (policy.execution.backends.includes('mpc') ? 'mpc' : 'tee');
  expectBackend(backend, policy);
  return backend;
}

/** Who opens it. */
interface Analyst {
  readonly packet: PolicyPacket;
  readonly keys: AnalystKeys;
}

/**
 * Checks an answered record of a run in an enclave against what the analyst asked, opens it, and
 * keeps what proves it: goes, every party's authorisation, evidence, keys, envelope, noise, answer.
 *
 * @throws ParleyError RESULT_INVALID, PLAN_MISMATCH, GO_INVALID, RECEIPT_INVALID, or the code of the
 *   evidence's rejection.
 */
export async function enclaveAnswerOf(
  { packet, keys }: Analyst,
  submission: SignedSubmission,
  record: QueryRecord,
  expected: Derived,
): Promise<Answer> {
  const { gos, enclave } = record;
  const outcome = enclave?.outcome ?? null;
  const ours = record.query_id === expected.queryId && record.answers.length === 0;
  if (!ours || enclave === undefined || outcome === null) {
    throw new ParleyError('RESULT_INVALID', 'the coordinator answered another query or backend');
  }
  if (record.plan_digest !== expected.planDigest) {
    throw new ParleyError('PLAN_MISMATCH', 'the coordinator ran another plan than the query asks');
  }
  const { greeting, authorisations } = enclave;
  const { envelope, sealed } = outcome;
  const appraisedAt = Date.now();
  const records = { gos, greeting, authorisations, envelope };
  const { policy } = expected;
  const key = keys.sealing.privateKey;
  const now = { nowMs: appraisedAt };
  const run = await openTeeAnswer(records, sealed, submission.document, policy, key, now);
  expectAllCharged(authorisations, expected);
  const { salt, answer: share } = run;
  const { open, cells } = openedOf(share, expected.plan);
  const { plan } = expected;
  const table = labelled(run, decodeAnswer(plan, open, cells, expected.widths));
  const bundle: TeeBundle = {
    version: 1,
    backend: 'tee',
    packet,
    submission,
    ...records,
    appraised_at: new Date(appraisedAt).toISOString(),
    opening: { salt: toHex(salt), share: toBase64Url(share) },
    answer: answerDocumentOf(table),
  };
  wipe(salt, share);
  return {
    ...table,
    queryId: expected.queryId,
    plan,
    planDigest: expected.planDigest,
    session: run.session,
    epsilonSpent: plan.privacy.differential?.epsilon ?? null,
    deltaSpent: plan.privacy.differential?.delta ?? null,
    rhoSpent: rhoOfPlan(policy, plan),
    budgetLeft: budgetLeft(policy, plan, authorisations),
    backend: 'tee',
    receipts: [],
    replayOf: null,
    attestation: attestationOf(run),
    bundle,
  };
}
