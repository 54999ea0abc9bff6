import { linkSync, readFileSync, unlinkSync, writeFileSync } from 'node:fs';

/** Locks this very process holds; what is not here and names our own id is from an earlier life. */
const HELD = new Set<string>();

/**
 * Takes an exclusive lock file that names this process. A lock whose process is gone (kill -9, a
 * restarted container in which ids repeat) is taken over.
 *
 * The file appears complete, by a hard link, so that nobody reads it half written. Processes in
 * different containers on one volume do not see each other's ids: do not share a state folder.
 *
 * @returns a function that gives it back, or null when another process holds it.
 * @throws the file system's own error when the folder cannot be written.
 */
export function takeLock(path: string): (() => void) | null {
  const draft = `${path}.${process.pid}`;
  for (const attempt of ['first', 'after a crash']) {
    writeFileSync(draft, identityOf(process.pid), { mode: 0o600 });
    try {
      linkSync(draft, path);
      HELD.add(path);
      return () => {
        HELD.delete(path);
        unlinkSync(path);
      };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      if (attempt === 'after a crash' || isHeld(path)) return null;
      unlinkSync(path);
    } finally {
      unlinkSync(draft);
    }
  }
  return null;
}

function isHeld(path: string): boolean {
  const text = readFileSync(path, 'utf8');
  const pid = Number.parseInt(text, 10);
  if (!Number.isSafeInteger(pid) || pid <= 0) return false;
  if (pid === process.pid) return HELD.has(path);
  return isAlive(pid) && identityOf(pid) === text;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}

/** The id and, where the kernel tells it (proc(5), field 22), when the process started. */
function identityOf(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return `${pid} ${fields[19] ?? ''}`;
  } catch {
    return `${pid}`;
  }
}
