import { toHex } from '../../core/bytes.ts';
import type { AzureSnpReference, SnpReference, SnpTcb } from '../../policy/index.ts';
import { expectBound, expectOneOf, expectSome } from './references.ts';
import { check, refuse } from './refuse.ts';
import { verifyRaw } from './signed.ts';
import { endorsedTcb, expectEndorser, expectSameChip } from './snp-endorsement.ts';
import type { SnpEndorser } from './snp-endorsement.ts';
import {
  GUEST_POLICY,
  TCB_COMPONENTS,
  isAtLeast,
  parseSnpReport,
  productOfCpuid,
  tcbOf,
  type SnpReport,
} from './snp-report.ts';
import type { Claims, Context, ReportBinding, SnpEndorsements } from './types.ts';

/** A report that AMD's chain proves genuine; what it claims has not been looked at yet. */
export interface GenuineSnpReport {
  readonly report: SnpReport;
  readonly endorser: SnpEndorser;
  readonly reportedTcb: SnpTcb;
}

/**
 * Proves that a report was made by the chip, at the patch level, that its endorsement names.
 *
 * @throws ParleyError as `parseSnpReport`, `expectEndorser`, `expectSameChip`; EVIDENCE_SIGNATURE,
 *   ENDORSEMENT_KEY_KIND, ENDORSEMENT_OTHER_TCB, EVIDENCE_PRODUCT.
 */
export function authenticateSnp(
  bytes: Uint8Array,
  endorsements: SnpEndorsements,
  reference: Pick<SnpReference, 'revocation_list' | 'vlek_providers'>,
  context: Context,
): GenuineSnpReport {
  const report = parseSnpReport(bytes);
  const endorser = expectEndorser(endorsements, reference.revocation_list, context);
  const { leaf, kind, product } = endorser;
  check(report.signingKey === kind, 'ENDORSEMENT_KEY_KIND', 'an endorsement is of another kind');
  const signed = verifyRaw('sha384', report.signed, leaf.key, report.signature);
  check(signed, 'EVIDENCE_SIGNATURE', 'the signature of a report does not verify');
  if (report.cpuid !== null) {
    const [family, model] = report.cpuid;
    const same = productOfCpuid(family, model) === product;
    check(same, 'EVIDENCE_PRODUCT', 'a report is of another product line than its endorsement');
  }
  expectSameChip(endorser, report, reference.vlek_providers);
  const reportedTcb = tcbOf(report.reportedTcb, product);
  const endorsed = endorsedTcb(endorser);
  // The certificate speaks for the reported version; the current one may be ahead of it.
  const same = isAtLeast(reportedTcb, endorsed) && isAtLeast(endorsed, reportedTcb);
  check(same, 'ENDORSEMENT_OTHER_TCB', 'an endorsement is for another patch level');
  return { report, endorser, reportedTcb };
}

function expectGuestPolicy({ policy, vmpl }: SnpReport): void {
  const on = (bit: bigint): boolean => (policy & bit) !== 0n;
  check(on(GUEST_POLICY.reservedOne), 'EVIDENCE_GUEST_POLICY', 'a guest policy is not well formed');
  check(!on(GUEST_POLICY.debug), 'EVIDENCE_DEBUG', 'the guest may be debugged by its host');
  check(!on(GUEST_POLICY.migrationAgent), 'EVIDENCE_MIGRATABLE', 'the guest may be migrated');
  // 0xFFFFFFFF is what a report the host itself asked for would carry.
  check(vmpl === 0, 'EVIDENCE_VMPL', 'a report was not made at VMPL 0');
}

function expectTcb(
  { report, endorser, reportedTcb }: GenuineSnpReport,
  reference: SnpReference | AzureSnpReference,
): void {
  const { product } = endorser;
  const least = reference.min_tcb[product];
  if (least === undefined) {
    const none = Object.keys(reference.min_tcb).length === 0;
    refuse(none ? 'REFERENCE_MISSING' : 'EVIDENCE_PRODUCT', 'the policy allows no such product');
  }
  const needed = TCB_COMPONENTS.filter((c) => c !== 'fmc' || product === 'turin');
  const whole = needed.every((component) => least[component] !== undefined);
  check(whole, 'REFERENCE_MISSING', 'the policy lacks a patch level');
  check(isAtLeast(reportedTcb, least), 'EVIDENCE_TCB_STALE', 'a patch level is below the policy’s');
  const launch = isAtLeast(tcbOf(report.launchTcb, product), least);
  check(launch, 'EVIDENCE_LAUNCH_TCB_STALE', 'the guest was launched at an older patch level');
  const committed = tcbOf(report.committedTcb, product);
  const current = tcbOf(report.currentTcb, product);
  const behind = isAtLeast(committed, reportedTcb) && isAtLeast(current, committed);
  check(behind, 'EVIDENCE_FIRMWARE_ROLLED_BACK', 'the committed firmware is older than reported');
  if (reference.provisional_firmware === 'accepted') return;
  const settled =
    isAtLeast(committed, current) &&
    report.currentFirmware.every((part, i) => part === report.committedFirmware[i]);
  check(settled, 'EVIDENCE_FIRMWARE_PROVISIONAL', 'the firmware may still be rolled back');
}

/** Compares a genuine report with the policy's reference values. */
export function appraiseSnp(
  genuine: GenuineSnpReport,
  reference: SnpReference | AzureSnpReference,
): Claims {
  const { report, endorser, reportedTcb } = genuine;
  expectGuestPolicy(report);
  expectSome(reference.endorsement_keys);
  const allowed = reference.endorsement_keys.includes(endorser.kind);
  check(allowed, 'ENDORSEMENT_KEY_KIND', 'the policy does not accept this kind of endorsement');
  expectTcb(genuine, reference);
  expectOneOf(reference.measurements, report.measurement, 'EVIDENCE_MEASUREMENT');
  const host = toHex(report.hostData) === reference.host_data;
  check(host, 'EVIDENCE_CONFIGURATION', 'the host gave the guest other data at launch');
  return {
    product: endorser.product,
    endorsement_key: endorser.kind,
    report_version: report.version,
    measurement: toHex(report.measurement),
    host_data: toHex(report.hostData),
    report_data: toHex(report.reportData),
    guest_policy: `0x${report.policy.toString(16)}`,
    chip_id: toHex(report.chipId),
    tcb: TCB_COMPONENTS.map((component) => `${component}=${reportedTcb[component] ?? '-'}`),
  };
}

/**
 * Appraises an AMD SEV-SNP attestation report.
 *
 * Model: the chip, its firmware and AMD's key service are honest; the host is not.
 * Source: AMD 56860 (report), 57230 (certificates). Cost: four signature checks.
 *
 * @returns the report's claims, only when everything holds.
 * @throws ParleyError with a code per cause; see verify/README.md.
 */
export function verifySnp(
  evidence: Uint8Array,
  endorsements: SnpEndorsements,
  reference: SnpReference,
  binding: ReportBinding,
  context: Context,
): Claims {
  const genuine = authenticateSnp(evidence, endorsements, reference, context);
  const claims = appraiseSnp(genuine, reference);
  expectBound(genuine.report.reportData, binding.reportData, 64);
  return claims;
}
