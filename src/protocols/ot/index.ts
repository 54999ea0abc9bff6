/** Oblivious transfer between two parties. Read PROTOCOL.md first. */
export { createOtPair } from './pair.ts';
export type { BitOtPair, OtPairOptions } from './pair.ts';
export type { FieldBits } from './softspoken-steps.ts';
export type { BitOtReceiver, BitOtSender } from './faces.ts';
export { createTriples, createTripleSource } from './triples.ts';
export type { TripleSource, TripleSourceOptions } from './triples.ts';
export { bitBytes } from './types.ts';
export type { BitTriples, OtPair, OtReceiver, OtSender } from './types.ts';
