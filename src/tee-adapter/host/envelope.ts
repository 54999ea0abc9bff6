import { equalBytes } from '../../core/bytes.ts';
import { ParleyError } from '../../core/errors.ts';
import { calibrate, noiseRecord, releaseRuleOf } from '../../dp/index.ts';
import { canonicalJson } from '../../policy/index.ts';
import {
  expectEnvelopeSigned,
  type EnclaveGreeting,
  type Signed,
  type SignedGo,
  type TeeEnvelope,
} from '../../records/index.ts';
import type { Plan } from '../../sql/index.ts';
import { evidenceDigest, evidenceFromJson } from '../evidence-json.ts';

/** What whoever checks an envelope has derived alone, and which enclave it accepted. */
export interface ExpectedRun {
  readonly plan: Plan;
  /** Of all parties of the plan, checked. */
  readonly gos: readonly SignedGo[];
  readonly session: string;
  readonly greeting: EnclaveGreeting;
}

/**
 * Expects the attested key's signature over exactly this run: query, plan, policy, session,
 * evidence, noise as the plan demands, and the ledger heads of the goes.
 * @returns digest of the sealed answer and commitment to it: what only the enclave knows.
 * @throws ParleyError RECEIPT_INVALID.
 */
export function expectEnvelope(
  signed: Signed<TeeEnvelope>,
  run: ExpectedRun,
): Pick<TeeEnvelope, 'share_digest' | 'share_commitment'> {
  const { plan, gos, session, greeting } = run;
  expectEnvelopeSigned(signed, greeting.signing_key);
  const { room, policy_digest, query_id, plan_digest, submission_digest } = gos[0]!.document;
  const rule = releaseRuleOf(plan);
  const { share_digest, share_commitment } = signed.document;
  const expected: TeeEnvelope = {
    ...{ version: 1, room, policy_digest, query_id, plan_digest, submission_digest, session },
    evidence_digest: evidenceDigest(greeting.evidence),
    noise: noiseRecord(rule, calibrate(rule)),
    ledgers: Object.fromEntries(
      gos.map(({ document: { party, ledger_before: before, ledger_after: after } }) => [
        party,
        { before, after },
      ]),
    ),
    share_digest,
    share_commitment,
    simulated: evidenceFromJson(greeting.evidence).tee === 'simulated',
  };
  if (!equalBytes(canonicalJson(expected), canonicalJson(signed.document))) {
    throw new ParleyError('RECEIPT_INVALID', 'the envelope speaks of another run');
  }
  return { share_digest, share_commitment };
}
