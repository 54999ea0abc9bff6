// Goal: what a crash leaves half written harms nothing that comes after it, and an end is told only once
// it is on disk, so that one id has one answer or one error through any crash.
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { openAudit } from '../../src/coordinator/audit.ts';
import { COORDINATOR_LIMITS } from '../../src/coordinator/limits.ts';
import { QueryBook } from '../../src/coordinator/queries.ts';
import { RecordStore } from '../../src/coordinator/store.ts';
import { policyDigest } from '../../src/policy/index.ts';
import { log, room, submission } from './room.ts';

let dir = '';
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'parley-store-'));
});
afterEach(() => rm(dir, { recursive: true }));

it('removes records that were not written to their end', async () => {
  await RecordStore.open(dir, COORDINATOR_LIMITS);
  await writeFile(join(dir, 'records', `${'ab'.repeat(32)}.json.1.tmp`), '{"ver');
  await writeFile(join(dir, 'records', `${'ab'.repeat(32)}.json`), '{}');
  await RecordStore.open(dir, COORDINATOR_LIMITS);
  expect(await readdir(join(dir, 'records'))).toEqual([`${'ab'.repeat(32)}.json`]);
});

it.each(['{"time":"2026-01-0', '{"time":"2026-01-01"}\n', ''])(
  'begins a line of its own in an audit log that ends with %j',
  async (before) => {
    const path = join(dir, 'audit.jsonl');
    await writeFile(path, before);
    const audit = await openAudit(dir, log);
    audit.write({ event: 'started' });
    await audit.close();
    const lines = (await readFile(path, 'utf8')).split('\n').filter((line) => line !== '');
    expect(lines.slice(0, -1)).toEqual(before === '' ? [] : [before.trimEnd()]);
    expect(JSON.parse(lines.at(-1)!)).toMatchObject({ event: 'started' });
  },
);

it('tells an end only when it is on disk, also to who asks meanwhile', async () => {
  const order: string[] = [];
  const store = await RecordStore.open(dir, COORDINATOR_LIMITS);
  let ending = false;
  let release = (): void => undefined;
  const disk = new Promise<void>((resolve) => (release = resolve));
  const save = store.save.bind(store);
  store.save = async (stored, finished) => {
    if (finished) {
      ending = true;
      await disk;
    }
    await save(stored, finished);
    if (finished) order.push('on disk');
  };
  const audit = await openAudit(dir, log);
  const { packet } = room;
  const book = new QueryBook({
    packet,
    policy: packet.policy,
    policyDigest: policyDigest(packet.policy),
    enclaveHost: null,
    limits: COORDINATOR_LIMITS,
    store,
    audit,
    log,
    // Nobody is there, so that the query fails at once.
    hub: {
      isConnected: () => false,
      send: () => undefined,
      openRoute: () => undefined,
      closeRoute: () => ({}),
      openInputs: () => undefined,
      feed: () => undefined,
    },
  });
  const signed = submission();
  const told = book.submit(signed).then(({ state }) => order.push(state));
  const isEnding = (): boolean => ending;
  while (!isEnding()) await turn();
  const asked = book.read(signed.document.query_id).then(({ state }) => order.push(state));
  for (let i = 0; i < 100; i += 1) await turn();
  release();
  await Promise.all([told, asked]);
  expect(order).toEqual(['on disk', 'failed', 'failed']);
  await audit.close();
});
