// Goal: documents of a form that nobody asked for are refused before anything in them is believed:
// DER that is not DER, certificates with two readings, inputs beyond their bounds.
import { describe, expect, it } from 'vitest';
import { toHex } from '../../src/core/bytes.ts';
import { verifyAzureSnp } from '../../src/tee-adapter/verify/azure.ts';
import { parseCertificate, parsePemChain } from '../../src/tee-adapter/verify/certificate.ts';
import { parseCrl } from '../../src/tee-adapter/verify/crl.ts';
import * as der from '../../src/tee-adapter/verify/der.ts';
import { parseEventLog } from '../../src/tee-adapter/verify/event-log.ts';
import { parseIntelQuote } from '../../src/tee-adapter/verify/intel-quote.ts';
import { parseNitroDocument } from '../../src/tee-adapter/verify/nitro-document.ts';
import { expectCurrent } from '../../src/tee-adapter/verify/references.ts';
import { verifySgx } from '../../src/tee-adapter/verify/sgx.ts';
import { verifySnp } from '../../src/tee-adapter/verify/snp.ts';
import { verifyTdx } from '../../src/tee-adapter/verify/tdx.ts';
import * as intel from '../support/intel-twin.ts';
import * as snp from '../support/snp-twin.ts';
import { authorityUnder, certificate, ecKeys, pemOf, revocationList } from '../support/test-pki.ts';
import {
  EXPECTED,
  at,
  bytesOf,
  codeOf,
  sgxReference,
  snpReference,
  tdxReference,
  vector,
} from '../support/tee-vectors.ts';

const bytes = (hex: string): Uint8Array => bytesOf(hex.replaceAll(' ', ''))!;
const one = (hex: string): der.Der => der.readDer(bytes(hex));

describe('DER', () => {
  it.each([
    ['nothing', () => one('')],
    ['no length', () => one('04')],
    ['an indefinite length', () => one('30 80 00 00')],
    ['a length of four octets', () => one('04 84 00000001 00')],
    ['a padded length', () => one('04 81 01 00')],
    ['a padded long length', () => one('04 82 0001 00')],
    ['a cut length', () => one('04 82 01')],
    ['a cut body', () => one('04 02 00')],
    ['a long tag', () => one('1f 01 00')],
    ['trailing bytes', () => one('04 01 00 00')],
    ['another tag', () => der.readDer(bytes('04 01 00'), 2)],
    ['a negative integer', () => der.naturalOf(one('02 01 80'))],
    ['an empty integer', () => der.naturalOf(one('02 00'))],
    ['a padded integer', () => der.naturalOf(one('02 02 00 01'))],
    [
      'a large integer where a small one stands',
      () => der.smallNaturalOf(one('02 05 01 00000000')),
    ],
    ['a boolean of 1', () => der.booleanOf(one('01 01 01'))],
    ['a bit string of seven bits', () => der.bitOctetsOf(one('03 02 01 00'))],
    ['a bit list with eight unused', () => der.namedBitsOf(one('03 02 08 00'))],
    ['an empty object identifier', () => der.oidOf(one('06 00'))],
    ['a padded object identifier', () => der.oidOf(one('06 02 80 01'))],
    ['a cut object identifier', () => der.oidOf(one('06 02 2a 86'))],
    ['a huge arc', () => der.oidOf(one('06 07 2a ff ff ff ff ff 7f'))],
    ['a time without seconds', () => der.timeOf(one(`17 0b ${toHex(Buffer.from('2601010000Z'))}`))],
    ['the 30th of February', () => der.timeOf(one(`17 0d ${toHex(Buffer.from('260230000000Z'))}`))],
    [
      'a time with an offset',
      () => der.timeOf(one(`17 0d ${toHex(Buffer.from('2601010000+01'))}`)),
    ],
    ['no string', () => der.asciiOf(one('04 01 41'))],
    ['a string with a control character', () => der.asciiOf(one('0c 01 07'))],
  ])('refuses %s', (_, run) => expect(codeOf(run)).toBe('ENDORSEMENT_MALFORMED'));

  it('reads the two forms of a time and both sides of 1950', () => {
    const utc = (text: string) => der.timeOf(one(`17 0d ${toHex(Buffer.from(text))}`));
    expect(utc('491231235959Z')).toBe(Date.parse('2049-12-31T23:59:59Z'));
    expect(utc('500101000000Z')).toBe(Date.parse('1950-01-01T00:00:00Z'));
    const general = one(`18 0f ${toHex(Buffer.from('20500101000000Z'))}`);
    expect(der.timeOf(general)).toBe(Date.parse('2050-01-01T00:00:00Z'));
  });
});

/** Replaces the first occurrence of bytes by others of the same length. */
function swapped(input: Uint8Array, from: string, to: string, last = false): Uint8Array {
  const hex = toHex(input);
  const i = last ? hex.lastIndexOf(from) : hex.indexOf(from);
  expect(i).toBeGreaterThan(0);
  return bytes(hex.slice(0, i) + to + hex.slice(i + from.length));
}

const ECDSA_256 = '06082a8648ce3d040302';
const ECDSA_384 = '06082a8648ce3d040303';
const leaf = intel.pckUnder('v4', intel.CA);

describe('certificates and lists', () => {
  it.each([
    ['two algorithms', swapped(leaf, ECDSA_256, ECDSA_384), 'ENDORSEMENT_MALFORMED'],
    [
      'two algorithms, the outer one',
      swapped(leaf, ECDSA_256, ECDSA_384, true),
      'ENDORSEMENT_MALFORMED',
    ],
    [
      'an unknown algorithm',
      swapped(leaf, ECDSA_256, '06082a8648ce3d040304', true),
      'ENDORSEMENT_KEY',
    ],
    ['version 2', swapped(leaf, 'a003020102', 'a003020101'), 'ENDORSEMENT_MALFORMED'],
    [
      'a key on another curve',
      swapped(leaf, '06082a8648ce3d030107', '06082a8648ce3d030106'),
      'ENDORSEMENT_KEY',
    ],
    [
      'an extension twice',
      certificate({
        subject: 'x',
        publicKey: ecKeys('P-256').publicKey,
        issuer: intel.CA,
        extensions: [
          ['1.2.3', bytes('0500')],
          ['1.2.3', bytes('0500')],
        ],
      }),
      'ENDORSEMENT_MALFORMED',
    ],
    ['8 KB', new Uint8Array(8193).fill(0x30), 'ENDORSEMENT_MALFORMED'],
    [
      'a PSS salt of 32 bytes',
      swapped(snp.AMD.milan.ask.der, 'a203020130', 'a203020120', true),
      'ENDORSEMENT_KEY',
    ],
    [
      'PSS with SHA-256',
      swapped(snp.AMD.milan.ask.der, '0609608648016503040202', '0609608648016503040201', true),
      'ENDORSEMENT_KEY',
    ],
  ] as const)('a certificate with %s', (_, input, code) => {
    expect(codeOf(() => parseCertificate(input))).toBe(code);
  });

  it.each([
    ['nothing', ''],
    ['text before', `x${pemOf(leaf)}`],
    ['text between', `${pemOf(leaf)}x\n${pemOf(leaf)}`],
    ['another label', pemOf(leaf).replaceAll('CERTIFICATE', 'PUBLIC KEY')],
    ['nine', pemOf(...new Array<Uint8Array>(9).fill(leaf))],
  ])('a PEM chain of %s', (_, pem) => {
    expect(codeOf(() => parsePemChain(pem))).toBe('ENDORSEMENT_MALFORMED');
  });

  const list = revocationList({ issuer: intel.CA, revoked: [1] });
  it.each([
    ['two algorithms', swapped(list, ECDSA_256, ECDSA_384), 'CRL_MALFORMED'],
    ['version 1', swapped(list, '020101', '020100'), 'CRL_MALFORMED'],
    ['a megabyte', new Uint8Array(1024 * 1024 + 1), 'CRL_MALFORMED'],
  ])('a list with %s', (_, input, code) => expect(codeOf(() => parseCrl(input))).toBe(code));
});

describe('inputs beyond their bounds', () => {
  it.each([
    ['quote', () => parseIntelQuote(new Uint8Array(16 * 1024 + 1)), 'EVIDENCE_MALFORMED'],
    ['document', () => parseNitroDocument(new Uint8Array(0x3001)), 'EVIDENCE_MALFORMED'],
    ['event log', () => parseEventLog(new Uint8Array(512 * 1024 + 1)), 'EVIDENCE_EVENT_LOG'],
  ] as const)('a %s', (_, run, code) => expect(codeOf(run)).toBe(code));
});

const snpAnswer = (options: snp.TwinOptions, over: object = {}): string => {
  const { report, endorsements, reference, binding } = snp.snpTwin(options);
  const policy = { ...reference, ...over };
  return codeOf(() => verifySnp(report, endorsements, policy, binding, snp.twinContext()));
};

describe('fields of AMD’s certificates', () => {
  it('a patch level beyond a byte', () => {
    const certificateTcb = { ...snp.TCB, microcode: 256 };
    expect(snpAnswer({ certificateTcb })).toBe('ENDORSEMENT_MALFORMED');
  });
  it('a hardware identity of 63 bytes', () => {
    const hardwareId = snp.CHIP_ID.slice(1);
    expect(snpAnswer({ hardwareId })).toBe('ENDORSEMENT_MALFORMED');
  });
  it('50 a VLEK and no provider named', () => {
    expect(snpAnswer({ kind: 'vlek' }, { vlek_providers: [] })).toBe('REFERENCE_MISSING');
  });
});

describe('fields of Intel’s documents', () => {
  const tdx = (quote: intel.QuoteParts, collateral: intel.CollateralParts = {}): string => {
    const reportData = bytesOf(EXPECTED.tdx['phala-v4']!.body['reportData']!)!;
    return codeOf(() =>
      verifyTdx(
        { quote: intel.quoteTwin(quote) },
        intel.collateralTwin(collateral),
        tdxReference('phala-v4'),
        { reportData },
        intel.twinContext(),
      ),
    );
  };
  it('a PCK key on P-384', () => {
    const keys = ecKeys('P-384');
    const chain = [intel.pckUnder('v4', intel.CA, keys.publicKey), intel.CA.der, intel.ROOT.der];
    expect(tdx({ chain })).toBe('ENDORSEMENT_KEY');
  });
  it('20 collateral signed below an intermediate', () => {
    const between = authorityUnder(intel.ROOT, 'between', ecKeys('P-256'));
    const chain = pemOf(intel.signerUnder(between), between.der, intel.ROOT.der);
    expect(tdx({}, { over: { tcbInfoChain: chain } })).toBe('ENDORSEMENT_CHAIN');
  });
  it('22 a module of another signer', () => {
    const other = (info: Record<string, unknown>): void => {
      const identities = info['tdxModuleIdentities'] as { mrsigner: string }[];
      for (const identity of identities) identity.mrsigner = '11'.repeat(48);
    };
    expect(tdx({}, { tcb: other })).toBe('EVIDENCE_MODULE');
  });
  const sgx = (quote: Uint8Array, over: object = {}): string =>
    codeOf(() =>
      verifySgx(
        quote,
        intel.collateralTwin({ base: 'v3' }),
        { ...sgxReference('phala-v3'), ...over },
        { reportData: new Uint8Array(64) },
        intel.twinContext(),
      ),
    );
  it('a TDX quote to the SGX verifier', () => {
    expect(sgx(intel.quoteTwin())).toBe('EVIDENCE_TYPE');
  });
  it('an enclave below its least svn', () => {
    expect(sgx(intel.quoteTwin({ base: 'v3' }), { min_isv_svn: 1 })).toBe('EVIDENCE_TCB_STALE');
  });
});

describe('fields of Azure’s documents', () => {
  const PATH = 'sev-snp/azure-milan-v2';
  const quote = vector(`${PATH}/tpm-quote.msg`);
  const azure = (changed: Uint8Array): string =>
    codeOf(() =>
      verifyAzureSnp(
        {
          hcl: vector(`${PATH}/hcl-report.bin`),
          quote: changed,
          signature: vector(`${PATH}/tpm-quote.sig`),
          pcrs: [],
          endorsements: { leaf: vector(`${PATH}/vcek.der`) },
        },
        { ...snpReference('azure-milan-v2'), type: 'azure-sev-snp-vtpm', pcrs: { '4': '00' } },
        Buffer.from('challenge'),
        at('2024-01-01T00:00:00Z'),
      ),
    );
  const poke = (i: number, value: number) => quote.map((byte, j) => (i === j ? value : byte));
  it('a quote of the SHA-1 bank', () => expect(azure(poke(0x53, 0x04))).toBe('EVIDENCE_ALGORITHM'));
  it('a selection of another length', () => {
    expect(azure(poke(0x54, 0x04))).toBe('EVIDENCE_MALFORMED');
  });
  it('a kilobyte', () => expect(azure(new Uint8Array(1025))).toBe('EVIDENCE_MALFORMED'));
});

it('50 reference values without a last day', () => {
  const reference = { ...snpReference('ms-milan'), not_after: undefined as never };
  expect(codeOf(() => expectCurrent(reference, 0))).toBe('REFERENCE_MISSING');
});
