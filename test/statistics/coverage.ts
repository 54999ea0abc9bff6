// privacy 13: intervals hold what they say, and what is said before a run is what the answer says.
import { decodeAnswer, releaseOf } from '../../src/client/index.ts';
import { aggregatePlain } from '../../src/engine/plain/index.ts';
import { explainQuery } from '../../src/explain/index.ts';
import { planQuery } from '../../src/sql/index.ts';
import { combine, engineRoom } from '../support/engine.ts';
import { cellsPolicy, cellsTables } from './cells.ts';
import type { Check } from './check.ts';

export const title = 'Intervals';

const SQL = `SELECT g, COUNT(DISTINCT id) AS people, COUNT(*) AS pairs, SUM(a) AS total, AVG(a) AS mean
  FROM v GROUP BY g`;
const COLUMNS = ['people', 'pairs', 'total', 'mean'] as const;
const DIGEST = 'd'.repeat(64);
const PER_GROUP = 12;
const LEVEL = 0.945;

export async function run(long: boolean): Promise<readonly Check[]> {
  const [groups, queries] = long ? [1000, 6] : [300, 1];
  const policy = cellsPolicy(groups, PER_GROUP);
  const plan = planQuery(policy, DIGEST, SQL, { epsilon: '4' });
  const tables = cellsTables(plan, groups, PER_GROUP);
  const totals = aggregatePlain(plan, tables);
  const sums = plan.measures.findIndex(({ measure }) => measure.kind === 'sum');
  const truthOf = (column: (typeof COLUMNS)[number], g: number): number => {
    const sum = Number(totals[sums]![g]);
    if (column === 'total') return sum;
    return column === 'mean' ? sum / PER_GROUP : PER_GROUP;
  };
  const inside = new Map(COLUMNS.map((name) => [name, 0]));
  const widths = new Map(COLUMNS.map((name) => [name, new Set<string>()]));
  let cells = 0;
  const room = await engineRoom();
  for (let q = 0; q < queries; q += 1) {
    const { open, cells: opened } = combine(await room.run(plan, tables));
    for (const row of decodeAnswer(plan, open, opened, releaseOf(plan).widths).rows) {
      const g = Number(String(row.cells[0]!.value).slice(1));
      COLUMNS.forEach((name, c) => {
        const { interval } = row.cells[c + 1]!;
        if (interval === null) throw new Error('a noised cell has an interval');
        cells += 1;
        widths.get(name)!.add(interval.half_width);
        const truth = truthOf(name, g);
        const held = Number(interval.low) <= truth && truth <= Number(interval.high);
        if (held) inside.set(name, inside.get(name)! + 1);
      });
    }
  }
  const expected = await explainQuery(policy, DIGEST, SQL, { epsilon: '4', withoutCost: true });
  const each = queries * groups;
  const covered = COLUMNS.map((name): Check => {
    const share = inside.get(name)! / each;
    return {
      test: '13',
      what: `released ${name} inside their 95% intervals`,
      n: each,
      result: `${(100 * share).toFixed(2)}%`,
      // A push has few cells: five deviations of a fair 95% are allowed for chance.
      pass: share >= (long ? LEVEL : 0.95 - 5 * Math.sqrt((0.95 * 0.05) / each)),
    };
  });
  const equal = expected.columns.filter(({ name, halfWidth, assumesPeople }) => {
    const stated = widths.get(name as (typeof COLUMNS)[number]);
    if (stated === undefined || assumesPeople !== null) return false;
    return stated.size === 1 && stated.has(halfWidth!);
  }).length;
  const floor = long ? LEVEL : 0.93;
  const overall = [...inside.values()].reduce((a, b) => a + b, 0) / cells;
  return [
    ...covered,
    {
      test: '13',
      what: 'all of them',
      n: cells,
      result: `${(100 * overall).toFixed(2)}%, must be ${100 * floor}%`,
      pass: overall >= floor && cells === COLUMNS.length * each,
    },
    {
      test: '13',
      what: 'half-widths said before the run equal those of every cell (counts, sum)',
      n: 3 * each,
      result: `${equal} of 3 columns`,
      pass: equal === 3,
    },
  ];
}
