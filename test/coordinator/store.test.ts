// Goal: a record is whole and on disk when it counts as stored, is replaced whole, and what is no
// record is refused instead of guessed at.
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { COORDINATOR_LIMITS } from '../../src/coordinator/limits.ts';
import { newQuery, recordOf } from '../../src/coordinator/query.ts';
import { RecordStore, type StoredRecord } from '../../src/coordinator/store.ts';
import { submission } from './room.ts';

/** What was done to files and folders, in order. */
const done: string[] = [];
vi.mock('node:fs/promises', async (original) => {
  const real = await original<typeof import('node:fs/promises')>();
  const kind = (path: string): string => (path.endsWith('.tmp') ? 'file' : 'folder');
  return {
    ...real,
    async open(path: string, flags: string, mode?: number) {
      const handle = await real.open(path, flags, mode);
      const sync = handle.sync.bind(handle);
      handle.sync = async () => {
        await sync();
        done.push(`sync ${kind(path)}`);
      };
      return handle;
    },
    async rename(from: string, to: string) {
      await real.rename(from, to);
      done.push('rename');
    },
  };
});

let dir = '';
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'parley-store-'));
  done.length = 0;
});
afterEach(() => rmSync(dir, { recursive: true }));

function stored(): StoredRecord {
  return { submissionDigest: 'ab'.repeat(32), record: recordOf(newQuery(submission(), '')) };
}

it('is on disk, content and name, before it counts as stored', async () => {
  const store = await RecordStore.open(dir, COORDINATOR_LIMITS);
  const record = stored();
  await store.save(record, false);
  expect(done).toEqual(['sync file', 'rename', 'sync folder']);
  const again = await RecordStore.open(dir, COORDINATOR_LIMITS);
  expect(await again.load(record.record.query_id)).toEqual(record);
  expect(readdirSync(join(dir, 'records')).length).toBe(1);
});

it('refuses a damaged record, leaves nothing half written, and knows what never was', async () => {
  const store = await RecordStore.open(dir, COORDINATOR_LIMITS);
  const record = stored();
  await store.save(record, false);
  const [name] = readdirSync(join(dir, 'records'));
  writeFileSync(join(dir, 'records', name!), '');
  const id = record.record.query_id;
  await expect(store.load(id)).rejects.toMatchObject({ code: 'STORAGE_FAILED' });
  expect(await store.load('q'.repeat(20))).toBeNull();
  rmSync(join(dir, 'records'), { recursive: true });
  await expect(store.save(record, false)).rejects.toMatchObject({ code: 'STORAGE_FAILED' });
});
