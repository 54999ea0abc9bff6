/** Circuit join (private set intersection onto shares). Read PROTOCOL.md first. */
export { runPivot, runSender } from './join.ts';
export type { JoinContext, JoinShares, PivotOutput } from './join.ts';
export { joinParameters } from './parameters.ts';
export type { JoinParams, JoinShape } from './parameters.ts';
export type { SenderInput } from './opprf-steps.ts';
export { CAPACITY_MAX, PAYLOAD_BYTES_MAX, SHARDS_MAX } from './limits.ts';
export { createEcdhOprf, ecdhOprf } from './oprf-ecdh.ts';
export type { EcdhOprfOptions } from './oprf-ecdh.ts';
export type { Helper } from './oprf-ecdh-desk.ts';
export { workSlice } from './oprf-ecdh-slices.ts';
export type { Slice } from './oprf-ecdh-slices.ts';
export { equalTags } from './equality.ts';
export { createKkrtOprf } from './oprf-kkrt.ts';
export { WIDTH as KKRT_OTS } from './oprf-kkrt-steps.ts';
export type { KkrtOprfOptions } from './oprf-kkrt.ts';
export { dealIds, shardCapacity, type Deal } from './shards.ts';
export { ID_BYTES } from './types.ts';
export type { Oprf } from './types.ts';
