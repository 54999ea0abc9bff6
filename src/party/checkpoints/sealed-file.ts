import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { concat, utf8, wipe } from '../../core/bytes.ts';
import { replaceFile } from '../../core/durable.ts';
import { expect, ParleyError } from '../../core/errors.ts';
import type { Redacted } from '../../core/redacted.ts';
import { reveal } from '../../core/redacted.ts';

/** What a file is and whose: names, digests, numbers. A file opens under its own label only. */
export type Label = readonly (string | number)[];

const DOMAIN = 'parley/checkpoint/v1';
const MAGIC = utf8('PLCK\x01');
const SALT_BYTES = 32;
const KEY_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/** Bytes of a sealed file beside its content. */
export const SEAL_BYTES = MAGIC.length + SALT_BYTES + TAG_BYTES;

function labelBytes(label: Label): Uint8Array {
  const text = [DOMAIN, ...label].join('\0');
  expect(text.split('\0').length === label.length + 1, 'no field of a label holds a NUL');
  return utf8(text);
}

/** RFC 5869 with a fresh salt for every file: key and nonce are used for that file alone. */
function keysOf(
  secret: Redacted<Uint8Array>,
  salt: Uint8Array,
  info: Uint8Array,
): { readonly key: Uint8Array; readonly nonce: Uint8Array } {
  const okm = new Uint8Array(
    hkdfSync('sha256', reveal(secret), salt, info, KEY_BYTES + NONCE_BYTES),
  );
  return { key: okm.subarray(0, KEY_BYTES), nonce: okm.subarray(KEY_BYTES) };
}

/**
 * Seals a checkpoint: `magic ‖ salt ‖ AES-256-GCM ciphertext ‖ tag`, key and nonce from
 * HKDF-SHA256 (RFC 5869) of the party's secret, a fresh salt and the label, which is the associated
 * data as well.
 *
 * @param secret - at least 32 bytes only this party has; survives restarts.
 */
export function sealBytes(
  secret: Redacted<Uint8Array>,
  label: Label,
  plain: Uint8Array,
): Uint8Array {
  const salt = new Uint8Array(randomBytes(SALT_BYTES));
  const info = labelBytes(label);
  const { key, nonce } = keysOf(secret, salt, info);
  const cipher = createCipheriv('aes-256-gcm', key, nonce, { authTagLength: TAG_BYTES });
  cipher.setAAD(info);
  const sealed = concat([MAGIC, salt, cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
  wipe(key);
  return sealed;
}

/** @throws ParleyError CHECKPOINT_CORRUPT: cut, altered, another party's or another label's. */
export function openBytes(
  secret: Redacted<Uint8Array>,
  label: Label,
  sealed: Uint8Array,
): Uint8Array {
  const magic = sealed.subarray(0, MAGIC.length);
  if (sealed.length < SEAL_BYTES || !magic.every((byte, i) => byte === MAGIC[i])) throw corrupt();
  const salt = sealed.subarray(MAGIC.length, MAGIC.length + SALT_BYTES);
  const info = labelBytes(label);
  const { key, nonce } = keysOf(secret, salt, info);
  const decipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: TAG_BYTES });
  decipher.setAAD(info);
  decipher.setAuthTag(sealed.subarray(sealed.length - TAG_BYTES));
  try {
    const text = sealed.subarray(MAGIC.length + SALT_BYTES, sealed.length - TAG_BYTES);
    return concat([decipher.update(text), decipher.final()]);
  } catch (error) {
    throw corrupt(error);
  } finally {
    wipe(key);
  }
}

export function corrupt(cause?: unknown): ParleyError {
  return new ParleyError('CHECKPOINT_CORRUPT', 'a checkpoint of a run does not open', {}, cause);
}

/**
 * Replaces a checkpoint whole; see `replaceFile`.
 * @throws ParleyError STORAGE_FAILED.
 */
export async function writeDurably(path: string, bytes: Uint8Array): Promise<void> {
  try {
    await replaceFile(path, bytes);
  } catch (error) {
    throw new ParleyError('STORAGE_FAILED', 'a checkpoint could not be written', {}, error);
  }
}

/**
 * Reads a file of bounded size; null when there is none.
 * @throws ParleyError CHECKPOINT_CORRUPT when it is longer, STORAGE_FAILED when it cannot be read.
 */
export async function readBounded(path: string, bytesMax: number): Promise<Uint8Array | null> {
  try {
    const { size } = await stat(path);
    if (size > bytesMax) throw corrupt();
    return new Uint8Array(await readFile(path));
  } catch (error) {
    if (error instanceof ParleyError) throw error;
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw new ParleyError('STORAGE_FAILED', 'a checkpoint cannot be read', {}, error);
  }
}
