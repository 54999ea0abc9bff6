// Keeps, beside a folder, what a power cut may undo in it (POSIX fsync: a file's content is durable once
// the file is synced, its name once its folder is):
//   data/<inode>    the content a file had at its last fsync, when it was written since
//   names/<folder>  the names a folder had at its last fsync with their inodes, null for a folder in it,
//                   as JSON, when they changed since
//   held/<inode>    a second name of a file that lost its own, so that its inode is not given away
// What is not in here is durable. On disk, so that all threads and the process after a kill share it;
// power-cut.ts reads it.
import { dirname, join, relative } from 'node:path';
import { threadId } from 'node:worker_threads';

/**
 * @param fs - the real functions of node:fs. @param root - the folder. @param shadow - a folder beside
 *   it, on the same file system.
 */
export function trackUnsynced(fs, root, shadow) {
  const [data, names, held] = ['data', 'names', 'held'].map((name) => join(shadow, name));
  for (const folder of [data, names, held]) fs.mkdirSync(folder, { recursive: true });
  const namesOf = (folder) => join(names, `=${encodeURIComponent(relative(root, folder))}`);
  const dataOf = (path) => join(data, String(fs.statSync(path).ino));
  const remove = (path) => fs.rmSync(path, { force: true });
  return {
    /** Before a file is written: its content becomes the durable one, unless an older one is. */
    beforeWrite(path) {
      const kept = dataOf(path);
      if (fs.existsSync(kept)) return;
      fs.copyFileSync(path, `${kept}.new`);
      fs.renameSync(`${kept}.new`, kept);
    },
    /** After a file is made: nothing of it is durable. */
    created(path) {
      fs.writeFileSync(dataOf(path), '');
    },
    /** Before a name comes to a folder, changes or goes. */
    beforeNames(path) {
      const folder = dirname(path);
      const kept = namesOf(folder);
      if (fs.existsSync(kept)) return;
      const entries = fs.readdirSync(folder).map((name) => {
        const entry = fs.statSync(join(folder, name));
        return [name, entry.isDirectory() ? null : entry.ino];
      });
      const fresh = join(held, `names.${threadId}`);
      fs.writeFileSync(fresh, JSON.stringify(entries));
      fs.renameSync(fresh, kept);
    },
    /** Before a file's name goes. */
    beforeLoss(path) {
      const second = join(held, String(fs.statSync(path).ino));
      if (!fs.existsSync(second)) fs.linkSync(path, second);
    },
    /** A new folder is not the one that had this name before. */
    madeFolder(path) {
      remove(namesOf(path));
    },
    /** After an fsync of a file or folder. */
    synced(path) {
      remove(fs.statSync(path).isDirectory() ? namesOf(path) : dataOf(path));
    },
  };
}
