// Goal: an Azure guest's chain of report, paravisor, vTPM and PCRs breaks visibly at every link.
import { describe, expect, it } from 'vitest';
import type { AzureSnpReference } from '../../src/policy/index.ts';
import { toHex } from '../../src/core/bytes.ts';
import { verifyAzureSnp } from '../../src/tee-adapter/verify/azure.ts';
import { at, bytesOf, codeOf, snpReference, vector, vectorText } from '../support/tee-vectors.ts';

const PATH = 'sev-snp/azure-milan-v2';
const PCRS = (JSON.parse(vectorText(`${PATH}/tpm-pcrs-sha256.json`)) as string[]).map((hex) =>
  bytesOf(hex)!,
);
const GOOD = {
  hcl: vector(`${PATH}/hcl-report.bin`),
  quote: vector(`${PATH}/tpm-quote.msg`),
  signature: vector(`${PATH}/tpm-quote.sig`),
  pcrs: PCRS,
  endorsements: { leaf: vector(`${PATH}/vcek.der`) },
};
const REFERENCE: AzureSnpReference = {
  ...snpReference('azure-milan-v2'),
  type: 'azure-sev-snp-vtpm',
  pcrs: { '4': toHex(PCRS[4]!) },
};

function answer(
  change: Partial<typeof GOOD>,
  reference: Partial<AzureSnpReference> = {},
  nonce: Uint8Array = Buffer.from('challenge'),
): string {
  const evidence = { ...GOOD, ...change };
  const now = at('2024-01-01T00:00:00Z');
  return codeOf(() => verifyAzureSnp(evidence, { ...REFERENCE, ...reference }, nonce, now));
}

const poke = (bytes: Uint8Array, place: number): Uint8Array =>
  bytes.map((byte, i) => (i === place ? byte ^ 1 : byte));

describe('49 Azure', () => {
  it('as captured: accepted', () => expect(answer({})).toBe('accepted'));

  it.each([
    ['runtime JSON changed', 'EVIDENCE_VTPM', { hcl: poke(GOOD.hcl, 1300) }],
    ['report changed', 'EVIDENCE_SIGNATURE', { hcl: poke(GOOD.hcl, 32 + 0x90) }],
    ['another header', 'EVIDENCE_MALFORMED', { hcl: poke(GOOD.hcl, 0) }],
    ['a TDX report', 'EVIDENCE_TYPE', { hcl: poke(GOOD.hcl, 1224) }],
    ['bytes after the JSON', 'EVIDENCE_TRAILING_BYTES', { hcl: poke(GOOD.hcl, 2500) }],
    ['an HCL blob cut short', 'EVIDENCE_MALFORMED', { hcl: GOOD.hcl.slice(0, 1240) }],
    ['TPM magic', 'EVIDENCE_TYPE', { quote: poke(GOOD.quote, 0) }],
    ['TPM type', 'EVIDENCE_TYPE', { quote: poke(GOOD.quote, 5) }],
    ['TPM nonce changed', 'EVIDENCE_SIGNATURE', { quote: poke(GOOD.quote, 44) }],
    ['TPM signature changed', 'EVIDENCE_SIGNATURE', { signature: poke(GOOD.signature, 7) }],
    ['TPM quote cut', 'EVIDENCE_MALFORMED', { quote: GOOD.quote.slice(0, 60) }],
    [
      'TPM quote extended',
      'EVIDENCE_TRAILING_BYTES',
      { quote: new Uint8Array([...GOOD.quote, 0]) },
    ],
    ['PCR changed', 'EVIDENCE_VTPM', { pcrs: PCRS.map((p, i) => (i === 4 ? poke(p, 0) : p)) }],
    ['PCR missing', 'EVIDENCE_MALFORMED', { pcrs: PCRS.slice(1) }],
  ] as const)('%s: %s', (_, code, change) => expect(answer(change)).toBe(code));

  it('another PCR than the policy’s', () => {
    expect(answer({}, { pcrs: { '4': '11'.repeat(32) } })).toBe('EVIDENCE_MEASUREMENT');
  });
  it('no PCR in the policy', () => expect(answer({}, { pcrs: {} })).toBe('REFERENCE_MISSING'));
  it('44 another nonce', () => {
    expect(answer({}, {}, Buffer.from('challengf'))).toBe('EVIDENCE_NONCE');
  });
  it('44 an empty nonce is nobody’s', () => {
    expect(answer({}, {}, new Uint8Array())).toBe('EVIDENCE_NONCE');
  });
});
