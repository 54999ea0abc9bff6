import { parseArgs } from 'node:util';
import { openReport, type Line } from './report.ts';
import { parseCounts, round3, spreadOf } from './stats.ts';

/** A computation of one party: no peer, no network. */
export interface LocalCase {
  readonly name: string;
  /** How many results one call makes. */
  readonly n: number;
  readonly work: () => unknown;
  /** Outside the timer. @throws when the result is wrong. */
  readonly check: (result: unknown) => void;
  /** Further fields, from the results a second. */
  readonly more?: (perSecond: number) => Line;
}

export interface LocalBench {
  readonly name: string;
  readonly unit: string;
  readonly n: readonly number[];
  readonly runs?: number;
  /** All cases of one size. */
  cases(n: number): readonly LocalCase[];
}

/**
 * Runs each case once without counting, then `runs` times, in this thread. Times are CPU times, user
 * and system, so that another process on the core does not count.
 */
export function benchLocal(bench: LocalBench): void {
  const text = { type: 'string' } as const;
  const { values } = parseArgs({
    options: {
      n: text,
      runs: text,
      case: text,
      out: text,
      json: { type: 'boolean', default: false },
    },
  });
  const runs = Number(values.runs ?? bench.runs ?? 5);
  const report = openReport({ bench: bench.name, json: values.json, out: values.out });
  for (const n of values.n === undefined ? bench.n : parseCounts(values.n)) {
    for (const one of bench.cases(n)) {
      if (values.case !== undefined && !values.case.split(',').includes(one.name)) continue;
      report.line(measure(one, bench.unit, runs));
    }
  }
}

function measure({ name, n, work, check, more }: LocalCase, unit: string, runs: number): Line {
  const times: number[] = [];
  for (let run = 0; run <= runs; run += 1) {
    const before = process.cpuUsage();
    const result = work();
    const { user, system } = process.cpuUsage(before);
    check(result);
    if (run > 0) times.push((user + system) / 1e3);
  }
  const ms = spreadOf(times);
  const perSecond = Math.round((1e3 * n) / ms.median);
  return {
    case: name,
    n,
    unit,
    cpu_ms_median: round3(ms.median),
    cpu_ms_min: round3(ms.min),
    cpu_ms_max: round3(ms.max),
    ns_each: round3((1e6 * ms.median) / n),
    per_second: perSecond,
    ...more?.(perSecond),
    peak_rss_mb: Math.round(process.resourceUsage().maxRSS / 1024),
    runs,
  };
}
