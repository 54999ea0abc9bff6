import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { isErrorCode, ParleyError } from '../core/errors.ts';

/** A role running as its own operating-system process. */
export interface RoleProcess {
  readonly name: string;
  readonly pid: number;
  /** What it printed when it was ready. */
  readonly ready: Readonly<Record<string, unknown>>;
  /** SIGTERM, then SIGKILL after `graceMs`; resolves when it is gone. */
  stop(graceMs?: number): Promise<void>;
  /** Resolves with the exit code when it ends by itself. */
  readonly ended: Promise<number | null>;
}

/** LOCAL. Longest a role may take to be ready, import of its data included. */
const READY_TIMEOUT_MS = 300_000;
const GRACE_MS = 10_000;

const PARLEY = fileURLToPath(new URL('../../bin/parley.js', import.meta.url));

/**
 * Starts `parley ARGS` and waits for its line of JSON with `"event":"ready"`. Its log goes to
 * `logFile`. @throws ParleyError with the role's own error when it refuses to start; TIMEOUT.
 */
export async function startRole(
  name: string,
  args: readonly string[],
  logFile: string,
): Promise<RoleProcess> {
  const child = spawn(process.execPath, [PARLEY, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  child.stderr.pipe(createWriteStream(logFile, { flags: 'a' }));
  const ended = new Promise<number | null>((resolve) => {
    child.once('exit', (code) => resolve(code));
  });
  const ready = await firstLine(name, child, ended);
  if (ready['event'] !== 'ready') {
    child.kill('SIGKILL');
    throw errorOf(name, ready);
  }
  return {
    name,
    pid: child.pid ?? -1,
    ready,
    ended,
    stop: (graceMs = GRACE_MS) => stop(child, ended, graceMs),
  };
}

async function firstLine(
  name: string,
  child: ChildProcess & { readonly stdout: NodeJS.ReadableStream },
  ended: Promise<number | null>,
): Promise<Record<string, unknown>> {
  const lines = createInterface({ input: child.stdout });
  const first = new Promise<string>((resolve) => {
    lines.once('line', resolve);
  });
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new ParleyError('TIMEOUT', `${name} was not ready in time`));
    }, READY_TIMEOUT_MS);
  });
  const gone = ended.then((code) => JSON.stringify({ event: 'ended', code }));
  try {
    return JSON.parse(await Promise.race([first, gone, late])) as Record<string, unknown>;
  } catch (error) {
    child.kill('SIGKILL');
    if (error instanceof ParleyError) throw error;
    throw new ParleyError(
      'INTERNAL',
      `${name} printed something else than its ready line`,
      {},
      error,
    );
  } finally {
    clearTimeout(timer);
  }
}

/** A role that refuses to start prints its error as JSON; it becomes ours, named after the role. */
function errorOf(name: string, line: Record<string, unknown>): ParleyError {
  const error = line['error'] as { code?: unknown; message?: unknown; detail?: object } | undefined;
  if (error !== undefined && isErrorCode(error.code) && typeof error.message === 'string') {
    return new ParleyError(error.code, error.message, { ...error.detail, party: name });
  }
  return new ParleyError('INTERNAL', `${name} ended before it was ready`);
}

async function stop(
  child: ChildProcess,
  ended: Promise<number | null>,
  graceMs: number,
): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), graceMs);
  await ended;
  clearTimeout(timer);
}
