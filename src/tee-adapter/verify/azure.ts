import { createHash, createPublicKey, verify, type KeyObject } from 'node:crypto';
import { z } from 'zod';
import { equalBytes, toHex } from '../../core/bytes.ts';
import { parseJsonStrict, type AzureSnpReference } from '../../policy/index.ts';
import { HCL_BYTES_MAX, TPM_QUOTE_BYTES_MAX } from './limits.ts';
import { isZero, readerOf } from './reader.ts';
import { check, refuse } from './refuse.ts';
import { appraiseSnp, authenticateSnp } from './snp.ts';
import { SNP_REPORT_BYTES } from './snp-report.ts';
import type { Claims, Context, EvidenceOf } from './types.ts';

const REPORT_AT = 32;
const DATA_AT = REPORT_AT + SNP_REPORT_BYTES;
const JSON_AT = DATA_AT + 20;
const TYPE_SNP = 2;
const HASH_SHA256 = 1;

const TPM_MAGIC = 0xff544347;
const TPM_ST_ATTEST_QUOTE = 0x8018;
const TPM_ALG_SHA256 = 0x000b;
const PCRS = 24;

const runtimeSchema = z.object({
  keys: z
    .array(z.object({ kid: z.string(), kty: z.string(), e: z.string(), n: z.string() }))
    .max(16),
});

/** What Azure's paravisor ("HCL") stores in the vTPM: the SNP report and the vTPM's keys. */
function splitHcl(hcl: Uint8Array): { report: Uint8Array; runtime: Uint8Array } {
  check(hcl.length <= HCL_BYTES_MAX, 'EVIDENCE_MALFORMED', 'an HCL blob is too long');
  const reader = readerOf(hcl);
  const magic = Buffer.from(reader.bytes(0, 4)).toString('latin1') === 'HCLA';
  check(magic, 'EVIDENCE_MALFORMED', 'an HCL blob has another header');
  const snp = reader.u32(DATA_AT + 8) === TYPE_SNP && reader.u32(DATA_AT + 12) === HASH_SHA256;
  check(snp, 'EVIDENCE_TYPE', 'an HCL blob holds another kind of report');
  const size = reader.u32(DATA_AT + 16);
  const runtime = reader.bytes(JSON_AT, size);
  const padded = isZero(hcl.subarray(JSON_AT + size));
  check(padded, 'EVIDENCE_TRAILING_BYTES', 'bytes follow the end of an HCL blob');
  return { report: reader.bytes(REPORT_AT, SNP_REPORT_BYTES), runtime };
}

/** The vTPM's attestation key, which the report vouches for through report_data. */
function attestationKey(runtime: Uint8Array): KeyObject {
  const limits = { bytesMax: HCL_BYTES_MAX, code: 'EVIDENCE_MALFORMED' } as const;
  const parsed = runtimeSchema.safeParse(parseJsonStrict(runtime, limits));
  const keys = parsed.data?.keys.filter(({ kid }) => kid === 'HCLAkPub') ?? [];
  const [key] = keys;
  if (keys.length !== 1 || key?.kty !== 'RSA') {
    refuse('EVIDENCE_MALFORMED', 'an HCL blob names no attestation key');
  }
  try {
    return createPublicKey({ key: { kty: 'RSA', n: key.n, e: key.e }, format: 'jwk' });
  } catch {
    return refuse('EVIDENCE_MALFORMED', 'an attestation key cannot be read');
  }
}

interface TpmQuote {
  readonly extraData: Uint8Array;
  /** Selected PCRs, ascending. */
  readonly selected: readonly number[];
  readonly digest: Uint8Array;
}

/** TPMS_ATTEST of a quote, big-endian (TPM 2.0 Library, part 2, section 10.12). */
function parseTpmQuote(bytes: Uint8Array): TpmQuote {
  check(bytes.length <= TPM_QUOTE_BYTES_MAX, 'EVIDENCE_MALFORMED', 'a TPM quote is too long');
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  let at = 0;
  const skip = (length: number): number => {
    const from = at;
    at += length;
    if (at > bytes.length) refuse('EVIDENCE_MALFORMED', 'a TPM quote is cut short');
    return from;
  };
  const sized = (): Uint8Array => {
    const length = view.getUint16(skip(2));
    return bytes.slice(skip(length), at);
  };
  const quote =
    view.getUint32(skip(4)) === TPM_MAGIC && view.getUint16(skip(2)) === TPM_ST_ATTEST_QUOTE;
  check(quote, 'EVIDENCE_TYPE', 'a TPM structure is not a quote the TPM made');
  sized();
  const extraData = sized();
  skip(17 + 8);
  const banks = view.getUint32(skip(4));
  const sha256 = banks === 1 && view.getUint16(skip(2)) === TPM_ALG_SHA256;
  check(sha256, 'EVIDENCE_ALGORITHM', 'a TPM quote is of another bank');
  const mapLength = view.getUint8(skip(1));
  check(mapLength === PCRS / 8, 'EVIDENCE_MALFORMED', 'a TPM quote selects other PCRs');
  const bitmap = bytes.slice(skip(mapLength), at);
  const digest = sized();
  check(at === bytes.length, 'EVIDENCE_TRAILING_BYTES', 'bytes follow the end of a TPM quote');
  const all = Array.from({ length: PCRS }, (_, i) => i);
  const selected = all.filter((i) => (bitmap[i >> 3]! & (1 << (i & 7))) !== 0);
  return { extraData, selected, digest };
}

function isQuoteSigned(message: Uint8Array, key: KeyObject, signature: Uint8Array): boolean {
  try {
    return verify('sha256', message, key, signature);
  } catch {
    return false;
  }
}

function expectPcrs(
  { selected, digest }: TpmQuote,
  pcrs: readonly Uint8Array[],
  expected: AzureSnpReference['pcrs'],
): void {
  const named = Object.entries(expected);
  check(named.length > 0, 'REFERENCE_MISSING', 'the policy names no PCR');
  const whole = pcrs.length === PCRS && pcrs.every(({ length }) => length === 32);
  check(whole, 'EVIDENCE_MALFORMED', 'a PCR bank has another form');
  const hash = createHash('sha256');
  for (const index of selected) hash.update(pcrs[index]!);
  const same = equalBytes(hash.digest(), digest);
  check(same, 'EVIDENCE_VTPM', 'the PCRs are not those the TPM quoted');
  for (const [index, value] of named) {
    const quoted = selected.includes(Number(index));
    check(quoted, 'EVIDENCE_PCR_MISSING', 'the TPM did not quote a PCR of the policy');
    const right = toHex(pcrs[Number(index)]!) === value;
    check(right, 'EVIDENCE_MEASUREMENT', 'a PCR is not the reference value');
  }
}

/**
 * Appraises an Azure confidential VM: an SNP report over Microsoft's paravisor, which vouches for a
 * vTPM, which quotes the PCRs and the nonce. A smaller claim than `verifySnp`: the paravisor is
 * Microsoft's code, and the guest is measured by it, not by the chip.
 *
 * @param nonce - what the TPM quote's extraData must be; never empty.
 * @throws ParleyError as `verifySnp`; EVIDENCE_VTPM, EVIDENCE_NONCE, EVIDENCE_PCR_MISSING.
 */
export function verifyAzureSnp(
  { hcl, quote, signature, pcrs, endorsements }: Omit<EvidenceOf<'azure-sev-snp-vtpm'>, 'tee'>,
  reference: AzureSnpReference,
  nonce: Uint8Array,
  context: Context,
): Claims {
  const { report: bytes, runtime } = splitHcl(hcl);
  const genuine = authenticateSnp(bytes, endorsements, reference, context);
  const { reportData } = genuine.report;
  const hash = createHash('sha256').update(runtime).digest();
  const vouched = equalBytes(reportData.subarray(0, 32), hash) && isZero(reportData.subarray(32));
  check(vouched, 'EVIDENCE_VTPM', 'the report does not vouch for the vTPM');
  const tpm = parseTpmQuote(quote);
  const signed = isQuoteSigned(quote, attestationKey(runtime), signature);
  check(signed, 'EVIDENCE_SIGNATURE', 'the signature of a TPM quote does not verify');
  const claims = appraiseSnp(genuine, reference);
  const fresh = nonce.length > 0 && equalBytes(tpm.extraData, nonce);
  check(fresh, 'EVIDENCE_NONCE', 'a TPM quote has another nonce');
  expectPcrs(tpm, pcrs, reference.pcrs);
  return { ...claims, pcrs: tpm.selected.map((index) => `${index}=${toHex(pcrs[index]!)}`) };
}
