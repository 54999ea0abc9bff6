// A certificate authority for tests: writes DER certificates and revocation lists with any field
// wrong that a test wants wrong. The reader under test shares no code with it.
import { constants, createPublicKey, generateKeyPairSync, sign, type KeyObject } from 'node:crypto';

type Bytes = Uint8Array;

function join(parts: readonly Bytes[]): Bytes {
  return new Uint8Array(Buffer.concat(parts));
}

export function tlv(tag: number, ...parts: readonly Bytes[]): Bytes {
  const body = join(parts);
  const n = body.length;
  const length =
    n < 0x80 ? [n] : n < 0x100 ? [0x81, n] : n < 0x10000 ? [0x82, n >> 8, n & 0xff] : [];
  if (length.length === 0) throw new Error('too long for the test PKI');
  return join([new Uint8Array([tag, ...length]), body]);
}

export const seq = (...parts: readonly Bytes[]): Bytes => tlv(0x30, ...parts);
export const octets = (bytes: Bytes): Bytes => tlv(0x04, bytes);
export const ia5 = (text: string): Bytes => tlv(0x16, Buffer.from(text));
const utf8 = (text: string): Bytes => tlv(0x0c, Buffer.from(text));
const bits = (bytes: Bytes): Bytes => tlv(0x03, new Uint8Array(1), bytes);
const context = (n: number, ...parts: readonly Bytes[]): Bytes => tlv(0xa0 | n, ...parts);
const TRUE = tlv(0x01, new Uint8Array([0xff]));

export function int(value: number | bigint): Bytes {
  let hex = BigInt(value).toString(16);
  if (hex.length % 2 === 1) hex = `0${hex}`;
  const body = Buffer.from(hex, 'hex');
  return tlv(0x02, body[0]! >= 0x80 ? join([new Uint8Array(1), body]) : body);
}

export function oid(text: string): Bytes {
  const [a, b, ...rest] = text.split('.').map(Number);
  const arcs = [40 * a! + b!, ...rest].flatMap((arc) => {
    const septets = [arc % 128];
    for (let left = Math.floor(arc / 128); left > 0; left = Math.floor(left / 128)) {
      septets.unshift((left % 128) | 0x80);
    }
    return septets;
  });
  return tlv(0x06, new Uint8Array(arcs));
}

function time(iso: string): Bytes {
  const digits = iso.replace(/[-:T]/g, '').replace(/\.\d+/, '');
  return Number(iso.slice(0, 4)) < 2050
    ? tlv(0x17, Buffer.from(digits.slice(2)))
    : tlv(0x18, Buffer.from(digits));
}

export type Algorithm = 'rsa-pss-sha384' | 'ecdsa-sha256' | 'ecdsa-sha384';

const SHA384 = seq(oid('2.16.840.1.101.3.4.2.2'));
const ALGORITHMS: Readonly<Record<Algorithm, Bytes>> = {
  'rsa-pss-sha384': seq(
    oid('1.2.840.113549.1.1.10'),
    seq(
      context(0, SHA384),
      context(1, seq(oid('1.2.840.113549.1.1.8'), SHA384)),
      context(2, int(48)),
    ),
  ),
  'ecdsa-sha256': seq(oid('1.2.840.10045.4.3.2')),
  'ecdsa-sha384': seq(oid('1.2.840.10045.4.3.3')),
};

function signTbs(tbs: Bytes, algorithm: Algorithm, key: KeyObject): Bytes {
  if (algorithm !== 'rsa-pss-sha384') return sign(algorithm.slice(6), tbs, key);
  return sign('sha384', tbs, {
    key,
    padding: constants.RSA_PKCS1_PSS_PADDING,
    saltLength: 48,
  });
}

export interface Authority {
  readonly name: string;
  readonly key: KeyObject;
  readonly algorithm: Algorithm;
  readonly der: Bytes;
}

export interface CertificateFields {
  readonly subject: string;
  readonly publicKey: KeyObject;
  readonly issuer: Pick<Authority, 'name' | 'key' | 'algorithm'>;
  readonly serial?: number | bigint;
  readonly notBefore?: string;
  readonly notAfter?: string;
  /** Present on CAs; `null` path length means unlimited. */
  readonly ca?: { readonly pathLength: number | null };
  /** The first octet of keyUsage: 0x80 digitalSignature, 0x04 keyCertSign, 0x02 cRLSign. */
  readonly keyUsage?: number;
  readonly extensions?: readonly (readonly [string, Bytes, boolean?])[];
}

function nameOf(commonName: string): Bytes {
  return seq(tlv(0x31, seq(oid('2.5.4.3'), utf8(commonName))));
}

function extensionsOf({ ca, keyUsage, extensions = [] }: CertificateFields): Bytes {
  const all: (readonly [string, Bytes, boolean?])[] = [...extensions];
  if (ca !== undefined) {
    const { pathLength } = ca;
    all.push(['2.5.29.19', seq(TRUE, ...(pathLength === null ? [] : [int(pathLength)])), true]);
  }
  if (keyUsage !== undefined) {
    let unused = 0;
    while (((keyUsage >> unused) & 1) === 0) unused += 1;
    all.push(['2.5.29.15', tlv(0x03, new Uint8Array([unused, keyUsage])), true]);
  }
  if (all.length === 0) return new Uint8Array();
  const list = all.map(([id, value, critical]) =>
    seq(oid(id), ...(critical === true ? [TRUE] : []), octets(value)),
  );
  return context(3, seq(...list));
}

export function certificate(fields: CertificateFields): Bytes {
  const { issuer, serial = 1, publicKey, subject } = fields;
  const algorithm = ALGORITHMS[issuer.algorithm];
  const tbs = seq(
    context(0, int(2)),
    int(serial),
    algorithm,
    nameOf(issuer.name),
    seq(
      time(fields.notBefore ?? '2020-01-01T00:00:00Z'),
      time(fields.notAfter ?? '2049-01-01T00:00:00Z'),
    ),
    nameOf(subject),
    new Uint8Array(publicKey.export({ format: 'der', type: 'spki' })),
    extensionsOf(fields),
  );
  return seq(tbs, algorithm, bits(signTbs(tbs, issuer.algorithm, issuer.key)));
}

export interface CrlFields {
  readonly issuer: Pick<Authority, 'name' | 'key' | 'algorithm'>;
  readonly revoked?: readonly (number | bigint)[];
  readonly thisUpdate?: string;
  readonly nextUpdate?: string;
  readonly extensions?: readonly (readonly [string, Bytes, boolean?])[];
}

export function revocationList(fields: CrlFields): Bytes {
  const { issuer, revoked = [], extensions = [['2.5.29.20', int(1)]] } = fields;
  const entries = revoked.map((serial) => seq(int(serial), time('2024-01-01T00:00:00Z')));
  const tbs = seq(
    int(1),
    ALGORITHMS[issuer.algorithm],
    nameOf(issuer.name),
    time(fields.thisUpdate ?? '2024-01-01T00:00:00Z'),
    time(fields.nextUpdate ?? '2040-01-01T00:00:00Z'),
    ...(entries.length === 0 ? [] : [seq(...entries)]),
    context(
      0,
      seq(
        ...extensions.map(([id, value, critical]) =>
          seq(oid(id), ...(critical === true ? [TRUE] : []), octets(value)),
        ),
      ),
    ),
  );
  const signature = signTbs(tbs, issuer.algorithm, issuer.key);
  return seq(tbs, ALGORITHMS[issuer.algorithm], bits(signature));
}

export interface Keys {
  readonly publicKey: KeyObject;
  readonly privateKey: KeyObject;
}

export function rsaKeys(): Keys {
  // 2,048 bits: what is tested is the chain, and making 4,096 takes seconds.
  return generateKeyPairSync('rsa', { modulusLength: 2048 });
}

export function ecKeys(curve: 'P-256' | 'P-384'): Keys {
  return generateKeyPairSync('ec', { namedCurve: curve });
}

/** A self-signed root. */
export function rootAuthority(
  name: string,
  keys: Keys,
  algorithm: Algorithm,
  fields: Partial<CertificateFields> = {},
): Authority {
  const issuer = { name, key: keys.privateKey, algorithm };
  const der = certificate({
    subject: name,
    publicKey: keys.publicKey,
    issuer,
    ca: { pathLength: null },
    keyUsage: 0x06,
    ...fields,
  });
  return { ...issuer, der };
}

/** A CA below another. */
export function authorityUnder(
  parent: Authority,
  name: string,
  keys: Keys,
  fields: Partial<CertificateFields> = {},
): Authority {
  const der = certificate({
    subject: name,
    publicKey: keys.publicKey,
    issuer: parent,
    ca: { pathLength: null },
    keyUsage: 0x06,
    ...fields,
  });
  return { name, key: keys.privateKey, algorithm: parent.algorithm, der };
}

export function pemOf(...certificates: readonly Bytes[]): string {
  return certificates
    .map((der) => {
      const lines = Buffer.from(der)
        .toString('base64')
        .match(/.{1,64}/g)!;
      return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`;
    })
    .join('');
}

export function publicOf(key: KeyObject): KeyObject {
  return createPublicKey(key);
}
