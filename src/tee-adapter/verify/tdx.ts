import { toHex } from '../../core/bytes.ts';
import type { TdxMeasurement, TdxReference } from '../../policy/index.ts';
import { expectReplay } from './event-log.ts';
import { authenticateQuote } from './intel.ts';
import { expectCollateral } from './intel-collateral.ts';
import { expectPckNotRevoked } from './intel-pck.ts';
import { parseTdReport, type TdReport } from './intel-quote.ts';
import { expectAccepted, moduleOutcome, platformOutcome, qeOutcome } from './intel-tcb.ts';
import { isZero } from './reader.ts';
import { expectBound, expectSome } from './references.ts';
import { check, refuse } from './refuse.ts';
import type { Claims, Context, EvidenceOf, IntelCollateral, ReportBinding } from './types.ts';

/** TD attributes (Intel TDX module ABI): the switches a TD of ours may or must have. */
const TD = {
  debug: 1n << 0n,
  septVeDisable: 1n << 28n,
  migratable: 1n << 29n,
  pks: 1n << 30n,
  keyLocker: 1n << 31n,
  perfmon: 1n << 63n,
} as const;
const TD_DEFINED = Object.values(TD).reduce((all, bit) => all | bit, 0n);
const TD_ALLOWED = TD.septVeDisable | TD.pks;

/**
 * Expects the configuration of a production TD.
 * @throws ParleyError EVIDENCE_DEBUG, EVIDENCE_MIGRATABLE, EVIDENCE_RESERVED_BITS,
 *   EVIDENCE_TD_ATTRIBUTES, EVIDENCE_SEAM, EVIDENCE_SERVICE_TD.
 */
export function expectProductionTd(td: TdReport): void {
  const { attributes } = td;
  check((attributes & TD.debug) === 0n, 'EVIDENCE_DEBUG', 'the TD may be debugged by its host');
  const reserved = (attributes & ~TD_DEFINED) !== 0n;
  check(!reserved, 'EVIDENCE_RESERVED_BITS', 'a reserved TD attribute is set');
  check((attributes & TD.migratable) === 0n, 'EVIDENCE_MIGRATABLE', 'the TD may be migrated');
  // Without it the host can raise #VE on the TD's own pages and steer its handler.
  const veOff = (attributes & TD.septVeDisable) !== 0n && (attributes & ~TD_ALLOWED) === 0n;
  check(veOff, 'EVIDENCE_TD_ATTRIBUTES', 'the TD has other attributes than a production TD');
  const intel = isZero(td.mrSignerSeam) && isZero(td.seamAttributes);
  check(intel, 'EVIDENCE_SEAM', 'the TDX module is not Intel’s production module');
  const alone = td.mrServiceTd === null || isZero(td.mrServiceTd);
  check(alone, 'EVIDENCE_SERVICE_TD', 'a service TD is bound to the TD');
}

function matches(td: TdReport, one: TdxMeasurement): boolean {
  const [rtmr0, rtmr1, rtmr2, rtmr3] = td.rtmrs.map(toHex);
  return (
    toHex(td.mrTd) === one.mrtd &&
    (one.rtmr0 === 'any' || one.rtmr0 === rtmr0) &&
    one.rtmr1 === rtmr1 &&
    one.rtmr2 === rtmr2 &&
    one.rtmr3 === rtmr3
  );
}

/**
 * Compares what is measured with the policy. MRTD alone would accept any operating system behind
 * the same firmware, so kernel and command line (RTMR 1 and 2) are always part of it.
 */
function expectMeasured(td: TdReport, reference: TdxReference): void {
  expectSome(reference.measurements);
  for (const one of reference.measurements) {
    const partial: Partial<TdxMeasurement> = one;
    const values = [partial.mrtd, partial.rtmr0, partial.rtmr1, partial.rtmr2, partial.rtmr3];
    if (values.includes(undefined)) refuse('REFERENCE_MISSING', 'a measurement lacks a register');
    const empty = [one.mrtd, one.rtmr1, one.rtmr2].some((value) => /^0*$/.test(value));
    check(!empty, 'REFERENCE_INVALID', 'a reference value measures nothing');
  }
  const found = reference.measurements.some((one) => matches(td, one));
  check(found, 'EVIDENCE_MEASUREMENT', 'the measurements are none of the reference values');
  const same =
    toHex(td.mrConfigId) === reference.mr_config_id &&
    toHex(td.mrOwner) === reference.mr_owner &&
    toHex(td.mrOwnerConfig) === reference.mr_owner_config;
  check(same, 'EVIDENCE_CONFIGURATION', 'the host configured the TD in another way');
}

/**
 * Appraises an Intel TDX quote, version 4 or 5, with its collateral.
 *
 * Model: the CPU, the TDX module, Intel's quoting enclave and certificate service are honest; the
 * host is not. Source: Intel DCAP quote verification; PCS API v4. Cost: ten signature checks.
 *
 * @throws ParleyError with a code per cause; see verify/README.md.
 */
export function verifyTdx(
  { quote: bytes, eventLog }: Pick<EvidenceOf<'intel-tdx'>, 'quote' | 'eventLog'>,
  collateral: IntelCollateral,
  reference: TdxReference,
  binding: ReportBinding,
  context: Context,
): Claims {
  const { quote, qe, pck } = authenticateQuote(bytes, context);
  if (quote.kind === 'sgx') refuse('EVIDENCE_TYPE', 'a quote is of SGX, not of TDX');
  const td = parseTdReport(quote.body, quote.kind);
  expectProductionTd(td);
  expectPckNotRevoked(pck, collateral, context);
  const least = reference.min_tcb_evaluation;
  const { tcbInfo, qeIdentity } = expectCollateral(collateral, 'TDX', least, context);
  const platform = platformOutcome(tcbInfo, pck.platform, td);
  const module = moduleOutcome(tcbInfo, td);
  const quoting = qeOutcome(qeIdentity, qe);
  const outcomes = [platform, quoting, ...(module === null ? [] : [module])];
  expectAccepted(outcomes, reference.tcb_statuses, reference.advisories_accepted);
  expectMeasured(td, reference);
  if (eventLog !== undefined) expectReplay(eventLog, td.rtmrs);
  expectBound(td.reportData, binding.reportData, 64);
  return {
    quote_version: quote.version,
    fmspc: pck.platform.fmspc,
    tcb_status: platform.tcbStatus,
    module_status: module?.tcbStatus ?? platform.tcbStatus,
    qe_status: quoting.tcbStatus,
    advisories: outcomes.flatMap(({ advisoryIDs }) => advisoryIDs),
    tee_tcb_svn: toHex(td.teeTcbSvn),
    mrtd: toHex(td.mrTd),
    rtmrs: td.rtmrs.map(toHex),
    report_data: toHex(td.reportData),
    event_log: eventLog !== undefined,
  };
}
