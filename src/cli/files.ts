import { readFileSync, writeFileSync } from 'node:fs';
import { basename } from 'node:path';
import { ParleyError } from '../core/errors.ts';
// The file itself: the whole room would load the database engine.
import { expectPinnedPlan } from '../party/pinned.ts';
import { parsePacket, verifyPacket } from '../policy/index.ts';
import type { Policy, PolicyPacket } from '../policy/types.ts';

/** LOCAL. Largest file the command line reads whole. */
const FILE_BYTES_MAX = 4 * 1024 * 1024;

/** @throws ParleyError FILE_NOT_FOUND, INPUT_TOO_LARGE naming the file's base name. */
export function readText(path: string, bytesMax = FILE_BYTES_MAX): string {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new ParleyError('FILE_NOT_FOUND', `cannot read ${basename(path)}`, {}, error);
  }
  if (text.length > bytesMax) {
    const mib = bytesMax / 2 ** 20;
    throw new ParleyError('INPUT_TOO_LARGE', `${basename(path)} is larger than ${mib} MiB`);
  }
  return text;
}

/** @throws ParleyError STORAGE_FAILED. */
export function writeText(path: string, text: string): void {
  try {
    writeFileSync(path, text);
  } catch (error) {
    throw new ParleyError('STORAGE_FAILED', `cannot write ${basename(path)}`, {}, error);
  }
}

/** A new file that its owner alone can read. @throws ParleyError STORAGE_FAILED, also when it exists. */
export function writeSecret(path: string, text: string): void {
  try {
    writeFileSync(path, text, { mode: 0o600, flag: 'wx' });
  } catch (error) {
    throw new ParleyError('STORAGE_FAILED', `cannot make ${basename(path)}`, {}, error);
  }
}

/** A packet file with all its signatures checked, whose templates plan. @throws ParleyError POLICY_*. */
export function readPacket(path: string): {
  readonly packet: PolicyPacket;
  readonly policy: Policy;
  readonly digest: string;
} {
  const packet = parsePacket(readText(path));
  const verified = verifyPacket(packet);
  expectPinnedPlan(verified.policy, verified.digest);
  return { packet, ...verified };
}
