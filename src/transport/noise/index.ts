/** The Noise Protocol Framework, revision 34: Noise_KK_25519_AESGCM_SHA256 (noiseprotocol.org). */
export { CipherState, MESSAGES_MAX, NOISE_MESSAGE_BYTES_MAX, TAG_BYTES } from './cipher-state.ts';
export { HandshakeState, KK, NN, NX, protocolName } from './handshake.ts';
export type { HandshakeOptions, HandshakePattern, TransportCiphers } from './handshake.ts';
export { dh, DH_BYTES, dhKeyPairOf, generateDhKeyPair } from './x25519.ts';
export type { DhKeyPair } from './x25519.ts';
