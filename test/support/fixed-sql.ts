// The fixed queries: the examples of docs/sql.md, and products of expressions, aggregates, conditions
// and keys. Over the tables of `sqlPolicy`.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { ACROSS, CONDITIONS, KEYS, LOCAL, MIXED_KEYS } from './random-sql.ts';

/** Every row of the table in docs/sql.md. */
export const TABLE = readFileSync(
  fileURLToPath(new URL('../../docs/sql.md', import.meta.url)),
  'utf8',
)
  .split('\n')
  .flatMap((line) => {
    const m = /^\| ([^|]*)\| ([^|]*) \| `(SELECT .*)` \|$/.exec(line);
    return m === null ? [] : [{ feature: m[2]!, sql: m[3]! }];
  });

const numbers = [...LOCAL, ...ACROSS];
export const AREAS: readonly (readonly [name: string, queries: readonly string[]])[] = [
  [
    'numbers in aggregates',
    numbers.flatMap((n) =>
      [`SUM(${n})`, `AVG(${n})`, `COUNT(${n})`, `SUM(${n}) FILTER (WHERE online)`].map(
        (a) => `SELECT ${a} AS a FROM joined_data`,
      ),
    ),
  ],
  [
    'conditions',
    CONDITIONS.flatMap((c) => [
      `SELECT COUNT(*) AS n FROM joined_data WHERE ${c}`,
      `SELECT COUNT(*) AS n FROM joined_data WHERE NOT (${c})`,
      `SELECT COUNT(*) AS n FROM joined_data WHERE (${c}) IS NULL`,
      `SELECT SUM(CASE WHEN ${c} THEN items ELSE seconds END) AS s FROM joined_data`,
      `SELECT COUNT(DISTINCT hashed_email) FILTER (WHERE ${c}) AS u FROM joined_data`,
      `SELECT campaign_id AS k, COUNT(*) AS n, AVG(items) AS a FROM joined_data WHERE ${c} GROUP BY k`,
      `SELECT category AS k, COUNT(*) FILTER (WHERE ${c}) AS n FROM joined_data GROUP BY k`,
      `SELECT VAR_POP(items) AS v, STDDEV(seconds) AS d FROM joined_data WHERE ${c} OR items = 1`,
      `SELECT COUNT(*) AS n, SUM(total_spent) AS s FROM purchases p
         LEFT JOIN exposures x ON p.email = x.email WHERE ${c}`,
    ]),
  ],
  [
    'keys',
    [...KEYS, ...MIXED_KEYS].flatMap((k) => [
      `SELECT ${k} AS k, COUNT(*) AS n, SUM(total_spent) AS s FROM joined_data GROUP BY k`,
      `SELECT ${k} AS k, AVG(seconds) AS a FROM joined_data
         WHERE exposure_date < purchase_date GROUP BY k HAVING COUNT(*) > 1`,
      `SELECT ${k} AS k, online AS o, COUNT(seconds) AS n FROM joined_data GROUP BY k, o`,
      `SELECT ${k} AS k, SUM(total_spent + seconds) AS s FROM joined_data
         GROUP BY k ORDER BY SUM(items) DESC`,
      `SELECT ${k} AS k, COUNT(DISTINCT p.email) AS u FROM purchases p
         LEFT JOIN exposures x ON p.email = x.email GROUP BY k`,
    ]),
  ],
  [
    'quantiles',
    [0, 0.1, 0.25, 0.5, 0.75, 0.9, 1].flatMap((p) => [
      `SELECT APPROX_QUANTILE(LEAST(GREATEST(items, 0), 9), ${p}) AS q FROM joined_data`,
      `SELECT category, APPROX_QUANTILE(LEAST(GREATEST(items, 0), 63), ${p}) AS q
         FROM joined_data WHERE exposure_date < purchase_date GROUP BY category`,
    ]),
  ],
];
