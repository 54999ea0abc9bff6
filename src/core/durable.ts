import { closeSync, fsyncSync, mkdirSync, openSync } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';

/**
 * Forces a file's content, or a folder's names, to disk. A new or renamed file is durable only once
 * its folder is too.
 * @throws the file system's own error.
 */
export function syncPath(path: string): void {
  const fd = openSync(path, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/**
 * Makes a folder for its owner alone, with what is missing above it. On return its name survives a
 * power cut, also when a process that made it was killed before it could force that.
 * @throws the file system's own error.
 */
export function makeFolder(path: string): void {
  const folder = resolve(path);
  const first = mkdirSync(folder, { recursive: true, mode: 0o700 }) ?? folder;
  for (let made = folder; ; made = dirname(made)) {
    syncNamesAbove(made);
    if (made === first || made === dirname(made)) return;
  }
}

/** A folder that may not be read is somebody else's, and so are its names. */
function syncNamesAbove(folder: string): void {
  try {
    syncPath(dirname(folder));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EACCES') throw error;
  }
}

/**
 * Replaces a file whole: written beside it as `fresh`, synced, renamed, and the folder synced. On
 * return the new content survives a power cut; before, the old one does.
 * @throws the file system's own error; nothing is left beside the file then.
 */
export async function replaceFile(
  path: string,
  content: Uint8Array | string,
  fresh = `${path}.tmp`,
): Promise<void> {
  try {
    const file = await open(fresh, 'w', 0o600);
    try {
      await file.writeFile(content);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(fresh, path);
    await syncFolder(dirname(path));
  } catch (error) {
    await rm(fresh, { force: true }).catch(() => undefined);
    throw error;
  }
}

/** Makes names added to or removed from a folder durable. @throws the file system's own error. */
export async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
