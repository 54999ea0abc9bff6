import { concat } from '../../core/bytes.ts';
import { expect, ParleyError } from '../../core/errors.ts';
import { TAG_BYTES, type CipherState } from './cipher-state.ts';
import { SymmetricState } from './symmetric-state.ts';
import { dh, DH_BYTES, type DhKeyPair } from './x25519.ts';

type Token = 'e' | 's' | 'ee' | 'es' | 'se' | 'ss';

/** Noise section 7: pre-messages and message patterns; the initiator writes the even ones. */
export interface HandshakePattern {
  readonly name: string;
  /** Whose static key both know beforehand, initiator's first. */
  readonly known: readonly ('initiator' | 'responder')[];
  readonly messages: readonly (readonly Token[])[];
}

/** Section 7.5. Links run KK; the others are here because published vectors exercise them. */
export const KK: HandshakePattern = {
  name: 'KK',
  known: ['initiator', 'responder'],
  messages: [
    ['e', 'es', 'ss'],
    ['e', 'ee', 'se'],
  ],
};
export const NN: HandshakePattern = { name: 'NN', known: [], messages: [['e'], ['e', 'ee']] };
export const NX: HandshakePattern = {
  name: 'NX',
  known: [],
  messages: [['e'], ['e', 'ee', 's', 'es']],
};

export interface HandshakeOptions {
  readonly pattern: HandshakePattern;
  readonly initiator: boolean;
  readonly prologue: Uint8Array;
  readonly localStatic: DhKeyPair | null;
  /** 32 bytes. */
  readonly remoteStatic: Uint8Array | null;
  /** Makes the one ephemeral key; every shipped caller passes `generateDhKeyPair`. */
  readonly ephemeral: () => DhKeyPair;
}

/** Transport ciphers as this side uses them. */
export interface TransportCiphers {
  readonly sending: CipherState;
  readonly receiving: CipherState;
  readonly handshakeHash: Uint8Array;
}

/** Name of a pattern with our one suite, section 8. */
export function protocolName(pattern: HandshakePattern): string {
  return `Noise_${pattern.name}_25519_AESGCM_SHA256`;
}

/**
 * Noise section 5.3, revision 34: HandshakeState, without PSKs and fallback. Does no I/O.
 *
 * A failed read leaves the state unusable; the caller drops it.
 */
export class HandshakeState {
  readonly #options: HandshakeOptions;
  readonly #symmetric: SymmetricState;
  #ephemeral: DhKeyPair | null = null;
  #remoteEphemeral: Uint8Array | null = null;
  #remoteStatic: Uint8Array | null;
  #next = 0;

  constructor(options: HandshakeOptions) {
    this.#options = options;
    this.#remoteStatic = options.remoteStatic;
    this.#symmetric = new SymmetricState(protocolName(options.pattern));
    this.#symmetric.mixHash(options.prologue);
    for (const who of options.pattern.known) {
      const own = (who === 'initiator') === options.initiator;
      const key = own ? options.localStatic?.publicKey : options.remoteStatic;
      this.#symmetric.mixHash(given(key));
    }
  }

  get done(): boolean {
    return this.#next === this.#options.pattern.messages.length;
  }

  /** WriteMessage. */
  write(payload: Uint8Array): Uint8Array {
    const tokens = this.#take(true);
    const parts: Uint8Array[] = [];
    for (const token of tokens) {
      if (token === 'e') {
        this.#ephemeral = this.#options.ephemeral();
        this.#symmetric.mixHash(this.#ephemeral.publicKey);
        parts.push(this.#ephemeral.publicKey);
      } else if (token === 's') {
        parts.push(this.#symmetric.encryptAndHash(given(this.#options.localStatic).publicKey));
      } else {
        this.#mixDh(token);
      }
    }
    parts.push(this.#symmetric.encryptAndHash(payload));
    return concat(parts);
  }

  /**
   * ReadMessage: returns the payload.
   * @throws ParleyError LINK_AUTH_FAILED for a message that is short, does not authenticate or
   *   holds a public key of small order.
   */
  read(message: Uint8Array): Uint8Array {
    const tokens = this.#take(false);
    let at = 0;
    const take = (bytes: number): Uint8Array => {
      if (message.length < at + bytes) throw authFailed();
      at += bytes;
      return message.slice(at - bytes, at);
    };
    try {
      for (const token of tokens) {
        if (token === 'e') {
          this.#remoteEphemeral = take(DH_BYTES);
          this.#symmetric.mixHash(this.#remoteEphemeral);
        } else if (token === 's') {
          const sealed = take(DH_BYTES + (this.#symmetric.hasKey ? TAG_BYTES : 0));
          this.#remoteStatic = this.#symmetric.decryptAndHash(sealed);
        } else {
          this.#mixDh(token);
        }
      }
      return this.#symmetric.decryptAndHash(message.slice(at));
    } catch (error) {
      if (error instanceof ParleyError && error.fault === 'transport') throw authFailed();
      throw error;
    }
  }

  /** Split, once both sides have said everything. */
  split(): TransportCiphers {
    expect(this.done, 'a handshake is split after its last message');
    const handshakeHash = this.#symmetric.handshakeHash;
    const [fromInitiator, fromResponder] = this.#symmetric.split();
    this.#ephemeral = null;
    return this.#options.initiator
      ? { sending: fromInitiator, receiving: fromResponder, handshakeHash }
      : { sending: fromResponder, receiving: fromInitiator, handshakeHash };
  }

  #take(writing: boolean): readonly Token[] {
    const tokens = this.#options.pattern.messages[this.#next];
    const initiatorWrites = this.#next % 2 === 0;
    expect(tokens !== undefined, 'a handshake has no message left');
    expect(initiatorWrites === this.#options.initiator ? writing : !writing, 'it is our turn');
    this.#next += 1;
    return tokens;
  }

  /** `es` is the initiator's ephemeral with the responder's static key, and so on. */
  #mixDh(token: Exclude<Token, 'e' | 's'>): void {
    const [initiators, responders] = token;
    const { initiator, localStatic } = this.#options;
    const own = (initiator ? initiators : responders) === 'e' ? this.#ephemeral : localStatic;
    const theirs =
      (initiator ? responders : initiators) === 'e' ? this.#remoteEphemeral : this.#remoteStatic;
    this.#symmetric.mixKey(dh(given(own), given(theirs)));
  }
}

function given<T>(key: T | null | undefined): T {
  expect(key !== null && key !== undefined, 'the pattern finds every key it names');
  return key;
}

function authFailed(): ParleyError {
  return new ParleyError('LINK_AUTH_FAILED', 'the peer did not prove its key', {
    hint: 'both parties must hold the same signed policy and answer for the same query',
  });
}
