/** RB-OKVS: an oblivious key-value store over GF(2) with random bands. See README.md. */
export { BAND_BITS, okvsDecode, okvsEncode, okvsShape } from './okvs.ts';
export type { Okvs, OkvsShape } from './okvs.ts';
