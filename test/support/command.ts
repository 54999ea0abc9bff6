import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const PARLEY = fileURLToPath(new URL('../../bin/parley.js', import.meta.url));

/** How a run of the real command ended. */
export interface Finished {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly ms: number;
}

/** The real command in a process of its own, still running. */
export interface Running {
  readonly child: ChildProcess;
  readonly pid: number;
  readonly stdout: () => string;
  readonly stderr: () => string;
  readonly finished: Promise<Finished>;
}

/** Every process started here, so that a failing test leaves none behind. */
const started = new Set<ChildProcess>();

export function killAll(): void {
  for (const child of started) child.kill('SIGKILL');
}

/** `parley ARGS` with `env` added to the environment. */
export function begin(args: readonly string[], env: Readonly<Record<string, string>>): Running {
  const startedAt = performance.now();
  const child = spawn(process.execPath, [PARLEY, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...env },
  });
  started.add(child);
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const finished = new Promise<Finished>((resolve) => {
    child.once('close', (code) => {
      started.delete(child);
      resolve({ code, stdout, stderr, ms: performance.now() - startedAt });
    });
  });
  return {
    child,
    pid: child.pid ?? -1,
    stdout: () => stdout,
    stderr: () => stderr,
    finished,
  };
}

/** Polls until `probe` gives something. */
export async function until<T>(
  what: string,
  probe: () => T | null | undefined | false | Promise<T | null | undefined | false>,
  timeoutMs = 30_000,
): Promise<T> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const value = await probe();
    if (value !== null && value !== undefined && value !== false) return value;
    if (performance.now() > deadline) throw new Error(`waited in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
