import { z } from 'zod';
import { fromHex, utf8 } from '../../core/bytes.ts';
import { parseJsonStrict } from '../../policy/index.ts';
import { CLOCK_SKEW_MS, COLLATERAL_BYTES_MAX } from './limits.ts';
import { expectCollateralSigner } from './intel-pck.ts';
import { check, refuse } from './refuse.ts';
import { verifyRaw } from './signed.ts';
import type { Context, IntelCollateral } from './types.ts';

const hex = (bytes: number): z.ZodType<string> =>
  z
    .string()
    .regex(new RegExp(`^[0-9a-fA-F]{${2 * bytes}}$`))
    .transform((text) => text.toLowerCase());
const time = z
  .string()
  .regex(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/)
  .transform((text) => Date.parse(text))
  .refine((ms) => !Number.isNaN(ms));
const svn = z.int().min(0).max(0xffff);
const components = z.array(z.object({ svn })).length(16);
/** Any word: which ones are known, and which accepted, is decided when levels are compared. */
const outcome = {
  tcbStatus: z.string().max(64),
  advisoryIDs: z.array(z.string().max(32)).max(256).default([]),
};
const isvLevels = z.array(z.object({ tcb: z.object({ isvsvn: svn }), ...outcome })).max(256);
const window = {
  issueDate: time,
  nextUpdate: time,
  tcbEvaluationDataNumber: z.int().min(0).max(1_000_000),
};

const tcbInfoSchema = z.object({
  id: z.string(),
  version: z.literal(3),
  ...window,
  fmspc: hex(6),
  pceId: hex(2),
  tcbType: z.literal(0),
  tdxModule: z
    .object({ mrsigner: hex(48), attributes: hex(8), attributesMask: hex(8) })
    .exactOptional(),
  tdxModuleIdentities: z
    .array(
      z.object({
        id: z.string().max(16),
        mrsigner: hex(48),
        attributes: hex(8),
        attributesMask: hex(8),
        tcbLevels: isvLevels,
      }),
    )
    .max(64)
    .default([]),
  tcbLevels: z
    .array(
      z.object({
        tcb: z.object({
          sgxtcbcomponents: components,
          pcesvn: svn,
          tdxtcbcomponents: components.exactOptional(),
        }),
        ...outcome,
      }),
    )
    .max(1024),
});

const qeIdentitySchema = z.object({
  id: z.string(),
  version: z.literal(2),
  ...window,
  miscselect: hex(4),
  miscselectMask: hex(4),
  attributes: hex(16),
  attributesMask: hex(16),
  mrsigner: hex(32),
  isvprodid: svn,
  tcbLevels: isvLevels,
});

/** TCB info, version 3, of Intel's provisioning certification service. Times in ms. */
export type TcbInfo = z.output<typeof tcbInfoSchema>;
/** QE identity, version 2. */
export type QeIdentity = z.output<typeof qeIdentitySchema>;
export type IsvLevel = QeIdentity['tcbLevels'][number];

/**
 * Intel signs the member's bytes as sent, so they are sliced, never written again. The signature is
 * the last member and of fixed length, which makes the slice unique.
 */
function signedMember(document: string, name: string): { text: string; signature: Uint8Array } {
  const head = `{"${name}":`;
  const tail = /,"signature":"([0-9a-f]{128})"\}$/.exec(document.slice(-146));
  const bounded = document.length <= COLLATERAL_BYTES_MAX;
  if (!bounded || !document.startsWith(head) || tail === null) {
    refuse('COLLATERAL_MALFORMED', 'collateral is not a signed member and its signature');
  }
  const text = document.slice(head.length, document.length - tail[0].length);
  return { text, signature: fromHex(tail[1]!, 64) };
}

function decode<T>(schema: z.ZodType<T>, text: string): T {
  const limits = { bytesMax: COLLATERAL_BYTES_MAX, code: 'COLLATERAL_MALFORMED' } as const;
  const parsed = schema.safeParse(parseJsonStrict(text, limits));
  return parsed.success
    ? parsed.data
    : refuse('COLLATERAL_MALFORMED', 'collateral has other fields');
}

function expectWindow(
  { issueDate, nextUpdate, tcbEvaluationDataNumber }: TcbInfo | QeIdentity,
  least: number,
  nowMs: number,
): void {
  const issued = issueDate <= nowMs + CLOCK_SKEW_MS;
  check(issued, 'COLLATERAL_FROM_FUTURE', 'collateral is from the future');
  check(nowMs < nextUpdate, 'COLLATERAL_STALE', 'collateral has expired');
  const new_ = tcbEvaluationDataNumber >= least;
  check(new_, 'COLLATERAL_SUPERSEDED', 'collateral is of an older TCB evaluation');
}

function authentic<T extends TcbInfo | QeIdentity>(
  document: string,
  name: string,
  schema: z.ZodType<T>,
  chain: string,
  collateral: IntelCollateral,
  context: Context,
): T {
  check(document !== '', 'COLLATERAL_MISSING', 'collateral is missing');
  const { text, signature } = signedMember(document, name);
  const signer = expectCollateralSigner(chain, collateral.rootCrl, context);
  const signed = verifyRaw('sha256', utf8(text), signer.key, signature);
  check(signed, 'COLLATERAL_SIGNATURE', 'the signature of collateral does not verify');
  return decode(schema, text);
}

/**
 * Verifies TCB info and QE identity: signature by Intel's TCB signing key, times, evaluation number.
 *
 * @param id - which kind of quote they must be for.
 * @param least - least tcbEvaluationDataNumber.
 * @throws ParleyError COLLATERAL_*; as `expectChain`, `expectNotRevoked`.
 */
export function expectCollateral(
  collateral: IntelCollateral,
  id: 'TDX' | 'SGX',
  least: number,
  context: Context,
): { tcbInfo: TcbInfo; qeIdentity: QeIdentity } {
  const { tcbInfoChain, qeIdentityChain } = collateral;
  const tcbInfo = authentic(
    collateral.tcbInfo,
    'tcbInfo',
    tcbInfoSchema,
    tcbInfoChain,
    collateral,
    context,
  );
  // CVE-2026-22696: a QE identity that was fetched and never verified.
  const qeIdentity = authentic(
    collateral.qeIdentity,
    'enclaveIdentity',
    qeIdentitySchema,
    qeIdentityChain,
    collateral,
    context,
  );
  const named = tcbInfo.id === id && qeIdentity.id === (id === 'TDX' ? 'TD_QE' : 'QE');
  check(named, 'COLLATERAL_ID', 'collateral is for another kind of quote');
  expectWindow(tcbInfo, least, context.nowMs);
  expectWindow(qeIdentity, least, context.nowMs);
  return { tcbInfo, qeIdentity };
}
