import { loadCollateral } from '../attest/index.ts';
import { parseCrl } from '../verify/crl.ts';
import { PINNED_ANCHORS, type IntelCollateral, type TrustAnchors } from '../verify/index.ts';
import { expectCollateral } from '../verify/intel-collateral.ts';
import { check } from '../verify/refuse.ts';

/** When, and by whose roots, an operator looks at collateral. */
export interface CollateralTime {
  readonly nowMs: number;
  readonly anchors?: TrustAnchors;
}

/** Any evaluation number: what is least is the policy's to say. */
const ANY = 0;

/** Signatures and dates of all six parts, without the quote that they are for. */
function expectCurrent(
  collateral: IntelCollateral,
  { nowMs, anchors = PINNED_ANCHORS }: CollateralTime,
): void {
  const { rootCrl, pckCrl } = collateral;
  const both = rootCrl.length > 0 && pckCrl.length > 0;
  check(both, 'CRL_MISSING', 'a revocation list of the PCK chain is missing');
  // Which CA it is of, and so its signature, shows with a quote.
  const { thisUpdateMs, nextUpdateMs } = parseCrl(pckCrl);
  check(
    thisUpdateMs <= nowMs,
    'CRL_FROM_FUTURE',
    'the list of PCK certificates is from the future',
  );
  check(nowMs < nextUpdateMs, 'CRL_STALE', 'the list of PCK certificates has expired');
  expectCollateral(collateral, 'TDX', ANY, { nowMs, anchors });
}

/**
 * Reads an operator's file of Intel's collateral for one enclave, and refuses what every party would
 * refuse: so a file that has aged is found by whoever keeps it. Whether it is of this platform shows
 * with the quote alone; parties check all of it again.
 *
 * @returns the bytes of the file, as an enclave takes them.
 * @throws ParleyError of `loadCollateral` and `expectCollateral`; CRL_*.
 */
export async function currentCollateral(path: string, at: CollateralTime): Promise<Uint8Array> {
  const { bytes, collateral } = await loadCollateral(path);
  expectCurrent(collateral, at);
  return bytes;
}
