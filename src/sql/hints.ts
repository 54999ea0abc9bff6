import { ParleyError, type ErrorCode, type ErrorDetail } from '../core/errors.ts';

const CLOCK =
  'A query gives the same answer every time it runs; write the date as DATE ‘YYYY-MM-DD’.';

/** What to do about a refusal, by the word or symbol that caused it. */
const HINT_BY_WORD: Readonly<Record<string, string>> = {
  ALL: 'Only COUNT, SUM and AVG take ALL.',
  ANY: 'Use IN with a list of literals.',
  ARRAY: 'Use IN with a list of literals.',
  CAST: 'Casts are not supported; write the literal in the type of the column.',
  COLLATE: 'Text is compared exactly; there are no collations.',
  CROSS: 'Join with JOIN ... ON and the equality of the two privacy units.',
  DISTINCT: 'Only COUNT takes DISTINCT, and only of the privacy unit; groups are distinct already.',
  CURRENT_DATE: CLOCK,
  CURRENT_TIME: CLOCK,
  CURRENT_TIMESTAMP: CLOCK,
  CUBE: 'List plain columns in GROUP BY.',
  EXCEPT: 'Ask one SELECT at a time.',
  EXISTS: 'Subqueries are not supported; the join already keeps only users of both tables.',
  FETCH: 'Use LIMIT.',
  FILTER: 'Write FILTER (WHERE condition) directly after the aggregate.',
  FOR: 'A query takes no locks.',
  FULL: 'Use JOIN, or LEFT JOIN with the table whose users all count on the left.',
  GROUPING: 'List plain columns in GROUP BY.',
  INTERSECT: 'Ask one SELECT at a time.',
  INTERVAL: 'Write INTERVAL ‘7 days’ in single quotes, added to or taken from a date.',
  INTO: 'A query cannot store its answer.',
  LATERAL: 'Subqueries are not supported.',
  NATURAL: 'Join with JOIN ... ON or USING and the two privacy units.',
  ONLY: 'Name the table alone.',
  OVER: 'Window functions are not supported.',
  RIGHT: 'Write it as LEFT JOIN, with the table whose users all count on the left.',
  ROLLUP: 'List plain columns in GROUP BY.',
  SELECT: 'Subqueries are not supported; write one SELECT over the join.',
  SETS: 'List plain columns in GROUP BY.',
  SIMILAR: 'Use LIKE with % and _.',
  SOME: 'Use IN with a list of literals.',
  TABLESAMPLE: 'Sampling is not supported.',
  TIME: 'Columns hold dates without a time; write YYYY-MM-DD.',
  TIMESTAMP: 'Columns hold dates without a time; write YYYY-MM-DD.',
  UNION: 'Ask one SELECT at a time.',
  WINDOW: 'Window functions are not supported.',
  WITH: 'Common table expressions are not supported; write one SELECT over the join.',
  WITHIN: 'Ordered-set aggregates are not supported.',
};

const OPERATORS = 'The operators between numbers are + - * and, between aggregates, /.';

const HINT_BY_SYMBOL: Readonly<Record<string, string>> = {
  '%': OPERATORS,
  '^': OPERATORS,
  '||': 'Text is compared as it is; there is no concatenation.',
  '::': 'Casts are not supported; write the literal in the type of the column.',
  '~': 'Regular expressions are not supported; use LIKE with % and _.',
  '!~': 'Regular expressions are not supported; use NOT LIKE with % and _.',
  '[': 'Arrays are not supported; use IN with a list of literals.',
  '->': 'Columns hold plain values.',
  '->>': 'Columns hold plain values.',
  '?': 'Parameters must be bound before a query is sent; write the value into the text.',
};

const EXTREME =
  'An extreme value is one person’s value; ask for APPROX_QUANTILE(column, 0.05) or (column, 0.95).';
const QUANTILE = 'Use APPROX_QUANTILE(column, fraction) on a column with declared bounds.';

/** Aggregates of SQL that are not answered, with what to use instead. */
const HINT_BY_AGGREGATE: Readonly<Record<string, string>> = {
  MIN: EXTREME,
  MAX: EXTREME,
  ARG_MIN: EXTREME,
  ARG_MAX: EXTREME,
  FIRST: EXTREME,
  LAST: EXTREME,
  ANY_VALUE: EXTREME,
  MODE: 'Group by the column and order by COUNT(*) DESC LIMIT 1.',
  MEDIAN: QUANTILE,
  QUANTILE: QUANTILE,
  QUANTILE_CONT: QUANTILE,
  QUANTILE_DISC: QUANTILE,
  PERCENTILE_CONT: QUANTILE,
  PERCENTILE_DISC: QUANTILE,
  APPROX_QUANTILES: QUANTILE,
  APPROX_COUNT_DISTINCT: 'Use COUNT(DISTINCT unit); without noise it is exact.',
  LISTAGG: 'Rows never leave their owners; group by the column instead.',
  STRING_AGG: 'Rows never leave their owners; group by the column instead.',
  GROUP_CONCAT: 'Rows never leave their owners; group by the column instead.',
  ARRAY_AGG: 'Rows never leave their owners; group by the column instead.',
  LIST: 'Rows never leave their owners; group by the column instead.',
  JSON_AGG: 'Rows never leave their owners; group by the column instead.',
  CORR: 'Ask for SUM(x * y), SUM(x), SUM(y) and COUNT(*) and combine them.',
  COVAR_POP: 'Ask for SUM(x * y), SUM(x), SUM(y) and COUNT(*) and combine them.',
  COVAR_SAMP: 'Ask for SUM(x * y), SUM(x), SUM(y) and COUNT(*) and combine them.',
  ROW_NUMBER: 'Window functions are not supported.',
  RANK: 'Window functions are not supported.',
  LAG: 'Window functions are not supported.',
  LEAD: 'Window functions are not supported.',
  NTILE: 'Window functions are not supported.',
  GEN_RANDOM_UUID: 'A query gives the same answer every time it runs; there are no random values.',
  RANDOM: 'A query gives the same answer every time it runs; there are no random values.',
  NOW: CLOCK,
};

export const FUNCTIONS_HINT =
  'Aggregates are COUNT, SUM, AVG, VARIANCE, STDDEV and APPROX_QUANTILE; row functions COALESCE, ' +
  'NULLIF, LEAST, GREATEST, ABS, EXTRACT, DATE_TRUNC and DATE_DIFF.';

export const ROWS_STAY_HINT = 'Rows never leave their owners; select group columns and aggregates.';
export const JOIN_HINT =
  'Join two parties’ tables ON the equality of their privacy units, or use a view of the policy.';
export const UNIT_HINT =
  'The privacy unit may only stand in the join, in COUNT(unit) and in COUNT(DISTINCT unit).';

/** The hint for an unsupported word, or undefined when the word is not one. */
export function hintOfWord(word: string): string | undefined {
  return Object.hasOwn(HINT_BY_WORD, word) ? HINT_BY_WORD[word] : undefined;
}

export function hintOfSymbol(symbol: string): string | undefined {
  return Object.hasOwn(HINT_BY_SYMBOL, symbol) ? HINT_BY_SYMBOL[symbol] : undefined;
}

export function hintOfAggregate(name: string): string | undefined {
  return Object.hasOwn(HINT_BY_AGGREGATE, name) ? HINT_BY_AGGREGATE[name] : undefined;
}

/** A refusal with what is there of fragment and hint. */
export function refusal(
  code: ErrorCode,
  message: string,
  fragment?: string,
  hint?: string,
  cause?: unknown,
): ParleyError {
  const detail: ErrorDetail = {
    ...(fragment === undefined ? {} : { fragment }),
    ...(hint === undefined ? {} : { hint }),
  };
  return new ParleyError(code, message, detail, cause);
}
