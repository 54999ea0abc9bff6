import { randomBytes } from 'node:crypto';
import { fromUtf8, toHex } from '../../core/bytes.ts';
import { expect, ParleyError } from '../../core/errors.ts';
import type { TsmIo } from './tsm-io.ts';

/** Where Linux 6.7 and later keep the report entries (Documentation/ABI/testing/configfs-tsm). */
export const TSM_ROOT = '/sys/kernel/config/tsm/report';

/** Longest outblob and auxblob the kernel hands out: 32 KiB and 64 KiB. */
const OUTBLOB_BYTES_MAX = 32 * 1024;
const AUXBLOB_BYTES_MAX = 64 * 1024;
const TEXT_BYTES_MAX = 64;
export const INBLOB_BYTES = 64;

export interface TsmOptions {
  readonly root: string;
  readonly io: TsmIo;
}

/** What one entry answered. */
export interface TsmReport {
  readonly outblob: Uint8Array;
  /** SNP: the host's certificate table; TDX: empty. */
  readonly auxblob: Uint8Array;
}

export function unavailable(what: string, cause?: unknown): never {
  throw new ParleyError('ATTESTER_UNAVAILABLE', what, {}, cause);
}

export function interfered(what: string, cause?: unknown): never {
  throw new ParleyError('ATTESTER_INTERFERED', what, {}, cause);
}

function errnoOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : '';
}

/** Errors of the kernel's by what they mean; anything else means that it does not work here. */
function translate(error: unknown): never {
  if (error instanceof ParleyError) throw error;
  switch (errnoOf(error)) {
    case 'EBUSY':
    case 'EEXIST':
    case 'EINVAL':
      // The generation wrapped, the name was taken, or the request was undone under us.
      return interfered('another process changed the report entry', error);
    case 'EACCES':
    case 'EPERM':
      return unavailable('the report entry needs privileges this process lacks', error);
    default:
      return unavailable('this machine has no configfs-tsm reports', error);
  }
}

async function bounded(io: TsmIo, path: string, bytesMax: number): Promise<Uint8Array> {
  const bytes = await io.read(path, bytesMax);
  if (bytes === null) unavailable('the kernel answered with more than its interface allows');
  return bytes;
}

async function text(io: TsmIo, path: string): Promise<string> {
  return fromUtf8(await bounded(io, path, TEXT_BYTES_MAX)).trim();
}

async function number(io: TsmIo, path: string): Promise<number> {
  const digits = await text(io, path);
  if (!/^\d{1,10}$/.test(digits)) unavailable('the kernel answered with something else');
  return Number(digits);
}

/**
 * Asks the kernel for a report over 64 bytes.
 *
 * `generation` counts writes to an entry; it must have gone up by exactly ours after every read, or
 * somebody else's request is what was answered. configfs commits a binary write on close and drops
 * the error, so callers also compare what the report is about with what they asked.
 *
 * @param provider - `sev_guest` or `tdx_guest`; a report of another kind is refused.
 * @throws ParleyError ATTESTER_UNAVAILABLE, ATTESTER_INTERFERED.
 */
export async function tsmReport(
  provider: 'sev_guest' | 'tdx_guest',
  inblob: Uint8Array,
  { root, io }: TsmOptions,
): Promise<TsmReport> {
  expect(inblob.length === INBLOB_BYTES, 'report data is 64 bytes');
  // A random name: two processes must not share an entry.
  const entry = `${root}/parley-${toHex(randomBytes(16))}`;
  try {
    await io.mkdir(entry);
  } catch (error) {
    translate(error);
  }
  try {
    const before = await number(io, `${entry}/generation`);
    const expectMine = async (): Promise<void> => {
      const now = await number(io, `${entry}/generation`);
      if (now !== before + 1) interfered('another process changed the report entry');
    };
    if ((await text(io, `${entry}/provider`)) !== provider) {
      unavailable('this machine makes reports of another kind');
    }
    await io.write(`${entry}/inblob`, inblob);
    const outblob = await bounded(io, `${entry}/outblob`, OUTBLOB_BYTES_MAX);
    await expectMine();
    const auxblob = await bounded(io, `${entry}/auxblob`, AUXBLOB_BYTES_MAX);
    await expectMine();
    return { outblob, auxblob };
  } catch (error) {
    return translate(error);
  } finally {
    // An entry that cannot be removed is the kernel's to report, not a reason to lose the report.
    await io.rmdir(entry).catch(() => undefined);
  }
}
