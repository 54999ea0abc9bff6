import { fromHex } from '../../core/bytes.ts';
import { parseJsonStrict, verifyDocument, type SimulatedReference } from '../../policy/index.ts';
import { SIMULATED_BYTES_MAX, SIMULATED_DOMAIN, signedStatement } from '../simulated.ts';
import { expectBound, expectOneOf } from './references.ts';
import { check, refuse } from './refuse.ts';
import type { Claims, ReportBinding } from './types.ts';

/**
 * Checks a simulated statement against the key the policy names. It proves that the holder of that
 * key made it and nothing about where; callers get `accepted_simulated`, never `accepted`.
 *
 * @throws ParleyError EVIDENCE_MALFORMED, EVIDENCE_SIGNATURE, EVIDENCE_MEASUREMENT,
 *   EVIDENCE_BINDING, REFERENCE_MISSING, REFERENCE_INVALID.
 */
export function verifySimulated(
  evidence: Uint8Array,
  reference: SimulatedReference,
  binding: ReportBinding,
): Claims {
  const limits = { bytesMax: SIMULATED_BYTES_MAX, code: 'EVIDENCE_MALFORMED' } as const;
  const parsed = signedStatement.safeParse(parseJsonStrict(evidence, limits));
  if (!parsed.success) refuse('EVIDENCE_MALFORMED', 'a simulated statement has another form');
  const { statement, signature } = parsed.data;
  const signed = verifyDocument(SIMULATED_DOMAIN, statement, reference.signing_key, signature);
  check(signed, 'EVIDENCE_SIGNATURE', 'the signature of a simulated statement does not verify');
  const measurement = fromHex(statement.measurement, 32);
  expectOneOf(reference.measurements, measurement, 'EVIDENCE_MEASUREMENT');
  expectBound(fromHex(statement.report_data, 64), binding.reportData, 64);
  return { ...statement };
}
