import { z } from 'zod';
import { toHex } from '../core/bytes.ts';
import type { Redacted } from '../core/redacted.ts';
import { canonicalJson, signDocument } from '../policy/index.ts';

/** Everything made without hardware says so in its first field. */
export const SIMULATION_NOTICE = 'SIMULATED: no hardware protects this enclave';

/** AGREEMENT. Domain of the signature under a simulated statement. */
export const SIMULATED_DOMAIN = 'parley/tee-simulated-evidence/v1';

export const SIMULATED_BYTES_MAX = 1024;

const hex = (bytes: number): z.ZodString =>
  z.string().regex(new RegExp(`^[0-9a-f]{${2 * bytes}}$`));

/** What a simulated attester states about a process that nothing measured. */
export const simulatedStatement = z.strictObject({
  notice: z.literal(SIMULATION_NOTICE),
  measurement: hex(32),
  report_data: hex(64),
});
export type SimulatedStatement = z.output<typeof simulatedStatement>;

export const signedStatement = z.strictObject({
  statement: simulatedStatement,
  signature: z.string().regex(/^[A-Za-z0-9_-]{86}$/),
});

/** Makes simulated evidence: bytes that anyone who holds `privateKey` could make. */
export function signSimulated(
  measurement: string,
  reportData: Uint8Array,
  privateKey: Redacted<Uint8Array>,
): Uint8Array {
  const statement: SimulatedStatement = {
    notice: SIMULATION_NOTICE,
    measurement,
    report_data: toHex(reportData),
  };
  const signature = signDocument(SIMULATED_DOMAIN, statement, privateKey);
  return canonicalJson({ statement, signature });
}
