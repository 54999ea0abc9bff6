import { closeSync, openSync, readFileSync, unlinkSync, writeSync } from 'node:fs';
import { ParleyError } from '../../core/errors.ts';

/**
 * Takes an exclusive lock file holding this process's id. A lock whose process is gone (kill -9) is
 * taken over. @returns a function that gives it back. @throws ParleyError LEDGER_LOCKED.
 */
export function acquireLock(path: string): () => void {
  for (let attempt = 0; attempt < 2; attempt += 1) {
    try {
      const fd = openSync(path, 'wx', 0o600);
      writeSync(fd, `${process.pid}`);
      closeSync(fd);
      return () => {
        unlinkSync(path);
      };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') {
        throw new ParleyError('STORAGE_FAILED', 'the ledger lock cannot be written', {}, error);
      }
      if (!isStale(path)) break;
      unlinkSync(path);
    }
  }
  throw new ParleyError('LEDGER_LOCKED', 'another process is using this ledger', {
    hint: 'stop the other node first; two nodes on one ledger would spend its budget twice',
  });
}

function isStale(path: string): boolean {
  const pid = Number(readFileSync(path, 'utf8'));
  if (!Number.isSafeInteger(pid) || pid <= 0) return true;
  try {
    process.kill(pid, 0);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ESRCH';
  }
}
