import { toHex } from '../../core/bytes.ts';
import type { SgxReference } from '../../policy/index.ts';
import { authenticateQuote } from './intel.ts';
import { expectCollateral } from './intel-collateral.ts';
import { expectPckNotRevoked } from './intel-pck.ts';
import { isSgxDebug, parseSgxReport, type SgxReport } from './intel-quote.ts';
import { expectAccepted, platformOutcome, qeOutcome } from './intel-tcb.ts';
import { isZero } from './reader.ts';
import { expectBound, expectOneOf } from './references.ts';
import { check } from './refuse.ts';
import type { Claims, Context, IntelCollateral, ReportBinding } from './types.ts';

/** Attribute flags a production enclave may have: INIT, MODE64BIT, KSS, AEX-notify. */
const FLAGS_ALLOWED = 0x01 | 0x04 | 0x80 | 0x400;
const FLAG_INIT = 0x01;

/** @throws ParleyError EVIDENCE_DEBUG, EVIDENCE_RESERVED_BITS, EVIDENCE_CONFIGURATION. */
export function expectProductionEnclave(report: SgxReport): void {
  check(!isSgxDebug(report), 'EVIDENCE_DEBUG', 'the enclave may be debugged by its host');
  const flags = new DataView(report.attributes.buffer).getBigUint64(0, true);
  const known = (flags & ~BigInt(FLAGS_ALLOWED)) === 0n && (flags & BigInt(FLAG_INIT)) !== 0n;
  check(known, 'EVIDENCE_RESERVED_BITS', 'an enclave has attributes that are not known');
  // CONFIGID is the host's to choose and not in MRENCLAVE.
  const plain = isZero(report.configId) && report.configSvn === 0;
  check(plain, 'EVIDENCE_CONFIGURATION', 'the host configured the enclave in another way');
}

/**
 * Appraises an Intel SGX quote, version 3, with its collateral.
 *
 * Model and source as `verifyTdx`. Cost: ten signature checks.
 *
 * @throws ParleyError with a code per cause; see verify/README.md.
 */
export function verifySgx(
  evidence: Uint8Array,
  collateral: IntelCollateral,
  reference: SgxReference,
  binding: ReportBinding,
  context: Context,
): Claims {
  const { quote, qe, pck } = authenticateQuote(evidence, context);
  check(quote.kind === 'sgx', 'EVIDENCE_TYPE', 'a quote is of TDX, not of SGX');
  const report = parseSgxReport(quote.body);
  expectProductionEnclave(report);
  expectPckNotRevoked(pck, collateral, context);
  const least = reference.min_tcb_evaluation;
  const { tcbInfo, qeIdentity } = expectCollateral(collateral, 'SGX', least, context);
  const platform = platformOutcome(tcbInfo, pck.platform, null);
  const quoting = qeOutcome(qeIdentity, qe);
  const outcomes = [platform, quoting];
  expectAccepted(outcomes, reference.tcb_statuses, reference.advisories_accepted);
  expectOneOf(reference.mrenclaves, report.mrEnclave, 'EVIDENCE_MEASUREMENT');
  const signer =
    toHex(report.mrSigner) === reference.mrsigner && report.isvProdId === reference.isv_prod_id;
  check(signer, 'EVIDENCE_MEASUREMENT', 'the enclave is of another signer or product');
  check(report.isvSvn >= reference.min_isv_svn, 'EVIDENCE_TCB_STALE', 'the enclave is too old');
  expectBound(report.reportData, binding.reportData, 64);
  return {
    fmspc: pck.platform.fmspc,
    tcb_status: platform.tcbStatus,
    qe_status: quoting.tcbStatus,
    advisories: outcomes.flatMap(({ advisoryIDs }) => advisoryIDs),
    mrenclave: toHex(report.mrEnclave),
    mrsigner: toHex(report.mrSigner),
    isv_svn: report.isvSvn,
    report_data: toHex(report.reportData),
  };
}
