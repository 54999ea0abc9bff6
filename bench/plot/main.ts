// `npm run bench:plot`: draws docs/bench/*.svg from docs/bench/*.jsonl and writes the tables of
// docs/benchmarks.md between their markers. Reads nothing else, so its output follows from the lines.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { formatField, type Line } from '../kit/report.ts';
import { drawChart, type Chart, type Series } from './svg.ts';
import { fillMarker, parseResults, resultsTable, type Results } from './table.ts';

const DOCS = new URL('../../docs/', import.meta.url);

interface ChartSpec {
  readonly file: string;
  /** Results files, without `.jsonl`. */
  readonly from: readonly string[];
  readonly title: string;
  readonly x: readonly [field: string, label: string];
  readonly y: readonly [field: string, label: string, scale: number];
  /** Which line of the chart a result belongs to; null leaves it out. */
  readonly series: (line: Line) => string | null;
}

const text = (line: Line, field: string): string => formatField(line[field] ?? null);

const CHARTS: readonly ChartSpec[] = [
  {
    file: 'ot',
    from: ['ot'],
    title: 'Random OTs a second, one core per party',
    x: ['n', 'OTs in one call'],
    y: ['per_second', 'OTs a second', 1],
    series: (line) => (line['case'] === 'random' ? `k = ${text(line, 'k')}` : null),
  },
  {
    file: 'and',
    from: ['and'],
    title: 'ANDs a second with their OTs, one core per party',
    x: ['n', 'ANDs in one layer'],
    y: ['per_second', 'ANDs a second', 1],
    series: (line) =>
      line['case'] === 'and' && line['parties'] === 2 ? `k = ${text(line, 'k')}` : null,
  },
  {
    file: 'less-than-nets',
    from: ['less-than-nets'],
    title: '16-bit comparisons by network, k = 4',
    x: ['n', 'rows'],
    y: ['ms_median', 'milliseconds', 1],
    series: (line) => `${text(line, 'net')}, ${text(line, 'case')}`,
  },
  {
    file: 'group-sums',
    from: ['group-sums'],
    title: 'Group sums of three 64-bit values by method, k = 4',
    x: ['groups', 'groups'],
    y: ['ns_each', 'µs a row', 1e-3],
    series: (line) => text(line, 'case'),
  },
  {
    file: 'join',
    from: ['join', 'peers'],
    title: 'Join of n with n identifiers, set-up included',
    x: ['n', 'identifiers a party'],
    y: ['ms_median', 'seconds', 1e-3],
    series: (line) => (line['bench'] === 'join' ? text(line, 'case') : 'psi.js'),
  },
  {
    file: 'query1',
    from: ['query1'],
    title: 'The attribution query, whole',
    x: ['users_per_party', 'users a party'],
    y: ['ms_median', 'seconds', 1e-3],
    series: (line) =>
      line['campaigns'] === 10 && line['categories'] === 1
        ? `${text(line, 'parties')} parties, ${text(line, 'oprf')}`
        : null,
  },
];

function read(name: string): Results | null {
  const file = new URL(`bench/${name}.jsonl`, DOCS);
  return existsSync(file) ? parseResults(readFileSync(file, 'utf8')) : null;
}

function chartOf({ title, from, x, y, series }: ChartSpec): Chart {
  const byName = new Map<string, [number, number][]>();
  for (const line of from.flatMap((name) => read(name)?.lines ?? [])) {
    const name = series(line);
    const [at, value] = [Number(line[x[0]]), Number(line[y[0]])];
    if (name === null || Number.isNaN(at) || Number.isNaN(value)) continue;
    byName.set(name, [...(byName.get(name) ?? []), [at, value * y[2]]]);
  }
  const all: Series[] = [...byName].map(([name, points]) => ({
    name,
    points: points.sort((a, b) => a[0] - b[0]),
  }));
  return { title, xLabel: x[1], yLabel: y[1], series: all };
}

for (const spec of CHARTS) {
  const chart = chartOf(spec);
  if (chart.series.length === 0) console.log(`no results for ${spec.file}.svg`);
  else writeFileSync(new URL(`bench/${spec.file}.svg`, DOCS), drawChart(chart));
}

const page = fileURLToPath(new URL('benchmarks.md', DOCS));
let document = readFileSync(page, 'utf8');
for (const [, name] of document.matchAll(/<!-- bench:([\w-]+) -->/g)) {
  const results = read(name!);
  if (results === null) continue;
  const { machine, lines } = results;
  const where = machine === null ? [] : [`*${machineText(machine)}*`, ''];
  document = fillMarker(document, name!, [...where, resultsTable(lines)].join('\n'));
}
writeFileSync(page, document);

function machineText(machine: Line): string {
  const at = (key: string): string => formatField(machine[key] ?? null);
  return `${at('cores')} cores of ${at('cpu')}, ${at('memory_gb')} GB, Node ${at('node')}, ${at('os')}`;
}
