// Random queries over the whole table of docs/sql.md, in the dialect that DuckDB shares.
import type { Dice } from './random-room.ts';

const pick = <T>(roll: Dice, of: readonly T[]): T => of[roll(of.length)]!;

/** Numbers of one row: of one party each, then of several. */
export const LOCAL = [
  'total_spent',
  'items',
  'items + 1',
  'items * 2 - 3',
  'total_spent * items',
  '-total_spent',
  'ABS(total_spent)',
  'LEAST(GREATEST(total_spent, 0), 500)',
  'COALESCE(total_spent, 0)',
  "CASE WHEN category = 'home' THEN total_spent ELSE 1.5 END",
  'CASE WHEN online THEN items END',
  'NULLIF(items, 2)',
  'EXTRACT(day FROM purchase_date)',
  "purchase_date - DATE '2025-10-01'",
  'seconds',
  'seconds * 2 + 1',
  'COALESCE(seconds, 1.5)',
  "CASE campaign_id WHEN 'home' THEN 1 WHEN 'sg_fall25' THEN 2 END",
  'EXTRACT(isodow FROM exposure_date)',
];
export const ACROSS = [
  'total_spent + seconds',
  'items - seconds',
  'items * LEAST(GREATEST(seconds, 0), 60)',
  'LEAST(GREATEST(total_spent, -50), 500) * LEAST(GREATEST(seconds, 0), 60)',
  'purchase_date - exposure_date',
  'CASE WHEN exposure_date < purchase_date THEN total_spent END',
  'CASE WHEN category = campaign_id THEN items ELSE seconds END',
  'CASE WHEN clicked THEN items WHEN exposure_date = purchase_date THEN 0 ELSE -1 END',
  'COALESCE(total_spent, seconds)',
  'COALESCE(seconds, items)',
  'LEAST(items, seconds)',
  'ABS(purchase_date - exposure_date)',
];
export const THIRD = [
  'points',
  'points + items',
  'CASE WHEN tier = category THEN points ELSE items END',
  'LEAST(GREATEST(points, 0), 9) * LEAST(GREATEST(items, 0), 9) * LEAST(GREATEST(seconds, 0), 60)',
  'purchase_date - member_since',
];

export const CONDITIONS = [
  'exposure_date < purchase_date',
  'purchase_date - exposure_date <= 2',
  'exposure_date BETWEEN purchase_date - 3 AND purchase_date',
  "exposure_date >= purchase_date - INTERVAL '2 days'",
  "category LIKE '%o%'",
  "campaign_id NOT LIKE 'sg_fall%'",
  "category IN ('home', 'sports')",
  'category = campaign_id',
  'COALESCE(total_spent, seconds) > 20',
  'total_spent + seconds > 30',
  'total_spent > 99999999.98',
  'CASE WHEN online THEN items ELSE seconds END > 2',
  '(total_spent > 5) IS TRUE',
  '(exposure_date < purchase_date) IS NOT TRUE',
  'clicked IS NULL',
  'NULLIF(items, 2) IS NULL',
  'LEAST(items, 3) = 3',
  'online = clicked',
  'total_spent * 2 >= -24.68',
  'EXTRACT(day FROM purchase_date) IN (1, 3, 5)',
  'NOT clicked',
  'LEAST(GREATEST(items, 0), 6) * seconds > 20',
];

export const KEYS = [
  'campaign_id',
  'category',
  'online',
  'clicked',
  'EXTRACT(month FROM exposure_date)',
  "DATE_TRUNC('month', exposure_date)",
  "CASE WHEN total_spent > 100 THEN 'high' WHEN total_spent <= 100 THEN 'low' END",
  "COALESCE(category, 'none')",
  'items > 2',
  'LEAST(GREATEST(items, 1), 3)',
];
/** Keys over two parties' columns, and over a third's. */
export const MIXED_KEYS = [
  "CASE WHEN exposure_date < purchase_date THEN 'after' ELSE 'before' END",
  'clicked = online',
  'COALESCE(category, campaign_id)',
  'LEAST(GREATEST(purchase_date - exposure_date, -1), 2)',
  "CASE WHEN exposure_date < purchase_date THEN category WHEN clicked THEN 'other' END",
  'COALESCE(exposure_date >= purchase_date, clicked)',
  'total_spent + seconds > 30 OR NOT online',
  "CASE WHEN category = campaign_id THEN DATE '2025-10-01' WHEN items > 2 OR clicked THEN DATE '2025-11-01' END",
  'NULLIF(category, campaign_id)',
  'CASE WHEN clicked THEN LEAST(GREATEST(items, 0), 2) ELSE 0.5 END',
];
export const THIRD_MIXED_KEYS = [
  'COALESCE(tier, category)',
  'points > items',
  'LEAST(GREATEST(items, 0), 2) * LEAST(GREATEST(points, 1), 3)',
  'CASE WHEN member_since < exposure_date THEN clicked ELSE online END',
];
export const THIRD_KEYS = ['tier', "COALESCE(tier, 'gold') = 'gold'"];

const number = (roll: Dice, parties: number): string => {
  const kind = roll(parties > 2 ? 5 : 4);
  return pick(roll, kind < 2 ? LOCAL : kind < 4 ? ACROSS : THIRD);
};

function condition(roll: Dice, depth: number): string {
  const kind = depth === 0 ? 0 : roll(5);
  if (kind <= 1) return pick(roll, CONDITIONS);
  if (kind === 2) return `NOT (${condition(roll, depth - 1)})`;
  const glue = kind === 3 ? 'AND' : 'OR';
  return `(${condition(roll, depth - 1)} ${glue} ${condition(roll, depth - 1)})`;
}

function aggregate(roll: Dice, parties: number, unit: string): string {
  const filter = roll(6) === 0 ? ` FILTER (WHERE ${condition(roll, 1)})` : '';
  switch (roll(8)) {
    case 0:
      return `COUNT(*)${filter}`;
    case 1:
      return `COUNT(DISTINCT ${unit})${filter}`;
    case 2:
      return `COUNT(${number(roll, parties)})${filter}`;
    case 3:
      return `AVG(${number(roll, parties)})${filter}`;
    case 4:
      // Small values only: DuckDB's own variance of wide ones is rounded at every step.
      return `${pick(roll, ['VAR_POP', 'VAR_SAMP', 'STDDEV_POP', 'STDDEV'])}(${pick(roll, ['items', 'seconds', 'items * 2'])})`;
    default:
      return `SUM(${number(roll, parties)})${filter}`;
  }
}

function output(roll: Dice, parties: number, unit: string): string {
  const one = (): string => aggregate(roll, parties, unit);
  switch (roll(10)) {
    case 0:
      return `SUM(${number(roll, parties)}) / COUNT(*)`;
    case 1:
      return `COALESCE(SUM(${number(roll, parties)}), 0)`;
    case 2:
      return `CASE WHEN COUNT(*) > 3 THEN SUM(items) ELSE 0 END`;
    case 3:
      return `ROUND(SUM(total_spent), 1)`;
    case 4:
      return `100.0 * COUNT(clicked) / NULLIF(COUNT(seconds), 0)`;
    default:
      return one();
  }
}

/** How FROM is written; LEFT JOIN, commas and a local join among the ways. */
function source(
  roll: Dice,
  parties: number,
): { readonly from: string; readonly unit: string; readonly where: string } {
  const members = parties > 2 ? ' JOIN members m ON m.email = p.email' : '';
  switch (roll(6)) {
    case 0:
      return {
        from: `purchases p LEFT JOIN exposures x ON p.email = x.email${members}`,
        unit: pick(roll, ['p.email', 'x.email']),
        where: '',
      };
    case 1:
      return {
        from: `purchases p LEFT JOIN exposures x ON p.email = x.email AND x.seconds > 5${members}`,
        unit: 'p.email',
        where: '',
      };
    case 2:
      return {
        from: `shopgood.purchases AS p, exposures x${parties > 2 ? ', members m' : ''}`,
        unit: 'x.email',
        where: `p.email = x.email${parties > 2 ? ' AND x.email = m.email' : ''}`,
      };
    case 3:
      return {
        from: `purchases p JOIN visits v ON v.email = p.email JOIN exposures x ON p.email = x.email${members}`,
        unit: 'p.email',
        where: '',
      };
    default:
      return { from: 'joined_data', unit: 'hashed_email', where: '' };
  }
}

/** A random query, and whether it fixes the order of its rows. */
export function randomSql(
  roll: Dice,
  parties: number,
): { readonly sql: string; readonly ordered: boolean } {
  const { from, unit, where: linked } = source(roll, parties);
  const own = [...KEYS, ...(parties > 2 ? THIRD_KEYS : [])].filter(() => roll(6) === 0);
  const mixed = [...MIXED_KEYS, ...(parties > 2 ? THIRD_MIXED_KEYS : [])];
  const keys = (roll(4) === 0 ? [pick(roll, mixed), ...own] : own).slice(0, 2);
  if (roll(2) === 0) keys.reverse();
  const columns = Array.from(
    { length: 1 + roll(3) },
    (_, i) => `${output(roll, parties, unit)} AS a${i}`,
  );
  const named = keys.map((key, i) => `${key} AS k${i}`);
  const wanted = roll(3) === 0 ? [] : [condition(roll, 2)];
  const where = [...(linked === '' ? [] : [linked]), ...wanted];
  const grouped = keys.length > 0;
  const having =
    grouped && roll(4) === 0
      ? ` HAVING ${pick(roll, ['COUNT(*) > 2', 'SUM(items) >= 5', 'a0 IS NOT NULL', 'COUNT(DISTINCT ' + unit + ') < 4'])}`
      : '';
  const direction = (): string =>
    `${pick(roll, ['ASC', 'DESC'])} NULLS ${pick(roll, ['FIRST', 'LAST'])}`;
  const ordered = grouped && roll(2) === 0;
  const first = roll(2) === 0 ? [`COUNT(*) ${direction()}`] : [];
  const order = ordered
    ? ` ORDER BY ${[...first, ...keys.map((_, i) => `k${i} ${direction()}`)].join(', ')}`
    : '';
  const limit = ordered && roll(3) === 0 ? ` LIMIT ${1 + roll(4)} OFFSET ${roll(2)}` : '';
  const sql =
    `SELECT ${[...named, ...columns].join(', ')} FROM ${from}` +
    (where.length === 0 ? '' : ` WHERE ${where.join(' AND ')}`) +
    (grouped ? ` GROUP BY ${keys.map((_, i) => `k${i}`).join(', ')}` : '') +
    `${having}${order}${limit}`;
  return { sql, ordered };
}
