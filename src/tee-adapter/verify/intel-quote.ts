import { fromUtf8, toHex } from '../../core/bytes.ts';
import { QUOTE_BYTES_MAX } from './limits.ts';
import { readerOf, isZero, type Reader } from './reader.ts';
import { check, refuse } from './refuse.ts';

export type QuoteBody = 'sgx' | 'td10' | 'td15';

/** A DCAP quote, decoded and not yet verified. */
export interface IntelQuote {
  readonly version: 3 | 4 | 5;
  readonly kind: QuoteBody;
  readonly body: Uint8Array;
  /** Header to end of body. */
  readonly signed: Uint8Array;
  readonly signature: Uint8Array;
  /** `x ‖ y` of the quoting enclave's P-256 key. */
  readonly attestationKey: Uint8Array;
  readonly qeReport: Uint8Array;
  readonly qeSignature: Uint8Array;
  readonly qeAuthentication: Uint8Array;
  readonly pckChain: string;
}

const HEADER_BYTES = 48;
const SGX_REPORT_BYTES = 384;
const BODY_BYTES: Readonly<Record<QuoteBody, number>> = {
  sgx: SGX_REPORT_BYTES,
  td10: 584,
  td15: 648,
};
const TEE_TDX = 0x81;
const TEE_SGX = 0;
const ECDSA_P256 = 2;
const CERTIFICATION_PCK_CHAIN = 5;
const CERTIFICATION_QE_REPORT = 6;
const INTEL_QE_VENDOR = '939a7233f79c4ca9940a0db3957f0607';

interface BodyPlace {
  readonly version: 3 | 4 | 5;
  readonly kind: QuoteBody;
  readonly at: number;
}

/** Type and place of the body, by version: 3 is SGX, 4 a TD 1.0, 5 says which and how long. */
function placeOf(quote: Reader): BodyPlace {
  const version = quote.u16(0);
  const tee = quote.u32(4);
  if (version === 3) {
    check(tee === TEE_SGX, 'EVIDENCE_TYPE', 'a version 3 quote is not of SGX');
    return { version, kind: 'sgx', at: HEADER_BYTES };
  }
  if (version !== 4 && version !== 5) refuse('EVIDENCE_VERSION', 'a quote has an unknown version');
  check(tee === TEE_TDX, 'EVIDENCE_TYPE', 'a quote of version 4 or 5 is not of TDX');
  check(quote.isZero(8, 4), 'EVIDENCE_RESERVED_BITS', 'a reserved byte of a quote is set');
  if (version === 4) return { version, kind: 'td10', at: HEADER_BYTES };
  const type = quote.u16(HEADER_BYTES);
  if (type !== 2 && type !== 3) refuse('EVIDENCE_TYPE', 'a quote has a body of another type');
  const kind = type === 2 ? 'td10' : 'td15';
  const size = quote.u32(HEADER_BYTES + 2);
  check(size === BODY_BYTES[kind], 'EVIDENCE_MALFORMED', 'a quote body has another size');
  return { version, kind, at: HEADER_BYTES + 6 };
}

/** Certification data of type 6 (version 4 on) wraps what version 3 has directly. */
function unwrap(data: Reader, version: number): Reader {
  if (version === 3) return readerOf(data.bytes(128, data.length - 128));
  check(data.u16(128) === CERTIFICATION_QE_REPORT, 'EVIDENCE_TYPE', 'unknown certification data');
  const size = data.u32(130);
  check(size === data.length - 134, 'EVIDENCE_MALFORMED', 'certification data has another size');
  return readerOf(data.bytes(134, size));
}

function pemOf(bytes: Uint8Array): string {
  try {
    // Some quoting libraries leave the terminating zero of a C string in.
    const end = bytes.length > 0 && bytes[bytes.length - 1] === 0 ? bytes.length - 1 : bytes.length;
    return fromUtf8(bytes.subarray(0, end));
  } catch {
    return refuse('ENDORSEMENT_MALFORMED', 'a certificate chain is not text');
  }
}

/**
 * Decodes a quote of version 3 (SGX), 4 or 5 (TDX).
 * Source: Intel DCAP quote formats ("Intel TDX DCAP Quoting Library API", appendix 3).
 * Clouds pad quotes with zeros to a fixed size; other bytes after the end are refused.
 *
 * @throws ParleyError EVIDENCE_MALFORMED, EVIDENCE_VERSION, EVIDENCE_TYPE, EVIDENCE_ALGORITHM,
 *   EVIDENCE_VENDOR, EVIDENCE_RESERVED_BITS, EVIDENCE_TRAILING_BYTES.
 */
export function parseIntelQuote(bytes: Uint8Array): IntelQuote {
  check(bytes.length <= QUOTE_BYTES_MAX, 'EVIDENCE_MALFORMED', 'a quote is too long');
  const quote = readerOf(bytes);
  const { version, kind, at } = placeOf(quote);
  check(quote.u16(2) === ECDSA_P256, 'EVIDENCE_ALGORITHM', 'a quote has another kind of key');
  const intel = toHex(quote.bytes(12, 16)) === INTEL_QE_VENDOR;
  check(intel, 'EVIDENCE_VENDOR', 'a quote is not made by Intel’s quoting enclave');
  const end = at + BODY_BYTES[kind];
  const size = quote.u32(end);
  const data = readerOf(quote.bytes(end + 4, size));
  const padded = isZero(bytes.subarray(end + 4 + size));
  check(padded, 'EVIDENCE_TRAILING_BYTES', 'bytes follow the end of a quote');
  const qe = unwrap(data, version);
  const authLength = qe.u16(448);
  const chainAt = 450 + authLength;
  const type = qe.u16(chainAt);
  check(type === CERTIFICATION_PCK_CHAIN, 'EVIDENCE_TYPE', 'a quote carries no PCK chain');
  const chainLength = qe.u32(chainAt + 2);
  const exact = chainAt + 6 + chainLength === qe.length;
  check(exact, 'EVIDENCE_MALFORMED', 'a certificate chain has another size');
  return {
    version,
    kind,
    body: quote.bytes(at, BODY_BYTES[kind]),
    signed: quote.bytes(0, end),
    signature: data.bytes(0, 64),
    attestationKey: data.bytes(64, 64),
    qeReport: qe.bytes(0, SGX_REPORT_BYTES),
    qeSignature: qe.bytes(384, 64),
    qeAuthentication: qe.bytes(450, authLength),
    pckChain: pemOf(qe.bytes(chainAt + 6, chainLength)),
  };
}

/** sgx_report_body_t, 384 bytes. */
export interface SgxReport {
  readonly miscSelect: Uint8Array;
  readonly attributes: Uint8Array;
  readonly mrEnclave: Uint8Array;
  readonly mrSigner: Uint8Array;
  readonly configId: Uint8Array;
  readonly isvProdId: number;
  readonly isvSvn: number;
  readonly configSvn: number;
  readonly reportData: Uint8Array;
}

export function parseSgxReport(bytes: Uint8Array): SgxReport {
  const report = readerOf(bytes);
  return {
    miscSelect: report.bytes(16, 4),
    attributes: report.bytes(48, 16),
    mrEnclave: report.bytes(64, 32),
    mrSigner: report.bytes(128, 32),
    configId: report.bytes(192, 64),
    isvProdId: report.u16(256),
    isvSvn: report.u16(258),
    configSvn: report.u16(260),
    reportData: report.bytes(320, 64),
  };
}

/** Byte 0 of SGX attributes: bit 1 lets a debugger in. */
export function isSgxDebug({ attributes }: SgxReport): boolean {
  return (attributes[0]! & 2) !== 0;
}

/** TD report body, version 1.0 or 1.5. */
export interface TdReport {
  readonly teeTcbSvn: Uint8Array;
  readonly mrSignerSeam: Uint8Array;
  readonly seamAttributes: Uint8Array;
  readonly attributes: bigint;
  readonly mrTd: Uint8Array;
  readonly mrConfigId: Uint8Array;
  readonly mrOwner: Uint8Array;
  readonly mrOwnerConfig: Uint8Array;
  readonly rtmrs: readonly [Uint8Array, Uint8Array, Uint8Array, Uint8Array];
  readonly reportData: Uint8Array;
  /** Measurement of a service TD that may migrate this one; null before 1.5. */
  readonly mrServiceTd: Uint8Array | null;
}

export function parseTdReport(bytes: Uint8Array, kind: 'td10' | 'td15'): TdReport {
  const report = readerOf(bytes);
  const measured = (at: number): Uint8Array => report.bytes(at, 48);
  return {
    teeTcbSvn: report.bytes(0, 16),
    mrSignerSeam: measured(64),
    seamAttributes: report.bytes(112, 8),
    attributes: report.u64(120),
    mrTd: measured(136),
    mrConfigId: measured(184),
    mrOwner: measured(232),
    mrOwnerConfig: measured(280),
    rtmrs: [measured(328), measured(376), measured(424), measured(472)],
    reportData: report.bytes(520, 64),
    mrServiceTd: kind === 'td15' ? measured(600) : null,
  };
}
