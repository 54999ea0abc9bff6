import { writeFileSync } from 'node:fs';
import type { Policy } from '../../src/policy/types.ts';
import type { TABLES } from './room-policy.ts';

/** A small deterministic generator for test data; not for secrets. */
export type Dice = (sides: number) => number;

export function dice(seed: number): Dice {
  let state = (seed ^ 0x9e3779b9) >>> 0;
  return (sides) => {
    // xorshift32, Marsaglia 2003.
    state ^= state << 13;
    state >>>= 0;
    state ^= state >>> 17;
    state ^= state << 5;
    state >>>= 0;
    return state % sides;
  };
}

export type Row = Readonly<Record<string, string | null>>;

const pick = <T>(roll: Dice, of: readonly T[]): T => of[roll(of.length)]!;
const maybe = (roll: Dice, value: string): string | null => (roll(4) === 0 ? null : value);
const day = (roll: Dice): string => `2025-10-${String(1 + roll(6)).padStart(2, '0')}`;
const cents = (n: number): string =>
  `${n < 0 ? '-' : ''}${Math.floor(Math.abs(n) / 100)}.${String(Math.abs(n) % 100).padStart(2, '0')}`;

/** Random rows for the tables of `roomPolicy`, within its bounds; users overlap by chance. */
export function randomRows(
  roll: Dice,
  usersMax: number,
  rowsPerUser: number,
  dense = false,
): Readonly<Record<(typeof TABLES)[number], Row[]>> {
  const users = (): string[] => {
    const names = Array.from({ length: 2 * usersMax }, (_, i) => `u${i}@example.com`);
    // Several tables have few users in common unless most are in each.
    if (dense) return names.slice(0, usersMax).filter(() => roll(6) > 0);
    return names.filter(() => roll(2) === 0).slice(0, roll(usersMax + 1));
  };
  const rows = (make: (email: string) => Row, most = rowsPerUser): Row[] =>
    users().flatMap((email) => Array.from({ length: 1 + roll(most) }, () => make(email)));
  return {
    purchases: rows((email) => ({
      email,
      purchase_date: maybe(roll, day(roll)),
      total_spent: maybe(
        roll,
        pick(roll, ['0.00', '99999999.99', '-12.34', cents(roll(50_000)), cents(-roll(5000))]),
      ),
      items: `${roll(5)}`,
      category: maybe(roll, pick(roll, ['home', 'beauty', 'sports'])),
      online: pick(roll, ['true', 'false']),
    })),
    exposures: rows((email) => ({
      email,
      campaign_id: pick(roll, ['sg_fall25', 'sg_holiday25', 'home']),
      exposure_date: maybe(roll, day(roll)),
      seconds: maybe(roll, `${roll(60)}.${roll(10)}`),
      clicked: maybe(roll, pick(roll, ['true', 'false'])),
    })),
    members: rows(
      (email) => ({
        email,
        tier: maybe(roll, pick(roll, ['gold', 'home', 'blue'])),
        member_since: maybe(roll, day(roll)),
        points: `${roll(10)}`,
      }),
      Math.min(2, rowsPerUser),
    ),
    answers: rows(
      (email) => ({
        email,
        score: maybe(roll, `${roll(10)}.${roll(10)}`),
        consent: pick(roll, ['true', 'false']),
      }),
      1,
    ),
  };
}

/** Writes rows as CSV with the header of the table's columns, NULL as an empty field. */
export function writeCsv(file: string, policy: Policy, table: string, rows: readonly Row[]): void {
  const declared = policy.parties.map((p) => p.tables[table]).find((t) => t !== undefined)!;
  const names = [declared.privacy_unit_column.name, ...Object.keys(declared.columns)];
  const lines = rows.map((row) => names.map((name) => row[name] ?? '').join(','));
  writeFileSync(file, [names.join(','), ...lines, ''].join('\n'));
}

type Leaf = (roll: Dice) => string;

const LEAVES: readonly Leaf[] = [
  () => 'exposure_date < purchase_date',
  (roll) => `exposure_date ${pick(roll, ['=', '<>', '<=', '>', '>='])} purchase_date`,
  (roll) =>
    `total_spent ${pick(roll, ['>', '<', '>=', '<=', '=', '<>'])} ${pick(roll, ['100.00', '0', '-12.34', '50.005'])}`,
  (roll) => `items ${pick(roll, ['IN', 'NOT IN'])} (1, ${roll(5)}, 3)`,
  (roll) => `category ${pick(roll, ['=', '<>'])} '${pick(roll, ['home', 'sports', 'nothing'])}'`,
  (roll) => `category ${pick(roll, ['=', '<>'])} campaign_id`,
  (roll) => `purchase_date BETWEEN '2025-10-0${1 + roll(3)}' AND '2025-10-05'`,
  (roll) => `seconds ${pick(roll, ['>', '<='])} ${roll(60)}.5`,
  (roll) =>
    `${pick(roll, ['category', 'clicked', 'total_spent', 'exposure_date'])} IS ${pick(roll, ['NULL', 'NOT NULL'])}`,
  (roll) => pick(roll, ['online', 'clicked', 'NOT clicked', 'online = clicked']),
  (roll) => `campaign_id IN ('sg_fall25'${roll(2) === 0 ? '' : ", 'home'"})`,
];

/** What the third and the fourth table add. */
const MORE_LEAVES: readonly (readonly Leaf[])[] = [
  [
    (roll) => `member_since ${pick(roll, ['<', '<=', '=', '>'])} purchase_date`,
    (roll) => `exposure_date ${pick(roll, ['<', '>=', '<>'])} member_since`,
    (roll) => `tier ${pick(roll, ['=', '<>'])} '${pick(roll, ['gold', 'home'])}'`,
    () => 'tier = category',
    (roll) => `points ${pick(roll, ['<', '>='])} ${pick(roll, ['items', '4'])}`,
    () => 'tier IS NOT NULL',
  ],
  [
    (roll) => `score ${pick(roll, ['>', '<='])} ${pick(roll, ['seconds', '4.5', 'points'])}`,
    () => 'consent',
    (roll) => `consent = ${pick(roll, ['online', 'clicked'])}`,
  ],
];

function condition(roll: Dice, leaves: readonly Leaf[], depth: number): string {
  const kind = depth === 0 ? 0 : roll(5);
  if (kind <= 1) return pick(roll, leaves)(roll);
  if (kind === 2) return `NOT (${condition(roll, leaves, depth - 1)})`;
  const glue = kind === 3 ? ' AND ' : ' OR ';
  return `(${condition(roll, leaves, depth - 1)}${glue}${condition(roll, leaves, depth - 1)})`;
}

const AGGREGATES = [
  'COUNT(*)',
  'COUNT(DISTINCT hashed_email)',
  'COUNT(total_spent)',
  'COUNT(clicked)',
  'COUNT(category)',
  'SUM(total_spent)',
  'SUM(items)',
  'SUM(seconds)',
  'AVG(total_spent)',
  'AVG(seconds)',
  'AVG(items)',
];
const KEYS = ['campaign_id', 'category', 'online', 'clicked'];
/** Over columns of the first two tables. */
const MIXED_KEYS = [
  "CASE WHEN exposure_date < purchase_date THEN 'after' ELSE 'before' END",
  'clicked = online',
  'COALESCE(category, campaign_id)',
  'exposure_date = purchase_date',
];
const MORE_AGGREGATES = [
  ['SUM(points)', 'COUNT(tier)', 'COUNT(member_since)'],
  ['SUM(score)', 'AVG(score)'],
];
const MORE_KEYS = [['tier'], ['consent']];

/**
 * A random query of the supported dialect over `joined_data` of 2 to 4 tables, every output column
 * named.
 */
export function randomQuery(roll: Dice, parties = 2): string {
  const more = <T>(first: readonly T[], rest: readonly (readonly T[])[]): readonly T[] => [
    ...first,
    ...rest.slice(0, parties - 2).flat(),
  ];
  const leaves = more(LEAVES, MORE_LEAVES);
  const aggregatesOf = more(AGGREGATES, MORE_AGGREGATES);
  const own = more(KEYS, MORE_KEYS).filter(() => roll(4) === 0);
  const mixed = roll(4) === 0 ? [pick(roll, MIXED_KEYS)] : [];
  // Where two keys stand already, groups would be many.
  const keys = [...own.slice(0, mixed.length > 0 ? 1 : own.length), ...mixed.map(() => 'mixed')];
  const aggregates = Array.from(
    { length: 1 + roll(4) },
    (_, i) => `${pick(roll, aggregatesOf)} AS a${i}`,
  );
  const where = roll(4) === 0 ? '' : ` WHERE ${condition(roll, leaves, 3)}`;
  const group = keys.length === 0 ? '' : ` GROUP BY ${keys.join(', ')}`;
  const order =
    keys.length === 0
      ? ''
      : ` ORDER BY ${keys.map((k) => `${k} ${pick(roll, ['ASC', 'DESC'])} NULLS ${pick(roll, ['FIRST', 'LAST'])}`).join(', ')}`;
  const limit = keys.length === 0 || roll(3) > 0 ? '' : ` LIMIT ${1 + roll(4)}`;
  const named = keys.map((key) => (key === 'mixed' ? `${mixed[0]!} AS mixed` : key));
  return `SELECT ${[...named, ...aggregates].join(', ')} FROM joined_data${where}${group}${order}${limit}`;
}
