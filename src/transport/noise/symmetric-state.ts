import { createHash, createHmac } from 'node:crypto';
import { concat, utf8, wipe } from '../../core/bytes.ts';
import { CipherState } from './cipher-state.ts';

/** Noise section 12.5: HASHLEN of SHA256. */
export const HASH_BYTES = 32;

function hash(...parts: readonly Uint8Array[]): Uint8Array {
  const digest = createHash('sha256');
  for (const part of parts) digest.update(part);
  return new Uint8Array(digest.digest());
}

function hmac(key: Uint8Array, ...parts: readonly Uint8Array[]): Uint8Array {
  const mac = createHmac('sha256', key);
  for (const part of parts) mac.update(part);
  return new Uint8Array(mac.digest());
}

/** Noise section 4.3: HKDF(chaining_key, input_key_material, 2). */
function hkdf2(chainingKey: Uint8Array, input: Uint8Array): [Uint8Array, Uint8Array] {
  const temp = hmac(chainingKey, input);
  const first = hmac(temp, Uint8Array.of(1));
  const second = hmac(temp, first, Uint8Array.of(2));
  wipe(temp);
  return [first, second];
}

/** Noise section 5.2: the chaining key, the transcript hash and the handshake's cipher. */
export class SymmetricState {
  #chainingKey: Uint8Array;
  #hash: Uint8Array;
  #cipher = new CipherState(null);

  constructor(protocolName: string) {
    const name = utf8(protocolName);
    this.#hash =
      name.length <= HASH_BYTES
        ? concat([name, new Uint8Array(HASH_BYTES - name.length)])
        : hash(name);
    this.#chainingKey = this.#hash.slice();
  }

  get hasKey(): boolean {
    return this.#cipher.hasKey;
  }

  /** GetHandshakeHash: binds both parties to everything said (section 11.2). */
  get handshakeHash(): Uint8Array {
    return this.#hash.slice();
  }

  mixHash(data: Uint8Array): void {
    this.#hash = hash(this.#hash, data);
  }

  /** Consumes `input`: it is wiped. */
  mixKey(input: Uint8Array): void {
    const [chainingKey, key] = hkdf2(this.#chainingKey, input);
    wipe(this.#chainingKey, input);
    this.#chainingKey = chainingKey;
    this.#cipher = new CipherState(key);
    wipe(key);
  }

  encryptAndHash(plaintext: Uint8Array): Uint8Array {
    const ciphertext = this.#cipher.encryptWithAd(this.#hash, plaintext);
    this.mixHash(ciphertext);
    return ciphertext;
  }

  /** @throws ParleyError LINK_TAMPERED when it does not authenticate. */
  decryptAndHash(ciphertext: Uint8Array): Uint8Array {
    const plaintext = this.#cipher.decryptWithAd(this.#hash, ciphertext);
    this.mixHash(ciphertext);
    return plaintext;
  }

  /** The initiator's and the responder's transport cipher, in that order. */
  split(): [CipherState, CipherState] {
    const [first, second] = hkdf2(this.#chainingKey, new Uint8Array(0));
    const ciphers: [CipherState, CipherState] = [new CipherState(first), new CipherState(second)];
    wipe(first, second, this.#chainingKey);
    this.#cipher.destroy();
    return ciphers;
  }
}
