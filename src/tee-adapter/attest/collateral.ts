import { ParleyError } from '../../core/errors.ts';
import { parseJsonStrict } from '../../policy/index.ts';
import { collateralFromJson } from '../evidence-json.ts';
import type { IntelCollateral } from '../verify/index.ts';
import { nodeTsmIo } from './tsm-io.ts';

/**
 * LOCAL. Longest file of Intel's collateral: with a quote it must fit the evidence of a record
 * (640 KiB). Real collateral has some 20 KiB.
 */
export const COLLATERAL_FILE_BYTES_MAX = 384 * 1024;

/** Collateral as an operator keeps it, and the very bytes of its file. */
export interface CollateralFile {
  readonly bytes: Uint8Array;
  readonly collateral: IntelCollateral;
}

/**
 * Reads a file of Intel's collateral, in the JSON form that evidence carries it in (docs/tee.md).
 * Nothing in it is believed here: it is signed by Intel, and whoever appraises evidence checks it.
 *
 * @throws ParleyError COLLATERAL_MISSING (no such file), INPUT_TOO_LARGE, COLLATERAL_MALFORMED.
 */
export async function loadCollateral(path: string): Promise<CollateralFile> {
  let bytes: Uint8Array | null;
  try {
    bytes = await nodeTsmIo.read(path, COLLATERAL_FILE_BYTES_MAX);
  } catch (error) {
    throw new ParleyError('COLLATERAL_MISSING', 'the collateral file cannot be read', {}, error);
  }
  if (bytes === null) {
    const most = `${COLLATERAL_FILE_BYTES_MAX} bytes`;
    throw new ParleyError('INPUT_TOO_LARGE', `the collateral file is longer than ${most}`);
  }
  const limits = { bytesMax: COLLATERAL_FILE_BYTES_MAX, code: 'COLLATERAL_MALFORMED' } as const;
  return { bytes, collateral: collateralFromJson(parseJsonStrict(bytes, limits)) };
}
