// X25519 of the platform's OpenSSL, which the kernel's is held against.
import { createPrivateKey, createPublicKey, diffieHellman } from 'node:crypto';
import { concat, toBase64Url } from '../../src/core/bytes.ts';

/** PKCS #8 header of an X25519 private key (RFC 8410, section 7). */
const PKCS8 = Uint8Array.from([
  0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x6e, 0x04, 0x22, 0x04, 0x20,
]);

/** What node:crypto throws, by version, when the shared secret is all zeros. */
const ALL_ZERO_CODES: readonly unknown[] = [
  'ERR_OSSL_FAILED_DURING_DERIVATION',
  'ERR_CRYPTO_OPERATION_FAILED',
];

/** Null when the result is all zeros. */
export function nodeX25519(scalar: Uint8Array, u: Uint8Array): Uint8Array | null {
  const der = concat([PKCS8, scalar]);
  const privateKey = createPrivateKey({
    key: Buffer.from(der.buffer),
    format: 'der',
    type: 'pkcs8',
  });
  const jwk = { kty: 'OKP', crv: 'X25519', x: toBase64Url(u) };
  const publicKey = createPublicKey({ key: jwk, format: 'jwk' });
  try {
    return diffieHellman({ privateKey, publicKey });
  } catch (error) {
    if (ALL_ZERO_CODES.includes((error as { code?: unknown }).code)) return null;
    throw error;
  }
}
