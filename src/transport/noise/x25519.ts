import {
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  type KeyObject,
} from 'node:crypto';
import { concat, fromHex, wipe } from '../../core/bytes.ts';
import { ParleyError } from '../../core/errors.ts';
import { Redacted, reveal } from '../../core/redacted.ts';

/** Noise section 12.1: DHLEN of 25519. */
export const DH_BYTES = 32;

// RFC 8410 sections 4 and 7: the DER around 32 raw bytes of a public and of a private key.
const SPKI_PREFIX = fromHex('302a300506032b656e032100', 12);
const PKCS8_PREFIX = fromHex('302e020100300506032b656e04220420', 16);

/** A Diffie-Hellman key pair; the private half never leaves its key object. */
export interface DhKeyPair {
  readonly privateKey: KeyObject;
  readonly publicKey: Uint8Array;
}

function rawPublicKey(key: KeyObject): Uint8Array {
  const der = key.export({ format: 'der', type: 'spki' });
  return new Uint8Array(der.subarray(der.length - DH_BYTES));
}

/** GENERATE_KEYPAIR of Noise section 4.1, from the system CSPRNG. */
export function generateDhKeyPair(): DhKeyPair {
  const { privateKey, publicKey } = generateKeyPairSync('x25519', {});
  return { privateKey, publicKey: rawPublicKey(publicKey) };
}

/** @param secret - 32 bytes, an RFC 7748 scalar before clamping. */
export function dhKeyPairOf(secret: Redacted<Uint8Array>): DhKeyPair {
  const der = concat([PKCS8_PREFIX, reveal(secret)]);
  const privateKey = createPrivateKey({
    key: Buffer.from(der.buffer),
    format: 'der',
    type: 'pkcs8',
  });
  wipe(der);
  return { privateKey, publicKey: rawPublicKey(createPublicKey(privateKey)) };
}

/**
 * X25519. The caller wipes the result.
 *
 * @throws ParleyError LINK_AUTH_FAILED when the shared secret is all zero, that is, when the public
 *   key has small order (RFC 7748 section 6.1; Noise section 12.1 permits and we require it).
 */
export function dh(own: DhKeyPair, publicKey: Uint8Array): Uint8Array {
  const der = concat([SPKI_PREFIX, publicKey]);
  let shared: Uint8Array | null = null;
  try {
    shared = diffieHellman({
      privateKey: own.privateKey,
      publicKey: createPublicKey({ key: Buffer.from(der.buffer), format: 'der', type: 'spki' }),
    });
  } catch {
    // OpenSSL refuses an all-zero secret by itself; another build need not.
  }
  if (shared?.every((byte) => byte === 0) !== false) {
    throw new ParleyError('LINK_AUTH_FAILED', 'the peer sent a public key of small order');
  }
  return shared;
}
