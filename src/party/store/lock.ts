import { closeSync, openSync, readFileSync, unlinkSync, writeSync } from 'node:fs';
import { ParleyError } from '../../core/errors.ts';

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}

function holderIsAlive(path: string): boolean {
  const pid = Number(readFileSync(path, 'utf8'));
  return Number.isSafeInteger(pid) && pid > 0 && isAlive(pid);
}

/**
 * Lets one import at a time write to a store. A lock left by a process that is gone is taken over.
 *
 * @returns a function that gives the lock back.
 * @throws ParleyError STORAGE_FAILED when another import runs or the folder cannot be written.
 */
export function lockImport(path: string): () => void {
  for (const attempt of ['first', 'after a crash']) {
    try {
      const fd = openSync(path, 'wx', 0o600);
      writeSync(fd, String(process.pid));
      closeSync(fd);
      return () => unlinkSync(path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') {
        throw new ParleyError('STORAGE_FAILED', 'the store cannot be written', {}, error);
      }
      if (attempt === 'after a crash' || holderIsAlive(path)) break;
      unlinkSync(path);
    }
  }
  throw new ParleyError('STORAGE_FAILED', 'another import is writing to this store');
}
