// SNP reports under a test PKI: a genuine report re-signed by a chip of our own, so that one thing
// at a time can be wrong under a signature that verifies.
import { sign } from 'node:crypto';
import { parseCertificate } from '../../src/tee-adapter/verify/certificate.ts';
import { PINNED_ANCHORS, type AmdAnchors } from '../../src/tee-adapter/verify/anchors.ts';
import type { Context, SnpEndorsements } from '../../src/tee-adapter/verify/types.ts';
import type { SnpProduct, SnpReference } from '../../src/policy/index.ts';
import {
  authorityUnder,
  certificate,
  ecKeys,
  ia5,
  int,
  rootAuthority,
  rsaKeys,
  type Authority,
  type CertificateFields,
} from './test-pki.ts';
import { snpReference, snpVector } from './tee-vectors.ts';

export interface AmdPki {
  readonly ark: Authority;
  readonly ask: Authority;
  readonly asvk: Authority;
  readonly anchors: AmdAnchors;
}

const keys = { ark: rsaKeys(), ask: rsaKeys(), asvk: rsaKeys(), chip: ecKeys('P-384') };
export const CHIP = keys.chip;
export const ARK_KEYS = keys.ark;
export const ASK_SERIAL = 0x10001;

/** The three authorities of a product line; the lines share their keys and differ in names. */
function pkiOf(line: string): AmdPki {
  const ark = rootAuthority(`ARK-${line}`, keys.ark, 'rsa-pss-sha384');
  const below = { ca: { pathLength: 0 }, keyUsage: 0x04, serial: ASK_SERIAL };
  const ask = authorityUnder(ark, `SEV-${line}`, keys.ask, below);
  const asvk = authorityUnder(ark, `SEV-VLEK-${line}`, keys.asvk, { ...below, serial: 0x10101 });
  const parsed = (one: Authority) => parseCertificate(one.der);
  return { ark, ask, asvk, anchors: { ark: parsed(ark), ask: parsed(ask), asvk: parsed(asvk) } };
}

export const AMD: Readonly<Record<SnpProduct, AmdPki>> = {
  milan: pkiOf('Milan'),
  genoa: pkiOf('Genoa'),
  turin: pkiOf('Turin'),
};

export const NOW = Date.parse('2026-06-01T00:00:00Z');

export function twinContext(nowMs = NOW): Context {
  const { milan, genoa, turin } = AMD;
  const amd = { milan: milan.anchors, genoa: genoa.anchors, turin: turin.anchors };
  return { nowMs, anchors: { ...PINNED_ANCHORS, amd } };
}

export const CHIP_ID = new Uint8Array(64).fill(0xc5);
export const PROVIDER = 'CN=test.example';

/** bootloader, tee, snp, microcode and, on Turin, fmc. */
export interface TwinTcb {
  readonly bootloader: number;
  readonly tee: number;
  readonly snp: number;
  readonly microcode: number;
  readonly fmc?: number;
}

/** What ms-milan reports. */
export const TCB: TwinTcb = { bootloader: 4, tee: 0, snp: 24, microcode: 219 };
export const TURIN_TCB: TwinTcb = { ...TCB, fmc: 1 };

export function rawTcb(product: SnpProduct, { fmc = 0, ...tcb }: TwinTcb): number[] {
  const { bootloader, tee, snp, microcode } = tcb;
  return product === 'turin'
    ? [fmc, bootloader, tee, snp, 0, 0, 0, microcode]
    : [bootloader, tee, 0, 0, 0, 0, snp, microcode];
}

/** Writes `r ‖ s` as the firmware does: little-endian, 72 bytes each. */
export function signReport(report: Uint8Array, key = CHIP.privateKey): Uint8Array {
  const raw = sign('sha384', report.subarray(0, 0x2a0), { key, dsaEncoding: 'ieee-p1363' });
  report.fill(0, 0x2a0);
  report.set(raw.subarray(0, 48).reverse(), 0x2a0);
  report.set(raw.subarray(48).reverse(), 0x2e8);
  return report;
}

export interface TwinOptions {
  readonly product?: SnpProduct;
  readonly kind?: 'vcek' | 'vlek';
  /** Changes the report before it is signed. */
  readonly edit?: (report: Uint8Array, view: DataView) => void;
  readonly tcb?: TwinTcb;
  readonly certificateTcb?: TwinTcb;
  readonly hardwareId?: Uint8Array;
  readonly leaf?: Partial<CertificateFields>;
}

export function leafOf(options: TwinOptions, issuer?: Authority): Uint8Array {
  const { product = 'milan', kind = 'vcek' } = options;
  const tcb = options.certificateTcb ?? options.tcb ?? (product === 'turin' ? TURIN_TCB : TCB);
  const arc = '1.3.6.1.4.1.3704.1';
  const id = options.hardwareId ?? CHIP_ID.subarray(0, product === 'turin' ? 8 : 64);
  return certificate({
    subject: kind === 'vcek' ? 'SEV-VCEK' : 'SEV-VLEK',
    publicKey: CHIP.publicKey,
    issuer: issuer ?? AMD[product][kind === 'vcek' ? 'ask' : 'asvk'],
    serial: 0,
    extensions: [
      [`${arc}.3.1`, int(tcb.bootloader)],
      [`${arc}.3.2`, int(tcb.tee)],
      [`${arc}.3.3`, int(tcb.snp)],
      [`${arc}.3.8`, int(tcb.microcode)],
      ...(product === 'turin' ? ([[`${arc}.3.9`, int(tcb.fmc ?? 0)]] as const) : []),
      kind === 'vcek' ? ([`${arc}.4`, id] as const) : ([`${arc}.5`, ia5(PROVIDER)] as const),
    ],
    ...options.leaf,
  });
}

const CPUID = { milan: [0x19, 0x01], genoa: [0x19, 0x11], turin: [0x1a, 0x02] } as const;

export interface Twin {
  readonly report: Uint8Array;
  readonly endorsements: SnpEndorsements;
  readonly reference: SnpReference;
  readonly binding: { readonly reportData: Uint8Array };
}

/** A report that is accepted, but for what `options` change. */
export function snpTwin(options: TwinOptions = {}): Twin {
  const { product = 'milan', kind = 'vcek' } = options;
  const tcb = options.tcb ?? (product === 'turin' ? TURIN_TCB : TCB);
  const report = snpVector('ms-milan').report.slice();
  const view = new DataView(report.buffer);
  report.set(CPUID[product], 0x188);
  report.set(
    product === 'turin' ? [...CHIP_ID.subarray(0, 8), ...new Uint8Array(56)] : CHIP_ID,
    0x1a0,
  );
  for (const at of [0x38, 0x180, 0x1e0, 0x1f0]) report.set(rawTcb(product, tcb), at);
  view.setUint32(0x48, kind === 'vcek' ? 0 : 1 << 2, true);
  report.set(new Uint8Array(64).fill(0xd5), 0x50);
  options.edit?.(report, view);
  signReport(report);
  return {
    report,
    endorsements: { leaf: leafOf(options) },
    reference: {
      ...snpReference('ms-milan'),
      min_tcb: { [product]: tcb },
      endorsement_keys: [kind],
      vlek_providers: kind === 'vlek' ? [PROVIDER] : [],
    },
    binding: { reportData: new Uint8Array(64).fill(0xd5) },
  };
}
