// Nitro documents under a test PKI: same form as the genuine ones, any part of them wrong at will.
import { createHash, sign, type KeyObject } from 'node:crypto';
import { PINNED_ANCHORS } from '../../src/tee-adapter/verify/anchors.ts';
import { parseCertificate } from '../../src/tee-adapter/verify/certificate.ts';
import type { Context, NitroBinding } from '../../src/tee-adapter/verify/types.ts';
import type { NitroReference } from '../../src/policy/index.ts';
import {
  authorityUnder,
  certificate,
  ecKeys,
  rootAuthority,
  type Authority,
  type CertificateFields,
} from './test-pki.ts';

export type Item = number | string | null | Uint8Array | Raw | readonly Item[] | Pairs;
/** Bytes that stand as they are: an encoding no encoder of ours would write. */
export class Raw {
  readonly bytes: Uint8Array;
  constructor(bytes: readonly number[] | Uint8Array) {
    this.bytes = Uint8Array.from(bytes);
  }
}
/** A map as a list of pairs, so that keys may repeat. */
export class Pairs {
  readonly list: readonly (readonly [Item, Item])[];
  readonly indefinite: boolean;
  constructor(list: readonly (readonly [Item, Item])[], indefinite = false) {
    this.list = list;
    this.indefinite = indefinite;
  }
}

function head(major: number, value: number): number[] {
  if (value < 24) return [(major << 5) | value];
  if (value < 0x100) return [(major << 5) | 24, value];
  if (value < 0x10000) return [(major << 5) | 25, value >> 8, value & 0xff];
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(value));
  return value < 2 ** 32
    ? [(major << 5) | 26, ...bytes.subarray(4)]
    : [(major << 5) | 27, ...bytes];
}

export function encode(item: Item): number[] {
  if (item === null) return [0xf6];
  if (typeof item === 'number') return item >= 0 ? head(0, item) : head(1, -1 - item);
  if (typeof item === 'string') return [...head(3, Buffer.byteLength(item)), ...Buffer.from(item)];
  if (item instanceof Raw) return [...item.bytes];
  if (item instanceof Uint8Array) return [...head(2, item.length), ...item];
  if (item instanceof Pairs) {
    const body = item.list.flatMap(([key, value]) => [...encode(key), ...encode(value)]);
    return item.indefinite ? [0xbf, ...body, 0xff] : [...head(5, item.list.length), ...body];
  }
  return [...head(4, item.length), ...item.flatMap((one) => encode(one))];
}

const keys = {
  root: ecKeys('P-384'),
  one: ecKeys('P-384'),
  two: ecKeys('P-384'),
  leaf: ecKeys('P-384'),
};

export const NOW = Date.parse('2026-06-01T00:00:00Z');
const LIFE = { notBefore: '2026-05-31T23:00:00Z', notAfter: '2026-06-01T02:00:00Z' };

export const ROOT = rootAuthority('aws.nitro-enclaves', keys.root, 'ecdsa-sha384', {
  keyUsage: 0x86,
});
export const ONE = authorityUnder(ROOT, 'region', keys.one, { ca: { pathLength: 2 } });
export const TWO = authorityUnder(ONE, 'instance', keys.two, { ca: { pathLength: 0 } });
export const LEAF_KEYS = keys.leaf;

export function leafUnder(issuer: Authority, fields: Partial<CertificateFields> = {}): Uint8Array {
  return certificate({
    subject: 'enclave',
    publicKey: keys.leaf.publicKey,
    issuer,
    keyUsage: 0x80,
    ...LIFE,
    ...fields,
  });
}

export function twinContext(nowMs = NOW): Context {
  return { nowMs, anchors: { ...PINNED_ANCHORS, aws: parseCertificate(ROOT.der) } };
}

export const PROTECTED = new Uint8Array([0xa1, 0x01, 0x38, 0x22]);

const pcr = (byte: number): Uint8Array => new Uint8Array(48).fill(byte);
export const PCRS: readonly (readonly [Item, Item])[] = [
  [0, pcr(1)],
  [1, pcr(2)],
  [2, pcr(3)],
  [8, pcr(9)],
];

export const BINDING: NitroBinding = {
  userData: new Uint8Array(64).fill(7),
  nonce: new Uint8Array(32).fill(8),
  publicKey: new Uint8Array(44).fill(9),
};

export const REFERENCE: NitroReference = {
  type: 'aws-nitro',
  measurements: [
    { '0': '01'.repeat(48), '1': '02'.repeat(48), '2': '03'.repeat(48), '8': '09'.repeat(48) },
  ],
  max_age_s: 300,
  not_after: '2099-12-31',
};

export interface DocumentParts {
  /** Replaces fields; `undefined` leaves one out. */
  readonly fields?: Readonly<Record<string, Item | undefined>>;
  readonly extra?: readonly (readonly [Item, Item])[];
  readonly indefinite?: boolean;
  readonly payload?: (payload: Uint8Array) => Uint8Array;
  readonly header?: Uint8Array;
  readonly unprotected?: Item;
  readonly signature?: (signature: Uint8Array) => Uint8Array;
  readonly key?: KeyObject;
  readonly hash?: 'sha384' | 'sha256';
  readonly tag?: number;
  readonly tail?: readonly number[];
  readonly outer?: (parts: readonly Item[]) => readonly Item[];
}

/** A document that is accepted, but for `parts`. */
export function nitroTwin(parts: DocumentParts = {}): Uint8Array {
  const fields: Readonly<Record<string, Item | undefined>> = {
    module_id: 'i-0-enc0',
    digest: 'SHA384',
    timestamp: NOW - 1000,
    pcrs: new Pairs(PCRS),
    certificate: leafUnder(TWO),
    cabundle: [ROOT.der, ONE.der, TWO.der],
    public_key: BINDING.publicKey,
    user_data: BINDING.userData,
    nonce: BINDING.nonce,
    ...parts.fields,
  };
  const present = Object.entries(fields).filter(
    (one): one is [string, Item] => one[1] !== undefined,
  );
  const map = new Pairs([...present, ...(parts.extra ?? [])], parts.indefinite);
  const written = Uint8Array.from(encode(map));
  const payload = parts.payload?.(written) ?? written;
  const header = parts.header ?? PROTECTED;
  const signed = Uint8Array.from([
    0x84,
    ...encode('Signature1'),
    ...encode(header),
    ...encode(new Uint8Array()),
    ...encode(payload),
  ]);
  const key = parts.key ?? keys.leaf.privateKey;
  const raw = new Uint8Array(
    sign(parts.hash ?? 'sha384', signed, { key, dsaEncoding: 'ieee-p1363' }),
  );
  const signature = parts.signature?.(raw) ?? raw;
  const four: readonly Item[] = [header, parts.unprotected ?? new Pairs([]), payload, signature];
  const tag = parts.tag === undefined ? [] : head(6, parts.tag);
  return Uint8Array.from([...tag, ...encode(parts.outer?.(four) ?? four), ...(parts.tail ?? [])]);
}

export function sha384(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(createHash('sha384').update(bytes).digest());
}
