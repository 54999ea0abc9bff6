import type { CaseResult, Mode, Point, Scenario } from './cases.ts';
import { allConnected, countSteps, MODES, runCase } from './cases.ts';
import { crashRoom, type CrashRoom } from './room.ts';
import { nameOf, type TraceStep } from './victim.ts';

export interface SweepOptions {
  /** Which of the scenario's steps, and how. */
  readonly choose: (steps: readonly TraceStep[]) => readonly Point[];
  /** Name of files whose fsyncs are left out: the control. */
  readonly deaf?: string;
  /** The steps are those of a room's first question. */
  readonly first?: boolean;
  /** Told of every case. */
  readonly onCase: (point: Point, result: CaseResult) => void;
}

export interface Swept {
  readonly scenario: Pick<Scenario, 'name'>;
  readonly steps: readonly TraceStep[];
  readonly results: readonly (CaseResult & Point)[];
}

/** Every step of a scenario in every mode; torn only where something is written. */
export function pointsOf(steps: readonly TraceStep[], modes: readonly Mode[]): Point[] {
  const rest: Point[] = modes
    .filter((mode) => mode === 'after' || mode === 'lost' || mode === 'hollow')
    .map((mode) => ({ step: 0, mode }));
  const points = modes.flatMap((mode) =>
    steps
      .filter(({ what }) => mode !== 'torn' || what === 'write')
      .map(({ number: step }) => ({ step, mode })),
  );
  return [...rest, ...points];
}

/** Crashes a scenario at every point. After a violation it goes on in a new room. */
export async function sweep(scenario: Scenario, options: SweepOptions): Promise<Swept> {
  const { choose, onCase, deaf } = options;
  const { victim, noise } = scenario;
  const open = async (): Promise<CrashRoom> => {
    const opened = await crashRoom({ victim, noise, ...(deaf === undefined ? {} : { deaf }) });
    await allConnected(opened);
    return opened;
  };
  let room = await open();
  const results: (CaseResult & Point)[] = [];
  try {
    // The first question of a room also writes what is written once.
    if (options.first !== true) await countSteps(room, scenario);
    const steps = await countSteps(room, scenario);
    for (const point of choose(steps)) {
      const result = await runCase(room, scenario, point);
      results.push({ ...result, ...point });
      onCase(point, result);
      if (result.violations.length === 0) continue;
      await room.close();
      room = await open();
    }
    return { scenario, steps, results };
  } finally {
    await room.close();
  }
}

const tallied = (codes: readonly string[]): string =>
  [...new Set(codes)]
    .sort()
    .map((code) => `${code} ${codes.filter((one) => one === code).length}`)
    .join(', ');

/** A scenario's table: its steps, and how queries ended by mode. */
export function tableOf({ scenario, steps, results }: Swept): string {
  const lines = [`${scenario.name}: ${steps.length} steps`];
  lines.push(...steps.map((step) => `  ${String(step.number).padStart(3)} ${nameOf(step)}`));
  for (const mode of MODES) {
    const own = results.filter((result) => result.mode === mode && result.at !== null);
    if (own.length === 0) continue;
    const violations = own.filter((result) => result.violations.length > 0).length;
    const first = tallied(own.map((result) => result.first));
    const next = tallied(own.map((result) => result.next));
    lines.push(
      `  ${mode}: ${own.length} crashes: ${first}; then ${next}; ${violations} violations`,
    );
  }
  const missed = results.filter(({ at }) => at === null).length;
  if (missed > 0) lines.push(`  not reached: ${missed}`);
  const left = results.flatMap((result) => result.left);
  if (left.length > 0) lines.push(`  left behind: ${tallied(left)}`);
  return lines.join('\n');
}
