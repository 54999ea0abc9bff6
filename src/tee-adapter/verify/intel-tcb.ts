import { fromHex, toHex } from '../../core/bytes.ts';
import { INTEL_STATUSES } from '../../policy/index.ts';
import type { SgxReport, TdReport } from './intel-quote.ts';
import type { IsvLevel, QeIdentity, TcbInfo } from './intel-collateral.ts';
import type { PckPlatform } from './intel-pck.ts';
import { expectSome } from './references.ts';
import { check, refuse } from './refuse.ts';

/** What Intel says about one part of a platform. */
export interface TcbOutcome {
  readonly tcbStatus: string;
  readonly advisoryIDs: readonly string[];
}

function reaches(actual: readonly number[], least: readonly { svn: number }[], from = 0): boolean {
  return least.every(({ svn }, i) => i < from || actual[i]! >= svn);
}

/**
 * The first level of the TCB info that the platform reaches, in Intel's order.
 *
 * For a TD whose module has a version (tee_tcb_svn[1] above 0) the module's own two components are
 * judged by its identity instead. Source: Intel SGX PCS API, "Determining the TCB status".
 *
 * @throws ParleyError COLLATERAL_OTHER_PLATFORM, EVIDENCE_TCB_NO_LEVEL.
 */
export function platformOutcome(
  info: TcbInfo,
  platform: PckPlatform,
  td: TdReport | null,
): TcbOutcome {
  const same = info.fmspc === platform.fmspc && info.pceId === platform.pceid;
  check(same, 'COLLATERAL_OTHER_PLATFORM', 'TCB info is for another platform');
  const level = info.tcbLevels.find(({ tcb }) => {
    if (!reaches(platform.components, tcb.sgxtcbcomponents)) return false;
    if (platform.pcesvn < tcb.pcesvn) return false;
    if (td === null) return true;
    if (tcb.tdxtcbcomponents === undefined) return false;
    const from = td.teeTcbSvn[1]! > 0 ? 2 : 0;
    return reaches([...td.teeTcbSvn], tcb.tdxtcbcomponents, from);
  });
  if (level === undefined) refuse('EVIDENCE_TCB_NO_LEVEL', 'the platform reaches no TCB level');
  return level;
}

function isvOutcome(levels: readonly IsvLevel[], svn: number): TcbOutcome {
  const level = levels.find(({ tcb }) => svn >= tcb.isvsvn);
  if (level === undefined) refuse('EVIDENCE_TCB_NO_LEVEL', 'an enclave reaches no TCB level');
  return level;
}

/** `actual & mask` equals `expected & mask`; bytes in memory order, as Intel prints them. */
function masked(actual: Uint8Array, expected: string, mask: string): boolean {
  const want = fromHex(expected, actual.length);
  const bits = fromHex(mask, actual.length);
  return actual.every((byte, i) => (byte & bits[i]!) === (want[i]! & bits[i]!));
}

/**
 * Judges the TDX module by the identity of its version; a module of version 0 has none of its own.
 * @returns null when the platform's level already covers the module.
 * @throws ParleyError EVIDENCE_MODULE, EVIDENCE_TCB_NO_LEVEL.
 */
export function moduleOutcome(info: TcbInfo, td: TdReport): TcbOutcome | null {
  const [svn, version] = td.teeTcbSvn;
  const id = `TDX_${version!.toString(16).toUpperCase().padStart(2, '0')}`;
  const versioned = info.tdxModuleIdentities.find((one) => one.id === id);
  const identity = version === 0 ? info.tdxModule : versioned;
  if (identity === undefined) refuse('EVIDENCE_MODULE', 'Intel names no such TDX module');
  const same =
    toHex(td.mrSignerSeam) === identity.mrsigner &&
    masked(td.seamAttributes, identity.attributes, identity.attributesMask);
  check(same, 'EVIDENCE_MODULE', 'the TDX module is not the one Intel names');
  return version === 0 ? null : isvOutcome(versioned!.tcbLevels, svn!);
}

/**
 * Judges the quoting enclave by its signed identity.
 * @throws ParleyError EVIDENCE_QE_DEBUG, EVIDENCE_QE_IDENTITY, EVIDENCE_TCB_NO_LEVEL.
 */
export function qeOutcome(identity: QeIdentity, qe: SgxReport): TcbOutcome {
  check((qe.attributes[0]! & 2) === 0, 'EVIDENCE_QE_DEBUG', 'the quoting enclave may be debugged');
  const same =
    toHex(qe.mrSigner) === identity.mrsigner &&
    qe.isvProdId === identity.isvprodid &&
    masked(qe.miscSelect, identity.miscselect, identity.miscselectMask) &&
    masked(qe.attributes, identity.attributes, identity.attributesMask);
  check(same, 'EVIDENCE_QE_IDENTITY', 'the quoting enclave is not the one Intel names');
  return isvOutcome(identity.tcbLevels, qe.isvSvn);
}

const REFUSED: Readonly<Record<string, 'EVIDENCE_TCB_STALE' | 'EVIDENCE_TCB_REVOKED'>> = {
  OutOfDate: 'EVIDENCE_TCB_STALE',
  OutOfDateConfigurationNeeded: 'EVIDENCE_TCB_STALE',
  Revoked: 'EVIDENCE_TCB_REVOKED',
};

/**
 * Expects statuses and advisories the policy accepts. OutOfDate and Revoked are never accepted,
 * whatever the policy says.
 * @throws ParleyError EVIDENCE_TCB_STALE, EVIDENCE_TCB_REVOKED, EVIDENCE_TCB_UNKNOWN,
 *   EVIDENCE_TCB_STATUS, EVIDENCE_ADVISORY, REFERENCE_MISSING.
 */
export function expectAccepted(
  outcomes: readonly TcbOutcome[],
  statuses: readonly string[],
  advisories: readonly string[],
): void {
  expectSome(statuses);
  for (const { tcbStatus, advisoryIDs } of outcomes) {
    if (Object.hasOwn(REFUSED, tcbStatus)) {
      refuse(REFUSED[tcbStatus]!, 'the platform is out of date or revoked');
    }
    const known = INTEL_STATUSES.some((status) => status === tcbStatus);
    check(known, 'EVIDENCE_TCB_UNKNOWN', 'the platform has a status nobody knows');
    const accepted = statuses.includes(tcbStatus);
    check(accepted, 'EVIDENCE_TCB_STATUS', 'the platform has a status the policy omits');
    const open = advisoryIDs.every((id) => advisories.includes(id));
    check(open, 'EVIDENCE_ADVISORY', 'an advisory is open that the policy does not accept');
  }
}
