/** LOCAL limits of a coordinator; every one bounds what strangers can make it hold or wait for. */
export interface CoordinatorLimits {
  /**
   * Queries not yet in a terminal state, waiting ones among them; more are refused with
   * TOO_MANY_QUERIES, but for one of each analyst that has none.
   */
  readonly queriesInFlightMax: number;
  /** Queries worked on at once, as many as a party takes; others wait for their turn. */
  readonly queriesRunningMax: number;
  /** Longest wait for a turn. */
  readonly queueTimeoutMs: number;
  /** From sending a query out to the last party's go. */
  readonly agreeTimeoutMs: number;
  /** From submission to a terminal state. */
  readonly queryTimeoutMs: number;
  /**
   * From the loss of a party in the middle of a run to the start of the next epoch. With the 30 s
   * it can take to notice a connection that died without a word, a query ends within a minute.
   */
  readonly resumeGraceMs: number;
  /** From a party's word that its peer is lost to the end of the query: the cause may be told. */
  readonly causeWaitMs: number;
  /** Longest wait for running queries when the coordinator is closed. */
  readonly drainTimeoutMs: number;
  /** Sockets of all kinds. */
  readonly connectionsMax: number;
  /** Sockets that upgraded but have not proved a key; beyond, the oldest is ended. */
  readonly pendingHellosMax: number;
  readonly helloTimeoutMs: number;
  readonly heartbeatMs: number;
  readonly heartbeatsMissedMax: number;
  /** A receiver that leaves its sender waiting longer is disconnected. */
  readonly stallTimeoutMs: number;
  /** Control messages of one party: sustained rate, and as many at once as ten seconds of it. */
  readonly controlPerSecondMax: number;
  /** Requests that wait for a change; more are answered at once. */
  readonly waitersMax: number;
  /** Finished records kept in memory: count and bytes. All are on disk. */
  readonly recordsMax: number;
  readonly recordBytesMax: number;
}

export const COORDINATOR_LIMITS: CoordinatorLimits = {
  queriesInFlightMax: 128,
  queriesRunningMax: 4,
  queueTimeoutMs: 600_000,
  agreeTimeoutMs: 30_000,
  queryTimeoutMs: 600_000,
  resumeGraceMs: 20_000,
  causeWaitMs: 2_000,
  drainTimeoutMs: 10_000,
  connectionsMax: 512,
  pendingHellosMax: 32,
  helloTimeoutMs: 10_000,
  heartbeatMs: 10_000,
  heartbeatsMissedMax: 3,
  stallTimeoutMs: 30_000,
  controlPerSecondMax: 100,
  waitersMax: 256,
  recordsMax: 1_000,
  recordBytesMax: 32 * 1024 * 1024,
};

/** AGREEMENT. Longest request body. */
export const BODY_BYTES_MAX = 1024 * 1024;

/** AGREEMENT. Longest `wait_ms` of a request for a record. */
export const WAIT_MS_MAX = 25_000;

/** LOCAL. Longest hello; the real one has about 500 bytes. */
export const HELLO_BYTES_MAX = 4096;

/** LOCAL. Entries of progress kept per party, so that two fit a record. */
export const STAGES_MAX = 32;

/** LOCAL. Progress is told to waiting analysts no more often. */
export const PROGRESS_INTERVAL_MS = 100;
