/** A party's own data: files in, units and coded integers in one DuckDB file. */
export { importTable } from './import.ts';
export type { ImportOptions, ImportSummary } from './import.ts';
export { describeFile } from './describe.ts';
export type { DescribedColumn, DescribedFile } from './describe.ts';
export { SOURCE_ENDINGS } from './sources/index.ts';
export { BadRowsError, formatProblem } from './problems.ts';
export type { ImportProblem } from './problems.ts';
export { openStore } from './store.ts';
export type { Store, StoredTable } from './store.ts';
export {
  hashIdentifiers,
  normaliseIdentifier,
  SALT_BYTES,
  unitHasher,
  UNIT_BYTES,
} from './identifiers.ts';
export { IMPORT_LIMITS } from './limits.ts';
export type { ImportLimits } from './limits.ts';
export { readDoubles, visitBlobs, visitChunks } from './chunks.ts';
