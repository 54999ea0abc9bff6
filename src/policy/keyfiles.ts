import { closeSync, fstatSync, fsyncSync, openSync, readFileSync, writeSync } from 'node:fs';
import { z } from 'zod';
import { fromBase64Url, toBase64Url, utf8 } from '../core/bytes.ts';
import { ParleyError } from '../core/errors.ts';
import { Redacted, reveal } from '../core/redacted.ts';
import { parseJsonStrict } from './json.ts';
import { generateKeyPair, KEY_BYTES, keyPairOf, type KeyKind, type KeyPair } from './keys.ts';

/** A party's keys: `identity` signs packets, goes and receipts; `link` authenticates its links. */
export interface PartyKeys {
  readonly kind: 'party';
  readonly identity: KeyPair;
  readonly link: KeyPair;
}

/** An analyst's keys: `signing` signs submissions; answers are sealed to `sealing`. */
export interface AnalystKeys {
  readonly kind: 'analyst';
  readonly signing: KeyPair;
  readonly sealing: KeyPair;
}

const KEY_FILE_BYTES_MAX = 4096;
const FILE_MODE = 0o600;

const pair = z.strictObject({ public_key: z.string(), private_key: z.string() });
const partyFile = z.strictObject({
  version: z.literal(1),
  kind: z.literal('party'),
  identity: pair,
  link: pair,
});
const analystFile = z.strictObject({
  version: z.literal(1),
  kind: z.literal('analyst'),
  signing: pair,
  sealing: pair,
});

export function generatePartyKeys(): PartyKeys {
  return { kind: 'party', identity: generateKeyPair('ed25519'), link: generateKeyPair('x25519') };
}

export function generateAnalystKeys(): AnalystKeys {
  return {
    kind: 'analyst',
    signing: generateKeyPair('ed25519'),
    sealing: generateKeyPair('x25519'),
  };
}

function encodePair({ publicKey, privateKey }: KeyPair): z.output<typeof pair> {
  return { public_key: publicKey, private_key: toBase64Url(reveal(privateKey)) };
}

function documentOf(keys: PartyKeys | AnalystKeys): unknown {
  const { kind } = keys;
  return kind === 'party'
    ? { version: 1, kind, identity: encodePair(keys.identity), link: encodePair(keys.link) }
    : { version: 1, kind, signing: encodePair(keys.signing), sealing: encodePair(keys.sealing) };
}

/**
 * Writes a new key file, readable by its owner alone, and flushes it to the disk.
 * @throws ParleyError BAD_ARGUMENT when the file exists: keys are never overwritten.
 *   STORAGE_FAILED when it cannot be written.
 */
export function saveKeys(path: string, keys: PartyKeys | AnalystKeys): void {
  const text = utf8(`${JSON.stringify(documentOf(keys), null, 2)}\n`);
  try {
    const file = openSync(path, 'wx', FILE_MODE);
    try {
      writeSync(file, text);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') {
      throw new ParleyError('BAD_ARGUMENT', 'the key file exists already', {
        hint: 'name another file; key files are never overwritten',
      });
    }
    throw new ParleyError('STORAGE_FAILED', 'the key file cannot be written', {}, error);
  }
}

function readKeyFile(path: string): Uint8Array {
  try {
    const file = openSync(path, 'r');
    try {
      const { mode, size } = fstatSync(file);
      // Windows has no such bits and reports them all set.
      if (process.platform !== 'win32' && (mode & 0o077) !== 0) {
        throw new ParleyError('BAD_CONFIG', 'the key file is open to other users', {
          hint: 'make it private with chmod 600',
        });
      }
      if (size > KEY_FILE_BYTES_MAX) throw badKeyFile();
      return new Uint8Array(readFileSync(file));
    } finally {
      closeSync(file);
    }
  } catch (error) {
    if (error instanceof ParleyError) throw error;
    throw new ParleyError('FILE_NOT_FOUND', 'the key file cannot be read', {}, error);
  }
}

function badKeyFile(): ParleyError {
  return new ParleyError('BAD_CONFIG', 'the key file is not of the form this version reads');
}

function decodePair(kind: KeyKind, { public_key, private_key }: z.output<typeof pair>): KeyPair {
  let keys: KeyPair;
  try {
    keys = keyPairOf(kind, new Redacted(fromBase64Url(private_key, KEY_BYTES)));
  } catch {
    throw badKeyFile();
  }
  if (keys.publicKey !== public_key) {
    throw new ParleyError('BAD_CONFIG', 'the halves of a key pair do not belong together');
  }
  return keys;
}

function loadFile<T>(path: string, schema: z.ZodType<T>): T {
  const limits = { bytesMax: KEY_FILE_BYTES_MAX, code: 'BAD_CONFIG' } as const;
  const parsed = schema.safeParse(parseJsonStrict(readKeyFile(path), limits));
  // The zod error may quote the file, so it is not kept as a cause.
  if (!parsed.success) throw badKeyFile();
  return parsed.data;
}

/** @throws ParleyError FILE_NOT_FOUND, BAD_CONFIG (other form, open to others, mixed halves). */
export function loadPartyKeys(path: string): PartyKeys {
  const { identity, link } = loadFile(path, partyFile);
  return {
    kind: 'party',
    identity: decodePair('ed25519', identity),
    link: decodePair('x25519', link),
  };
}

/** @throws ParleyError FILE_NOT_FOUND, BAD_CONFIG (other form, open to others, mixed halves). */
export function loadAnalystKeys(path: string): AnalystKeys {
  const { signing, sealing } = loadFile(path, analystFile);
  return {
    kind: 'analyst',
    signing: decodePair('ed25519', signing),
    sealing: decodePair('x25519', sealing),
  };
}
