import type { SnpProduct, SnpTcb } from '../../policy/index.ts';
import { readerOf, type Reader } from './reader.ts';
import { check } from './refuse.ts';

/** Bytes of an attestation report and of the range its signature covers. */
export const SNP_REPORT_BYTES = 0x4a0;
export const SNP_SIGNED_BYTES = 0x2a0;

/** ATTESTATION_REPORT of the SEV-SNP firmware ABI (AMD publication 56860, table 23). */
export interface SnpReport {
  readonly version: number;
  readonly policy: bigint;
  readonly vmpl: number;
  readonly signingKey: 'vcek' | 'vlek' | 'none';
  readonly chipMasked: boolean;
  readonly reportData: Uint8Array;
  readonly measurement: Uint8Array;
  readonly hostData: Uint8Array;
  readonly chipId: Uint8Array;
  /** Raw 8 bytes; which byte is which depends on the product line. */
  readonly currentTcb: Uint8Array;
  readonly reportedTcb: Uint8Array;
  readonly committedTcb: Uint8Array;
  readonly launchTcb: Uint8Array;
  /** major, minor, build. */
  readonly currentFirmware: readonly [number, number, number];
  readonly committedFirmware: readonly [number, number, number];
  /** Family, model, stepping; null before version 3. */
  readonly cpuid: readonly [number, number, number] | null;
  readonly signed: Uint8Array;
  /** `r ‖ s`, big-endian, 48 bytes each. */
  readonly signature: Uint8Array;
}

const SIGNING_KEYS = ['vcek', 'vlek'] as const;

/** Guest policy bits: 0–16 ABI and SMT, 17 always one, 18–25 switches, the rest reserved. */
export const GUEST_POLICY = {
  reservedOne: 1n << 17n,
  migrationAgent: 1n << 18n,
  debug: 1n << 19n,
  defined: (1n << 26n) - 1n,
} as const;
/** Platform information bits 0–5 and 7. */
const PLATFORM_DEFINED = 0xbfn;
const SIGNER_DEFINED = 0x1f;

const NO_KEY = 7;
const R_AT = 0x2a0;
const S_AT = 0x2e8;
const SCALAR_BYTES = 48;
const FIELD_BYTES = 72;

/** Ranges that must be zero, by the version of the report. */
function reservedRanges(version: number): readonly (readonly [number, number])[] {
  return [
    [0x4c, 0x50],
    version >= 3 ? [0x18b, 0x1a0] : [0x188, 0x1a0],
    [0x1eb, 0x1ec],
    [0x1ef, 0x1f0],
    version >= 5 ? [0x208, 0x2a0] : [0x1f8, 0x2a0],
    // A signature check alone would accept anything in these: they are outside what is signed.
    [R_AT + SCALAR_BYTES, S_AT],
    [S_AT + SCALAR_BYTES, S_AT + FIELD_BYTES],
    [S_AT + FIELD_BYTES, SNP_REPORT_BYTES],
  ];
}

function firmwareAt(reader: Reader, at: number): [number, number, number] {
  return [reader.u8(at + 2), reader.u8(at + 1), reader.u8(at)];
}

/**
 * Decodes a report of version 2 to 5 and refuses every bit that has no meaning.
 * @throws ParleyError EVIDENCE_MALFORMED (length), EVIDENCE_VERSION, EVIDENCE_ALGORITHM,
 *   EVIDENCE_RESERVED_BITS.
 */
export function parseSnpReport(bytes: Uint8Array): SnpReport {
  check(bytes.length === SNP_REPORT_BYTES, 'EVIDENCE_MALFORMED', 'a report has another length');
  const reader = readerOf(bytes);
  const version = reader.u32(0x00);
  check(version >= 2 && version <= 5, 'EVIDENCE_VERSION', 'a report has an unknown version');
  // 1 is ECDSA P-384 with SHA-384, the only algorithm there is.
  check(reader.u32(0x34) === 1, 'EVIDENCE_ALGORITHM', 'a report is signed with something else');
  for (const [from, to] of reservedRanges(version)) {
    check(reader.isZero(from, to - from), 'EVIDENCE_RESERVED_BITS', 'a reserved byte is set');
  }
  const policy = reader.u64(0x08);
  const platform = reader.u64(0x40);
  const signer = reader.u32(0x48);
  const unknown =
    (policy & ~GUEST_POLICY.defined) !== 0n ||
    (platform & ~PLATFORM_DEFINED) !== 0n ||
    (signer & ~SIGNER_DEFINED) !== 0;
  check(!unknown, 'EVIDENCE_RESERVED_BITS', 'a reserved bit is set');
  const key = signer >> 2;
  const signingKey = key === NO_KEY ? 'none' : SIGNING_KEYS[key];
  check(signingKey !== undefined, 'EVIDENCE_RESERVED_BITS', 'a report names an unknown key');
  return {
    version,
    policy,
    vmpl: reader.u32(0x30),
    signingKey,
    chipMasked: (signer & 2) !== 0,
    reportData: reader.bytes(0x50, 64),
    measurement: reader.bytes(0x90, 48),
    hostData: reader.bytes(0xc0, 32),
    chipId: reader.bytes(0x1a0, 64),
    currentTcb: reader.bytes(0x38, 8),
    reportedTcb: reader.bytes(0x180, 8),
    committedTcb: reader.bytes(0x1e0, 8),
    launchTcb: reader.bytes(0x1f0, 8),
    currentFirmware: firmwareAt(reader, 0x1e8),
    committedFirmware: firmwareAt(reader, 0x1ec),
    cpuid: version >= 3 ? [reader.u8(0x188), reader.u8(0x189), reader.u8(0x18a)] : null,
    signed: reader.bytes(0, SNP_SIGNED_BYTES),
    signature: new Uint8Array([
      ...reader.bytes(R_AT, SCALAR_BYTES).reverse(),
      ...reader.bytes(S_AT, SCALAR_BYTES).reverse(),
    ]),
  };
}

/** Which byte of a TCB version holds which component; Turin moved them all. */
const TCB_BYTES: Readonly<Record<SnpProduct, Readonly<Partial<Record<keyof SnpTcb, number>>>>> = {
  milan: { bootloader: 0, tee: 1, snp: 6, microcode: 7 },
  genoa: { bootloader: 0, tee: 1, snp: 6, microcode: 7 },
  turin: { fmc: 0, bootloader: 1, tee: 2, snp: 3, microcode: 7 },
};

export const TCB_COMPONENTS = ['bootloader', 'tee', 'snp', 'microcode', 'fmc'] as const;

/** @throws ParleyError EVIDENCE_RESERVED_BITS when a byte without a meaning is set. */
export function tcbOf(raw: Uint8Array, product: SnpProduct): SnpTcb {
  const places = TCB_BYTES[product];
  const used = new Set(Object.values(places));
  const clean = raw.every((byte, i) => byte === 0 || used.has(i));
  check(clean, 'EVIDENCE_RESERVED_BITS', 'a reserved byte of a TCB version is set');
  const at = (place: number | undefined): number => (place === undefined ? 0 : raw[place]!);
  const { bootloader, tee, snp, microcode, fmc } = places;
  return {
    bootloader: at(bootloader),
    tee: at(tee),
    snp: at(snp),
    microcode: at(microcode),
    ...(fmc === undefined ? {} : { fmc: at(fmc) }),
  };
}

/** True when every component is at least its counterpart: never one comparison of integers. */
export function isAtLeast(tcb: SnpTcb, least: SnpTcb): boolean {
  return TCB_COMPONENTS.every((component) => (tcb[component] ?? 0) >= (least[component] ?? 0));
}

/** Product lines by family and model, AMD publication 56860 and the KDS specification 57230. */
export function productOfCpuid(family: number, model: number): SnpProduct | null {
  if (family === 0x19 && model <= 0x0f) return 'milan';
  if (family === 0x19 && ((model >= 0x10 && model <= 0x1f) || (model >= 0xa0 && model <= 0xaf))) {
    return 'genoa';
  }
  return family === 0x1a && model <= 0x1f ? 'turin' : null;
}
