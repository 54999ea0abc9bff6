import { once } from 'node:events';
import { closeSync, existsSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Disk } from './power-cut.ts';

/** Where the process dies: before step N, after it, or with half of what it writes done. */
export interface Arm {
  /** From 1, counted from the arming; 0 only counts. */
  readonly step: number;
  readonly mode: 'before' | 'after' | 'torn';
}

export interface VictimFiles extends Disk {
  /** Gets a line per step. */
  readonly trace: string;
  readonly log: string;
}

/** A role's process with the preload. */
export interface Victim {
  /** What it printed first; null when it ended before. */
  readonly ready: Readonly<Record<string, unknown>> | null;
  /** Resolves when it is gone. */
  readonly gone: Promise<void>;
  readonly isGone: () => boolean;
  /** Counts from here on. */
  arm(arm: Arm): Promise<void>;
  /** From here on it dies at no step; it may have died before. */
  disarm(): Promise<void>;
  /** SIGKILL by itself, at no step. */
  die(): Promise<void>;
  stop(): Promise<void>;
}

export interface TraceStep {
  readonly number: number;
  readonly what: string;
  /** Below the root. */
  readonly path: string;
}

const PRELOAD = fileURLToPath(new URL('./preload.mjs', import.meta.url));
const PARLEY = fileURLToPath(new URL('../../../bin/parley.js', import.meta.url));

/** Longest a role may take to be ready; reached by none that starts at all. */
const READY_TIMEOUT_MS = 60_000;

/**
 * Starts `parley ARGS` and waits for its first line or its end.
 * @param arm - from the first line of its code on. @param deaf - the name of files whose fsyncs do nothing.
 */
export async function startVictim(
  args: readonly string[],
  { root, shadow, trace, log }: VictimFiles,
  { arm = null, deaf }: { readonly arm?: Arm | null; readonly deaf?: string | undefined } = {},
): Promise<Victim> {
  const settings = { root, shadow, trace, arm, deaf };
  if (arm !== null) writeFileSync(trace, '');
  const err = openSync(log, 'a', 0o600);
  const child = spawn(process.execPath, ['--import', PRELOAD, PARLEY, ...args], {
    stdio: ['ignore', 'pipe', err, 'ipc'],
    env: { ...process.env, PARLEY_LOG: 'debug', PARLEY_STEPS: JSON.stringify(settings) },
  });
  closeSync(err);
  const gone = new Promise<void>((resolve) => child.once('close', () => resolve()));
  const lines = createInterface({ input: child.stdout! });
  const first = new Promise<string | null>((resolve) => {
    lines.once('line', resolve);
    void gone.then(() => resolve(null));
  });
  const timer = setTimeout(() => child.kill('SIGKILL'), READY_TIMEOUT_MS);
  const line = await first;
  clearTimeout(timer);
  const tell = async (told: Arm): Promise<void> => {
    const armed = once(child, 'message');
    child.send(told, () => undefined);
    await Promise.race([armed, gone]);
  };
  return {
    ready: line === null ? null : (JSON.parse(line) as Record<string, unknown>),
    gone,
    isGone: () => child.exitCode !== null || child.signalCode !== null,
    arm(told) {
      writeFileSync(trace, '');
      return tell(told);
    },
    disarm: () => tell({ step: 0, mode: 'after' }),
    async die() {
      if (child.connected) child.send('die', () => undefined);
      await gone;
    },
    async stop() {
      child.kill('SIGTERM');
      const late = setTimeout(() => child.kill('SIGKILL'), 10_000);
      await gone;
      clearTimeout(late);
    },
  };
}

/** The steps a victim has counted since it was armed last. */
export function readTrace({ trace }: Pick<VictimFiles, 'trace'>): readonly TraceStep[] {
  if (!existsSync(trace)) return [];
  const lines = readFileSync(trace, 'utf8').split('\n').slice(0, -1);
  return lines.map((line): TraceStep => {
    const [number = '', what = '', path = ''] = line.split(' ');
    return { number: Number(number), what, path };
  });
}

/** What a step does to which file. */
export function nameOf({ what, path }: TraceStep): string {
  return `${what} ${namePath(path)}`;
}

/** A path without what differs from run to run. */
export function namePath(path: string): string {
  return path
    .replace(/[0-9a-f]{64}/g, '*')
    .replace(/\d{15}-\*-\*/, '*')
    .replace(/[0-9a-f-]{36}\.tmp/, '*.tmp')
    .replace(/\.lock\.\d+$/, '.lock.*')
    .replace(/(shard|lane)\.?\d+/, '$1.N')
    .replace(/\.a\d+/, '.aN');
}
