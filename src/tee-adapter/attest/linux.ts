import { equalBytes } from '../../core/bytes.ts';
import { asParleyError } from '../../core/errors.ts';
import { parseIntelQuote, parseTdReport } from '../verify/intel-quote.ts';
import { parseSnpReport } from '../verify/snp-report.ts';
import type { IntelCollateral, SnpEndorsements } from '../verify/index.ts';
import type { Attester } from './attester.ts';
import { endorsementsIn } from './cert-table.ts';
import { interfered, tsmReport, unavailable, type TsmOptions } from './tsm.ts';

/** What we asked for is what the report is about: a write that was dropped shows here. */
function expectAbout(reportOf: () => Uint8Array, asked: Uint8Array): void {
  let about: Uint8Array;
  try {
    about = reportOf();
  } catch (error) {
    unavailable('the kernel answered with something that is no report', asParleyError(error));
  }
  if (!equalBytes(about, asked)) interfered('the report is about something else than was asked');
}

export interface SnpAttesterOptions extends TsmOptions {
  /**
   * Where certificates come from when the host has none beside the report, and where the
   * revocation list does: a file the operator keeps, or AMD's service behind somebody's proxy.
   */
  readonly endorse?: (report: Uint8Array) => Promise<SnpEndorsements>;
}

/** Attests an SEV-SNP guest at VMPL 0 through configfs-tsm. */
export function snpAttester(options: SnpAttesterOptions): Attester<'amd-sev-snp'> {
  return {
    tee: 'amd-sev-snp',
    async attest({ reportData }) {
      const { outblob: report, auxblob } = await tsmReport('sev_guest', reportData, options);
      expectAbout(() => parseSnpReport(report).reportData, reportData);
      const endorsements = (await options.endorse?.(report)) ?? endorsementsIn(auxblob);
      if (endorsements === null) unavailable('the host gave no certificates beside the report');
      return { tee: 'amd-sev-snp', report, endorsements };
    },
  };
}

export interface TdxAttesterOptions extends TsmOptions {
  /** Intel's signed collateral for this platform, as current as the policy wants it. */
  readonly collateral: (quote: Uint8Array) => Promise<IntelCollateral>;
  /** The event log of the ACPI table CCEL, for policies that want a replay. */
  readonly eventLog?: () => Promise<Uint8Array>;
}

/** Attests a TDX guest through configfs-tsm. */
export function tdxAttester(options: TdxAttesterOptions): Attester<'intel-tdx'> {
  return {
    tee: 'intel-tdx',
    async attest({ reportData }) {
      const { outblob: quote } = await tsmReport('tdx_guest', reportData, options);
      expectAbout(() => {
        const { body, kind } = parseIntelQuote(quote);
        return kind === 'sgx' ? new Uint8Array() : parseTdReport(body, kind).reportData;
      }, reportData);
      const collateral = await options.collateral(quote);
      const eventLog = await options.eventLog?.();
      return {
        tee: 'intel-tdx',
        quote,
        collateral,
        ...(eventLog === undefined ? {} : { eventLog }),
      };
    },
  };
}
