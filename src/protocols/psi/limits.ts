import { expect } from '../../core/errors.ts';

/** SECURITY. Statistical security: no failure or false match has probability above 2^-40. */
export const STATISTICAL_BITS = 40;

/** AGREEMENT. Users of one side in one shard; larger sets run as several shards. */
export const CAPACITY_MAX = 1 << 20;

/**
 * AGREEMENT. Shards of one join. Their tags are longer, so that no false match in any of them has a
 * probability above 2^-40: the bins of all shards together are at most 2^23.
 */
export const SHARDS_MAX = 1 << 6;

/** AGREEMENT. Bytes of a joint seed: of a cuckoo table, of a deal into shards. */
export const SEED_BYTES = 16;

/** AGREEMENT. Hash functions, so bins per id. */
export const HASHES = 3;

/**
 * SECURITY. Fewest bins: with 1,400, up to 1,024 ids fail to be placed with probability at most
 * 2^-50.5 (Hall-violator bound, PROTOCOL.md).
 */
export const BINS_MIN = 1_400;

/**
 * SECURITY. Longest comparison tag. The Hamming distance of two tags is counted mod 64, so tags of
 * 64 bits would make complementary ones equal.
 */
export const TAG_BITS_MAX = 63;

/** AGREEMENT. Payload bytes per sender id. */
export const PAYLOAD_BYTES_MAX = 3_900;

/** LOCAL. Bytes of one hint message, so that neither end or the transport holds a huge frame. */
export const HINT_MESSAGE_BYTES = 1 << 20;

/**
 * LOCAL. Rows compared by one call for correlated OTs: up to 63 · 2^15 OTs, 2 MB of six-bit shares
 * at each end. A multiple of 128, so that slices are whole lanes.
 */
export const EQUALITY_ROWS = 1 << 15;

/**
 * AGREEMENT. Bins per chunk of the KKRT key streams: 2^17 bits are 16 KiB of each of 512 columns,
 * where AES-CTR through node:crypto has paid for its call; 8 MiB, at the receiver twice.
 */
export const CHUNK_BINS = 1 << 17;

/** AGREEMENT. Bins per correction message of KKRT: 1 MiB, some 10 ms of work at either end. */
export const SLICE_BINS = 1 << 14;

/** LOCAL. Own points a KKRT sender evaluates in one turn of the event loop; some 10 ms. */
export const POINTS_PER_TURN = 1 << 14;

expect(CHUNK_BINS % SLICE_BINS === 0 && SLICE_BINS % 128 === 0, 'slices are whole lanes');
expect(EQUALITY_ROWS % 128 === 0, 'equality slices are whole lanes');
expect(STATISTICAL_BITS + Math.ceil(Math.log2(1.35 * CAPACITY_MAX)) <= TAG_BITS_MAX, 'tags fit');
