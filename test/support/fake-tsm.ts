// A configfs-tsm tree in a temporary directory: real files, and a fake kernel that fills an entry
// on mkdir, answers a write to inblob, and counts generations. Faults are injected by name.
import {
  chmod,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rmdir,
  unlink,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { nodeTsmIo, type TsmIo } from '../../src/tee-adapter/attest/tsm-io.ts';

export interface FakeKernel {
  readonly provider: string;
  /** The report over what was written. */
  readonly outblob: (inblob: Uint8Array) => Uint8Array;
  readonly auxblob: Uint8Array;
  /**
   * `race`: another process writes after us. `late`: it writes between our two reads. `dropped`:
   * the kernel loses our write but counts it. `lost`: it neither writes nor counts.
   */
  readonly fault?: 'race' | 'late' | 'dropped' | 'lost';
  readonly mkdirError?: string;
  readonly readError?: string;
}

export interface FakeTsm {
  readonly root: string;
  readonly io: TsmIo;
  /** Entries that were left behind. */
  entries(): Promise<readonly string[]>;
  /** Sizes of all writes to inblob. */
  readonly writes: number[];
}

function errno(code: string): Error {
  return Object.assign(new Error(code), { code });
}

export async function fakeTsm(kernel: FakeKernel): Promise<FakeTsm> {
  const root = await mkdtemp(join(tmpdir(), 'parley-tsm-'));
  const writes: number[] = [];
  const bump = async (entry: string): Promise<void> => {
    const now = Number(await readFile(join(entry, 'generation'), 'utf8'));
    await writeFile(join(entry, 'generation'), `${now + 1}\n`);
  };
  const io: TsmIo = {
    async mkdir(entry) {
      if (kernel.mkdirError !== undefined) throw errno(kernel.mkdirError);
      await mkdir(entry);
      await writeFile(join(entry, 'generation'), '7\n');
      await writeFile(join(entry, 'provider'), `${kernel.provider}\n`);
      await writeFile(join(entry, 'inblob'), '');
      await chmod(join(entry, 'inblob'), 0o200);
      await writeFile(join(entry, 'outblob'), kernel.outblob(new Uint8Array(64)));
      await writeFile(join(entry, 'auxblob'), kernel.auxblob);
    },
    async write(path, bytes) {
      await nodeTsmIo.write(path, bytes);
      writes.push(bytes.length);
      const entry = join(path, '..');
      if (kernel.fault === 'lost') return;
      await bump(entry);
      if (kernel.fault !== 'dropped') {
        await writeFile(join(entry, 'outblob'), kernel.outblob(bytes));
      }
      if (kernel.fault === 'race') {
        await bump(entry);
        await writeFile(join(entry, 'outblob'), kernel.outblob(new Uint8Array(64).fill(0xee)));
      }
    },
    async read(path, bytesMax) {
      if (kernel.readError !== undefined && path.endsWith('outblob')) throw errno(kernel.readError);
      const bytes = await nodeTsmIo.read(path, bytesMax);
      if (kernel.fault === 'late' && path.endsWith('auxblob')) await bump(join(path, '..'));
      return bytes;
    },
    async rmdir(entry) {
      // As the kernel does it: attributes go with their entry.
      for (const name of await readdir(entry)) await unlink(join(entry, name));
      await rmdir(entry);
    },
  };
  return { root, io, writes, entries: () => readdir(root) };
}
