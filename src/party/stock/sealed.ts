import { createCipheriv, createDecipheriv } from 'node:crypto';
import { closeSync, fstatSync, fsyncSync, openSync, readSync, writeSync } from 'node:fs';
import { concat, u32be, utf8, wipe } from '../../core/bytes.ts';
import { ParleyError } from '../../core/errors.ts';

/** One sealed file of a batch: what a worker needs to write or read it. The key is secret. */
export interface SealedFile {
  readonly path: string;
  /** 32 bytes of this file alone, so that nonces may count from zero. */
  readonly key: Uint8Array;
  /** Batch and name; authenticated, so that no file passes for another. */
  readonly label: string;
}

/** AGREEMENT of a file with itself. Clear bytes under one tag. */
const CHUNK_BYTES = 1 << 20;
const TAG_BYTES = 16;
const NONCE_BYTES = 12;
const DOMAIN = 'parley/stock/file/v1\0';

/**
 * Writes a file of secrets and forces it to disk: AES-256-GCM in chunks, the nonce the chunk's number,
 * label, number and "last" authenticated with each (as in STREAM: Hoang, Reyhanitabar, Rogaway, Vizár,
 * CRYPTO 2015), so that a cut, reordered, foreign or altered file does not open.
 * @throws ParleyError STORAGE_FAILED.
 */
export function writeSealed(file: SealedFile, sections: readonly Uint8Array[]): void {
  try {
    const fd = openSync(file.path, 'wx', 0o600);
    try {
      let number = 0;
      for (const { chunk, last } of chunksOf(sections)) {
        const nonce = nonceOf(number);
        const cipher = createCipheriv('aes-256-gcm', file.key, nonce);
        cipher.setAAD(aadOf(file.label, number, last));
        const sealed = [cipher.update(chunk), cipher.final(), cipher.getAuthTag()];
        for (const part of sealed) writeAll(fd, part);
        wipe(chunk);
        number += 1;
      }
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
  } catch (cause) {
    throw new ParleyError('STORAGE_FAILED', 'a stock file could not be written', {}, cause);
  }
}

/** Bytes on disk of a file of `length` clear bytes. */
export function sealedBytes(length: number): number {
  return length + TAG_BYTES * Math.max(1, Math.ceil(length / CHUNK_BYTES));
}

/**
 * Reads a file of exactly `length` clear bytes. The result is the caller's, and secret.
 * @throws ParleyError STOCK_CORRUPT for a file that is missing, cut, altered or another one's.
 */
export function readSealed(file: SealedFile, length: number): Uint8Array {
  const out = new Uint8Array(length);
  try {
    const fd = openSync(file.path, 'r');
    try {
      if (fstatSync(fd).size !== sealedBytes(length)) throw new Error('another length');
      const count = Math.max(1, Math.ceil(length / CHUNK_BYTES));
      for (let number = 0; number < count; number += 1) {
        const at = number * CHUNK_BYTES;
        const size = Math.min(CHUNK_BYTES, length - at);
        const sealed = readExactly(fd, size + TAG_BYTES);
        const decipher = createDecipheriv('aes-256-gcm', file.key, nonceOf(number));
        decipher.setAAD(aadOf(file.label, number, number === count - 1));
        decipher.setAuthTag(sealed.subarray(size));
        out.set(decipher.update(sealed.subarray(0, size)), at);
        decipher.final();
      }
    } finally {
      closeSync(fd);
    }
  } catch (cause) {
    wipe(out);
    throw new ParleyError('STOCK_CORRUPT', 'a stock file cannot be read', {}, cause);
  }
  return out;
}

/** The sections end to end, cut into chunks; at least one, which may be empty. */
function* chunksOf(
  sections: readonly Uint8Array[],
): Generator<{ readonly chunk: Uint8Array; readonly last: boolean }> {
  const total = sections.reduce((n, section) => n + section.length, 0);
  const sizeAt = (at: number): number => Math.min(CHUNK_BYTES, total - at);
  let [chunk, filled, done] = [new Uint8Array(sizeAt(0)), 0, 0];
  for (const section of sections) {
    for (let from = 0; from < section.length;) {
      const part = section.subarray(from, from + chunk.length - filled);
      chunk.set(part, filled);
      filled += part.length;
      from += part.length;
      if (filled < chunk.length) continue;
      done += filled;
      if (done === total) break;
      yield { chunk, last: false };
      [chunk, filled] = [new Uint8Array(sizeAt(done)), 0];
    }
  }
  yield { chunk, last: true };
}

function nonceOf(number: number): Uint8Array {
  return concat([new Uint8Array(NONCE_BYTES - 4), u32be(number)]);
}

function aadOf(label: string, number: number, last: boolean): Uint8Array {
  return concat([utf8(DOMAIN), u32be(number), Uint8Array.of(last ? 1 : 0), utf8(label)]);
}

function writeAll(fd: number, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length;) at += writeSync(fd, bytes, at, bytes.length - at);
}

function readExactly(fd: number, length: number): Uint8Array {
  const out = new Uint8Array(length);
  for (let at = 0; at < length;) {
    const got = readSync(fd, out, at, length - at, null);
    if (got === 0) throw new Error('cut short');
    at += got;
  }
  return out;
}
