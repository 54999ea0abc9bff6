import { ParleyError, type ErrorCode, type ErrorDetail } from '../core/errors.ts';

/** What to do about a refusal, by the word or symbol that caused it. */
const HINT_BY_WORD: Readonly<Record<string, string>> = {
  ALL: 'Only COUNT, SUM and AVG take ALL.',
  ANY: 'Use IN with a list of literals.',
  ARRAY: 'Use IN with a list of literals.',
  CASE: 'CASE is not supported yet; filter in WHERE and ask one query per case.',
  CAST: 'Casts are not supported; write the literal in the type of the column.',
  COLLATE: 'Text is compared exactly; there are no collations.',
  CROSS: 'Join with JOIN ... ON and the equality of the two privacy units.',
  DISTINCT: 'Only COUNT takes DISTINCT, and only of the privacy unit; groups are distinct already.',
  CUBE: 'List plain columns in GROUP BY.',
  EXCEPT: 'Ask one SELECT at a time.',
  EXISTS: 'Subqueries are not supported; the join already keeps only users of both tables.',
  EXTRACT: 'Date parts are not supported yet; compare dates with BETWEEN.',
  FETCH: 'Use LIMIT.',
  FILTER: 'Put the condition into WHERE and ask one query per condition.',
  FOR: 'A query takes no locks.',
  FULL: 'Only inner joins are supported.',
  GROUPING: 'List plain columns in GROUP BY.',
  HAVING: 'HAVING is not supported yet; filter the answer, which costs no privacy.',
  ILIKE: 'Pattern matching is not supported; use = or IN with values of the declared domain.',
  INTERSECT: 'Ask one SELECT at a time.',
  INTERVAL: 'Date arithmetic is not supported yet; write the date itself.',
  INTO: 'A query cannot store its answer.',
  LATERAL: 'Subqueries are not supported.',
  LEFT: 'Only inner joins are supported yet.',
  LIKE: 'Pattern matching is not supported; use = or IN with values of the declared domain.',
  NATURAL: 'Join with JOIN ... ON or USING and the two privacy units.',
  OFFSET: 'OFFSET is not supported; take more rows with LIMIT.',
  ONLY: 'Name the table alone.',
  OVER: 'Window functions are not supported.',
  RIGHT: 'Only inner joins are supported.',
  ROLLUP: 'List plain columns in GROUP BY.',
  SELECT: 'Subqueries are not supported; write one SELECT over the join.',
  SETS: 'List plain columns in GROUP BY.',
  SIMILAR: 'Pattern matching is not supported; use = or IN with values of the declared domain.',
  SOME: 'Use IN with a list of literals.',
  TABLESAMPLE: 'Sampling is not supported.',
  TIME: 'Columns hold dates without a time; write YYYY-MM-DD.',
  TIMESTAMP: 'Columns hold dates without a time; write YYYY-MM-DD.',
  UNION: 'Ask one SELECT at a time.',
  WINDOW: 'Window functions are not supported.',
  WITH: 'Common table expressions are not supported; write one SELECT over the join.',
  WITHIN: 'Ordered-set aggregates are not supported.',
};

const ARITHMETIC = 'Arithmetic is not supported yet; SUM and AVG take a plain column.';

const HINT_BY_SYMBOL: Readonly<Record<string, string>> = {
  '+': ARITHMETIC,
  '-': ARITHMETIC,
  '*': ARITHMETIC,
  '/': ARITHMETIC,
  '%': ARITHMETIC,
  '^': ARITHMETIC,
  '||': 'Text is compared as it is; there is no concatenation.',
  '::': 'Casts are not supported; write the literal in the type of the column.',
  '~': 'Pattern matching is not supported; use = or IN with values of the declared domain.',
  '!~': 'Pattern matching is not supported; use = or IN with values of the declared domain.',
  '[': 'Arrays are not supported; use IN with a list of literals.',
  '->': 'Columns hold plain values.',
  '->>': 'Columns hold plain values.',
  '?': 'Parameters must be bound before a query is sent; write the value into the text.',
};

/** Aggregates of SQL that this version does not answer, with what to use instead. */
const HINT_BY_AGGREGATE: Readonly<Record<string, string>> = {
  MIN: 'An extreme value is one person’s value; ask for AVG, or COUNT over ranges in WHERE.',
  MAX: 'An extreme value is one person’s value; ask for AVG, or COUNT over ranges in WHERE.',
  STDDEV: 'Only COUNT, SUM and AVG are supported yet.',
  STDDEV_POP: 'Only COUNT, SUM and AVG are supported yet.',
  STDDEV_SAMP: 'Only COUNT, SUM and AVG are supported yet.',
  VARIANCE: 'Only COUNT, SUM and AVG are supported yet.',
  VAR_POP: 'Only COUNT, SUM and AVG are supported yet.',
  VAR_SAMP: 'Only COUNT, SUM and AVG are supported yet.',
  MEDIAN: 'Quantiles are not supported yet.',
  PERCENTILE_CONT: 'Quantiles are not supported yet.',
  PERCENTILE_DISC: 'Quantiles are not supported yet.',
  APPROX_QUANTILES: 'Quantiles are not supported yet.',
};

export const ROWS_STAY_HINT =
  'Rows never leave their owners; select group columns and COUNT, SUM or AVG.';
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
