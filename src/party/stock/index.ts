/** Correlations made ahead of a query, encrypted on disk, each used once. */
export { Stock } from './stock.ts';
export type { StockOptions, TakenBatch } from './stock.ts';
export { prepareRun } from './prepare.ts';
export { seedsOf, takeBatch } from './use.ts';
