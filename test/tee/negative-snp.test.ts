// Goal: each way in which an SNP report can be genuine and still wrong, or look right and be forged,
// ends in its own code. Numbers are those of the list of pitfalls (tee.md section 6); one thing is
// changed per case, in a genuine vector or in its twin under a test PKI.
import { describe, expect, it } from 'vitest';
import type { SnpReference } from '../../src/policy/index.ts';
import { verifySnp } from '../../src/tee-adapter/verify/snp.ts';
import type { SnpEndorsements } from '../../src/tee-adapter/verify/types.ts';
import {
  AMD,
  ASK_SERIAL,
  CHIP,
  CHIP_ID,
  NOW,
  TCB,
  TURIN_TCB,
  leafOf,
  rawTcb,
  snpTwin,
  twinContext,
  type Twin,
  type TwinOptions,
} from '../support/snp-twin.ts';
import {
  authorityUnder,
  ecKeys,
  publicOf,
  revocationList,
  rootAuthority,
  rsaKeys,
} from '../support/test-pki.ts';
import { at, bytesOf, codeOf, snpReference, snpVector } from '../support/tee-vectors.ts';

interface Change {
  readonly twin?: TwinOptions;
  readonly report?: (report: Uint8Array) => Uint8Array;
  readonly endorsements?: Partial<SnpEndorsements>;
  readonly reference?: Partial<SnpReference>;
  readonly nowMs?: number;
}

function answer({ twin, report, endorsements, reference, nowMs }: Change): string {
  const made: Twin = snpTwin(twin);
  return codeOf(() =>
    verifySnp(
      report?.(made.report) ?? made.report,
      { ...made.endorsements, ...endorsements },
      { ...made.reference, ...reference },
      made.binding,
      twinContext(nowMs),
    ),
  );
}

const setPolicy = (bits: bigint): TwinOptions => ({
  edit: (_, view) => view.setBigUint64(0x08, bits, true),
});
const setByte = (place: number, value: number): TwinOptions => ({
  edit: (report) => report.fill(value, place, place + 1),
});
const setTcb = (place: number, tcb: typeof TCB): TwinOptions => ({
  edit: (report) => report.set(rawTcb('milan', tcb), place),
});
const poke =
  (place: number, value = 1) =>
  (report: Uint8Array): Uint8Array => {
    const copy = report.slice();
    copy[place] = value;
    return copy;
  };

const strangerRoot = rootAuthority('ARK-Milan', rsaKeys(), 'rsa-pss-sha384');
const strangerKeys = rsaKeys();
const strangerAsk = authorityUnder(strangerRoot, 'SEV-Milan', strangerKeys, {
  ca: { pathLength: 0 },
  keyUsage: 0x04,
});
const { ark, ask } = AMD.milan;
const crl = (fields: Partial<Parameters<typeof revocationList>[0]>): Uint8Array =>
  revocationList({ issuer: ark, ...fields });

describe('twins under the test PKI', () => {
  it.each([
    ['Milan, VCEK', {}],
    ['Milan, VLEK', { twin: { kind: 'vlek', edit: (r) => r.fill(0, 0x1a0, 0x1e0) } }],
    ['Genoa', { twin: { product: 'genoa' } }],
    ['Turin', { twin: { product: 'turin' } }],
    ['with a current revocation list', { endorsements: { crl: crl({ revoked: [7] }) } }],
    ['with the intermediate beside it', { endorsements: { intermediate: ask.der } }],
  ] satisfies [string, Change][])('%s: accepted', (_, change) => {
    expect(answer(change)).toBe('accepted');
  });
});

const CASES: readonly (readonly [string, string, Change])[] = [
  ['2', 'EVIDENCE_MIGRATABLE', { twin: setPolicy(0x3001fn | (1n << 18n)) }],
  ['3 bit 17 clear', 'EVIDENCE_GUEST_POLICY', { twin: setPolicy(0x1001fn) }],
  ['3 bit 26', 'EVIDENCE_RESERVED_BITS', { twin: setPolicy(0x3001fn | (1n << 26n)) }],
  ['1 twin', 'EVIDENCE_DEBUG', { twin: setPolicy(0x3001fn | (1n << 19n)) }],
  ['4 VMPL 1', 'EVIDENCE_VMPL', { twin: setByte(0x30, 1) }],
  [
    '4 VMPL of the host',
    'EVIDENCE_VMPL',
    { twin: { edit: (_, v) => v.setUint32(0x30, 0xffffffff, true) } },
  ],
  [
    '7 ASK of another line',
    'ENDORSEMENT_CHAIN',
    { endorsements: { intermediate: AMD.genoa.ask.der } },
  ],
  [
    '7 right name, wrong key',
    'ENDORSEMENT_SIGNATURE',
    { endorsements: { leaf: leafOf({}, strangerAsk), intermediate: strangerAsk.der } },
  ],
  [
    '8 VLEK report, VCEK chain',
    'ENDORSEMENT_KEY_KIND',
    { twin: { kind: 'vlek' }, endorsements: { leaf: leafOf({}) } },
  ],
  [
    '8 VCEK report, VLEK chain',
    'ENDORSEMENT_KEY_KIND',
    { endorsements: { leaf: leafOf({ kind: 'vlek' }) } },
  ],
  ['8 signed by nothing', 'ENDORSEMENT_KEY_KIND', { twin: setByte(0x48, 7 << 2) }],
  ['8 unknown key', 'EVIDENCE_RESERVED_BITS', { twin: setByte(0x48, 2 << 2) }],
  [
    '8 kind the policy omits',
    'ENDORSEMENT_KEY_KIND',
    { reference: { endorsement_keys: ['vlek'] } },
  ],
  [
    '8 VLEK of another provider',
    'ENDORSEMENT_OTHER_PROVIDER',
    { twin: { kind: 'vlek' }, reference: { vlek_providers: ['CN=other.example'] } },
  ],
  [
    '9 certificate above the report',
    'ENDORSEMENT_OTHER_TCB',
    { twin: { certificateTcb: { ...TCB, microcode: 220 } } },
  ],
  [
    '9 certificate below the report',
    'ENDORSEMENT_OTHER_TCB',
    { twin: { certificateTcb: { ...TCB, snp: 23 } } },
  ],
  [
    '10 one component low, the integer larger',
    'EVIDENCE_TCB_STALE',
    { reference: { min_tcb: { milan: { ...TCB, bootloader: 5, microcode: 1 } } } },
  ],
  ['10 launched lower', 'EVIDENCE_LAUNCH_TCB_STALE', { twin: setTcb(0x1f0, { ...TCB, snp: 20 }) }],
  [
    '11 Turin below its least snp',
    'EVIDENCE_TCB_STALE',
    { twin: { product: 'turin' }, reference: { min_tcb: { turin: { ...TURIN_TCB, snp: 25 } } } },
  ],
  [
    '11 Turin laid out as Milan',
    'EVIDENCE_RESERVED_BITS',
    { twin: { product: 'turin', edit: (r) => r.set(rawTcb('milan', TCB), 0x180) } },
  ],
  ['11 Milan line, Turin chip', 'EVIDENCE_PRODUCT', { twin: setByte(0x188, 0x1a) }],
  ['13 r[48]', 'EVIDENCE_RESERVED_BITS', { report: poke(0x2a0 + 48) }],
  ['13 s[71]', 'EVIDENCE_RESERVED_BITS', { report: poke(0x2e8 + 71) }],
  ['13 0x330', 'EVIDENCE_RESERVED_BITS', { report: poke(0x330) }],
  ['13 0x49f', 'EVIDENCE_RESERVED_BITS', { report: poke(0x49f) }],
  ['14 length 0', 'EVIDENCE_MALFORMED', { report: () => new Uint8Array() }],
  ['14 length 1183', 'EVIDENCE_MALFORMED', { report: (r) => r.slice(0, 1183) }],
  ['14 length 1185', 'EVIDENCE_MALFORMED', { report: (r) => new Uint8Array([...r, 0]) }],
  ['14 version 1', 'EVIDENCE_VERSION', { twin: setByte(0, 1) }],
  ['14 version 6', 'EVIDENCE_VERSION', { twin: setByte(0, 6) }],
  ['14 algorithm 0', 'EVIDENCE_ALGORITHM', { twin: setByte(0x34, 0) }],
  ['14 algorithm 2', 'EVIDENCE_ALGORITHM', { twin: setByte(0x34, 2) }],
  ['15 no chip', 'EVIDENCE_CHIP_ID', { twin: { edit: (r) => r.fill(0, 0x1a0, 0x1e0) } }],
  ['15 masked chip', 'EVIDENCE_CHIP_ID', { twin: setByte(0x48, 2) }],
  [
    '6 another chip, same key',
    'ENDORSEMENT_OTHER_CHIP',
    { twin: { hardwareId: CHIP_ID.map((b) => b ^ 1) } },
  ],
  [
    '16 ASK revoked',
    'ENDORSEMENT_REVOKED',
    { endorsements: { crl: crl({ revoked: [ASK_SERIAL] }) } },
  ],
  [
    '16 list expired',
    'CRL_STALE',
    { endorsements: { crl: crl({ nextUpdate: '2026-05-31T00:00:00Z' }) } },
  ],
  [
    '16 list of tomorrow',
    'CRL_FROM_FUTURE',
    { endorsements: { crl: crl({ thisUpdate: '2026-06-02T00:00:00Z' }) } },
  ],
  [
    '16 list signed by another key',
    'CRL_SIGNATURE',
    { endorsements: { crl: crl({ issuer: { ...ark, key: strangerKeys.privateKey } }) } },
  ],
  ['16 list of another issuer', 'CRL_ISSUER', { endorsements: { crl: crl({ issuer: ask }) } }],
  [
    '16 list of some certificates alone',
    'CRL_MALFORMED',
    {
      endorsements: { crl: crl({ extensions: [['2.5.29.28', new Uint8Array([0x30, 0]), true]] }) },
    },
  ],
  ['16 no list', 'CRL_MISSING', { reference: { revocation_list: 'required' } }],
  ['16 no list at all', 'CRL_MALFORMED', { endorsements: { crl: new Uint8Array() } }],
  [
    '17 committed below reported',
    'EVIDENCE_FIRMWARE_ROLLED_BACK',
    { twin: setTcb(0x1e0, { ...TCB, snp: 23 }) },
  ],
  [
    '17 provisional TCB',
    'EVIDENCE_FIRMWARE_PROVISIONAL',
    {
      twin: setTcb(0x38, { ...TCB, snp: 25 }),
      reference: { provisional_firmware: 'refused' },
    },
  ],
  [
    '17 provisional build',
    'EVIDENCE_FIRMWARE_PROVISIONAL',
    { twin: setByte(0x1e8, 30), reference: { provisional_firmware: 'refused' } },
  ],
  [
    '18 expired',
    'ENDORSEMENT_EXPIRED',
    { twin: { kind: 'vlek', leaf: { notAfter: '2026-05-31T00:00:00Z' } } },
  ],
  ['not yet', 'ENDORSEMENT_NOT_YET_VALID', { nowMs: Date.parse('2019-01-01T00:00:00Z') }],
  ['a leaf that is a CA', 'ENDORSEMENT_USAGE', { twin: { leaf: { ca: { pathLength: null } } } }],
  [
    'a leaf key on P-256',
    'ENDORSEMENT_KEY',
    { twin: { leaf: { publicKey: ecKeys('P-256').publicKey } } },
  ],
  [
    'a chain of ECDSA',
    'ENDORSEMENT_KEY',
    {
      endorsements: {
        leaf: leafOf({}, { ...ask, key: CHIP.privateKey, algorithm: 'ecdsa-sha384' }),
      },
    },
  ],
  [
    'an unknown critical extension',
    'ENDORSEMENT_USAGE',
    { twin: { leaf: { extensions: [['1.2.3.4', new Uint8Array([5, 0]), true]] } } },
  ],
  [
    'a certificate without its levels',
    'ENDORSEMENT_MALFORMED',
    { twin: { leaf: { extensions: [] } } },
  ],
  [
    'an issuer without keyCertSign',
    'ENDORSEMENT_USAGE',
    {
      endorsements: {
        intermediate: authorityUnder(
          ark,
          'SEV-Milan',
          { privateKey: ask.key, publicKey: publicOf(ask.key) },
          { keyUsage: 0x80 },
        ).der,
      },
    },
  ],
  ['50 empty measurements', 'REFERENCE_MISSING', { reference: { measurements: [] } }],
  ['50 no least TCB', 'REFERENCE_MISSING', { reference: { min_tcb: {} } }],
  [
    '50 a component without a least',
    'REFERENCE_MISSING',
    { reference: { min_tcb: { milan: { bootloader: 4 } as never } } },
  ],
  ['50 no kind of key', 'REFERENCE_MISSING', { reference: { endorsement_keys: [] } }],
  [
    '50 zeros as a measurement',
    'REFERENCE_INVALID',
    { reference: { measurements: ['00'.repeat(48)] } },
  ],
  ['a product the policy omits', 'EVIDENCE_PRODUCT', { reference: { min_tcb: { genoa: TCB } } }],
  [
    'another measurement',
    'EVIDENCE_MEASUREMENT',
    { reference: { measurements: ['11'.repeat(48)] } },
  ],
  ['other host data', 'EVIDENCE_CONFIGURATION', { reference: { host_data: '11'.repeat(32) } }],
  ['platform bit 6', 'EVIDENCE_RESERVED_BITS', { twin: setByte(0x40, 0x40) }],
  ['signer bit 5', 'EVIDENCE_RESERVED_BITS', { twin: setByte(0x48, 0x20) }],
  ['0x18b before cpuid ends', 'EVIDENCE_RESERVED_BITS', { twin: setByte(0x18b, 1) }],
  ['mitigations before version 5', 'EVIDENCE_RESERVED_BITS', { twin: setByte(0x1f8, 1) }],
];

describe('SNP: one thing wrong', () => {
  it.each(CASES)('%s: %s', (_, code, change) => expect(answer(change)).toBe(code));

  it.each([0, 31, 32, 63])('46 report data differs in byte %i alone', (i) => {
    const { report, endorsements, reference, binding } = snpTwin();
    const reportData = binding.reportData.map((byte, j) => (j === i ? byte ^ 1 : byte));
    const run = () => verifySnp(report, endorsements, reference, { reportData }, twinContext());
    expect(codeOf(run)).toBe('EVIDENCE_BINDING');
  });

  it('46 a binding of 32 bytes, the rest left open', () => {
    const { report, endorsements, reference, binding } = snpTwin();
    const half = { reportData: binding.reportData.slice(0, 32) };
    const run = () => verifySnp(report, endorsements, reference, half, twinContext());
    expect(codeOf(run)).toBe('EVIDENCE_BINDING');
  });

  it('51 the twin (r, n − s) of a signature verifies too: evidence is no replay key', () => {
    const { report, endorsements, reference, binding } = snpTwin();
    const n = BigInt(
      '0xffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973',
    );
    const s = BigInt(`0x${Buffer.from(report.slice(0x2e8, 0x318).reverse()).toString('hex')}`);
    const other = report.slice();
    other.set(Buffer.from((n - s).toString(16).padStart(96, '0'), 'hex').reverse(), 0x2e8);
    expect(other).not.toEqual(report);
    const run = () => verifySnp(other, endorsements, reference, binding, twinContext());
    expect(codeOf(run)).toBe('accepted');
  });
});

describe('SNP: genuine vectors', () => {
  const verify = (name: string, report: Uint8Array, clock: string): string => {
    const { endorsements, expected } = snpVector(name);
    const binding = { reportData: bytesOf(expected.report.reportData)! };
    return codeOf(() => verifySnp(report, endorsements, snpReference(name), binding, at(clock)));
  };

  it('12 every one of the 672 signed bytes counts', () => {
    const { report } = snpVector('ms-genoa');
    expect(verify('ms-genoa', report, '2026-06-01T00:00:00Z')).toBe('accepted');
    for (let i = 0; i < 0x2a0; i++) {
      const flipped = report.map((byte, j) => (i === j ? byte ^ 0x01 : byte));
      const code = verify('ms-genoa', flipped, '2026-06-01T00:00:00Z');
      expect(code, `byte ${i}`).toMatch(/^(EVIDENCE|ENDORSEMENT)_/);
    }
  });

  it('18 the VLEK of AWS after 2025-12-10', () => {
    const { report } = snpVector('coco-milan-vlek');
    const code = verify('coco-milan-vlek', report, new Date(NOW).toISOString());
    expect(code).toBe('ENDORSEMENT_EXPIRED');
  });

  it('9 coco-milan-v2: the current TCB differs and the certificate is for the reported one', () => {
    const { report } = snpVector('coco-milan-v2');
    expect(verify('coco-milan-v2', report, '2024-06-01T00:00:00Z')).toBe('accepted');
  });

  it('a report under the test PKI means nothing to the pinned roots', () => {
    const { report, endorsements, reference, binding } = snpTwin();
    const now = at('2026-06-01T00:00:00Z');
    const run = () => verifySnp(report, endorsements, reference, binding, now);
    expect(codeOf(run)).toBe('ENDORSEMENT_CHAIN');
  });
});
