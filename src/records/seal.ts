import { createHash, type webcrypto } from 'node:crypto';
import { Aes256Gcm, CipherSuite, HkdfSha256 } from '@hpke/core';
import { DhkemX25519HkdfSha256 } from '@hpke/dhkem-x25519';
import { concat, fromBase64Url, toBase64Url, toHex } from '../core/bytes.ts';
import { expect, ParleyError } from '../core/errors.ts';
import { Redacted, reveal } from '../core/redacted.ts';
import { domainSeparated } from '../policy/canonical.ts';
import { parsePublicKey } from '../policy/keys.ts';
import { OPENING_BYTES_MAX } from './limits.ts';
import type { SealedShare } from './types.ts';

const DOMAIN = 'parley/sealed-share/v1';
const ENC_BYTES = 32;
const TAG_BYTES = 16;

/** What a sealed share is bound to; opening it under any other value fails. */
export interface SealContext {
  readonly room: string;
  readonly policy_digest: string;
  readonly query_id: string;
  readonly plan_digest: string;
  readonly session: string;
  /** The party whose share it is. */
  readonly party: string;
}

/** DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM: RFC 9180 ids 0x0020, 0x0001, 0x0002. */
export function hpkeSuite(): CipherSuite {
  // The pure X25519 of its own package: WebCrypto's is experimental in Node 20.
  return new CipherSuite({
    kem: new DhkemX25519HkdfSha256(),
    kdf: new HkdfSha256(),
    aead: new Aes256Gcm(),
  });
}

function infoOf(context: SealContext): Uint8Array {
  const { room, policy_digest, query_id, plan_digest, session, party } = context;
  return domainSeparated(DOMAIN, { room, policy_digest, query_id, plan_digest, session, party });
}

/**
 * Seals a party's output share to the analyst.
 *
 * Source: RFC 9180 base mode, single-shot, empty aad; `info` is the domain-separated canonical JSON
 * of the context. Authenticity is the receipt's, which signs the digest of the result. The
 * ephemeral key comes from the system CSPRNG.
 *
 * @param sealingKey - the analyst's `x25519:` key from the policy.
 * @param share - at most 720 KiB and the 32 bytes of a salt.
 */
export async function sealShare(
  share: Uint8Array,
  sealingKey: string,
  context: SealContext,
): Promise<SealedShare> {
  expect(share.length <= OPENING_BYTES_MAX, 'an output share fits one sealed message');
  const suite = hpkeSuite();
  // The library's types say CryptoKey, a global that only DOM typings declare.
  const recipientPublicKey = (await suite.kem.deserializePublicKey(
    parsePublicKey('x25519', sealingKey),
  )) as webcrypto.CryptoKey;
  const { enc, ct } = await suite.seal({ recipientPublicKey, info: infoOf(context) }, share);
  return {
    version: 1,
    party: context.party,
    enc: toBase64Url(new Uint8Array(enc)),
    ciphertext: toBase64Url(new Uint8Array(ct)),
  };
}

function decode(sealed: SealedShare): { enc: Uint8Array; ciphertext: Uint8Array } {
  return {
    enc: fromBase64Url(sealed.enc, ENC_BYTES),
    ciphertext: fromBase64Url(sealed.ciphertext, TAG_BYTES, OPENING_BYTES_MAX + TAG_BYTES),
  };
}

/**
 * SHA-256 hex over `enc ‖ ciphertext`; what a receipt calls `share_digest`.
 * @throws ParleyError REQUEST_MALFORMED when a field is not canonical base64url.
 */
export function shareDigest(sealed: SealedShare): string {
  const { enc, ciphertext } = decode(sealed);
  return toHex(
    createHash('sha256')
      .update(concat([enc, ciphertext]))
      .digest(),
  );
}

/**
 * Opens a sealed share with the analyst's private sealing key.
 *
 * @returns the share; wipe it after use.
 * @throws ParleyError RESULT_INVALID naming the party, when it was sealed to another key or
 *   context, or altered.
 */
export async function openShare(
  sealed: SealedShare,
  privateKey: Redacted<Uint8Array>,
  context: SealContext,
): Promise<Uint8Array> {
  const { party } = context;
  try {
    const { enc, ciphertext } = decode(sealed);
    const suite = hpkeSuite();
    const recipientKey = (await suite.kem.deserializePrivateKey(
      reveal(privateKey),
    )) as webcrypto.CryptoKey;
    const share = await suite.open({ recipientKey, enc, info: infoOf(context) }, ciphertext);
    return new Uint8Array(share);
  } catch (error) {
    throw new ParleyError('RESULT_INVALID', 'a sealed share does not open', { party }, error);
  }
}
