/** A plan among its parties on secret shares. */
export { finishRun, runPlan } from './run.ts';
export type { FinishOptions, RunOptions, RunStock } from './run.ts';
export { addTotals, runShard, totalsBytes } from './shard.ts';
export type { ShardOptions } from './shard.ts';
export { openMesh } from './mesh.ts';
export type { Mesh, MeshOptions } from './mesh.ts';
export { runDemand } from './demand.ts';
export type { RunDemand } from './demand.ts';
export { laneBytes, laneSections, makeLaneStock, readLaneStock } from './stock.ts';
export type { LaneDemand, LaneStock } from './stock.ts';
export { dealShards, emptyTable, shardCapacities, shardJoin } from './shards.ts';
export { PAIR_CELLS_MAX, pairCells, planSizes } from './sizes.ts';
export type { PlanSizes } from './sizes.ts';
export { CAPACITY_MAX, PAYLOAD_BYTES_MAX, workSlice } from '../../protocols/psi/index.ts';
export type { Helper, Slice } from '../../protocols/psi/index.ts';
export { setUpOts, wipeSeeds } from '../../protocols/ot/index.ts';
export type { DealtTable } from './shards.ts';
export type { OtSeeds } from '../../protocols/ot/index.ts';
