import { ParleyError } from '../core/errors.ts';

/** LOCAL. Bytes of an input that wait for the enclave, above which its party is not listened to. */
const HELD_BYTES_MAX = 1024 * 1024;

/**
 * One party's sealed input on its way into an enclave: frames of its connection in, chunks out, as
 * many bytes as the plan says and no more.
 */
export class InputSink {
  readonly party: string;
  /** Bytes that are still to come. */
  #left: number;
  #held: Uint8Array[] = [];
  #heldBytes = 0;
  #error: ParleyError | null = null;
  #wake: (() => void) | null = null;
  #waiters: (() => void)[] = [];

  constructor(party: string, bytes: number) {
    this.party = party;
    this.#left = bytes;
  }

  get hasRoom(): boolean {
    return this.#heldBytes <= HELD_BYTES_MAX;
  }

  /** Resolves when there is room, or when nothing is taken any more. */
  room(): Promise<void> {
    if (this.hasRoom) return Promise.resolve();
    return new Promise((resolve) => this.#waiters.push(resolve));
  }

  /** @throws ParleyError PEER_BAD_LENGTH for more bytes than the plan has. */
  take(payload: Uint8Array): void {
    if (this.#error !== null) return;
    this.#left -= payload.length;
    if (this.#left < 0 || payload.length === 0) {
      const { party } = this;
      this.end(
        new ParleyError('PEER_BAD_LENGTH', 'a party sent a longer input than the plan', { party }),
      );
      return;
    }
    this.#held.push(payload);
    this.#heldBytes += payload.length;
    this.#wake?.();
  }

  /** Nothing more is taken: the run is over. */
  end(error: ParleyError): void {
    this.#error ??= error;
    this.#held = [];
    this.#heldBytes = 0;
    this.#wake?.();
    for (const go of this.#waiters.splice(0)) go();
  }

  /** The input in order. @throws ParleyError of `end`; PEER_BAD_LENGTH. */
  async *chunks(): AsyncGenerator<Uint8Array, void> {
    for (;;) {
      if (this.#error !== null) throw this.#error;
      const chunk = this.#held.shift();
      if (chunk !== undefined) {
        this.#heldBytes -= chunk.length;
        if (this.hasRoom) for (const go of this.#waiters.splice(0)) go();
        yield chunk;
      } else if (this.#left === 0) return;
      else await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }
}
