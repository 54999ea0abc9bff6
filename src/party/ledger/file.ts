import { fstatSync, fsyncSync, ftruncateSync, readSync, writeSync } from 'node:fs';
import { LINE_BYTES_MAX } from './entry.ts';

/** LOCAL. Bytes read at once. */
const CHUNK_BYTES = 4 * 1024 * 1024;

/** Where each line of a file begins: 8 bytes a line. */
export class LineIndex {
  #starts = new Float64Array(1 << 10);
  #lines = 0;
  #end = 0;

  get lines(): number {
    return this.#lines;
  }

  /** Bytes up to the end of the last line. */
  get end(): number {
    return this.#end;
  }

  push(bytes: number): void {
    if (this.#lines === this.#starts.length) {
      const larger = new Float64Array(2 * this.#lines);
      larger.set(this.#starts);
      this.#starts = larger;
    }
    this.#starts[this.#lines] = this.#end;
    this.#lines += 1;
    this.#end += bytes;
  }

  /** Line n, from 1, of the file, without its end. */
  read(fd: number, n: number): Buffer {
    const start = this.#starts[n - 1] ?? 0;
    const end = n < this.#lines ? (this.#starts[n] ?? 0) : this.#end;
    const line = Buffer.alloc(end - start - 1);
    readSync(fd, line, 0, line.length, start);
    return line;
  }
}

/**
 * Reads a file line by line in bounded memory.
 * @param take - gets every line that has its end, without it; the bytes are only lent.
 * @returns what follows the last line end.
 * @throws RangeError for a line longer than LINE_BYTES_MAX.
 */
export function readLines(fd: number, take: (line: Buffer) => void): Buffer {
  let buffer = Buffer.alloc(CHUNK_BYTES);
  let held = 0;
  const { size } = fstatSync(fd);
  for (let at = 0; at < size;) {
    if (held === buffer.length) {
      if (held > LINE_BYTES_MAX) throw new RangeError('a line is too long');
      buffer = Buffer.concat([buffer, Buffer.alloc(buffer.length)]);
    }
    const read = readSync(fd, buffer, held, Math.min(buffer.length - held, size - at), at);
    if (read === 0) break;
    at += read;
    held += read;
    let start = 0;
    for (;;) {
      const end = buffer.indexOf(0x0a, start);
      // Beyond what is held lie bytes of a former chunk.
      if (end < 0 || end >= held) break;
      take(buffer.subarray(start, end));
      start = end + 1;
    }
    buffer.copy(buffer, 0, start, held);
    held -= start;
  }
  return Buffer.from(buffer.subarray(0, held));
}

/** The first line of a file, without its end; null when it has none within a few thousand bytes. */
export function readFirstLine(fd: number): Buffer | null {
  const bytes = Buffer.alloc(8192);
  const read = readSync(fd, bytes, 0, bytes.length, 0);
  const end = bytes.subarray(0, read).indexOf(0x0a);
  return end < 0 ? null : bytes.subarray(0, end);
}

/** Appends and forces to disk. @throws the file system's own error. */
export function appendDurably(fd: number, bytes: Buffer): void {
  if (writeSync(fd, bytes) !== bytes.length) throw new Error('short write');
  fsyncSync(fd);
}

/** Cuts a file and forces it to disk. @throws the file system's own error. */
export function cutDurably(fd: number, bytes: number): void {
  ftruncateSync(fd, bytes);
  fsyncSync(fd);
}
