import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { makeFolder } from '../../core/durable.ts';
import { ParleyError } from '../../core/errors.ts';
import type { Owner } from './run-folder.ts';
import { removeRun } from './run-folder.ts';

/** LOCAL. Folders looked at after a restart, newest first; more are removed unread. */
const FOLDERS_MAX = 16;

const FOLDER_NAME = /^[0-9a-f]{64}$/;

/** The folder in which a party keeps its runs. */
export interface Shelf {
  readonly directory: string;
  readonly owner: Owner;
  /** Folders a former process left, newest first. */
  readonly left: readonly string[];
}

/** @throws ParleyError STORAGE_FAILED when the folder cannot be used. */
export async function openShelf(directory: string, owner: Owner): Promise<Shelf> {
  try {
    makeFolder(directory);
    const names = (await readdir(directory)).filter((name) => FOLDER_NAME.test(name));
    const dated = await Promise.all(
      names.map(async (name) => ({ name, at: (await stat(join(directory, name))).mtimeMs })),
    );
    const left = dated.sort((a, b) => b.at - a.at).map(({ name }) => name);
    for (const name of left.splice(FOLDERS_MAX)) await removeLeft(directory, name);
    return { directory, owner, left };
  } catch (error) {
    throw new ParleyError('STORAGE_FAILED', 'the folder of runs cannot be used', {}, error);
  }
}

export function removeLeft(directory: string, name: string): Promise<void> {
  return removeRun(join(directory, name));
}
