import { appendFileSync, mkdirSync } from 'node:fs';
import { cpus, totalmem } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export type Field = string | number | null | readonly number[] | Readonly<Record<string, unknown>>;
export type Line = Readonly<Record<string, Field>>;

export interface ReportOptions {
  readonly bench: string;
  /** JSON lines instead of a table. */
  readonly json: boolean;
  /** Appended to; `bench/results/<bench>.jsonl` when left out. */
  readonly out?: string | undefined;
}

export interface Report {
  line(line: Line): void;
}

/** Model of the processor, number of cores, memory, Node: what every number depends on. */
export function machineLine(bench: string): Line {
  return {
    bench,
    node: process.version,
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    memory_gb: Math.round(totalmem() / 2 ** 30),
    os: process.platform,
  };
}

const RESULTS = fileURLToPath(new URL('../results', import.meta.url));

/** Prints the machine line, then every line as it comes; all lines also go to a file, as JSON. */
export function openReport({ bench, json, out }: ReportOptions): Report {
  const file = out ?? join(RESULTS, `${bench}.jsonl`);
  mkdirSync(dirname(file), { recursive: true });
  const machine = machineLine(bench);
  let columns: string[] = [];
  const write = (line: Line): void => {
    appendFileSync(file, `${JSON.stringify(line)}\n`);
    if (json) console.log(JSON.stringify(line));
  };
  write(machine);
  if (!json) console.log(Object.values(machine).map(formatField).join(' | '));
  return {
    line(line) {
      const whole: Line = { bench, ...line };
      write(whole);
      if (json) return;
      const isRecord = (key: string): boolean =>
        typeof line[key] === 'object' && line[key] !== null && !Array.isArray(line[key]);
      const keys = Object.keys(line).filter((key) => !isRecord(key));
      if (keys.join() !== columns.join()) {
        columns = keys;
        console.log(`\n${columns.map((key) => key.padStart(widthOf(key))).join('  ')}`);
      }
      console.log(columns.map((key) => formatField(line[key]!).padStart(widthOf(key))).join('  '));
      for (const key of Object.keys(line).filter(isRecord)) {
        console.log(`  ${key}: ${JSON.stringify(line[key])}`);
      }
    },
  };
}

function widthOf(key: string): number {
  return Math.max(9, key.length);
}

export function formatField(field: Field): string {
  if (field === null) return '-';
  if (typeof field === 'number') return field.toLocaleString('en-US', { maximumFractionDigits: 3 });
  if (typeof field === 'string') return field;
  if (Array.isArray(field)) return (field as readonly number[]).map(formatField).join('/');
  return JSON.stringify(field);
}
