import type { Field, Line } from '../kit/report.ts';

/** What a results file holds. */
export interface Results {
  /** As of the last run in the file. */
  readonly machine: Line | null;
  readonly lines: readonly Line[];
}

export function parseResults(text: string): Results {
  const all = text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Line);
  const isMachine = (line: Line): boolean => 'node' in line;
  return {
    machine: all.findLast(isMachine) ?? null,
    lines: all.filter((line) => !isMachine(line)),
  };
}

/** Fields shown as columns, in this order; others of a line follow under their own names. */
const HEADINGS: Readonly<Record<string, string>> = {
  case: 'case',
  n: 'n',
  k: 'k',
  parties: 'parties',
  net: 'network',
  ms_median: 'ms, median',
  ms_range: 'min – max',
  cpu_ms_median: 'CPU ms, median',
  cpu_ms_range: 'min – max',
  ns_each: 'ns each',
  per_second: 'per second',
  bytes_each: 'bytes each',
  mb_sent: 'MB sent by all',
  rounds: 'rounds',
  cpu_ns_each: 'CPU ns each, by party',
  cpu_ns_each_all: 'CPU ns each, all threads',
  per_cpu_second: 'per CPU second',
  peak_rss_mb: 'peak MB',
};

/** In the JSON lines only. */
const HIDDEN = ['bench', 'unit', 'bytes_sent', 'stages_end_at_ms', 'bytes_sent_per_query'];

/** A Markdown table; what is the same in all lines goes to one sentence above it. */
export function resultsTable(lines: readonly Line[]): string {
  const rows = lines.map(withRanges);
  const keys = [...new Set(rows.flatMap((row) => Object.keys(row)))].filter(
    (key) => !HIDDEN.includes(key),
  );
  const known = Object.keys(HEADINGS);
  const rank = (key: string): number => (known.includes(key) ? known.indexOf(key) : 4.5);
  keys.sort((a, b) => rank(a) - rank(b));
  const constant = keys.filter(
    (key) =>
      !['n', 'ms_median', 'per_second'].includes(key) &&
      new Set(rows.map((row) => cell(row[key] ?? null))).size === 1,
  );
  const shown = keys.filter((key) => rows.length === 1 || !constant.includes(key));
  const unit = lines[0]?.['unit'];
  const about = [
    ...(typeof unit === 'string' ? [`One is one ${unit}`] : []),
    ...(rows.length === 1
      ? []
      : constant.map((key) => `${HEADINGS[key] ?? key} ${cell(rows[0]![key] ?? null)}`)),
  ];
  return [
    ...(about.length > 0 ? [`${about.join('; ')}.`, ''] : []),
    `| ${shown.map((key) => HEADINGS[key] ?? key.replaceAll('_', ' ')).join(' | ')} |`,
    `|${shown.map(() => '---').join('|')}|`,
    ...rows.map((row) => `| ${shown.map((key) => cell(row[key] ?? null)).join(' | ')} |`),
  ].join('\n');
}

function withRanges(line: Line): Line {
  const out: Record<string, Field> = {};
  for (const [key, value] of Object.entries(line)) {
    if (/ms_(min|max)$/.test(key)) continue;
    out[key] = value;
    if (key === 'bytes_sent_per_query') {
      const all = Object.values(value as Record<string, number>).reduce((sum, one) => sum + one, 0);
      out['mb_sent'] = Math.round(all / 1e5) / 10;
    }
    if (!key.endsWith('ms_median')) continue;
    const stem = key.slice(0, -'median'.length);
    // A baseline of one run has no range.
    const [min, max] = [line[`${stem}min`], line[`${stem}max`]];
    if (min !== undefined && max !== undefined) out[`${stem}range`] = `${cell(min)} – ${cell(max)}`;
  }
  return out;
}

function cell(field: Field): string {
  if (field === null) return '–';
  if (typeof field === 'number') return field.toLocaleString('en-US', { maximumFractionDigits: 3 });
  if (typeof field === 'string') return field;
  return Object.values(field as Record<string, number>)
    .map(cell)
    .join(' / ');
}

/**
 * Puts `content` between `<!-- bench:name -->` and `<!-- /bench:name -->`.
 * @throws RangeError when the document has no such place.
 */
export function fillMarker(document: string, name: string, content: string): string {
  const [open, close] = [`<!-- bench:${name} -->`, `<!-- /bench:${name} -->`];
  const from = document.indexOf(open);
  const to = document.indexOf(close);
  if (from < 0 || to < from) throw new RangeError(`no place for ${name}`);
  return `${document.slice(0, from + open.length)}\n${content}\n${document.slice(to)}`;
}
