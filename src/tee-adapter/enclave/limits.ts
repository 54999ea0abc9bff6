/** LOCAL. Longest header of a call: a packet of 1 MiB, or goes, authorisations and a query. */
export const HEADER_BYTES_MAX = 2 * 1024 * 1024;
/** LOCAL. Longest body of a call: one party's sealed input. */
export const BODY_BYTES_MAX = 1024 * 1024 * 1024;
/** LOCAL. A connection that is silent for so long ends, and its enclave with it. */
export const IDLE_TIMEOUT_MS = 10 * 60_000;
/**
 * SECURITY. Answers leave at whole multiples of this after `run` arrived. The host sees how long a
 * run took; classes keep small differences between data sets out of that.
 */
export const TIME_CLASS_MS = 1000;

/** AGREEMENT. What an enclave says of itself when it is connected to, before the first reply. */
export const PRESENT = 0x06;
