/** Bits of Delta and rows of the extension matrix: the computational security parameter. */
export const KAPPA = 128;

/** Bytes of one key, one tree node and one row of the transposed matrix. */
export const BLOCK_BYTES = 16;

/**
 * AGREEMENT. Random OTs of one chunk, the unit of a correction message and of one turn of the
 * event loop. 2^17 bits are 16 KiB of key stream per leaf, where AES-CTR through node:crypto has
 * paid for its call; the turn is about 10 ms and the message 0.5 MiB (k = 4) or 1 MiB (k = 2).
 */
export const CHUNK_OTS = 1 << 17;

/** AGREEMENT. Most 64-bit words in one message of correlated OTs (4 MiB); chunks shrink to fit. */
export const CHUNK_WORDS = 1 << 19;

/**
 * SECURITY. Hashes made under one key of the permutation before it is changed. The
 * correlation-robustness bounds of Guo, Katz, Wang and Yu lose a factor linear in the hashes made
 * per key when many instances are attacked at once; 2^14 costs one key set-up per 2^13 OTs.
 */
export const HASHES_PER_KEY = 1 << 14;

/** AGREEMENT. Most blocks of one key; keeps a span of at least 128 OTs below HASHES_PER_KEY. */
export const BLOCKS_MAX = HASHES_PER_KEY / (2 * KAPPA);

/** AGREEMENT. Fewest bit triples made at once, so that short calls do not pay a chunk each. */
export const TRIPLES_MIN = 1 << 14;

/** LOCAL. Base OTs computed per turn of the event loop, some 4 ms; whole vectors of four elements. */
export const BASE_OTS_PER_TURN = 32;
