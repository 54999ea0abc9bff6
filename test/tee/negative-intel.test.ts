// Goal: a TDX or SGX quote, or its collateral, that is wrong in one way ends in one code. Numbers
// are those of the list of pitfalls (tee.md section 6).
import { describe, expect, it } from 'vitest';
import type { TdxReference } from '../../src/policy/index.ts';
import { expectReplay, parseEventLog, replay } from '../../src/tee-adapter/verify/event-log.ts';
import { verifySgx } from '../../src/tee-adapter/verify/sgx.ts';
import { verifyTdx } from '../../src/tee-adapter/verify/tdx.ts';
import {
  ATTESTATION_KEYS,
  CA,
  CA_SERIAL,
  NOW,
  PCK_KEYS,
  PCK_SERIAL,
  ROOT,
  SIGNER_SERIAL,
  collateralTwin,
  pckUnder,
  quoteTwin,
  signerUnder,
  twinContext,
  type Base,
  type CollateralParts,
  type QuoteParts,
} from '../support/intel-twin.ts';
import {
  authorityUnder,
  certificate,
  ecKeys,
  pemOf,
  revocationList,
  rootAuthority,
} from '../support/test-pki.ts';
import {
  EXPECTED,
  at,
  bytesOf,
  codeOf,
  phalaCollateral,
  sgxReference,
  tdxReference,
  vector,
} from '../support/tee-vectors.ts';

interface Change {
  readonly base?: 'v4' | 'v5';
  readonly quote?: QuoteParts;
  readonly collateral?: CollateralParts;
  readonly reference?: Partial<TdxReference>;
  readonly eventLog?: Uint8Array;
  readonly nowMs?: number;
}

const NAMES = { v4: 'phala-v4', v5: 'google-v5' } as const;

function answer({ base = 'v4', quote, collateral, reference, eventLog, nowMs }: Change): string {
  const name = NAMES[base];
  const reportData = bytesOf(EXPECTED.tdx[name]!.body['reportData']!)!;
  const bytes = quoteTwin({ base, ...quote });
  return codeOf(() =>
    verifyTdx(
      { quote: bytes, ...(eventLog === undefined ? {} : { eventLog }) },
      collateralTwin({ base, ...collateral }),
      { ...tdxReference(name), ...reference },
      { reportData },
      twinContext(nowMs),
    ),
  );
}

function sgxAnswer(quote: QuoteParts, nowMs = NOW): string {
  const reportData = bytesOf(EXPECTED.sgx['phala-v3']!.body['reportData']!)!;
  return codeOf(() =>
    verifySgx(
      quoteTwin({ base: 'v3', ...quote }),
      collateralTwin({ base: 'v3' }),
      sgxReference('phala-v3'),
      { reportData },
      twinContext(nowMs),
    ),
  );
}

/** Where the body begins in header-and-body: version 5 puts type and size before it. */
const BODY = { v3: 48, v4: 48, v5: 54 } as const;
const setByte = (base: Base, place: number, value: number): QuoteParts => ({
  edit: (signed) => signed.fill(value, BODY[base] + place, BODY[base] + place + 1),
});
const header = (place: number, value: number): QuoteParts => ({
  edit: (signed) => signed.fill(value, place, place + 1),
});
const tdAttributes = (bits: bigint): QuoteParts => ({
  edit: (_, view) => view.setBigUint64(BODY.v4 + 120, bits, true),
});
const SEPT_VE_DISABLE = 1n << 28n;

type Levels = { tcb: Record<string, unknown>; tcbStatus: string; advisoryIDs?: string[] }[];
const status = (word: string): CollateralParts => ({
  tcb: (info) => {
    for (const level of info['tcbLevels'] as Levels) level.tcbStatus = word;
  },
});
const moduleStatus = (word: string): CollateralParts => ({
  tcb: (info) => {
    for (const one of info['tdxModuleIdentities'] as { tcbLevels: Levels }[]) {
      for (const level of one.tcbLevels) level.tcbStatus = word;
    }
  },
});
const qeStatus = (word: string): CollateralParts => ({
  qe: (identity) => {
    for (const level of identity['tcbLevels'] as Levels) level.tcbStatus = word;
  },
});
const info = (field: string, value: unknown): CollateralParts => ({
  tcb: (json) => Object.assign(json, { [field]: value }),
});
const qe = (field: string, value: unknown): CollateralParts => ({
  qe: (json) => Object.assign(json, { [field]: value }),
});

const strangerKeys = ecKeys('P-256');
const stranger = rootAuthority('Intel SGX Root CA', strangerKeys, 'ecdsa-sha256');
const strangerCa = authorityUnder(stranger, CA.name, strangerKeys);
const processorCa = authorityUnder(ROOT, 'Intel SGX PCK Processor CA', ecKeys('P-256'));
const plainLeaf = certificate({
  subject: 'Intel SGX PCK Certificate',
  publicKey: PCK_KEYS.publicKey,
  issuer: CA,
  keyUsage: 0xc0,
});
const otherAttestation = ecKeys('P-256');
const otherCa = authorityUnder(ROOT, 'Somebody CA', ecKeys('P-256'));

describe('twins under the test PKI', () => {
  it.each([
    ['version 4', {}],
    ['version 5', { base: 'v5' }],
    ['padded with zeros', { quote: { tail: new Uint8Array(70) } }],
    [
      'any RTMR 0',
      {
        reference: {
          measurements: [{ ...tdxReference('phala-v4').measurements[0]!, rtmr0: 'any' }],
        },
      },
    ],
    [
      'an accepted status',
      {
        collateral: status('SWHardeningNeeded'),
        reference: { tcb_statuses: ['UpToDate', 'SWHardeningNeeded'] },
      },
    ],
  ] satisfies [string, Change][])('%s: accepted', (_, change) => {
    expect(answer(change)).toBe('accepted');
  });
  it('SGX version 3: accepted', () => expect(sgxAnswer({})).toBe('accepted'));
});

const CASES: readonly (readonly [string, string, Change])[] = [
  ['19 debug TD', 'EVIDENCE_DEBUG', { quote: tdAttributes(SEPT_VE_DISABLE | 1n) }],
  [
    'a migratable TD',
    'EVIDENCE_MIGRATABLE',
    { quote: tdAttributes(SEPT_VE_DISABLE | (1n << 29n)) },
  ],
  ['20 another mrsigner', 'EVIDENCE_QE_IDENTITY', { collateral: qe('mrsigner', '11'.repeat(32)) }],
  ['20 another product', 'EVIDENCE_QE_IDENTITY', { collateral: qe('isvprodid', 9) }],
  [
    '20 other attributes',
    'EVIDENCE_QE_IDENTITY',
    {
      collateral: qe('attributes', `31${'00'.repeat(15)}`),
    },
  ],
  [
    '20 identity signed by another key',
    'COLLATERAL_SIGNATURE',
    {
      collateral: { signerKey: strangerKeys.privateKey },
    },
  ],
  [
    '20 identity changed after signing',
    'COLLATERAL_SIGNATURE',
    {
      collateral: { text: { qe: (text) => text.replace('"isvprodid":2', '"isvprodid":3') } },
    },
  ],
  [
    '20 identity unsigned',
    'COLLATERAL_MALFORMED',
    {
      collateral: { text: { qe: (text) => text.replace(/,"signature.*/, '}') } },
    },
  ],
  ['20 identity missing', 'COLLATERAL_MISSING', { collateral: { over: { qeIdentity: '' } } }],
  ['20 identity of SGX', 'COLLATERAL_ID', { collateral: qe('id', 'QE') }],
  [
    '20 signed by a certificate for something else',
    'ENDORSEMENT_USAGE',
    {
      collateral: {
        over: { qeIdentityChain: pemOf(signerUnder(ROOT, 'Intel SGX Other'), ROOT.der) },
      },
    },
  ],
  [
    '20 signed under another root',
    'ENDORSEMENT_ROOT',
    {
      collateral: { over: { qeIdentityChain: pemOf(signerUnder(stranger), stranger.der) } },
    },
  ],
  [
    '20 signer revoked',
    'ENDORSEMENT_REVOKED',
    {
      collateral: { over: { rootCrl: revocationList({ issuer: ROOT, revoked: [SIGNER_SERIAL] }) } },
    },
  ],
  ['21 expired', 'COLLATERAL_STALE', { collateral: info('nextUpdate', '2026-05-31T00:00:00Z') }],
  [
    '21 from the future',
    'COLLATERAL_FROM_FUTURE',
    {
      collateral: info('issueDate', '2026-06-02T00:00:00Z'),
    },
  ],
  [
    '21 QE identity expired',
    'COLLATERAL_STALE',
    {
      collateral: qe('nextUpdate', '2026-05-31T00:00:00Z'),
    },
  ],
  ['21 another fmspc', 'COLLATERAL_OTHER_PLATFORM', { collateral: info('fmspc', '00806f050000') }],
  ['21 another pceid', 'COLLATERAL_OTHER_PLATFORM', { collateral: info('pceId', '0001') }],
  ['21 id SGX', 'COLLATERAL_ID', { collateral: info('id', 'SGX') }],
  ['21 an older evaluation', 'COLLATERAL_SUPERSEDED', { reference: { min_tcb_evaluation: 1000 } }],
  [
    '21 written again',
    'COLLATERAL_MALFORMED',
    {
      collateral: { text: { tcb: (text) => JSON.stringify(JSON.parse(text), null, 1) } },
    },
  ],
  [
    '21 a member added after signing',
    'COLLATERAL_SIGNATURE',
    {
      collateral: { text: { tcb: (text) => text.replace('"id"', '"fmspc":"00","id"') } },
    },
  ],
  ['21 missing', 'COLLATERAL_MISSING', { collateral: { over: { tcbInfo: '' } } }],
  ['21 version 2', 'COLLATERAL_MALFORMED', { collateral: info('version', 2) }],
  ['22 no level', 'EVIDENCE_TCB_NO_LEVEL', { collateral: info('tcbLevels', []) }],
  ['22 Revoked', 'EVIDENCE_TCB_REVOKED', { collateral: status('Revoked') }],
  ['22 OutOfDate', 'EVIDENCE_TCB_STALE', { collateral: status('OutOfDate') }],
  ['22 an unknown word', 'EVIDENCE_TCB_UNKNOWN', { collateral: status('Fine') }],
  ['22 a word of Object', 'EVIDENCE_TCB_UNKNOWN', { collateral: status('constructor') }],
  [
    '22 a status the policy omits',
    'EVIDENCE_TCB_STATUS',
    { collateral: status('ConfigurationNeeded') },
  ],
  [
    '22 OutOfDate, even if the policy says so',
    'EVIDENCE_TCB_STALE',
    {
      collateral: status('OutOfDate'),
      reference: { tcb_statuses: ['UpToDate', 'OutOfDate' as never] },
    },
  ],
  ['22 the module OutOfDate', 'EVIDENCE_TCB_STALE', { collateral: moduleStatus('OutOfDate') }],
  ['22 the module Revoked', 'EVIDENCE_TCB_REVOKED', { collateral: moduleStatus('Revoked') }],
  ['22 no such module', 'EVIDENCE_MODULE', { collateral: info('tdxModuleIdentities', []) }],
  ['22 the QE OutOfDate', 'EVIDENCE_TCB_STALE', { collateral: qeStatus('OutOfDate') }],
  ['22 the QE below every level', 'EVIDENCE_TCB_NO_LEVEL', { collateral: qe('tcbLevels', []) }],
  [
    '22 an advisory',
    'EVIDENCE_ADVISORY',
    {
      collateral: {
        tcb: (json) => {
          for (const level of json['tcbLevels'] as Levels) level.advisoryIDs = ['INTEL-SA-00001'];
        },
      },
    },
  ],
  [
    '23 the QE vouches for another key',
    'EVIDENCE_QE_BINDING',
    {
      quote: { vouched: new Uint8Array(32).fill(1) },
    },
  ],
  [
    '23 upper half set',
    'EVIDENCE_QE_BINDING',
    {
      quote: { editQe: (report) => report.fill(1, 383, 384) },
    },
  ],
  [
    '24 another key, quote re-signed with it',
    'EVIDENCE_QE_BINDING',
    {
      quote: { attestation: otherAttestation, vouched: new Uint8Array(32) },
    },
  ],
  [
    '24 QE report signed by another key',
    'EVIDENCE_SIGNATURE',
    {
      quote: { pckKey: ATTESTATION_KEYS.privateKey },
    },
  ],
  ['25 all zero', 'EVIDENCE_SIGNATURE', { quote: { signature: () => new Uint8Array(64) } }],
  [
    '25 r = s = 1',
    'EVIDENCE_SIGNATURE',
    {
      quote: { signature: (s) => s.map((_, i) => (i === 31 || i === 63 ? 1 : 0)) },
    },
  ],
  [
    '26 a root by name',
    'ENDORSEMENT_ROOT',
    {
      quote: { chain: [pckUnder('v4', strangerCa), strangerCa.der, stranger.der] },
    },
  ],
  [
    '26 the right root beside it',
    'ENDORSEMENT_SIGNATURE',
    {
      quote: { chain: [pckUnder('v4', strangerCa), strangerCa.der, ROOT.der] },
    },
  ],
  ['26 a CA as leaf', 'ENDORSEMENT_USAGE', { quote: { chain: [CA.der, ROOT.der, ROOT.der] } }],
  ['26 one certificate', 'ENDORSEMENT_CHAIN', { quote: { chain: [ROOT.der] } }],
  [
    '26 four certificates',
    'ENDORSEMENT_CHAIN',
    {
      quote: { chain: [pckUnder('v4', CA), CA.der, ROOT.der, ROOT.der] },
    },
  ],
  [
    '26 a leaf without Intel’s extension',
    'ENDORSEMENT_USAGE',
    {
      quote: { chain: [plainLeaf, CA.der, ROOT.der] },
    },
  ],
  [
    '26 a CA that is not for PCKs',
    'ENDORSEMENT_CHAIN',
    {
      quote: { chain: [pckUnder('v4', otherCa), otherCa.der, ROOT.der] },
    },
  ],
  [
    '27 PCK revoked',
    'ENDORSEMENT_REVOKED',
    {
      collateral: { over: { pckCrl: revocationList({ issuer: CA, revoked: [PCK_SERIAL] }) } },
    },
  ],
  [
    '27 CA revoked',
    'ENDORSEMENT_REVOKED',
    {
      collateral: { over: { rootCrl: revocationList({ issuer: ROOT, revoked: [CA_SERIAL] }) } },
    },
  ],
  [
    '27 list of the other CA',
    'CRL_ISSUER',
    {
      collateral: { over: { pckCrl: revocationList({ issuer: processorCa }) } },
    },
  ],
  ['27 no PCK list', 'CRL_MISSING', { collateral: { over: { pckCrl: new Uint8Array() } } }],
  ['27 no root list', 'CRL_MISSING', { collateral: { over: { rootCrl: new Uint8Array() } } }],
  [
    '27 list expired',
    'CRL_STALE',
    {
      collateral: {
        over: { pckCrl: revocationList({ issuer: CA, nextUpdate: '2026-05-01T00:00:00Z' }) },
      },
    },
  ],
  ['28 another vendor', 'EVIDENCE_VENDOR', { quote: header(12, 0) }],
  ['28 key of another kind', 'EVIDENCE_ALGORITHM', { quote: header(2, 3) }],
  ['28 version 2', 'EVIDENCE_VERSION', { quote: header(0, 2) }],
  ['28 version 6', 'EVIDENCE_VERSION', { quote: header(0, 6) }],
  ['28 version 4 of SGX', 'EVIDENCE_TYPE', { quote: header(4, 0) }],
  ['28 version 3 of TDX', 'EVIDENCE_TYPE', { quote: header(0, 3) }],
  ['28 body type 1', 'EVIDENCE_TYPE', { base: 'v5', quote: header(48, 1) }],
  ['28 body type 4', 'EVIDENCE_TYPE', { base: 'v5', quote: header(48, 4) }],
  ['28 body size of another type', 'EVIDENCE_MALFORMED', { base: 'v5', quote: header(48, 2) }],
  ['28 reserved header byte', 'EVIDENCE_RESERVED_BITS', { quote: header(8, 1) }],
  ['29 length beyond the quote', 'EVIDENCE_MALFORMED', { quote: { lie: { all: 1 } } }],
  ['29 certification type 7', 'EVIDENCE_TYPE', { quote: { outerType: 7 } }],
  ['29 certificate type 3', 'EVIDENCE_TYPE', { quote: { innerType: 3 } }],
  ['29 outer size lies', 'EVIDENCE_MALFORMED', { quote: { lie: { outer: -1 } } }],
  ['29 inner size lies', 'EVIDENCE_MALFORMED', { quote: { lie: { inner: -1 } } }],
  [
    '29 bytes after the end',
    'EVIDENCE_TRAILING_BYTES',
    { quote: { tail: new Uint8Array([0, 1]) } },
  ],
  ['30 a service TD', 'EVIDENCE_SERVICE_TD', { base: 'v5', quote: setByte('v5', 600, 1) }],
  ['31 #VE not disabled', 'EVIDENCE_TD_ATTRIBUTES', { quote: tdAttributes(0n) }],
  ['31 PERFMON', 'EVIDENCE_TD_ATTRIBUTES', { quote: tdAttributes(SEPT_VE_DISABLE | (1n << 63n)) }],
  [
    '31 a reserved attribute',
    'EVIDENCE_RESERVED_BITS',
    { quote: tdAttributes(SEPT_VE_DISABLE | 2n) },
  ],
  ['31 seam attributes', 'EVIDENCE_SEAM', { quote: setByte('v4', 112, 1) }],
  ['31 a seam of another signer', 'EVIDENCE_SEAM', { quote: setByte('v4', 64, 1) }],
  ['32 RTMR 1', 'EVIDENCE_MEASUREMENT', { quote: setByte('v4', 376, 0xee) }],
  ['32 RTMR 2', 'EVIDENCE_MEASUREMENT', { quote: setByte('v4', 424, 0xee) }],
  ['32 RTMR 3', 'EVIDENCE_MEASUREMENT', { quote: setByte('v4', 472, 0xee) }],
  ['32 MRTD', 'EVIDENCE_MEASUREMENT', { quote: setByte('v4', 136, 0xee) }],
  ['32 configuration', 'EVIDENCE_CONFIGURATION', { quote: setByte('v4', 184, 1) }],
  ['32 owner', 'EVIDENCE_CONFIGURATION', { quote: setByte('v4', 232, 1) }],
  [
    '32 a log of another machine',
    'EVIDENCE_EVENT_LOG',
    {
      eventLog: vector('tdx/google-cos113-v4/ccel_data.bin'),
    },
  ],
  ['46 report data', 'EVIDENCE_BINDING', { quote: setByte('v4', 583, 1) }],
  ['50 no measurements', 'REFERENCE_MISSING', { reference: { measurements: [] } }],
  ['50 no statuses', 'REFERENCE_MISSING', { reference: { tcb_statuses: [] } }],
  [
    '50 MRTD alone',
    'REFERENCE_MISSING',
    {
      reference: { measurements: [{ mrtd: '11'.repeat(48) } as never] },
    },
  ],
  [
    '50 zeros',
    'REFERENCE_INVALID',
    {
      reference: {
        measurements: [{ ...tdxReference('phala-v4').measurements[0]!, rtmr1: '00'.repeat(48) }],
      },
    },
  ],
];

describe('TDX: one thing wrong', () => {
  it.each(CASES)('%s: %s', (_, code, change) => expect(answer(change)).toBe(code));

  it('an SGX quote to the TDX verifier', () => {
    const run = () =>
      verifyTdx(
        { quote: quoteTwin({ base: 'v3' }) },
        collateralTwin({ base: 'v3' }),
        tdxReference('phala-v4'),
        { reportData: new Uint8Array(64) },
        twinContext(),
      );
    expect(codeOf(run)).toBe('EVIDENCE_TYPE');
  });

  it('27 a genuine quote and lists of another month', () => {
    const reportData = bytesOf(EXPECTED.tdx['phala-v4']!.body['reportData']!)!;
    const collateral = phalaCollateral('tdx/phala-v4/collateral.json');
    const quote = vector('tdx/phala-v4/quote.bin');
    const run = (clock: string) => () =>
      verifyTdx({ quote }, collateral, tdxReference('phala-v4'), { reportData }, at(clock));
    expect(codeOf(run('2025-06-18T00:00:00Z'))).toBe('CRL_FROM_FUTURE');
    expect(codeOf(run('2025-07-19T10:16:02Z'))).toBe('CRL_STALE');
  });
});

describe('SGX: one thing wrong', () => {
  it.each([
    ['19 debug enclave', 'EVIDENCE_DEBUG', setByte('v3', 48, 0x07)],
    ['not initialised', 'EVIDENCE_RESERVED_BITS', setByte('v3', 48, 0x04)],
    ['may use the provisioning key', 'EVIDENCE_RESERVED_BITS', setByte('v3', 48, 0x15)],
    ['configured by the host', 'EVIDENCE_CONFIGURATION', setByte('v3', 192, 1)],
    ['another enclave', 'EVIDENCE_MEASUREMENT', setByte('v3', 64, 1)],
    ['another signer', 'EVIDENCE_MEASUREMENT', setByte('v3', 128, 1)],
    ['another product', 'EVIDENCE_MEASUREMENT', setByte('v3', 256, 1)],
    ['other report data', 'EVIDENCE_BINDING', setByte('v3', 383, 1)],
    [
      'a QE under a debugger',
      'EVIDENCE_QE_DEBUG',
      {
        editQe: (report: Uint8Array) => report.fill(0x17, 48, 49),
      },
    ],
  ] satisfies [string, string, QuoteParts][])('%s: %s', (_, code, quote) => {
    expect(sgxAnswer(quote)).toBe(code);
  });
});

describe('32 event log', () => {
  const log = vector('tdx/google-cos113-v4/ccel_data.bin');
  const rtmrs = EXPECTED.tdx['google-cos113-v4']!.body.rtmr.map((hex) => bytesOf(hex)!);
  const refused = (bytes: Uint8Array): string => codeOf(() => expectReplay(bytes, rtmrs));
  const END = 18_101;

  it('one event dropped, or two exchanged, replay to other registers', () => {
    const events = parseEventLog(log);
    const measured = events.map((e, i) => [e, i] as const).filter(([e]) => e.type !== 3);
    for (const [, i] of measured.slice(0, 10)) {
      expect(replay(events.filter((_, j) => j !== i))).not.toEqual(rtmrs);
    }
    const same = measured.filter(([e]) => e.register === 2);
    const [[, a], [, b]] = same as [[unknown, number], [unknown, number]];
    const swapped = events.with(a, events[b]!).with(b, events[a]!);
    expect(replay(swapped)).not.toEqual(rtmrs);
    expect(replay(events)).toEqual(rtmrs);
  });

  it.each([
    ['nothing', new Uint8Array()],
    ['cut', log.slice(0, END - 1)],
    ['one digest changed', log.map((byte, i) => (i === 110 ? byte ^ 1 : byte))],
    ['something in the unused space', log.map((byte, i) => (i === log.length - 1 ? 0 : byte))],
    ['another header', log.map((byte, i) => (i === 32 ? 0 : byte))],
  ])('%s', (_, bytes) => expect(refused(bytes)).toBe('EVIDENCE_EVENT_LOG'));
});
