import { constants } from 'node:fs';
import { mkdir, open, rmdir } from 'node:fs/promises';

/** The five operations that configfs-tsm needs; tests put a fake kernel behind them. */
export interface TsmIo {
  mkdir(path: string): Promise<void>;
  rmdir(path: string): Promise<void>;
  /** The whole attribute, at most `bytesMax` bytes; null when it is longer. */
  read(path: string, bytesMax: number): Promise<Uint8Array | null>;
  /** One write of all bytes. */
  write(path: string, bytes: Uint8Array): Promise<void>;
}

/** The real file system. */
export const nodeTsmIo: TsmIo = {
  mkdir: (path) => mkdir(path),
  // Not recursive: the attributes of an entry cannot be unlinked and go with it.
  rmdir: (path) => rmdir(path),
  async read(path, bytesMax) {
    const file = await open(path, constants.O_RDONLY);
    try {
      const buffer = new Uint8Array(bytesMax + 1);
      let at = 0;
      // Attributes report no size, so they are read to their end.
      while (at < buffer.length) {
        const { bytesRead } = await file.read(buffer, at, buffer.length - at, null);
        if (bytesRead === 0) return buffer.slice(0, at);
        at += bytesRead;
      }
      return null;
    } finally {
      await file.close();
    }
  },
  async write(path, bytes) {
    // Write-only: inblob has no reader, and an entry's files are neither created nor truncated.
    const file = await open(path, constants.O_WRONLY);
    try {
      const { bytesWritten } = await file.write(bytes, 0, bytes.length, null);
      if (bytesWritten !== bytes.length) throw new Error('short write');
    } finally {
      await file.close();
    }
  },
};
