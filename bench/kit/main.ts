import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { isMainThread } from 'node:worker_threads';
import type { FieldBits } from '../../src/protocols/ot/index.ts';
import { createLockstep } from './lockstep.ts';
import { parseNets } from './net.ts';
import { startParties, type Parties, type TimedRun } from './parties.ts';
import { openReport, type Line } from './report.ts';
import { combinations, parseCounts, round3, spreadOf } from './stats.ts';
import { createSeeds, type Params, type Task } from './task.ts';

/** Whether the module is the program that was started, not imported by a party. */
export function isProgram(url: string): boolean {
  return isMainThread && process.argv[1] === fileURLToPath(url);
}

interface Options {
  readonly lines: readonly Params[];
  readonly link: 'threads' | 'processes';
  readonly runs: number;
  readonly json: boolean;
  readonly out: string | undefined;
}

/** Flags of every bench of a protocol; `bench/README.md` explains them. */
export function parseOptions(task: Task, args: readonly string[]): Options {
  const text = { type: 'string' } as const;
  const names = Object.keys(task.extras ?? {});
  const { values } = parseArgs({
    args: [...args],
    options: {
      n: text,
      k: text,
      parties: text,
      net: text,
      case: text,
      runs: text,
      link: text,
      out: text,
      json: { type: 'boolean', default: false },
      ...Object.fromEntries(names.map((name) => [name, text])),
    },
  });
  const flag = (name: string): string | undefined => {
    const value = (values as Record<string, string | boolean | undefined>)[name];
    return typeof value === 'string' ? value : undefined;
  };
  const counts = (name: string, otherwise: readonly number[]): readonly number[] =>
    flag(name) === undefined ? otherwise : parseCounts(flag(name)!);
  const link = flag('link') ?? task.link ?? 'threads';
  if (link !== 'threads' && link !== 'processes') throw new RangeError('--link');
  const chosen = flag('case')?.split(',') ?? task.cases;
  for (const one of chosen) {
    if (!task.cases.includes(one)) throw new RangeError(`--case is of ${task.cases.join(', ')}`);
  }
  const extras = Object.fromEntries(
    names.map((name) => [name, flag(name)?.split(',') ?? task.extras![name]!]),
  );
  const lines = combinations({
    net: parseNets(flag('net') ?? 'none'),
    parties: counts('parties', [2]),
    case: chosen,
    k: counts('k', task.k ?? [4]).map(expectFieldBits),
    extra: combinations(extras),
    n: counts('n', task.n),
  }).filter((params) => task.skip?.(params) !== true);
  return {
    lines,
    link,
    runs: counts('runs', [task.runs ?? 5])[0]!,
    json: values.json,
    out: flag('out'),
  };
}

function expectFieldBits(k: number): FieldBits {
  if (k !== 1 && k !== 2 && k !== 4 && k !== 8) throw new RangeError('--k is 1, 2, 4 or 8');
  return k;
}

/**
 * The bench of a protocol. Per line: one run in lockstep, which counts rounds; then the parties in
 * threads or processes, a dropped run, and `runs` timed ones, each checked outside the timer.
 */
export async function benchTask(task: Task, url: string): Promise<void> {
  if (!isProgram(url)) return;
  const { lines, link, runs, json, out } = parseOptions(task, process.argv.slice(2));
  const report = openReport({ bench: task.name, json, out });
  let parties: Parties | null = null;
  let key = '';
  for (const params of lines) {
    const rounds = await countRounds(task, params);
    const wanted = `${params.parties} ${params.net?.name ?? ''}`;
    if (parties === null || wanted !== key) {
      await parties?.close();
      parties = await startParties({ module: url, link, parties: params.parties, net: params.net });
      key = wanted;
    }
    await parties.open(params);
    const timed: TimedRun[] = [];
    for (let run = 0; run <= runs; run += 1) {
      const one = await parties.run();
      task.check(await parties.outputs(), params);
      if (run > 0) timed.push(one);
    }
    report.line(lineOf(task, params, rounds, timed, link));
  }
  await parties?.close();
}

/** One run of all parties in this thread, checked too. */
export async function countRounds(task: Task, line: Params): Promise<number> {
  const params = { ...line, extra: { ...line.extra, ...task.inLockstep } };
  const step = createLockstep(params.parties);
  const { outputs: works } = await step.run((party) => {
    const channels = step.ends[party]!;
    return task.open(
      { party, parties: params.parties, channels, seeds: createSeeds(party, channels) },
      params,
    );
  });
  const { outputs, rounds } = await step.run((party) => works[party]!());
  task.check(outputs, params);
  return rounds;
}

function lineOf(
  task: Task,
  params: Params,
  rounds: number,
  timed: readonly TimedRun[],
  link: string,
): Line {
  const { n } = params;
  const ms = spreadOf(timed.map((run) => run.ms));
  const bytes = timed[0]!.bytes;
  const cpu = bytes.map((_, party) => spreadOf(timed.map((run) => run.cpuMs[party]!)).median);
  const cpuAll = spreadOf(timed.map((run) => run.cpuAllMs)).median;
  const all = bytes.reduce((sum, one) => sum + one, 0);
  return {
    case: params.case,
    n,
    unit: task.unit,
    k: params.k,
    parties: params.parties,
    ...params.extra,
    net: params.net?.name ?? 'none',
    link,
    ms_median: round3(ms.median),
    ms_min: round3(ms.min),
    ms_max: round3(ms.max),
    ns_each: round3((ms.median * 1e6) / n),
    per_second: Math.round((n * 1e3) / ms.median),
    bytes_each: round3(all / n),
    bytes_sent: bytes,
    rounds,
    cpu_ns_each: cpu.map((one) => round3((one * 1e6) / n)),
    cpu_ns_each_all: round3((cpuAll * 1e6) / n),
    // Of the party that has more to do, if it had a core to itself and never waited.
    per_cpu_second: Math.round((n * 1e3) / Math.max(...cpu)),
    ...task.more?.(params, ms.median),
    peak_rss_mb: timed.at(-1)!.rssMb,
    runs: timed.length,
  };
}
