/** AGREEMENT. Longest SQL text, bytes of UTF-8 (sql-and-policy limits). */
export const SQL_BYTES_MAX = 64 * 1024;

/**
 * AGREEMENT. Longest output share. An answer travels as one control message of at most 1 MiB, and
 * base64 turns 720 KiB into 960 KiB, which leaves 64 KiB for the receipt around it.
 */
export const SHARE_BYTES_MAX = 720 * 1024;

/** AGREEMENT. Bytes of the salt of a share's commitment. */
export const SALT_BYTES = 32;

/** AGREEMENT. Longest plaintext of a sealed share: the opening of its commitment. */
export const OPENING_BYTES_MAX = SALT_BYTES + SHARE_BYTES_MAX;

/** AGREEMENT. Tables of one party that one plan reads. */
export const DATASETS_MAX = 64;

/** AGREEMENT. Datasets of one party that one plan is charged to. */
export const CHARGES_MAX = 16;

/** AGREEMENT. Longest bounds in a receipt, bytes of canonical JSON. */
export const BOUNDS_BYTES_MAX = 12 * 1024;

/** AGREEMENT. Longest noise record in a receipt, bytes of canonical JSON. */
export const NOISE_BYTES_MAX = 32 * 1024;

/** AGREEMENT. Longest record of one query: two sealed shares, two receipts, two goes, progress. */
export const QUERY_RECORD_BYTES_MAX = 4 * 1024 * 1024;

/** LOCAL. Longest sentence, hint or name accepted inside a document. */
export const TEXT_CHARS_MAX = 500;

/**
 * AGREEMENT. Longest evidence of an enclave, bytes of canonical JSON. It travels in a control
 * message of at most 1 MiB; real evidence with collateral has well below 200 KiB.
 */
export const EVIDENCE_BYTES_MAX = 640 * 1024;

/**
 * AGREEMENT. Heads of one party that another keeps unproven: one per run at the same time and one
 * from before. A node runs four.
 */
export const HEADS_MAX = 8;

/** AGREEMENT. Longest proof that a chain continues: 2·log2 of 2^53 entries and a little. */
export const PROOF_STEPS_MAX = 128;
