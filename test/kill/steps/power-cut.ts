import {
  copyFileSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';

/** A folder a role writes below, and what unsynced.mjs keeps of it. */
export interface Disk {
  readonly root: string;
  readonly shadow: string;
}

/**
 * What a power cut leaves of what was not synced: nothing (`lost`), or the names and not the content
 * (`hollow`: file systems may write names first).
 */
export type PowerCut = 'lost' | 'hollow';

/** Null for a folder. */
type Names = readonly (readonly [name: string, inode: number | null])[];

const namesFile = ({ root, shadow }: Disk, folder: string): string =>
  join(shadow, 'names', `=${encodeURIComponent(relative(root, folder))}`);

/** Turns a folder nobody has open into what a power cut would have left of it. */
export function cutPower(disk: Disk, cut: PowerCut): void {
  const { root, shadow } = disk;
  const after = `${root}.after`;
  rebuild(disk, cut, root, after, inodesOf(disk));
  rmSync(root, { recursive: true, force: true });
  renameSync(after, root);
  // What is left is all on disk.
  for (const name of ['data', 'names', 'held']) {
    rmSync(join(shadow, name), { recursive: true, force: true });
  }
}

/** Makes a file that was put below the root from outside durable, name and content. */
export function addDurably(disk: Disk, path: string): void {
  const kept = namesFile(disk, dirname(path));
  if (!existsSync(kept)) return;
  const names = JSON.parse(readFileSync(kept, 'utf8')) as Names;
  const others = names.filter(([name]) => name !== basename(path));
  writeFileSync(kept, JSON.stringify([...others, [basename(path), statSync(path).ino]]));
}

/** Where the content of every file lies, also of those that lost their names. */
function inodesOf({ root, shadow }: Disk): ReadonlyMap<number, string> {
  const paths = [root, join(shadow, 'held')]
    .filter((folder) => existsSync(folder))
    .flatMap((folder) =>
      readdirSync(folder, { recursive: true }).map((name) => join(folder, String(name))),
    );
  return new Map(paths.map((path) => [statSync(path).ino, path]));
}

function rebuild(
  disk: Disk,
  cut: PowerCut,
  folder: string,
  into: string,
  inodes: ReadonlyMap<number, string>,
): void {
  mkdirSync(into, { mode: 0o700 });
  const kept = namesFile(disk, folder);
  const names =
    cut === 'lost' && existsSync(kept)
      ? (JSON.parse(readFileSync(kept, 'utf8')) as Names)
      : namesIn(folder);
  for (const [name, inode] of names) {
    const target = join(into, name);
    const content = join(disk.shadow, 'data', String(inode));
    if (inode === null) rebuild(disk, cut, join(folder, name), target, inodes);
    else if (existsSync(content)) copyFileSync(content, target);
    else linkSync(inodes.get(inode)!, target);
  }
}

/** None when the folder itself is gone, and was empty at last. */
function namesIn(folder: string): Names {
  if (!existsSync(folder)) return [];
  return readdirSync(folder).map((name) => {
    const entry = statSync(join(folder, name));
    return [name, entry.isDirectory() ? null : entry.ino];
  });
}
