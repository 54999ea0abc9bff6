// Goal: whatever bytes arrive, the answer is a refusal with a code; no flip, cut or addition in
// genuine evidence is accepted, and no decoder throws anything but a ParleyError.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readCbor } from '../../src/tee-adapter/verify/cbor.ts';
import { parseCertificate, parsePemChain } from '../../src/tee-adapter/verify/certificate.ts';
import { parseCrl } from '../../src/tee-adapter/verify/crl.ts';
import { parseEventLog } from '../../src/tee-adapter/verify/event-log.ts';
import { parseIntelQuote } from '../../src/tee-adapter/verify/intel-quote.ts';
import { verifyNitro } from '../../src/tee-adapter/verify/nitro.ts';
import { parseNitroDocument } from '../../src/tee-adapter/verify/nitro-document.ts';
import { parseSnpReport } from '../../src/tee-adapter/verify/snp-report.ts';
import { verifySnp } from '../../src/tee-adapter/verify/snp.ts';
import { verifyTdx } from '../../src/tee-adapter/verify/tdx.ts';
import type { IntelCollateral } from '../../src/tee-adapter/verify/types.ts';
import {
  EXPECTED,
  at,
  bytesOf,
  codeOf,
  nitroReference,
  phalaCollateral,
  snpReference,
  snpVector,
  tdxReference,
  vector,
} from '../support/tee-vectors.ts';

const RUNS = { numRuns: 150 };

/** Genuine evidence as one byte string that may be damaged anywhere below `signedEnd`. */
interface Subject {
  readonly name: string;
  readonly bytes: Uint8Array;
  /** Bytes from here on are not under a signature: PEM line breaks, padding. */
  readonly flipEnd: number;
  readonly verify: (bytes: Uint8Array) => unknown;
}

const genoa = snpVector('ms-genoa');
const snpBinding = { reportData: bytesOf(genoa.expected.report.reportData)! };
const snpNow = at('2026-06-01T00:00:00Z');

const tdxQuote = vector('tdx/phala-v4/quote.bin');
const tdxBinding = { reportData: bytesOf(EXPECTED.tdx['phala-v4']!.body['reportData']!)! };
const tdxCollateral = phalaCollateral('tdx/phala-v4/collateral.json');
const tdxNow = at('2025-06-25T00:00:00Z');
const tdx = (quote: Uint8Array, over: Partial<IntelCollateral> = {}) =>
  verifyTdx({ quote }, { ...tdxCollateral, ...over }, tdxReference('phala-v4'), tdxBinding, tdxNow);
const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1');

const cape = EXPECTED.nitro['cape-js-2022-0.cose']!;
const nitroBinding = {
  userData: bytesOf(cape.userData),
  nonce: bytesOf(cape.nonce),
  publicKey: bytesOf(cape.publicKey),
};

const whole = (bytes: Uint8Array) => ({ bytes, flipEnd: bytes.length });
const latin1 = (value: string): Uint8Array => Uint8Array.from(Buffer.from(value, 'latin1'));

const SUBJECTS: readonly Subject[] = [
  {
    name: 'an SNP report',
    ...whole(genoa.report),
    verify: (report) =>
      verifySnp(report, genoa.endorsements, snpReference('ms-genoa'), snpBinding, snpNow),
  },
  {
    name: 'a VCEK',
    ...whole(genoa.endorsements.leaf),
    verify: (leaf) =>
      verifySnp(
        genoa.report,
        { ...genoa.endorsements, leaf },
        snpReference('ms-genoa'),
        snpBinding,
        snpNow,
      ),
  },
  {
    name: 'an ASK',
    ...whole(genoa.endorsements.intermediate!),
    verify: (intermediate) =>
      verifySnp(
        genoa.report,
        { ...genoa.endorsements, intermediate },
        snpReference('ms-genoa'),
        snpBinding,
        snpNow,
      ),
  },
  // Header, body, signature, key, QE report with its signature and data; then comes the PEM chain.
  { name: 'a TDX quote', bytes: tdxQuote, flipEnd: 636 + 128 + 6 + 450 + 32, verify: tdx },
  {
    name: 'TCB info',
    ...whole(latin1(tdxCollateral.tcbInfo)),
    verify: (bytes) => tdx(tdxQuote, { tcbInfo: text(bytes) }),
  },
  {
    name: 'a QE identity',
    ...whole(latin1(tdxCollateral.qeIdentity)),
    verify: (bytes) => tdx(tdxQuote, { qeIdentity: text(bytes) }),
  },
  {
    name: 'a revocation list',
    ...whole(tdxCollateral.pckCrl),
    verify: (pckCrl) => tdx(tdxQuote, { pckCrl }),
  },
  {
    name: 'a Nitro document',
    ...whole(vector('nitro/cape-js-2022-0.cose')),
    verify: (bytes) =>
      verifyNitro(bytes, nitroReference('cape-js-2022-0.cose'), nitroBinding, at(cape.timestamp)),
  },
];

const CODE = /^(EVIDENCE|ENDORSEMENT|CRL|COLLATERAL)_/;

describe.each(SUBJECTS)('$name', ({ bytes, flipEnd, verify }) => {
  it('is accepted as it is', () => expect(codeOf(() => verify(bytes))).toBe('accepted'));

  it('is refused with any byte changed', () => {
    const place = fc.integer({ min: 0, max: flipEnd - 1 });
    const run = (i: number, mask: number): void => {
      const damaged = bytes.slice();
      damaged[i]! ^= mask;
      expect(codeOf(() => verify(damaged))).toMatch(CODE);
    };
    fc.assert(fc.property(place, fc.integer({ min: 1, max: 255 }), run), RUNS);
  });

  it('is refused when cut, or when non-zero bytes are added', () => {
    const cut = fc.integer({ min: 0, max: flipEnd - 1 }).map((n) => bytes.slice(0, n));
    const added = fc
      .uint8Array({ minLength: 1, maxLength: 64 })
      .filter((tail) => tail.some((byte) => byte !== 0))
      .map((tail) => Uint8Array.from([...bytes, ...tail]));
    const run = (damaged: Uint8Array): void => {
      expect(codeOf(() => verify(damaged))).toMatch(CODE);
    };
    fc.assert(fc.property(fc.oneof(cut, added), run), RUNS);
  });
});

describe('random bytes', () => {
  const PARSERS: readonly (readonly [string, (bytes: Uint8Array) => unknown])[] = [
    ['certificate', parseCertificate],
    ['PEM chain', (bytes) => parsePemChain(text(bytes))],
    ['revocation list', parseCrl],
    ['SNP report', parseSnpReport],
    ['quote', parseIntelQuote],
    ['event log', parseEventLog],
    ['CBOR', readCbor],
    ['Nitro document', parseNitroDocument],
  ];
  it.each(PARSERS)('%s', (_, parse) => {
    const run = (bytes: Uint8Array): void => {
      expect(codeOf(() => parse(bytes))).not.toMatch(/^UNTYPED/);
    };
    const shaped = fc
      .tuple(
        fc.constantFrom(...SUBJECTS),
        fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 8 }),
      )
      .map(([subject, edits]) => {
        const bytes = subject.bytes.slice();
        for (const [i, value] of edits) bytes[i % bytes.length] = value;
        return bytes;
      });
    fc.assert(fc.property(fc.oneof(fc.uint8Array({ maxLength: 2000 }), shaped), run), {
      numRuns: 400,
    });
  });
});
