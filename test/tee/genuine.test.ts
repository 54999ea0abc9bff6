// Goal: every piece of genuine evidence in test/vectors/tee gets the answer that expected.json and
// MANIFEST.md give for it, at the clock they give, and every decoded field is the one they list.
import { createHash, X509Certificate } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { toHex } from '../../src/core/bytes.ts';
import { PINNED_ANCHORS } from '../../src/tee-adapter/verify/anchors.ts';
import { verifyAzureSnp } from '../../src/tee-adapter/verify/azure.ts';
import { parseCertificate } from '../../src/tee-adapter/verify/certificate.ts';
import { expectReplay, parseEventLog } from '../../src/tee-adapter/verify/event-log.ts';
import { authenticateQuote } from '../../src/tee-adapter/verify/intel.ts';
import { expectCollateral } from '../../src/tee-adapter/verify/intel-collateral.ts';
import { parseTdReport } from '../../src/tee-adapter/verify/intel-quote.ts';
import { platformOutcome } from '../../src/tee-adapter/verify/intel-tcb.ts';
import { authenticateNitro, verifyNitro } from '../../src/tee-adapter/verify/nitro.ts';
import { verifySgx } from '../../src/tee-adapter/verify/sgx.ts';
import { authenticateSnp, verifySnp } from '../../src/tee-adapter/verify/snp.ts';
import { parseSnpReport, tcbOf } from '../../src/tee-adapter/verify/snp-report.ts';
import { verifyTdx } from '../../src/tee-adapter/verify/tdx.ts';
import {
  EXPECTED,
  at,
  bytesOf,
  codeOf,
  nitroReference,
  phalaCollateral,
  sgxReference,
  sharedCollateral,
  snpReference,
  snpVector,
  tdxReference,
  vector,
  vectorText,
} from '../support/tee-vectors.ts';

describe('pinned roots', () => {
  const fingerprint = (der: Uint8Array): string => createHash('sha256').update(der).digest('hex');
  const { amd, intel, aws } = PINNED_ANCHORS;
  it.each([
    ['amd-ark-milan', amd.milan.ark],
    ['amd-ark-genoa', amd.genoa.ark],
    ['amd-ark-turin', amd.turin.ark],
    ['intel-sgx-root', intel],
    ['aws-nitro-g1', aws],
  ])('%s has the fingerprint of the manifest', (name, root) => {
    expect(fingerprint(root.der)).toBe(EXPECTED.roots[name]!.sha256);
  });
  it.each(['milan', 'genoa', 'turin'] as const)('%s: ASK and ASVK are under the ARK', (product) => {
    const { ark, ask, asvk } = amd[product];
    const root = new X509Certificate(Buffer.from(ark.der));
    for (const one of [ask, asvk]) {
      expect(new X509Certificate(Buffer.from(one.der)).verify(root.publicKey)).toBe(true);
    }
    const pem = (kind: string): string =>
      vectorText(`sev-snp/roots/${kind}_${product}_${kind === 'ask_ark' ? 'vcek' : 'vlek'}.pem`);
    for (const [kind, one] of [
      ['ask_ark', ask],
      ['asvk_ark', asvk],
    ] as const) {
      const first = new X509Certificate(pem(kind));
      expect(new Uint8Array(first.raw)).toEqual(one.der);
    }
  });
});

/** The answer for each vector inside its certificate's life. */
const SNP_ANSWERS: Readonly<Record<string, string>> = {
  'google-milan-v2': 'EVIDENCE_DEBUG',
  'virtee-milan-v2': 'accepted',
  'coco-milan-v2': 'accepted',
  'coco-milan-v2+vcek-INVALID-legacy': 'ENDORSEMENT_SIGNATURE',
  'coco-milan-v2+vcek-INVALID-new': 'ENDORSEMENT_SIGNATURE',
  'coco-milan-vlek': 'EVIDENCE_VMPL',
  'ms-milan': 'accepted',
  'ms-genoa': 'accepted',
  'azure-milan-v2': 'accepted',
  'azure-milan-v2+vcek-OTHER-CHIP': 'EVIDENCE_SIGNATURE',
};

describe('AMD SEV-SNP', () => {
  it('answers for every vector there is', () => {
    expect(Object.keys(SNP_ANSWERS)).toEqual(Object.keys(EXPECTED.snp));
  });

  it.each(Object.entries(SNP_ANSWERS))('%s: %s', (name, answer) => {
    const { report, endorsements, expected } = snpVector(name);
    const day = new Date(Date.parse(expected.certNotBefore) + 86_400_000).toISOString();
    const binding = { reportData: bytesOf(expected.report.reportData)! };
    const run = () => verifySnp(report, endorsements, snpReference(name), binding, at(day));
    expect(codeOf(run)).toBe(answer);
    const { signature, chain } = expected.checks;
    const genuine = () => authenticateSnp(report, endorsements, snpReference(name), at(day));
    expect(codeOf(genuine) === 'accepted').toBe(signature === true && chain === true);
  });

  it.each(Object.keys(EXPECTED.snp))('%s: decodes as listed', (name) => {
    const { report, expected } = snpVector(name);
    const listed = expected.report;
    const decoded = parseSnpReport(report);
    const firmware = (text: string): number[] => text.split('.').map(Number);
    expect({
      version: decoded.version,
      policy: `0x${decoded.policy.toString(16)}`,
      vmpl: decoded.vmpl,
      signingKey: decoded.signingKey.toUpperCase(),
      maskChipKey: decoded.chipMasked,
      reportData: toHex(decoded.reportData),
      measurement: toHex(decoded.measurement),
      hostData: toHex(decoded.hostData),
      chipId: toHex(decoded.chipId),
      cpuidFamModStep: decoded.cpuid === null ? null : toHex(new Uint8Array(decoded.cpuid)),
      currentTcb: tcbOf(decoded.currentTcb, expected.product),
      reportedTcb: tcbOf(decoded.reportedTcb, expected.product),
      committedTcb: tcbOf(decoded.committedTcb, expected.product),
      launchTcb: tcbOf(decoded.launchTcb, expected.product),
    }).toEqual({
      version: listed.version,
      policy: listed.policy,
      vmpl: listed.vmpl,
      signingKey: listed.signingKey,
      maskChipKey: listed.maskChipKey,
      reportData: listed.reportData,
      measurement: listed.measurement,
      hostData: listed.hostData,
      chipId: listed.chipId,
      cpuidFamModStep: listed.cpuidFamModStep,
      currentTcb: listed.currentTcb,
      reportedTcb: listed.reportedTcb,
      committedTcb: listed.committedTcb,
      launchTcb: listed.launchTcb,
    });
    expect([...decoded.currentFirmware]).toEqual(firmware(listed.currentFw));
    expect([...decoded.committedFirmware]).toEqual(firmware(listed.committedFw));
  });

  it.each(Object.keys(EXPECTED.snp))('%s: the certificate lives as listed', (name) => {
    const { endorsements, expected } = snpVector(name);
    const { notBeforeMs, notAfterMs } = parseCertificate(endorsements.leaf);
    expect(notBeforeMs).toBe(Date.parse(expected.certNotBefore));
    expect(notAfterMs).toBe(Date.parse(expected.certNotAfter));
  });

  it('an Azure guest: report, paravisor, vTPM quote and PCRs hang together', () => {
    const path = 'sev-snp/azure-milan-v2';
    const pcrs = (JSON.parse(vectorText(`${path}/tpm-pcrs-sha256.json`)) as string[]).map((hex) =>
      bytesOf(hex)!,
    );
    const evidence = {
      hcl: vector(`${path}/hcl-report.bin`),
      quote: vector(`${path}/tpm-quote.msg`),
      signature: vector(`${path}/tpm-quote.sig`),
      pcrs,
      endorsements: { leaf: vector(`${path}/vcek.der`) },
    };
    const reference = {
      ...snpReference('azure-milan-v2'),
      type: 'azure-sev-snp-vtpm',
      pcrs: { '4': toHex(pcrs[4]!), '9': toHex(pcrs[9]!) },
    } as const;
    const now = at('2024-01-01T00:00:00Z');
    const claims = verifyAzureSnp(evidence, reference, Buffer.from('challenge'), now);
    expect(claims['pcrs']).toHaveLength(24);
  });
});

describe('Intel TDX', () => {
  const quoteOf = (name: string): Uint8Array => vector(`tdx/${name}/quote.bin`);

  it.each(Object.keys(EXPECTED.tdx))('%s: signatures, chain, root and fields as listed', (name) => {
    const listed = EXPECTED.tdx[name]!;
    const { quote, qe, pck } = authenticateQuote(quoteOf(name), at(listed.pck.notBefore));
    expect([quote.version, quote.kind]).toEqual([listed.version, listed.bodyType]);
    const { platform, issuer } = pck;
    expect({
      ca: issuer.subjectCommonName,
      serial: platform.certificate.serial,
      fmspc: platform.fmspc,
      pceid: platform.pceid,
      pcesvn: platform.pcesvn,
      tcbComponents: platform.components,
    }).toEqual({
      ca: listed.pck.ca,
      serial: listed.pck.serial.toLowerCase(),
      fmspc: listed.pck.fmspc,
      pceid: listed.pck.pceid,
      pcesvn: listed.pck.pcesvn,
      tcbComponents: listed.pck.tcbComponents,
    });
    expect(toHex(qe.mrSigner)).toBe(listed.qeReport['mrSigner']);
    expect(qe.isvSvn).toBe(listed.qeReport['isvSvn']);
    const td = parseTdReport(quote.body, quote.kind as 'td10' | 'td15');
    expect(toHex(td.mrTd)).toBe(listed.body['mrTd']);
    expect(toHex(td.teeTcbSvn)).toBe(listed.body['teeTcbSvn']);
    expect(toHex(td.reportData)).toBe(listed.body['reportData']);
    expect(td.rtmrs.map(toHex)).toEqual(listed.body.rtmr);
    expect((td.attributes & 1n) === 1n).toBe(listed.body.debug);
  });

  const collaterals = {
    phala: phalaCollateral('tdx/phala-v4/collateral.json'),
    '90c06f000000': sharedCollateral('tdx/collateral/tcb_info_90c06f000000.json'),
    '50806f000000': sharedCollateral('tdx/collateral/tcb_info_50806f000000.json'),
    // The same platform's TCB info of February, which ended on 2026-03-03.
    february: sharedCollateral('tdx/google-v5/tcb_info.json'),
  };
  it.each([
    ['phala-v4', 'phala', '2025-06-25T00:00:00Z', 'accepted'],
    ['phala-v4', 'phala', '2025-08-01T00:00:00Z', 'CRL_STALE'],
    ['google-v5', '90c06f000000', '2026-03-20T00:00:00Z', 'accepted'],
    ['google-v5', 'february', '2026-03-20T00:00:00Z', 'COLLATERAL_STALE'],
    ['coco-v4', '50806f000000', '2026-03-20T00:00:00Z', 'EVIDENCE_DEBUG'],
    // No collateral was kept for this platform; that of another one is refused.
    ['automata-v4', '90c06f000000', '2026-03-20T00:00:00Z', 'COLLATERAL_OTHER_PLATFORM'],
    ['google-cos113-v4', '90c06f000000', '2026-03-20T00:00:00Z', 'COLLATERAL_OTHER_PLATFORM'],
  ] as const)('%s with collateral %s at %s: %s', (name, which, clock, answer) => {
    const binding = { reportData: bytesOf(EXPECTED.tdx[name]!.body['reportData']!)! };
    const reference = tdxReference(name);
    const evidence = { quote: quoteOf(name) };
    const run = () => verifyTdx(evidence, collaterals[which], reference, binding, at(clock));
    expect(codeOf(run)).toBe(answer);
    if (answer === 'accepted') expect(run()['tcb_status']).toBe('UpToDate');
  });

  it('coco-v4: the platform is out of date too', () => {
    const now = at('2026-03-20T00:00:00Z');
    const { quote, pck } = authenticateQuote(quoteOf('coco-v4'), now);
    const { tcbInfo } = expectCollateral(collaterals['50806f000000'], 'TDX', 1, now);
    const td = parseTdReport(quote.body, 'td10');
    const { tcbStatus } = platformOutcome(tcbInfo, pck.platform, td);
    expect(tcbStatus).toBe(EXPECTED.tdx['coco-v4']!.appraisal!.tcbStatus);
  });

  it('google-cos113-v4: 43 events replay to the four registers', () => {
    const log = vector('tdx/google-cos113-v4/ccel_data.bin');
    expect(parseEventLog(log)).toHaveLength(43);
    expectReplay(
      log,
      EXPECTED.tdx['google-cos113-v4']!.body.rtmr.map((hex) => bytesOf(hex)!),
    );
  });
});

describe('Intel SGX', () => {
  const binding = (name: string) => ({
    reportData: bytesOf(EXPECTED.sgx[name]!.body['reportData']!)!,
  });
  const collateral = phalaCollateral('sgx/phala-v3/collateral.json');

  it('phala-v3: ConfigurationAndSWHardeningNeeded with two advisories', () => {
    const quote = vector('sgx/phala-v3/quote.bin');
    const now = at('2025-06-25T00:00:00Z');
    const claims = verifySgx(quote, collateral, sgxReference('phala-v3'), binding('phala-v3'), now);
    const { tcbStatus, advisories } = EXPECTED.sgx['phala-v3']!.appraisal!;
    expect([claims['tcb_status'], claims['advisories']]).toEqual([tcbStatus, advisories]);
  });

  it('occlum-v3: a genuine debug enclave', () => {
    const quote = vector('sgx/occlum-v3/quote.bin');
    const now = at('2025-06-25T00:00:00Z');
    expect(codeOf(() => authenticateQuote(quote, now))).toBe('accepted');
    const reference = sgxReference('occlum-v3');
    const run = () => verifySgx(quote, collateral, reference, binding('occlum-v3'), now);
    expect(codeOf(run)).toBe('EVIDENCE_DEBUG');
  });
});

describe('AWS Nitro', () => {
  it.each(Object.keys(EXPECTED.nitro))('%s', (name) => {
    const expected = EXPECTED.nitro[name]!;
    const bytes = vector(`nitro/${name}`);
    const now = at(expected.timestamp);
    const document = authenticateNitro(bytes, now);
    expect(document.moduleId).toBe(expected.moduleId);
    expect(document.timestampMs).toBe(expected.timestampMs);
    const pcrs = Object.fromEntries([...document.pcrs].map(([i, pcr]) => [i, toHex(pcr)]));
    expect(pcrs).toEqual(expected.pcrs);
    const binding = {
      userData: bytesOf(expected.userData),
      nonce: bytesOf(expected.nonce),
      publicKey: bytesOf(expected.publicKey),
    };
    const run = () => verifyNitro(bytes, nitroReference(name), binding, now);
    expect(codeOf(run)).toBe(expected.debugMode ? 'EVIDENCE_DEBUG' : 'accepted');
    const [, end] = expected.chainWindow.split('..') as [string, string];
    const late = { ...nitroReference(name), max_age_s: 10 ** 9 };
    const after = at(new Date(Date.parse(end) + 1000).toISOString());
    expect(codeOf(() => verifyNitro(bytes, late, binding, after))).toBe('ENDORSEMENT_EXPIRED');
  });

  it('the corrupt document as published', () => {
    const bytes = vector('nitro/base-2026-bf-CORRUPT-as-published.bin');
    const now = at('2026-01-03T20:41:07Z');
    expect(codeOf(() => authenticateNitro(bytes, now))).toBe('EVIDENCE_MALFORMED');
  });
});
