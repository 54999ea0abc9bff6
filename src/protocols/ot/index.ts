/** Oblivious transfer between two parties. Read PROTOCOL.md first. */
export { createOtPair, extendOts, setUpOts, wipeSeeds } from './pair.ts';
export type { BitOtPair, LaneOptions, OtPairOptions, OtSeeds } from './pair.ts';
export type { FieldBits } from './softspoken-steps.ts';
export type { BitOtReceiver, BitOtSender } from './faces.ts';
export {
  createTriples,
  createTripleSource,
  receiverBits,
  senderBits,
  tripleSourceOf,
} from './triples.ts';
export type { TripleSource, TripleSourceOptions } from './triples.ts';
export { stockedPair, stockedTriples } from './stock-faces.ts';
export type { PairStock, StockedPairOptions } from './stock-faces.ts';
export { makeReceiverPool, makeSenderPool } from './stock.ts';
export type { ReceiverPool, SenderPool } from './stock.ts';
export { keyBytes, useName } from './use.ts';
export type { OtCount, OtUse } from './use.ts';
export { bitBytes } from './types.ts';
export type { BitTriples, OtPair, OtReceiver, OtSender } from './types.ts';
