/** A company's node: its data, its ledger, its half of every query. */
export { Ledger } from './ledger/index.ts';
export type { ListenAddress } from './links.ts';
export { expectOwnKeys, startParty } from './node.ts';
export type { PartyNode, PartyOptions } from './node.ts';
export { SOFTWARE } from './release.ts';
export {
  describeFile,
  formatProblem,
  importTable,
  openStore,
  SOURCE_ENDINGS,
} from './store/index.ts';
export type { DescribedFile, ImportProblem, ImportSummary } from './store/index.ts';
