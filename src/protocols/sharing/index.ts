export { channelWith, otWith } from './types.ts';
export type { PublicBits, RingVector, Sharing, Wire, Word } from './types.ts';
export { createSharing, type SharingOptions, type TripleProvider } from './gmw.ts';
export {
  andPublic,
  concatRows,
  concatWords,
  constantWord,
  notWire,
  ownedWire,
  ownedWord,
  publicWord,
  sliceRows,
  xorPublic,
  xorWire,
  xorWord,
  zeroWire,
  type PublicWord,
} from './words.ts';
export {
  elementsFromWord,
  integersFromWord,
  packBits,
  ringFromIntegers,
  unpackBits,
  wordFromElements,
  wordFromIntegers,
} from './pack.ts';
export {
  andTree,
  equalWords,
  lessThan,
  lessThanPublic,
  lessThanTree,
  muxWord,
  orTree,
  selectSentinel,
  signedAtLeastPublic,
} from './circuits.ts';
export { createMeshTriples, type MeshTriplesOptions } from './triples.ts';
export { addRingToWord, addWords, ringToWord } from './adder.ts';
export { bitToRing, multiplyBit, type MuxTerm } from './mux.ts';
export {
  groupSumMethod,
  groupSums,
  sumRows,
  type GroupSumMethod,
  type GroupSumsInput,
} from './group-sums.ts';
export { bernoulli, discreteLaplace, type LaplaceLaw } from './noise.ts';
export { addRing, negateRing, subRing } from '../../kernels/ring64/index.ts';
