import { createHash } from 'node:crypto';
import { z } from 'zod';
import { fromBase64Url, toBase64Url, toHex } from '../core/bytes.ts';
import { ParleyError } from '../core/errors.ts';
import { domainSeparated } from '../policy/index.ts';
import type { Json } from '../records/index.ts';
import type { Evidence, IntelCollateral } from './verify/index.ts';

/** LOCAL. Longest byte string inside evidence: an event log. */
const BYTES_MAX = 512 * 1024;
const TEXT_MAX = 256 * 1024;

const bytes = z
  .string()
  .max(Math.ceil((BYTES_MAX * 4) / 3))
  .transform((text, context) => {
    try {
      return fromBase64Url(text, 0, BYTES_MAX);
    } catch {
      context.addIssue({ code: 'custom', message: 'not canonical base64url' });
      return z.NEVER;
    }
  });
const text = z.string().max(TEXT_MAX);
const endorsements = z.strictObject({
  leaf: bytes,
  intermediate: bytes.exactOptional(),
  crl: bytes.exactOptional(),
});
const collateral = z.strictObject({
  tcbInfo: text,
  tcbInfoChain: text,
  qeIdentity: text,
  qeIdentityChain: text,
  rootCrl: bytes,
  pckCrl: bytes,
});

const evidenceSchema = z.discriminatedUnion('tee', [
  z.strictObject({ tee: z.literal('amd-sev-snp'), report: bytes, endorsements }),
  z.strictObject({
    tee: z.literal('azure-sev-snp-vtpm'),
    hcl: bytes,
    quote: bytes,
    signature: bytes,
    pcrs: z.array(bytes).max(24),
    endorsements,
  }),
  z.strictObject({
    tee: z.literal('intel-tdx'),
    quote: bytes,
    eventLog: bytes.exactOptional(),
    collateral,
  }),
  z.strictObject({ tee: z.literal('intel-sgx'), quote: bytes, collateral }),
  z.strictObject({ tee: z.literal('aws-nitro'), document: bytes }),
  z.strictObject({ tee: z.literal('simulated'), statement: bytes }),
]);

function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return toBase64Url(value);
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, plain(part)]));
}

/** Evidence as plain JSON: byte strings as base64url. */
export function evidenceToJson(evidence: Evidence): Json {
  return plain(evidence) as Json;
}

/** @throws ParleyError EVIDENCE_MALFORMED. */
export function evidenceFromJson(value: unknown): Evidence {
  const parsed = evidenceSchema.safeParse(value);
  if (!parsed.success) throw new ParleyError('EVIDENCE_MALFORMED', 'evidence has another form');
  return parsed.data;
}

/** The `collateral` member of TDX evidence alone. @throws ParleyError COLLATERAL_MALFORMED. */
export function collateralFromJson(value: unknown): IntelCollateral {
  const parsed = collateral.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new ParleyError('COLLATERAL_MALFORMED', 'collateral has another form', {
    path: parsed.error.issues[0]?.path.join('.') ?? '',
  });
}

/**
 * Names a piece of evidence in records. Not a replay key: an ECDSA signature has a twin that also
 * verifies, so one report has several names.
 */
export function evidenceDigest(evidence: Json): string {
  const named = domainSeparated('parley/tee-evidence/v1', evidence);
  return toHex(createHash('sha256').update(named).digest());
}
