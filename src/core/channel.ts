/**
 * One ordered, authenticated, encrypted byte-message stream between two parties, as protocols see
 * it. Transport builds the real one; tests build one in memory that copies every frame.
 *
 * Every message has a length both ends can compute from public parameters, so `recv` names it and
 * a peer that sends anything else is refused before its bytes are looked at.
 */
export interface Channel {
  /** Step path from the query's root, such as `q17/psi.oprf`. Separates keys, PRGs and metrics. */
  readonly path: string;

  /**
   * Sends one message. Takes ownership of `bytes`: the caller must not touch it again.
   * Resolves when the bytes are handed to the transport (back-pressure included); says nothing
   * about delivery.
   * @throws ParleyError CHANNEL_CLOSED, CANCELLED.
   */
  send(step: string, bytes: Uint8Array): Promise<void>;

  /**
   * The next message, which must be `step` and exactly `bytes` long. The result is the caller's.
   * @throws ParleyError PEER_OUT_OF_STEP, PEER_BAD_LENGTH, CHANNEL_CLOSED, TIMEOUT, CANCELLED.
   */
  recv(step: string, bytes: number): Promise<Uint8Array>;

  /**
   * An independent stream below this one. Both ends name the same child; its messages are ordered
   * among themselves only, so two children may be used concurrently. Ask for a name once.
   */
  sub(name: string): Channel;
}
