// One crash: the victim dies at one step of what a scenario does, is started again, and everything is
// looked at. A room serves case after case, so that its disks have been through all crashes before.
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { newQueryId } from '../../../src/client/index.ts';
import { until } from '../../support/command.ts';
import { checkAfter, checkDisk, leftFiles } from './checks.ts';
import { cutPower } from './power-cut.ts';
import { PARTIES, type CrashRoom, type Question } from './room.ts';
import { nameOf, readTrace, type Arm, type TraceStep } from './victim.ts';

export const MODES = ['before', 'after', 'torn', 'lost', 'hollow'] as const;
/** `lost` and `hollow`: after the step, by a power cut (power-cut.ts). */
export type Mode = (typeof MODES)[number];

/** Longest a question may take, with the restart in between (R1). */
const END_MS_MAX = 75_000;

/** How a question ended for the analyst. */
export interface Ended {
  readonly code: string;
  /** What of an answer must not differ when it is told again. */
  readonly bytes: string;
  readonly cells: readonly number[];
  /** An earlier query's answer, for nothing. */
  readonly replayed: boolean;
}

type Act = (room: CrashRoom, question: Question, queryId: string) => Promise<Ended>;

export interface Scenario {
  readonly name: string;
  readonly victim: CrashRoom['victimRole'];
  readonly noise: boolean;
  /** What comes before the crash is armed. */
  readonly before: (room: CrashRoom, question: Question) => Promise<unknown>;
  /** What the victim dies in. */
  readonly act: Act;
}

/** Where a case crashes; step 0 is after everything. */
export interface Point {
  readonly step: number;
  readonly mode: Mode;
}

export interface CaseResult {
  /** The step's name, `rest` for step 0, or null when it was not reached. */
  readonly at: string | null;
  readonly first: string;
  readonly next: string;
  readonly violations: readonly string[];
  readonly left: readonly string[];
}

export const ask: Act = async ({ client, answered }, { sql, epsilon }, queryId) => {
  const started = performance.now();
  try {
    const answer = await client.answer(sql, { queryId, epsilon, timeoutMs: END_MS_MAX });
    const { rows, receipts, replayOf } = answer;
    if (replayOf === null) answered.add(queryId);
    const digests = receipts.map(({ document }) => document.share_digest);
    const cells = rows[0]!.cells.map(({ value }) => Number(value));
    return {
      code: 'answered',
      bytes: JSON.stringify([rows, digests]),
      cells,
      replayed: replayOf !== null,
    };
  } catch (error) {
    return failed(error, started);
  }
};

export const prepare: Act = async ({ client }, { sql, epsilon }, queryId) => {
  const started = performance.now();
  try {
    const { state } = await client.prepare(sql, { queryId, epsilon, timeoutMs: END_MS_MAX });
    return { code: state, bytes: '', cells: [], replayed: false };
  } catch (error) {
    return failed(error, started);
  }
};

function failed(error: unknown, started: number): Ended {
  const code = String((error as { readonly code?: unknown }).code);
  const late = performance.now() - started > END_MS_MAX - 1_000;
  return { code: late ? 'HANGS' : code, bytes: '', cells: [], replayed: false };
}

const runsOf = (room: CrashRoom): string[] =>
  PARTIES.map((party) => join(room.stateOf(party), 'runs')).flatMap((folder) =>
    existsSync(folder) ? readdirSync(folder) : [],
  );

/** Nothing is kept of any run, and the victim writes nothing for a moment. */
export async function settled(room: CrashRoom): Promise<void> {
  await until('runs to be removed', () => runsOf(room).length === 0, 60_000);
  let steps = -1;
  const quiet = (): boolean => steps === (steps = readTrace(room.files).length);
  for (let seen = 0; seen < 3; seen = quiet() ? seen + 1 : 0) {
    await new Promise((resolve) => setTimeout(resolve, 40));
  }
}

export async function allConnected(room: CrashRoom): Promise<void> {
  await until('all to be connected', async () => {
    const parties = await room.client.room().then(
      ({ parties: all }) => all,
      () => null,
    );
    return parties?.every(({ connected }) => connected);
  });
}

/** The steps of a scenario, counted without a crash. */
export async function countSteps(
  room: CrashRoom,
  scenario: Scenario,
): Promise<readonly TraceStep[]> {
  const question = room.newQuestion();
  await scenario.before(room, question);
  await room.victim.arm({ step: 0, mode: 'after' });
  const { code } = await scenario.act(room, question, newQueryId());
  if (code !== 'answered' && code !== 'prepared') throw new Error(`${scenario.name}: ${code}`);
  await settled(room);
  return readTrace(room.files);
}

export const armOf = ({ step, mode }: Point): Arm => ({
  step,
  mode: mode === 'before' || mode === 'torn' ? mode : 'after',
});

/** @returns whether the victim died: at its step, or at rest when the point says so. */
async function crash(room: CrashRoom, point: Point, ending: Promise<Ended>): Promise<boolean> {
  const { victim } = room;
  const over = ending.then(() => settled(room)).catch(() => undefined);
  await Promise.race([victim.gone, over]);
  if (point.step === 0) await victim.die();
  // Disarms it, unless it dies on the way.
  else if (!victim.isGone()) await victim.disarm();
  return victim.isGone();
}

/** What the crash left is looked at; then the victim is started on it. */
export async function startAgain(
  room: CrashRoom,
  mode: Mode,
): Promise<{ readonly isReady: boolean; readonly problems: string[] }> {
  if (mode === 'lost' || mode === 'hollow') cutPower(room.files, mode);
  const problems = checkDisk(room);
  const { ready } = await room.startVictim();
  const isReady = ready?.['event'] === 'ready';
  if (!isReady) problems.push(`no start: ${JSON.stringify(ready)}`);
  return { isReady, problems };
}

/** Runs one case. The room is of no further use when there are violations. */
export async function runCase(
  room: CrashRoom,
  scenario: Scenario,
  point: Point,
): Promise<CaseResult> {
  const question = room.newQuestion();
  const queryId = newQueryId();
  room.forget();
  const violations: string[] = [];
  const before = await scenario.before(room, question);
  await room.victim.arm(armOf(point));
  const ending = scenario.act(room, question, queryId);
  const died = await crash(room, point, ending);
  const at = died ? nameAt(room, point) : null;
  if (died) {
    const { isReady, problems } = await startAgain(room, point.mode);
    violations.push(...problems);
    if (!isReady) return { at, first: '-', next: '-', violations, left: [] };
  }
  const first = await ending;
  const { next, problems } = await followUp(room, scenario, { question, queryId, first });
  violations.push(...problems, ...told(first, before, room, question));
  violations.push(...checkAfter(room));
  return { at, first: first.code, next, violations, left: leftFiles(room) };
}

export function nameAt(room: CrashRoom, { step }: Point): string {
  const last = readTrace(room.files).find(({ number }) => number === step);
  return last === undefined ? 'rest' : nameOf(last);
}

/** What an answer has to be by itself. */
function told(first: Ended, before: unknown, { noise }: CrashRoom, { exact }: Question): string[] {
  const problems: string[] = [];
  if (['undefined', 'INTERNAL', 'HANGS'].includes(first.code)) problems.push(`ends: ${first.code}`);
  if (first.code !== 'answered') return problems;
  if (!noise && first.cells.join() !== exact.join()) problems.push(`answers ${first.cells.join()}`);
  const earlier = before as Ended | undefined;
  if (first.replayed && earlier?.bytes !== undefined && earlier.bytes !== first.bytes) {
    problems.push('an identical question got other bytes');
  }
  return problems;
}

interface Asked {
  readonly question: Question;
  readonly queryId: string;
  readonly first: Ended;
}

/** The same id again: the same bytes or error; then another question: an answer. */
async function followUp(
  room: CrashRoom,
  { act }: Scenario,
  { question, queryId, first }: Asked,
): Promise<{ readonly next: string; readonly problems: string[] }> {
  const problems: string[] = [];
  await allConnected(room);
  const again = await act(room, question, queryId);
  if (again.code !== first.code || again.bytes !== first.bytes) {
    problems.push(`${first.code}, and the same id again: ${again.code}`);
  }
  const next = await ask(room, question, newQueryId());
  if (next.code !== 'answered') problems.push(`the next question ends with ${next.code}`);
  if (next.replayed && first.code === 'answered' && next.bytes !== first.bytes) {
    problems.push('an identical question got other bytes');
  }
  try {
    await settled(room);
  } catch (error) {
    problems.push((error as Error).message);
  }
  return { next: next.replayed ? 'replayed' : next.code, problems };
}
