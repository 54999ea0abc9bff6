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
export { bitBytes } from './types.ts';
export type { BitTriples, OtPair, OtReceiver, OtSender } from './types.ts';
