// Goal: a Nitro document that is wrong in one way ends in one code. Numbers are those of the list of
// pitfalls (tee.md section 6).
import { describe, expect, it } from 'vitest';
import type { NitroReference } from '../../src/policy/index.ts';
import { readCbor } from '../../src/tee-adapter/verify/cbor.ts';
import { authenticateNitro, verifyNitro } from '../../src/tee-adapter/verify/nitro.ts';
import type { NitroBinding } from '../../src/tee-adapter/verify/types.ts';
import {
  BINDING,
  LEAF_KEYS,
  NOW,
  ONE,
  PCRS,
  Pairs,
  REFERENCE,
  ROOT,
  Raw,
  TWO,
  encode,
  leafUnder,
  nitroTwin,
  twinContext,
  type DocumentParts,
  type Item,
} from '../support/nitro-twin.ts';
import { authorityUnder, certificate, ecKeys, rootAuthority } from '../support/test-pki.ts';
import { at, codeOf, nitroReference, vector } from '../support/tee-vectors.ts';

interface Change extends DocumentParts {
  readonly reference?: Partial<NitroReference>;
  readonly binding?: Partial<NitroBinding>;
  readonly nowMs?: number;
}

function answer({ reference, binding, nowMs, ...parts }: Change): string {
  const document = nitroTwin(parts);
  return codeOf(() =>
    verifyNitro(
      document,
      { ...REFERENCE, ...reference },
      { ...BINDING, ...binding },
      twinContext(nowMs),
    ),
  );
}

const pcrsWith = (...changed: (readonly [Item, Item])[]): Change => {
  const kept = PCRS.filter(([index]) => !changed.some(([i]) => i === index));
  return { fields: { pcrs: new Pairs([...kept, ...changed]) } };
};
const without = (index: number): Change => ({
  fields: { pcrs: new Pairs(PCRS.filter(([i]) => i !== index)) },
});
const zeros = new Uint8Array(48);
const ones = new Uint8Array(48).fill(1);
const chain = (...der: Uint8Array[]): Change => ({ fields: { cabundle: der } });
const leaf = (...args: Parameters<typeof leafUnder>): Change => ({
  fields: { certificate: leafUnder(...args) },
});

const stranger = rootAuthority('aws.nitro-enclaves', ecKeys('P-384'), 'ecdsa-sha384');
const strangerLeaf = leafUnder(stranger);
const p256 = ecKeys('P-256');
const under = (fields: Parameters<typeof authorityUnder>[3]) =>
  authorityUnder(ONE, 'instance', ecKeys('P-384'), fields);
const noSign = under({ keyUsage: 0x80 });
const notCaKeys = ecKeys('P-384');
const notCa = certificate({
  subject: 'instance',
  publicKey: notCaKeys.publicKey,
  issuer: ONE,
  keyUsage: 0x80,
});
const deep = authorityUnder(TWO, 'deeper', ecKeys('P-384'));

describe('twins under the test PKI', () => {
  it.each([
    ['as it is', {}],
    ['42 tag 18', { tag: 18 }],
    ['40 an indefinite map', { indefinite: true }],
    ['a PCR 31', pcrsWith([31, ones])],
    [
      'absent fields that must be absent',
      {
        fields: { nonce: null, user_data: undefined },
        binding: { nonce: null, userData: null },
      },
    ],
  ] satisfies [string, Change][])('%s: accepted', (_, change) => {
    expect(answer(change)).toBe('accepted');
  });
});

const CASES: readonly (readonly [string, string, Change])[] = [
  ['33 PCR 0 zero', 'EVIDENCE_DEBUG', pcrsWith([0, zeros])],
  ['33 PCR 0 to 2 zero', 'EVIDENCE_DEBUG', pcrsWith([0, zeros], [1, zeros], [2, zeros])],
  [
    '33 zeros in the policy',
    'REFERENCE_INVALID',
    {
      reference: {
        measurements: [{ '0': '00'.repeat(48), '1': '02'.repeat(48), '2': '03'.repeat(48) }],
      },
    },
  ],
  ['34 PCR 0 absent', 'EVIDENCE_PCR_MISSING', without(0)],
  ['34 PCR 8 absent', 'EVIDENCE_PCR_MISSING', without(8)],
  ['34 PCR 32', 'EVIDENCE_MALFORMED', pcrsWith([32, ones])],
  ['34 PCR −1', 'EVIDENCE_MALFORMED', pcrsWith([-1, ones])],
  ['34 PCR "5"', 'EVIDENCE_MALFORMED', pcrsWith(['5', ones])],
  ['34 a PCR of 20 bytes', 'EVIDENCE_MALFORMED', pcrsWith([5, new Uint8Array(20)])],
  ['34 no PCRs', 'EVIDENCE_MALFORMED', { fields: { pcrs: new Pairs([]) } }],
  ['35 ES256', 'EVIDENCE_ALGORITHM', { header: new Uint8Array([0xa1, 0x01, 0x26]) }],
  ['35 ES512', 'EVIDENCE_ALGORITHM', { header: new Uint8Array([0xa1, 0x01, 0x38, 0x23]) }],
  ['35 no algorithm', 'EVIDENCE_ALGORITHM', { header: new Uint8Array([0xa0]) }],
  [
    '35 a second header',
    'EVIDENCE_ALGORITHM',
    { header: new Uint8Array([0xa2, 0x01, 0x38, 0x22, 0x03, 0x00]) },
  ],
  [
    '35 algorithm in the unprotected header alone',
    'EVIDENCE_ALGORITHM',
    { header: new Uint8Array([0xa0]), unprotected: new Pairs([[1, -35]]) },
  ],
  ['35 an unprotected header', 'EVIDENCE_MALFORMED', { unprotected: new Pairs([[4, 'kid']]) }],
  [
    '36 a leaf on P-256',
    'ENDORSEMENT_KEY',
    {
      ...leaf(TWO, { publicKey: p256.publicKey }),
      key: p256.privateKey,
      signature: (s) => new Uint8Array([...s, ...new Uint8Array(96 - s.length)]),
    },
  ],
  ['36 95 bytes', 'EVIDENCE_MALFORMED', { signature: (s) => s.slice(0, 95) }],
  ['36 97 bytes', 'EVIDENCE_MALFORMED', { signature: (s) => new Uint8Array([...s, 0]) }],
  ['36 signed with SHA-256', 'EVIDENCE_SIGNATURE', { hash: 'sha256' }],
  ['25 all zero', 'EVIDENCE_SIGNATURE', { signature: () => new Uint8Array(96) }],
  [
    '25 r = s = 1',
    'EVIDENCE_SIGNATURE',
    { signature: (s) => s.map((_, i) => (i === 47 || i === 95 ? 1 : 0)) },
  ],
  ['signed by another key', 'EVIDENCE_SIGNATURE', { key: ecKeys('P-384').privateKey }],
  ['37 reversed', 'ENDORSEMENT_ROOT', chain(TWO.der, ONE.der, ROOT.der)],
  ['37 without the root', 'ENDORSEMENT_ROOT', chain(ONE.der, TWO.der)],
  ['37 without an intermediate', 'ENDORSEMENT_CHAIN', chain(ROOT.der, TWO.der)],
  ['37 empty', 'EVIDENCE_MALFORMED', chain()],
  ['37 another root first', 'ENDORSEMENT_ROOT', chain(stranger.der, ROOT.der, ONE.der, TWO.der)],
  [
    '37 a root by name',
    'ENDORSEMENT_ROOT',
    { fields: { cabundle: [stranger.der], certificate: strangerLeaf } },
  ],
  [
    '37 a leaf of the root by name, the right root beside it',
    'ENDORSEMENT_SIGNATURE',
    { fields: { cabundle: [ROOT.der], certificate: strangerLeaf } },
  ],
  [
    '37 nine certificates',
    'EVIDENCE_MALFORMED',
    chain(ROOT.der, ONE.der, TWO.der, TWO.der, TWO.der, TWO.der, TWO.der, TWO.der),
  ],
  ['38 before the window', 'ENDORSEMENT_NOT_YET_VALID', { nowMs: NOW - 2 * 3_600_000 }],
  ['38 after the window', 'ENDORSEMENT_EXPIRED', { nowMs: NOW + 3 * 3_600_000 }],
  ['38 older than the policy allows', 'EVIDENCE_STALE', { nowMs: NOW + 600_000 }],
  ['38 of the future', 'EVIDENCE_FROM_FUTURE', { fields: { timestamp: NOW + 120_000 } }],
  ['39 pcrs twice', 'EVIDENCE_DUPLICATE_KEY', { extra: [['pcrs', new Pairs(PCRS)]] }],
  ['39 certificate twice', 'EVIDENCE_DUPLICATE_KEY', { extra: [['certificate', leafUnder(TWO)]] }],
  [
    '39 PCR 0 twice',
    'EVIDENCE_DUPLICATE_KEY',
    {
      fields: { pcrs: new Pairs([[0, zeros], ...PCRS]) },
    },
  ],
  ['40 a byte after the document', 'EVIDENCE_TRAILING_BYTES', { tail: [0] }],
  [
    '40 a byte after the payload map',
    'EVIDENCE_TRAILING_BYTES',
    { payload: (p) => new Uint8Array([...p, 0]) },
  ],
  [
    '40 no break',
    'EVIDENCE_MALFORMED',
    { indefinite: true, payload: (p) => p.slice(0, p.length - 1) },
  ],
  ['40 a fifth member', 'EVIDENCE_MALFORMED', { outer: (parts) => [...parts, 0] }],
  ['40 three members', 'EVIDENCE_MALFORMED', { outer: (parts) => parts.slice(0, 3) }],
  ['40 an unknown field', 'EVIDENCE_MALFORMED', { fields: { extra: 1 } }],
  ['42 tag 98', 'EVIDENCE_MALFORMED', { tag: 98 }],
  ['42 tag 17', 'EVIDENCE_MALFORMED', { tag: 17 }],
  [
    '43 too deep a path',
    'ENDORSEMENT_PATH_LENGTH',
    {
      fields: { cabundle: [ROOT.der, ONE.der, TWO.der, deep.der], certificate: leafUnder(deep) },
    },
  ],
  [
    '43 a CA without keyCertSign',
    'ENDORSEMENT_USAGE',
    {
      fields: { cabundle: [ROOT.der, ONE.der, noSign.der], certificate: leafUnder(noSign) },
    },
  ],
  [
    '43 an issuer that is no CA',
    'ENDORSEMENT_USAGE',
    {
      fields: {
        cabundle: [ROOT.der, ONE.der, notCa],
        certificate: leafUnder({ ...TWO, key: notCaKeys.privateKey }),
      },
    },
  ],
  ['43 a leaf that is a CA', 'ENDORSEMENT_USAGE', leaf(TWO, { ca: { pathLength: null } })],
  ['43 a leaf that may certify', 'ENDORSEMENT_USAGE', leaf(TWO, { keyUsage: 0x84 })],
  [
    '43 a leaf without usage',
    'ENDORSEMENT_USAGE',
    {
      fields: {
        certificate: certificate({ subject: 'e', publicKey: LEAF_KEYS.publicKey, issuer: TWO }),
      },
    },
  ],
  ['44 no nonce', 'EVIDENCE_NONCE', { fields: { nonce: null } }],
  ['44 an empty nonce', 'EVIDENCE_MALFORMED', { fields: { nonce: new Uint8Array() } }],
  ['44 31 bytes', 'EVIDENCE_NONCE', { fields: { nonce: new Uint8Array(31).fill(8) } }],
  ['44 another nonce', 'EVIDENCE_NONCE', { fields: { nonce: new Uint8Array(32).fill(1) } }],
  ['45 another key', 'EVIDENCE_BINDING', { fields: { public_key: new Uint8Array(44).fill(1) } }],
  ['45 another run', 'EVIDENCE_BINDING', { fields: { user_data: new Uint8Array(64).fill(1) } }],
  ['45 half of the run', 'EVIDENCE_BINDING', { fields: { user_data: new Uint8Array(32).fill(7) } }],
  ['50 no measurements', 'REFERENCE_MISSING', { reference: { measurements: [] } }],
  [
    '50 PCR 1 alone',
    'REFERENCE_MISSING',
    { reference: { measurements: [{ '1': '02'.repeat(48) }] } },
  ],
  [
    'another image',
    'EVIDENCE_MEASUREMENT',
    { reference: { measurements: [{ ...REFERENCE.measurements[0], '0': '55'.repeat(48) }] } },
  ],
  ['another digest', 'EVIDENCE_MALFORMED', { fields: { digest: 'SHA256' } }],
  ['no module', 'EVIDENCE_MALFORMED', { fields: { module_id: '' } }],
  ['no timestamp', 'EVIDENCE_MALFORMED', { fields: { timestamp: 0 } }],
  ['a huge field', 'EVIDENCE_MALFORMED', { fields: { user_data: new Uint8Array(1025) } }],
  [
    'a padded length',
    'EVIDENCE_MALFORMED',
    { fields: { timestamp: new Raw([0x1b, ...new Array<number>(7).fill(0), 5]) } },
  ],
];

describe('Nitro: one thing wrong', () => {
  it.each(CASES)('%s: %s', (_, code, change) => expect(answer(change)).toBe(code));

  it('41 the document as published, three bytes short', () => {
    const bytes = vector('nitro/base-2026-bf-CORRUPT-as-published.bin');
    const run = () => authenticateNitro(bytes, at('2026-01-03T20:41:07Z'));
    expect(codeOf(run)).toBe('EVIDENCE_MALFORMED');
  });

  it('37 a document under the test PKI means nothing to the pinned root', () => {
    const run = () => authenticateNitro(nitroTwin(), at('2026-06-01T00:00:00Z'));
    expect(codeOf(run)).toBe('ENDORSEMENT_ROOT');
  });

  it('33 a genuine debug document, and a policy that would take it', () => {
    const name = 'evervault-debug-2023.cose';
    const now = at('2022-10-12T13:50:00Z');
    const run = (reference: NitroReference) => () =>
      verifyNitro(vector(`nitro/${name}`), reference, BINDING, now);
    const zero = '00'.repeat(48);
    const naive = { ...REFERENCE, measurements: [{ '0': zero, '1': zero, '2': zero }] };
    expect(codeOf(run(nitroReference(name)))).toBe('EVIDENCE_DEBUG');
    expect(codeOf(run(naive))).toBe('EVIDENCE_DEBUG');
  });
});

describe('40 CBOR', () => {
  it.each([
    ['nothing', []],
    ['an array that claims 2^32 items', [0x9b, 0, 0, 0, 1, 0, 0, 0, 0]],
    ['a map that claims more than there is', [0xba, 0, 0, 0xff, 0xff]],
    ['a byte string that claims more', [0x5a, 0, 1, 0, 0, 1]],
    ['arrays ten deep', [...new Array<number>(10).fill(0x81), 0]],
    ['an indefinite array', [0x9f, 0xff]],
    ['an indefinite byte string', [0x5f, 0x41, 0, 0xff]],
    ['a float', [0xf9, 0, 0]],
    ['undefined', [0xf7]],
    ['a break alone', [0xff]],
    ['a reserved length', [0x1c]],
    ['text that is not UTF-8', [0x61, 0xff]],
    ['a key that is an array', [0xa1, 0x80, 0]],
    ['one in two bytes', [0x18, 1]],
  ])('%s', (_, bytes) => {
    expect(codeOf(() => readCbor(Uint8Array.from(bytes)))).toBe('EVIDENCE_MALFORMED');
  });

  it('reads back what the test encoder writes', () => {
    const map = new Pairs([
      ['a', 1],
      [5, new Uint8Array([1])],
    ]);
    expect(readCbor(Uint8Array.from(encode(map)))).toEqual(
      new Map<string | number, number | Uint8Array>([
        ['a', 1],
        [5, new Uint8Array([1])],
      ]),
    );
  });
});
