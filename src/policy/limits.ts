/** AGREEMENT. Longest policy document or packet, bytes of UTF-8. */
export const POLICY_BYTES_MAX = 1024 * 1024;
/** AGREEMENT. Parties in a room. */
export const PARTIES_MAX = 8;
/** AGREEMENT. Longest address of a party. */
export const ADDRESS_CHARS_MAX = 256;
/** AGREEMENT. Tables of one party, columns of one table, views, analysts. */
export const TABLES_MAX = 16;
export const COLUMNS_MAX = 128;
export const VIEWS_MAX = 64;
export const ANALYSTS_MAX = 256;
/** AGREEMENT. Values of a declared domain; no plan has more groups than this. */
export const DOMAIN_VALUES_MAX = 4096;
export const VALUE_CHARS_MAX = 256;
/** AGREEMENT. Declared users of a table: 2^22 is the largest join the protocols are sized for. */
export const USERS_MAX = 2 ** 22;
export const ROWS_PER_USER_MAX = 64;
/**
 * AGREEMENT. Largest magnitude of a coded number (scaled by 10^scale). Import refuses values
 * beyond it, so bounds beyond it would promise what no row can hold.
 */
export const CODED_MAX = 10n ** 12n;
export const SCALE_MAX = 6;
/** SECURITY. Largest epsilon of one query: more is noise switched off under another name. */
export const EPSILON_PER_QUERY_MAX = '20';
/** SECURITY. Largest lifetime budget; the sum over queries, so far above the per-query cap. */
export const EPSILON_BUDGET_MAX = '10000';
/** SECURITY. Largest rho budget: what the largest epsilon budget could mean. */
export const RHO_BUDGET_MAX = '10000';
/**
 * SECURITY. Smallest delta of one query. A noised cell of this version itself costs up to 2^-58
 * (thresholds of 64 bits, noise of at most 26 bits), so a promise much below is not kept.
 */
export const DELTA_PER_QUERY_MIN = '1e-15';
/** AGREEMENT. Tables a view joins, as many as a query. */
export const VIEW_TABLES_MAX = 4;
/**
 * AGREEMENT. Declared users per shard: memory of a run grows with it, padding shrinks (3% at the
 * default). Small ones are for tests and for showing many shards.
 */
export const SHARD_USERS_MIN = 64;
export const SHARD_USERS_DEFAULT = 2 ** 16;
export const SHARD_USERS_MAX = 2 ** 18;
/** AGREEMENT. Templates a policy pins, parameters of one, characters of its SQL and of a value. */
export const TEMPLATES_MAX = 64;
export const TEMPLATE_PARAMETERS_MAX = 32;
export const TEMPLATE_SQL_CHARS_MAX = 16_384;
