import { createCipheriv, createDecipheriv, createSecretKey, type KeyObject } from 'node:crypto';
import { expect, ParleyError } from '../../core/errors.ts';

/** Noise section 4.2: every ciphertext ends in 16 bytes of authentication data. */
export const TAG_BYTES = 16;

/** Noise section 3: no message is longer, tag included. */
export const NOISE_MESSAGE_BYTES_MAX = 65_535;

/**
 * SECURITY. Messages one key may encrypt. Noise stops at 2^64 - 1; AES-GCM's confidentiality
 * degrades as (blocks)^2 / 2^129, and 2^32 messages of 2^12 blocks keep that at 2^-41. No link comes
 * near: it would carry 281 TB.
 */
export const MESSAGES_MAX = 2 ** 32;

const ALGORITHM = 'aes-256-gcm';
const EMPTY = new Uint8Array(0);

/**
 * Noise section 5.1, with AESGCM of section 12.3: a key and a counter nonce.
 *
 * Both directions fail for good once the counter reaches `messagesMax`; there is no rekey.
 */
export class CipherState {
  readonly #messagesMax: number;
  readonly #nonce = new Uint8Array(12);
  readonly #nonceView = new DataView(this.#nonce.buffer);
  #key: KeyObject | null;
  #n = 0;

  /** @param key - 32 bytes, copied; null is the empty key of section 5.1. */
  constructor(key: Uint8Array | null, messagesMax = MESSAGES_MAX) {
    this.#key = key === null ? null : createSecretKey(key);
    this.#messagesMax = messagesMax;
  }

  get hasKey(): boolean {
    return this.#key !== null;
  }

  /** Forgets the key; later calls break a contract. */
  destroy(): void {
    this.#key = null;
    this.#n = this.#messagesMax;
  }

  /** Section 12.3: 32 bits of zeros, then n as 64 bits big-endian. */
  #currentNonce(): Uint8Array {
    if (this.#n >= this.#messagesMax) {
      throw new ParleyError('CHANNEL_CLOSED', 'the link has used up its key');
    }
    this.#nonceView.setUint32(4, Math.floor(this.#n / 2 ** 32));
    this.#nonceView.setUint32(8, this.#n >>> 0);
    return this.#nonce;
  }

  /**
   * EncryptWithAd of a plaintext given in parts, written to `out` from `at` without joining them.
   * @returns bytes written: the parts and, under a key, the tag.
   */
  encryptInto(ad: Uint8Array, parts: readonly Uint8Array[], out: Uint8Array, at: number): number {
    const start = at;
    if (this.#key === null) {
      for (const part of parts) {
        out.set(part, at);
        at += part.length;
      }
      return at - start;
    }
    const cipher = createCipheriv(ALGORITHM, this.#key, this.#currentNonce());
    this.#n += 1;
    if (ad.length > 0) cipher.setAAD(ad);
    for (const part of parts) {
      out.set(cipher.update(part), at);
      at += part.length;
    }
    cipher.final();
    out.set(cipher.getAuthTag(), at);
    expect(at + TAG_BYTES - start <= NOISE_MESSAGE_BYTES_MAX, 'a Noise message is at most 65,535');
    return at + TAG_BYTES - start;
  }

  encryptWithAd(ad: Uint8Array, plaintext: Uint8Array): Uint8Array {
    const out = new Uint8Array(plaintext.length + (this.hasKey ? TAG_BYTES : 0));
    this.encryptInto(ad, [plaintext], out, 0);
    return out;
  }

  /**
   * DecryptWithAd.
   * @throws ParleyError LINK_TAMPERED when it does not authenticate.
   */
  decryptWithAd(ad: Uint8Array, ciphertext: Uint8Array): Uint8Array {
    if (this.#key === null) return ciphertext.slice();
    const textBytes = ciphertext.length - TAG_BYTES;
    if (textBytes < 0) throw tampered();
    const decipher = createDecipheriv(ALGORITHM, this.#key, this.#currentNonce());
    decipher.setAuthTag(ciphertext.subarray(textBytes));
    if (ad.length > 0) decipher.setAAD(ad);
    const plaintext = plain(decipher.update(ciphertext.subarray(0, textBytes)));
    try {
      decipher.final();
    } catch {
      plaintext.fill(0);
      throw tampered();
    }
    // Section 5.1: a message that does not authenticate leaves n as it was.
    this.#n += 1;
    return plaintext;
  }

  /** Transport messages of section 5.3 carry no associated data. */
  encryptMessageInto(parts: readonly Uint8Array[], out: Uint8Array, at: number): number {
    return this.encryptInto(EMPTY, parts, out, at);
  }

  decryptMessage(ciphertext: Uint8Array): Uint8Array {
    return this.decryptWithAd(EMPTY, ciphertext);
  }
}

/** A view as `Uint8Array`: a Buffer's `slice` does not copy, which callers rely on. */
function plain(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function tampered(): ParleyError {
  return new ParleyError('LINK_TAMPERED', 'a message of the link does not authenticate');
}
