// What every experiment hands back: rows for a .jsonl file, tables for the page, and its verdicts.
import { cpus } from 'node:os';

/** How long and from which seed an experiment runs. */
export interface Budget {
  readonly seed: string;
  /** Multiplies the number of trials; 1 is what the page shows. */
  readonly scale: number;
}

export type Row = Readonly<Record<string, string | number | boolean | readonly number[]>>;

/** Something that must hold; a run in which one does not ends with an error. */
export interface Verdict {
  readonly claim: string;
  readonly holds: boolean;
}

export interface Result {
  readonly name: string;
  readonly rows: readonly Row[];
  readonly verdicts: readonly Verdict[];
  /** Markdown below the experiment's heading. */
  readonly page: string;
}

export function machine(): Row {
  return { node: process.version, cpu: cpus()[0]?.model ?? 'unknown', cores: cpus().length };
}

/** A markdown table. */
export function table(head: readonly string[], rows: readonly (readonly unknown[])[]): string {
  const line = (cells: readonly unknown[]): string => `| ${cells.map(String).join(' | ')} |`;
  return [line(head), `|${'---|'.repeat(head.length)}`, ...rows.map(line)].join('\n');
}

/** Three significant digits, with an exponent for what is small. */
export function figure(x: number): string {
  if (x === 0) return '0';
  return Math.abs(x) < 1e-3 ? x.toExponential(2) : String(Number(x.toPrecision(3)));
}

/** Base-2 logarithm with one digit. */
export function log2Figure(ln: number): string {
  return (ln / Math.LN2).toFixed(1);
}

/** A count with thin groups. */
export function count(n: number): string {
  return n.toLocaleString('en');
}

/** @throws Error naming every claim that does not hold. */
export function expectVerdicts(result: Result): void {
  const broken = result.verdicts.filter((verdict) => !verdict.holds);
  if (broken.length === 0) return;
  throw new Error(`${result.name}: ${broken.map((verdict) => verdict.claim).join('; ')}`);
}
