/**
 * An unprotected datagram pipe to one peer, as a link sees it. Whoever carries it may read, drop,
 * repeat, reorder and invent payloads; the link above notices.
 */
export interface RawPipe {
  /**
   * Sends one payload of at most PAYLOAD_BYTES_MAX; the pipe owns the bytes from then on. Resolves
   * when there is room for more, rejects when the pipe is closed.
   */
  send(payload: Uint8Array): Promise<void>;
  /** Called once, before anything is sent. Payloads that came earlier are delivered on the spot. */
  onMessage(deliver: (payload: Uint8Array) => void): void;
  /** Called at most once, when the pipe ends by itself; not after `close`. */
  onClose(closed: () => void): void;
  /** Gives the pipe up. The peer is not told. */
  close(): void;
}
