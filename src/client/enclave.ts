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
import { budgetLeft } from './budget.ts';
import { decodeAnswer } from './decode.ts';
import { spentOn } from './open.ts';
import { answerDocumentOf, type TeeBundle } from './receipt/bundle.ts';
import type { Derived } from './receipt/derive.ts';
import { attestationOf, labelled, openedOf, verifyEnclaveRun } from './receipt/enclave.ts';
import { realign } from './receipt/replay.ts';

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
 * keeps what proves it: goes, every party's authorisation, evidence, keys, envelope, noise, answer;
 * of an earlier run when the parties give its answer again.
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
  const openedAt = Date.now();
  const replay = record.replay ?? null;
  const records = { submission, replay, gos, greeting, authorisations, envelope };
  const { run, asRun } = verifyEnclaveRun(records, expected, openedAt);
  const { salt, answer: share } = await openTeeAnswer(run, sealed, keys.sealing.privateKey);
  const { plan } = expected;
  const { open, cells } = realign(openedOf(share, asRun.plan), asRun.plan, plan);
  const table = labelled(run, decodeAnswer(plan, open, cells, expected.widths));
  const bundle: TeeBundle = {
    version: 1,
    backend: 'tee',
    packet,
    ...records,
    appraised_at: new Date(openedAt).toISOString(),
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
    ...spentOn(packet.policy, plan, replay !== null),
    budgetLeft: replay === null ? budgetLeft(packet.policy, plan, authorisations) : null,
    backend: 'tee',
    receipts: [],
    replayOf: replay === null ? null : asRun.queryId,
    attestation: attestationOf(run),
    bundle,
  };
}
