import { isTag, readCbor, type Cbor, type CborMap } from './cbor.ts';
import { CHAIN_CERTIFICATES_MAX, NITRO_BYTES_MAX } from './limits.ts';
import { check, refuse } from './refuse.ts';

/** An attestation document as the Nitro Secure Module signs it; nothing is verified yet. */
export interface NitroDocument {
  readonly moduleId: string;
  readonly timestampMs: number;
  readonly pcrs: ReadonlyMap<number, Uint8Array>;
  /** DER of the key that signed, and of its issuers, the root first. */
  readonly certificate: Uint8Array;
  readonly cabundle: readonly Uint8Array[];
  readonly publicKey: Uint8Array | null;
  readonly userData: Uint8Array | null;
  readonly nonce: Uint8Array | null;
  /** Sig_structure of RFC 9052 section 4.4, over the payload's own bytes. */
  readonly signed: Uint8Array;
  /** `r ‖ s`, 48 bytes each. */
  readonly signature: Uint8Array;
}

const COSE_SIGN1_TAG = 18;
/** `{1: -35}`: ES384 and nothing else (RFC 9053 section 2.1). */
const PROTECTED = new Uint8Array([0xa1, 0x01, 0x38, 0x22]);
const SIGNATURE_BYTES = 96;
const PCR_BYTES = 48;
const PCRS_MAX = 32;
/** AWS publishes 1,024 for the key and 512 for the others; documents with 746 are in the field. */
const FIELD_BYTES_MAX = 1024;

const FIELDS = [
  'module_id',
  'digest',
  'timestamp',
  'pcrs',
  'certificate',
  'cabundle',
  'public_key',
  'user_data',
  'nonce',
] as const;

function malformed(what: string): never {
  refuse('EVIDENCE_MALFORMED', `a Nitro document ${what}`);
}

function bytesOf(value: Cbor | undefined, max: number): Uint8Array {
  if (!(value instanceof Uint8Array)) malformed('lacks a byte string');
  if (value.length === 0 || value.length > max) malformed('has a field of another length');
  return value;
}

function optional(value: Cbor | undefined): Uint8Array | null {
  // Absent and null are the same; an empty string is not a value anybody asked for.
  return value === undefined || value === null ? null : bytesOf(value, FIELD_BYTES_MAX);
}

function pcrsOf(value: Cbor | undefined): Map<number, Uint8Array> {
  if (!(value instanceof Map) || value.size === 0) malformed('lacks its PCRs');
  const pcrs = new Map<number, Uint8Array>();
  for (const [index, digest] of value) {
    if (typeof index !== 'number' || index < 0 || index >= PCRS_MAX) malformed('has a bad PCR');
    if (!(digest instanceof Uint8Array) || digest.length !== PCR_BYTES) malformed('has a bad PCR');
    pcrs.set(index, digest);
  }
  return pcrs;
}

function payloadOf(bytes: Uint8Array): CborMap {
  const payload = readCbor(bytes);
  if (!(payload instanceof Map)) malformed('has no map as its payload');
  for (const key of payload.keys()) {
    if (!FIELDS.some((field) => field === key)) malformed('has an unknown field');
  }
  return payload;
}

/** `0x84 ‖ "Signature1" ‖ protected ‖ h'' ‖ payload`, lengths as CBOR writes them. */
export function sigStructure(payload: Uint8Array): Uint8Array {
  const length = payload.length;
  return new Uint8Array([
    0x84,
    0x6a,
    ...Buffer.from('Signature1'),
    0x40 | PROTECTED.length,
    ...PROTECTED,
    0x40,
    ...(length < 24
      ? [0x40 | length]
      : length < 256
        ? [0x58, length]
        : [0x59, length >> 8, length & 0xff]),
    ...payload,
  ]);
}

/**
 * Decodes a COSE_Sign1 attestation document, strictly.
 * @throws ParleyError EVIDENCE_MALFORMED, EVIDENCE_TRAILING_BYTES, EVIDENCE_DUPLICATE_KEY,
 *   EVIDENCE_ALGORITHM for a protected header that is not ES384 alone.
 */
export function parseNitroDocument(bytes: Uint8Array): NitroDocument {
  if (bytes.length > NITRO_BYTES_MAX) malformed('is too long');
  const outer = readCbor(bytes);
  const sign1 = isTag(outer) && outer.tag === COSE_SIGN1_TAG ? outer.value : outer;
  if (!Array.isArray(sign1) || sign1.length !== 4) malformed('is not a COSE_Sign1');
  const [header, unprotected, payload, signature] = sign1;
  const exact = header instanceof Uint8Array && Buffer.from(header).equals(PROTECTED);
  check(exact, 'EVIDENCE_ALGORITHM', 'a Nitro document is not signed with ES384');
  if (!(unprotected instanceof Map) || unprotected.size > 0) malformed('has unprotected headers');
  const body = bytesOf(payload, NITRO_BYTES_MAX);
  const fields = payloadOf(body);
  const moduleId = fields.get('module_id');
  const timestampMs = fields.get('timestamp');
  const cabundle = fields.get('cabundle');
  if (typeof moduleId !== 'string' || moduleId === '') malformed('has no module');
  if (fields.get('digest') !== 'SHA384') malformed('has PCRs of another digest');
  if (typeof timestampMs !== 'number' || timestampMs <= 0) malformed('has no timestamp');
  if (!Array.isArray(cabundle) || cabundle.length === 0) malformed('has no issuers');
  if (cabundle.length >= CHAIN_CERTIFICATES_MAX) malformed('has too many issuers');
  const final = bytesOf(signature, SIGNATURE_BYTES);
  if (final.length !== SIGNATURE_BYTES) malformed('has a signature of another length');
  return {
    moduleId,
    timestampMs,
    pcrs: pcrsOf(fields.get('pcrs')),
    certificate: bytesOf(fields.get('certificate'), NITRO_BYTES_MAX),
    cabundle: cabundle.map((der) => bytesOf(der, NITRO_BYTES_MAX)),
    publicKey: optional(fields.get('public_key')),
    userData: optional(fields.get('user_data')),
    nonce: optional(fields.get('nonce')),
    signed: sigStructure(body),
    signature: final,
  };
}
