import { open, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { ParleyError, type ErrorCode } from '../core/errors.ts';
import type { Log } from './log.ts';

/** One line of the audit log. Names, texts and counts; never a share, a ciphertext or a key. */
export interface AuditEvent {
  readonly event:
    | 'started'
    | 'stopped'
    | 'party_connected'
    | 'party_disconnected'
    | 'submitted'
    | 'agreeing'
    | 'running'
    | 'interrupted'
    | 'resumed'
    | 'answered'
    | 'prepared'
    | 'refused'
    | 'failed';
  readonly party?: string;
  readonly query_id?: string;
  readonly analyst?: string;
  readonly sql?: string;
  readonly epsilon?: string | null;
  readonly backend?: 'mpc' | 'tee';
  /** Left out for a question. */
  readonly purpose?: 'prepare';
  readonly plan_digest?: string;
  readonly code?: ErrorCode;
  /** Of the run that is resumed; the first is 0. */
  readonly epoch?: number;
  /** Payload bytes relayed, by sender. */
  readonly relayed_bytes?: Readonly<Record<string, number>>;
}

/** Append-only JSON lines in `audit.jsonl`. A line that cannot be written is logged as lost. */
export interface Audit {
  write(event: AuditEvent): void;
  close(): Promise<void>;
}

/** A last line that a crash cut stands alone, so that it does not hide the next one. */
async function endsWithLine(file: FileHandle): Promise<boolean> {
  const { size } = await file.stat();
  if (size === 0) return true;
  const { buffer } = await file.read(Buffer.alloc(1), 0, 1, size - 1);
  return buffer.toString() === '\n';
}

/** @throws ParleyError STORAGE_FAILED when the file cannot be opened. */
export async function openAudit(dataDir: string, log: Log): Promise<Audit> {
  let file: FileHandle;
  try {
    file = await open(join(dataDir, 'audit.jsonl'), 'a+', 0o600);
    if (!(await endsWithLine(file))) await file.appendFile('\n');
  } catch (error) {
    throw new ParleyError('STORAGE_FAILED', 'the audit log cannot be opened', {}, error);
  }
  let last: Promise<void> = Promise.resolve();
  return {
    write(event) {
      const line = `${JSON.stringify({ time: new Date().toISOString(), ...event })}\n`;
      last = last
        .then(() => file.appendFile(line))
        .catch((error: unknown) =>
          log.error({ err: error, event: event.event }, 'audit line lost'),
        );
    },
    async close() {
      await last;
      await file.close();
    },
  };
}
