// The genuine evidence of test/vectors/tee, and policies that name exactly it.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { PINNED_ANCHORS } from '../../src/tee-adapter/verify/anchors.ts';
import type {
  Context,
  IntelCollateral,
  SnpEndorsements,
} from '../../src/tee-adapter/verify/types.ts';
import type {
  SnpReference,
  TdxReference,
  SgxReference,
  NitroReference,
} from '../../src/policy/index.ts';

const ROOT = fileURLToPath(new URL('../vectors/tee/', import.meta.url));

export function vector(name: string): Uint8Array {
  return new Uint8Array(readFileSync(ROOT + name));
}

export function vectorText(name: string): string {
  return readFileSync(ROOT + name, 'utf8');
}

export function derOfPem(pem: string): Uint8Array {
  const body = /-----BEGIN CERTIFICATE-----([\s\S]*?)-----END/.exec(pem)![1]!;
  return new Uint8Array(Buffer.from(body, 'base64'));
}

export function at(iso: string): Context {
  return { nowMs: Date.parse(iso), anchors: PINNED_ANCHORS };
}

export interface ExpectedSnp {
  readonly product: 'milan' | 'genoa';
  readonly endorsementKey: string;
  readonly cspId: string | null;
  readonly certNotBefore: string;
  readonly certNotAfter: string;
  readonly checks: Readonly<Record<string, boolean | null>>;
  readonly report: {
    readonly version: number;
    readonly policy: string;
    readonly policyBits: Readonly<Record<string, boolean | number>>;
    readonly vmpl: number;
    readonly signingKey: string;
    readonly maskChipKey: boolean;
    readonly reportData: string;
    readonly measurement: string;
    readonly hostData: string;
    readonly chipId: string;
    readonly cpuidFamModStep: string | null;
    readonly currentFw: string;
    readonly committedFw: string;
    readonly currentTcb: Readonly<Record<string, number>>;
    readonly reportedTcb: Readonly<Record<string, number>>;
    readonly committedTcb: Readonly<Record<string, number>>;
    readonly launchTcb: Readonly<Record<string, number>>;
  };
  readonly hcl?: { readonly runtimeDataSha256: string; readonly tpmQuoteExtraData: string };
}

export interface ExpectedQuote {
  readonly version: number;
  readonly bodyType: string;
  readonly trailingBytes: number;
  readonly pck: {
    readonly ca: string;
    readonly serial: string;
    readonly notBefore: string;
    readonly notAfter: string;
    readonly fmspc: string;
    readonly pceid: string;
    readonly pcesvn: number;
    readonly tcbComponents: readonly number[];
  };
  readonly qeReport: Readonly<Record<string, string | number | boolean>>;
  readonly body: Readonly<Record<string, string>> & {
    readonly rtmr: readonly string[];
    readonly debug: boolean;
  };
  readonly appraisal?: {
    readonly at: string;
    readonly tcbStatus: string;
    readonly advisories?: readonly string[];
  };
}

export interface ExpectedNitro {
  readonly moduleId: string;
  readonly timestampMs: number;
  readonly timestamp: string;
  readonly chainWindow: string;
  readonly debugMode: boolean;
  readonly pcrs: Readonly<Record<string, string>>;
  readonly publicKey: string | null;
  readonly userData: string | null;
  readonly nonce: string | null;
}

export const EXPECTED = JSON.parse(vectorText('expected.json')) as {
  readonly roots: Readonly<Record<string, { readonly sha256: string }>>;
  readonly snp: Readonly<Record<string, ExpectedSnp>>;
  readonly tdx: Readonly<Record<string, ExpectedQuote>>;
  readonly sgx: Readonly<Record<string, ExpectedQuote>>;
  readonly nitro: Readonly<Record<string, ExpectedNitro>>;
};

/** Report and endorsements of a vector; `+name` picks another certificate of its folder. */
export function snpVector(name: string): {
  report: Uint8Array;
  endorsements: SnpEndorsements;
  expected: ExpectedSnp;
} {
  const [folder, other] = name.split('+') as [string, string | undefined];
  const path = `sev-snp/${folder}`;
  const expected = EXPECTED.snp[name]!;
  const report = folder.startsWith('azure')
    ? vector(`${path}/hcl-report.bin`).slice(32, 32 + 1184)
    : vector(`${path}/report.bin`);
  const kind = expected.endorsementKey.toLowerCase();
  if (folder.startsWith('ms-')) {
    const pem = (file: string): Uint8Array => derOfPem(vectorText(`${path}/${file}.pem`));
    return { report, endorsements: { leaf: pem('vcek'), intermediate: pem('ask') }, expected };
  }
  return { report, endorsements: { leaf: vector(`${path}/${other ?? kind}.der`) }, expected };
}

/** Reference values that name exactly this vector. */
export function snpReference(name: string): SnpReference {
  const { product, report, cspId } = EXPECTED.snp[name]!;
  const { bootloader, tee, snp, microcode } = report.reportedTcb as never;
  return {
    type: 'amd-sev-snp',
    measurements: [report.measurement],
    host_data: report.hostData,
    min_tcb: { [product]: { bootloader, tee, snp, microcode } },
    endorsement_keys: [report.signingKey.toLowerCase() as 'vcek' | 'vlek'],
    vlek_providers: cspId === null ? [] : [cspId],
    revocation_list: 'if_given',
    provisional_firmware: 'accepted',
    not_after: '2099-12-31',
  };
}

interface PhalaCollateral {
  readonly tcb_info: string;
  readonly tcb_info_signature: string;
  readonly tcb_info_issuer_chain: string;
  readonly qe_identity: string;
  readonly qe_identity_signature: string;
  readonly qe_identity_issuer_chain: string;
  readonly root_ca_crl: string;
  readonly pck_crl: string;
}

/** Collateral as Phala stores it, put back into the form in which Intel sends it. */
export function phalaCollateral(path: string): IntelCollateral {
  const c = JSON.parse(vectorText(path)) as PhalaCollateral;
  const bytes = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex, 'hex'));
  return {
    tcbInfo: `{"tcbInfo":${c.tcb_info},"signature":"${c.tcb_info_signature}"}`,
    tcbInfoChain: c.tcb_info_issuer_chain,
    qeIdentity: `{"enclaveIdentity":${c.qe_identity},"signature":"${c.qe_identity_signature}"}`,
    qeIdentityChain: c.qe_identity_issuer_chain,
    rootCrl: bytes(c.root_ca_crl),
    pckCrl: bytes(c.pck_crl),
  };
}

/** The shared collateral of March 2026, with the TCB info of one platform. */
export function sharedCollateral(tcbInfo: string): IntelCollateral {
  return {
    tcbInfo: vectorText(tcbInfo),
    tcbInfoChain: vectorText('tdx/collateral/tcb_signing_chain.pem'),
    qeIdentity: vectorText('tdx/collateral/td_qe_identity.json'),
    qeIdentityChain: vectorText('tdx/collateral/qe_identity_signing_chain.pem'),
    rootCrl: vector('tdx/collateral/root_ca_crl.der'),
    pckCrl: vector('tdx/collateral/pck_crl_platform.der'),
  };
}

export function tdxReference(name: string): TdxReference {
  const { body } = EXPECTED.tdx[name]!;
  const [rtmr0, rtmr1, rtmr2, rtmr3] = body.rtmr as [string, string, string, string];
  return {
    type: 'intel-tdx',
    measurements: [{ mrtd: body['mrTd']!, rtmr0, rtmr1, rtmr2, rtmr3 }],
    mr_config_id: body['mrConfigId']!,
    mr_owner: body['mrOwner']!,
    mr_owner_config: body['mrOwnerConfig']!,
    tcb_statuses: ['UpToDate'],
    advisories_accepted: [],
    min_tcb_evaluation: 1,
    not_after: '2099-12-31',
  };
}

export function sgxReference(name: string): SgxReference {
  const { body } = EXPECTED.sgx[name]!;
  return {
    type: 'intel-sgx',
    mrenclaves: [body['mrEnclave']!],
    mrsigner: body['mrSigner']!,
    isv_prod_id: 0,
    min_isv_svn: 0,
    tcb_statuses: ['UpToDate', 'ConfigurationAndSWHardeningNeeded'],
    advisories_accepted: ['INTEL-SA-00289', 'INTEL-SA-00615'],
    min_tcb_evaluation: 1,
    not_after: '2099-12-31',
  };
}

export function nitroReference(name: string): NitroReference {
  const { pcrs } = EXPECTED.nitro[name]!;
  const used = ['0', '1', '2', '8'].filter((i) => !/^0*$/.test(pcrs[i]!));
  return {
    type: 'aws-nitro',
    measurements: [Object.fromEntries(used.map((i) => [i, pcrs[i]!]))],
    max_age_s: 300,
    not_after: '2099-12-31',
  };
}

export function bytesOf(hex: string | null): Uint8Array | null {
  return hex === null ? null : new Uint8Array(Buffer.from(hex, 'hex'));
}

/** The code a refusal carries; a foreign error fails the test. */
export function codeOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    const { name, code, message } = error as { name: string; code?: string; message: string };
    return name === 'ParleyError' ? code! : `UNTYPED ${message}`;
  }
  return 'accepted';
}
