/** Making evidence: SEV-SNP and TDX through configfs-tsm, Nitro through a helper, simulated. */
export type { AnyAttester, Attester } from './attester.ts';
export { COLLATERAL_FILE_BYTES_MAX, loadCollateral } from './collateral.ts';
export type { CollateralFile } from './collateral.ts';
export { snpAttester, tdxAttester } from './linux.ts';
export type { SnpAttesterOptions, TdxAttesterOptions } from './linux.ts';
export { nitroAttester, nsmHelper } from './nsm.ts';
export type { Nsm } from './nsm.ts';
export { simulatedAttester } from './simulated.ts';
export type { SimulatedOptions } from './simulated.ts';
export { TSM_ROOT } from './tsm.ts';
export { nodeTsmIo } from './tsm-io.ts';
export type { TsmIo } from './tsm-io.ts';
