import type { TeeType } from '../../policy/index.ts';
import type { TrustAnchors } from './anchors.ts';

/** What every appraisal is given beside evidence: a clock and roots, never a network. */
export interface Context {
  readonly nowMs: number;
  readonly anchors: TrustAnchors;
}

export interface SnpEndorsements {
  /** VCEK or VLEK, DER. */
  readonly leaf: Uint8Array;
  /** ASK or ASVK, DER; the pinned one of the leaf's issuer unless given. */
  readonly intermediate?: Uint8Array;
  /** AMD's revocation list for the intermediates, DER. */
  readonly crl?: Uint8Array;
}

/** Answers of Intel's provisioning certification service, each byte for byte as it came. */
export interface IntelCollateral {
  /** `{"tcbInfo":{…},"signature":"…"}` */
  readonly tcbInfo: string;
  readonly tcbInfoChain: string;
  /** `{"enclaveIdentity":{…},"signature":"…"}` */
  readonly qeIdentity: string;
  readonly qeIdentityChain: string;
  /** DER. */
  readonly rootCrl: Uint8Array;
  /** DER, of the CA (Processor or Platform) that issued the quote's PCK certificate. */
  readonly pckCrl: Uint8Array;
}

/** Evidence with the endorsements that travel beside it, by type. */
export type Evidence =
  | {
      readonly tee: 'amd-sev-snp';
      readonly report: Uint8Array;
      readonly endorsements: SnpEndorsements;
    }
  | {
      readonly tee: 'azure-sev-snp-vtpm';
      readonly hcl: Uint8Array;
      readonly quote: Uint8Array;
      readonly signature: Uint8Array;
      /** SHA-256 bank, PCR 0 upwards. */
      readonly pcrs: readonly Uint8Array[];
      readonly endorsements: SnpEndorsements;
    }
  | {
      readonly tee: 'intel-tdx';
      readonly quote: Uint8Array;
      /** Confidential computing event log; when given, it must replay to the quote's RTMRs. */
      readonly eventLog?: Uint8Array;
      readonly collateral: IntelCollateral;
    }
  | {
      readonly tee: 'intel-sgx';
      readonly quote: Uint8Array;
      readonly collateral: IntelCollateral;
    }
  | { readonly tee: 'aws-nitro'; readonly document: Uint8Array }
  | { readonly tee: 'simulated'; readonly statement: Uint8Array };

export type EvidenceOf<T extends TeeType> = Extract<Evidence, { readonly tee: T }>;

/** The bytes evidence must be bound to. */
export interface ReportBinding {
  /** Exactly 64 bytes. */
  readonly reportData: Uint8Array;
}

/** A Nitro document has three fields of the caller's; null means that it must be absent. */
export interface NitroBinding {
  readonly userData: Uint8Array | null;
  readonly nonce: Uint8Array | null;
  readonly publicKey: Uint8Array | null;
}

/** What evidence says, as values that JSON can hold; hex for bytes. */
export type Claims = Readonly<Record<string, string | number | boolean | readonly string[]>>;
