/**
 * AGREEMENT. Largest number of COTs of one slice of a group sum: both ends cut alike, so the
 * number and the sizes of messages depend on it. Bounds memory to 2^18 · (16 + 16 · lanes) bytes.
 */
export const GROUP_COTS_MAX = 2 ** 18;

/**
 * AGREEMENT. Most leaves of one slice of unit vectors, 16 bytes each: both ends hold a few times
 * 16 MiB while they sum them.
 */
export const UNIT_LEAVES_MAX = 2 ** 20;

/**
 * AGREEMENT. Groups from which on group sums go by unit vectors: one correlated OT per row and
 * group costs 4 + 8·lanes bytes a group, a unit vector 36 bytes a level and CPU for every leaf.
 */
export const UNIT_GROUPS_MIN = 11;

/**
 * AGREEMENT. Groups from which on group sums go by sorting. There, with 3 lanes, a unit vector takes
 * five times the CPU (`npm run bench -- group-sums`) for half the bytes, which would pay below some
 * 150 Mbit/s; one group fewer means half the leaves, and pays below some 500.
 */
export const SORTED_GROUPS_MIN = 32;

/**
 * AGREEMENT. Wires of one slice of sorted group sums, and eight times the groups where that is
 * more, so that sentinels stay few. Few slices, for each is a round.
 */
export const SORTED_WIRES = 2 ** 14;

/**
 * AGREEMENT. Most lanes that go through one pair of networks; more are sent as several. Bounds what
 * the sender holds, about 21 switches a wire with 2·8 bytes of keys and 8 of correction a lane each,
 * all twice: 40 MiB to 1,024 groups, 130 MiB at 4,096.
 */
export const SORTED_LANES_MAX = 4;

/**
 * AGREEMENT. Largest number of ANDs of one slice of noise coins (one row is never cut, so a slice
 * may hold a single row of more). Bounds memory to a few megabytes and one round to 512 KiB.
 */
export const NOISE_ANDS_MAX = 2 ** 21;

/**
 * AGREEMENT. Most lanes of one vector OT; more are sent as several. Below what the extension
 * allows per OT (2·BLOCKS_MAX), and bounds memory to 2·32 elements per row.
 */
export const LANES_MAX = 32;

/** AGREEMENT. Most bytes of wires on one side of one AND message; more are sent as several. */
export const AND_BYTES_MAX = 2 ** 23;

/** SECURITY. Widths of a noise threshold the policy may choose (privacy.md section 1.4). */
export const THRESHOLD_BITS_MIN = 64;
export const THRESHOLD_BITS_MAX = 128;
