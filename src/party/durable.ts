import { closeSync, fsyncSync, openSync } from 'node:fs';

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
