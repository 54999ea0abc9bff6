/** What a long computation reports while it runs; public numbers only. */
export interface ProgressEvent {
  /** Stage name, such as `join.oprf`. */
  readonly stage: string;
  /** Work done and in all, in the stage's own unit; `total` is public. */
  readonly done: number;
  readonly total: number;
}

export type OnProgress = (event: ProgressEvent) => void;

/** Lets sockets and timers run between two slices of computation on the event loop. */
export function breathe(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
