/** AGREEMENT. Longest SQL text, bytes of UTF-8. */
export const SQL_BYTES_MAX = 64 * 1024;
/** AGREEMENT. Words, numbers, strings and symbols of one text, whatever their length. */
export const TOKENS_MAX = 16_384;
/** AGREEMENT. Deepest nesting: parentheses and NOTs around one point of the text. */
export const SQL_DEPTH_MAX = 100;
/** AGREEMENT. Literals of one IN list. */
export const IN_LIST_MAX = 1000;
/** AGREEMENT. Expressions and operators of one query. */
export const CONDITIONS_MAX = 2000;
/** AGREEMENT. Nodes of all expressions of a query as it is read; see effort.ts. */
export const EFFORT_MAX = 100_000;
/** AGREEMENT. Characters of an identifier or output name, PostgreSQL's NAMEDATALEN - 1. */
export const NAME_CHARS_MAX = 63;
/** AGREEMENT. Characters of a number: its digits and exponent stay exact and cheap. */
export const NUMBER_CHARS_MAX = 64;
/** AGREEMENT. Largest exponent of a number in scientific notation, either sign. */
export const NUMBER_EXPONENT_MAX = 60;
/** AGREEMENT. Columns of a SELECT list. */
export const OUTPUT_COLUMNS_MAX = 100;
/** AGREEMENT. Largest LIMIT; more rows than any answer has. */
export const LIMIT_MAX = 1_000_000_000;
/** AGREEMENT. Parties of one query. */
export const JOIN_TABLES_MAX = 4;
/** AGREEMENT. Tables of one query. */
export const RELATIONS_MAX = 8;
/** AGREEMENT. Products of columns that one aggregate across parties may come to. */
export const MEASURE_TERMS_MAX = 64;
/** AGREEMENT. Values of a GROUP BY expression that are listed before it counts as unlimited. */
export const DOMAIN_LISTED_MAX = 4096;
/** AGREEMENT. Labels of a GROUP BY key over several parties, NULL among them: each is a condition. */
export const MIXED_LABELS_MAX = 64;
/** AGREEMENT. Values of a part of a comparison that are tried one by one. */
export const ENUMERATED_MAX = 64;
/** AGREEMENT. Operators of one row expression, counted where they are used twice. */
export const ROW_OPERATORS_MAX = 2000;
/** AGREEMENT. Row values stay below 2^100 while their owner computes them. */
export const ROW_VALUE_BITS_MAX = 100;
/** AGREEMENT. Most low bits that a wide sum carries apart: exact in a double. */
export const LIMB_BITS_MAX = 50;
/** AGREEMENT. Buckets of a quantile: its accuracy is the column's range over this. */
export const QUANTILE_BUCKETS = 64;
/** AGREEMENT. Shards of one query; policies that need more take larger shards. */
export const SHARDS_MAX = 64;
/** AGREEMENT. Groups of one query: the product of all GROUP BY domains. */
export const GROUPS_MAX = 4096;
/** AGREEMENT. Groups all senders and keys over several parties bring: each is a column of bits. */
export const SENDER_GROUPS_MAX = 64;
/** AGREEMENT. Coded decimals and integers are below this in magnitude; enforced at import. */
export const HARD_RANGE = 10n ** 12n;
/**
 * AGREEMENT. Combinations of slots, one per side, among which joined rows are bounded on shares: the
 * circuit takes about as many ANDs per combination as a comparison of two dates does (bench of the
 * engine; under keys that settle the group by all slots, up to twenty times as many). Above it the
 * bound is split between the sides' rows.
 */
export const BOUNDED_COMBINATIONS_MAX = 64;
/** AGREEMENT. The same, times the quantities per group: what bounding on joined rows may widen. */
export const BOUNDED_CELLS_MAX = 256;
/** AGREEMENT. Chance that a group below k opens under `noisy` where the policy names none. */
export const BELOW_K_PROBABILITY = '1e-6';
/** AGREEMENT. Bits of a comparison across parties: its operands stay exact in a double. */
export const COMPARE_BITS_MAX = 53;
/** SECURITY. Every sum with its noise stays below this, so that nothing wraps modulo 2^64. */
export const SUM_MAX = 1n << 62n;
