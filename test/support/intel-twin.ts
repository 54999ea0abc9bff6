// Quotes and collateral under a test PKI: header, body, QE report and TCB info are those of genuine
// quotes, keys and signatures our own.
import { createHash, sign, type KeyObject } from 'node:crypto';
import { PINNED_ANCHORS } from '../../src/tee-adapter/verify/anchors.ts';
import { parseCertificate, parsePemChain } from '../../src/tee-adapter/verify/certificate.ts';
import { parseIntelQuote } from '../../src/tee-adapter/verify/intel-quote.ts';
import type { Context, IntelCollateral } from '../../src/tee-adapter/verify/types.ts';
import {
  authorityUnder,
  certificate,
  ecKeys,
  pemOf,
  revocationList,
  rootAuthority,
  type Authority,
  type Keys,
} from './test-pki.ts';
import { phalaCollateral, sharedCollateral, vector } from './tee-vectors.ts';

export const NOW = Date.parse('2026-06-01T00:00:00Z');
const ARC = '1.2.840.113741.1.13.1';

const keys = {
  root: ecKeys('P-256'),
  ca: ecKeys('P-256'),
  pck: ecKeys('P-256'),
  signer: ecKeys('P-256'),
  attestation: ecKeys('P-256'),
};
export const PCK_KEYS = keys.pck;
export const ATTESTATION_KEYS = keys.attestation;

export const ROOT = rootAuthority('Intel SGX Root CA', keys.root, 'ecdsa-sha256', {
  ca: { pathLength: 1 },
});
export const CA_SERIAL = 0xca;
export const CA = authorityUnder(ROOT, 'Intel SGX PCK Platform CA', keys.ca, {
  ca: { pathLength: 0 },
  serial: CA_SERIAL,
});
export const SIGNER_SERIAL = 0x5c;

export function signerUnder(root: Authority, name = 'Intel SGX TCB Signing'): Uint8Array {
  const { publicKey } = keys.signer;
  const serial = SIGNER_SERIAL;
  return certificate({ subject: name, publicKey, issuer: root, keyUsage: 0xc0, serial });
}

export function twinContext(nowMs = NOW): Context {
  return { nowMs, anchors: { ...PINNED_ANCHORS, intel: parseCertificate(ROOT.der) } };
}

export type Base = 'v3' | 'v4' | 'v5';
const BASES = {
  v3: {
    quote: 'sgx/phala-v3/quote.bin',
    collateral: phalaCollateral('sgx/phala-v3/collateral.json'),
  },
  v4: {
    quote: 'tdx/phala-v4/quote.bin',
    collateral: phalaCollateral('tdx/phala-v4/collateral.json'),
  },
  v5: {
    quote: 'tdx/google-v5/quote.bin',
    collateral: sharedCollateral('tdx/collateral/tcb_info_90c06f000000.json'),
  },
} as const;

export const PCK_SERIAL = 0x9c;

/** A PCK certificate with the platform of the genuine quote. */
export function pckUnder(
  base: Base,
  issuer: Authority,
  publicKey = keys.pck.publicKey,
): Uint8Array {
  const { pckChain } = parseIntelQuote(vector(BASES[base].quote));
  const [genuine] = parsePemChain(pckChain);
  return certificate({
    subject: 'Intel SGX PCK Certificate',
    publicKey,
    issuer,
    serial: PCK_SERIAL,
    keyUsage: 0xc0,
    extensions: [[ARC, genuine!.extensions.get(ARC)!]],
  });
}

function le(bytes: number, value: number): Uint8Array {
  const out = Buffer.alloc(bytes);
  out.writeUIntLE(value, 0, bytes);
  return out;
}

function raw(data: Uint8Array, key: KeyObject): Uint8Array {
  return new Uint8Array(sign('sha256', data, { key, dsaEncoding: 'ieee-p1363' }));
}

function pointOf({ publicKey }: Keys): Uint8Array {
  const { x, y } = publicKey.export({ format: 'jwk' });
  return Buffer.concat([Buffer.from(x!, 'base64url'), Buffer.from(y!, 'base64url')]);
}

export interface QuoteParts {
  readonly base?: Base;
  /** Changes header and body, and with them what is signed. */
  readonly edit?: (signed: Uint8Array, view: DataView) => void;
  readonly editQe?: (report: Uint8Array) => void;
  /** What the QE report vouches for, when not key and authentication data. */
  readonly vouched?: Uint8Array;
  readonly attestation?: Keys;
  readonly pckKey?: KeyObject;
  readonly chain?: readonly Uint8Array[];
  readonly signature?: (signature: Uint8Array) => Uint8Array;
  readonly outerType?: number;
  readonly innerType?: number;
  /** Added to a length without adding bytes. */
  readonly lie?: { readonly outer?: number; readonly inner?: number; readonly all?: number };
  readonly tail?: Uint8Array;
}

/** A quote that is accepted, but for `parts`. */
export function quoteTwin(parts: QuoteParts = {}): Uint8Array {
  const { base = 'v4', lie = {}, attestation = keys.attestation } = parts;
  const genuine = parseIntelQuote(vector(BASES[base].quote));
  const signed = genuine.signed.slice();
  parts.edit?.(signed, new DataView(signed.buffer));
  const auth = new Uint8Array(32).fill(0xa7);
  const point = pointOf(attestation);
  const qe = genuine.qeReport.slice();
  qe.fill(0, 320);
  qe.set(parts.vouched ?? createHash('sha256').update(point).update(auth).digest(), 320);
  parts.editQe?.(qe);
  const chain = parts.chain ?? [pckUnder(base, CA), CA.der, ROOT.der];
  const pem = Buffer.from(pemOf(...chain));
  const inner = Buffer.concat([
    qe,
    raw(qe, parts.pckKey ?? keys.pck.privateKey),
    le(2, auth.length),
    auth,
    le(2, parts.innerType ?? 5),
    le(4, pem.length + (lie.inner ?? 0)),
    pem,
  ]);
  const outer =
    base === 'v3'
      ? inner
      : Buffer.concat([le(2, parts.outerType ?? 6), le(4, inner.length + (lie.outer ?? 0)), inner]);
  const good = raw(signed, attestation.privateKey);
  const data = Buffer.concat([parts.signature?.(good) ?? good, point, outer]);
  return Uint8Array.from(
    Buffer.concat([
      signed,
      le(4, data.length + (lie.all ?? 0)),
      data,
      parts.tail ?? new Uint8Array(),
    ]),
  );
}

type Json = Record<string, unknown>;

export interface CollateralParts {
  readonly base?: Base;
  readonly tcb?: (info: Json) => void;
  readonly qe?: (identity: Json) => void;
  /** Changes the text after it was signed. */
  readonly text?: {
    readonly tcb?: (text: string) => string;
    readonly qe?: (text: string) => string;
  };
  readonly signerKey?: KeyObject;
  readonly over?: Partial<IntelCollateral>;
}

function signedDocument(
  document: string,
  member: string,
  edit: ((json: Json) => void) | undefined,
  key: KeyObject,
): string {
  const json = (JSON.parse(document) as Record<string, Json>)[member]!;
  json['issueDate'] = '2026-05-20T00:00:00Z';
  json['nextUpdate'] = '2026-06-20T00:00:00Z';
  edit?.(json);
  const text = JSON.stringify(json);
  const signature = Buffer.from(raw(Buffer.from(text), key)).toString('hex');
  return `{"${member}":${text},"signature":"${signature}"}`;
}

/** Collateral that is accepted, but for `parts`. */
export function collateralTwin(parts: CollateralParts = {}): IntelCollateral {
  const genuine = BASES[parts.base ?? 'v4'].collateral;
  const key = parts.signerKey ?? keys.signer.privateKey;
  const chain = pemOf(signerUnder(ROOT), ROOT.der);
  const tcbInfo = signedDocument(genuine.tcbInfo, 'tcbInfo', parts.tcb, key);
  const qeIdentity = signedDocument(genuine.qeIdentity, 'enclaveIdentity', parts.qe, key);
  return {
    tcbInfo: parts.text?.tcb?.(tcbInfo) ?? tcbInfo,
    tcbInfoChain: chain,
    qeIdentity: parts.text?.qe?.(qeIdentity) ?? qeIdentity,
    qeIdentityChain: chain,
    rootCrl: revocationList({ issuer: ROOT }),
    pckCrl: revocationList({ issuer: CA, revoked: [1, 2] }),
    ...parts.over,
  };
}
