import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { ErrorDetail } from '../core/errors.ts';
import { expect, isErrorCode, ParleyError } from '../core/errors.ts';
import type { ImportProblem } from '../party/index.ts';
// The file itself: the whole room would load the database engine for every command.
import { BadRowsError } from '../party/store/problems.ts';

/** A role running as its own operating-system process. */
export interface RoleProcess {
  readonly name: string;
  readonly pid: number;
  /** What it printed when it was ready. */
  readonly ready: Readonly<Record<string, unknown>>;
  /** SIGTERM, then SIGKILL after `graceMs`; resolves when it is gone. */
  stop(graceMs?: number): Promise<void>;
  /** Resolves with the exit code when it ends by itself; null when a signal ended it. */
  readonly ended: Promise<number | null>;
}

/** LOCAL. Longest a role may take to be ready, import of its data included. */
const READY_TIMEOUT_MS = 300_000;
const GRACE_MS = 10_000;

const PARLEY = fileURLToPath(new URL('../../bin/parley.js', import.meta.url));

/**
 * Starts `parley ARGS` and waits for its line of JSON with `"event":"ready"`. Its log goes to
 * `logFile`. When it rejects, the process is gone.
 *
 * @param signal - aborting it before the role is ready stops the role.
 * @throws ParleyError with the role's own error when it refuses to start; TIMEOUT; CANCELLED.
 */
export async function startRole(
  name: string,
  args: readonly string[],
  logFile: string,
  signal: AbortSignal,
): Promise<RoleProcess> {
  const log = openSync(logFile, 'a', 0o600);
  const child = spawn(process.execPath, [PARLEY, ...args], { stdio: ['ignore', 'pipe', log] });
  closeSync(log);
  const ended = new Promise<number | null>((resolve) => {
    // 'close', not 'exit': by then its last line has been read.
    child.once('close', (code) => resolve(code));
    child.once('error', () => resolve(null));
  });
  const cancel = (): void => void child.kill('SIGTERM');
  signal.addEventListener('abort', cancel, { once: true });
  if (signal.aborted) cancel();
  try {
    expect(child.stdout !== null, 'stdout is a pipe');
    const ready = await firstLine(name, child.stdout, ended);
    if (signal.aborted) throw new ParleyError('CANCELLED', 'the start was cancelled');
    if (ready['event'] !== 'ready') throw errorOf(name, ready);
    const { pid = -1 } = child;
    return { name, pid, ready, ended, stop: (graceMs = GRACE_MS) => stop(child, ended, graceMs) };
  } catch (error) {
    child.kill('SIGKILL');
    await ended;
    throw error;
  } finally {
    signal.removeEventListener('abort', cancel);
  }
}

async function firstLine(
  name: string,
  stdout: NodeJS.ReadableStream,
  ended: Promise<number | null>,
): Promise<Record<string, unknown>> {
  const lines = createInterface({ input: stdout });
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
  const { error, problems, problems_total: total } = line as RefusalLine;
  if (!isErrorCode(error?.code) || typeof error.message !== 'string') {
    return new ParleyError('INTERNAL', `${name} ended before it was ready`);
  }
  if (problems !== undefined) return new BadRowsError(problems, total ?? problems.length, name);
  return new ParleyError(error.code, error.message, { ...error.detail, party: name });
}

/** What `renderError` writes for programs. */
interface RefusalLine {
  readonly error?: {
    readonly code?: unknown;
    readonly message?: unknown;
    readonly detail?: ErrorDetail;
  };
  readonly problems?: readonly ImportProblem[];
  readonly problems_total?: number;
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
