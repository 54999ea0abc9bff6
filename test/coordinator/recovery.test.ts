// Goal: a run that broke off is resumed once every party is there again, under a higher epoch each
// time; it ends in time and with its code when one stays away, has lost the run, or breaks off too often.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, it, vi } from 'vitest';
import { newQuery } from '../../src/coordinator/query.ts';
import { RecoveryDesk } from '../../src/coordinator/recovery.ts';
import { EPOCHS_MAX, type Report } from '../../src/transport/index.ts';
import type { SignedGo } from '../../src/records/index.ts';
import {
  agree,
  answerOf,
  coordinatorWith,
  fakeParties,
  fakeParty,
  over,
  PARTIES,
  post,
  read,
  submission,
  type FakeParty,
  type TestCoordinator,
} from './room.ts';

let coordinator: TestCoordinator;
const parties: FakeParty[] = [];
afterEach(async () => {
  await Promise.all(parties.splice(0).map((p) => p.close()));
  await coordinator.close();
});

/** A query that runs at two parties. */
async function running(
  resumeGraceMs = 5_000,
  purpose?: 'prepare',
): Promise<{
  readonly id: string;
  readonly a: FakeParty;
  readonly b: FakeParty;
  readonly gos: readonly SignedGo[];
}> {
  coordinator = await coordinatorWith({ resumeGraceMs });
  const [a, b] = await fakeParties(coordinator.url);
  parties.push(a, b);
  const signed = submission(purpose === undefined ? {} : { purpose });
  const id = signed.document.query_id;
  await post(coordinator.url, signed);
  const [gos] = await Promise.all([agree(a, id), agree(b, id)]);
  return { id, a, b, gos };
}

async function back(name: string): Promise<FakeParty> {
  const party = await fakeParty(coordinator.url, name);
  parties.push(party);
  return party;
}

const held = (id: string, epoch: number, answered = false): Extract<Report, { type: 'held' }> => ({
  type: 'held',
  runs: [{ query_id: id, epoch, answered }],
});

async function answer(party: FakeParty, id: string, gos: readonly SignedGo[]): Promise<void> {
  const own = await answerOf(party.name, gos);
  party.relay.sendControl({ type: 'answer', query_id: id, ...own } as never);
}

it('resumes when the lost party is back and the other has stopped, and not before', async () => {
  const { id, a, b, gos } = await running();
  await b.close();
  expect(await a.next('park', id)).toMatchObject({ epoch: 0 });
  const b2 = await back(b.name);
  b2.relay.sendControl(held(id, 0));
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(b2.orders).toEqual([]);
  a.relay.sendControl({ type: 'parked', query_id: id, epoch: 0 });
  for (const party of [a, b2]) {
    expect(await party.next('resume', id)).toMatchObject({ epoch: 1 });
  }
  // A word about the old epoch that crossed the order changes nothing.
  a.relay.sendControl({ type: 'parked', query_id: id, epoch: 0 });
  for (const party of [a, b2]) await answer(party, id, gos);
  expect((await over(coordinator.url, id)).state).toBe('answered');
  for (const party of [a, b2]) await party.next('over', id);
  const log = readFileSync(join(coordinator.dataDir, 'audit.jsonl'), 'utf8');
  expect(log).toMatch(/"event":"interrupted".*"epoch":0.*"party":"newsnow"/);
  expect(log).toMatch(/"event":"resumed".*"epoch":1/);
});

it('resumes when both were lost at once', async () => {
  const { id, a, b, gos } = await running();
  await Promise.all([a.close(), b.close()]);
  const both = [await back(a.name), await back(b.name)];
  for (const party of both) party.relay.sendControl(held(id, 0));
  for (const party of both) {
    expect(await party.next('resume', id)).toMatchObject({ epoch: 1 });
    await answer(party, id, gos);
  }
  expect((await over(coordinator.url, id)).state).toBe('answered');
});

it('resumes when only a link broke, until it broke too often', async () => {
  const { id, a, b } = await running();
  for (let epoch = 0; epoch < EPOCHS_MAX - 1; epoch += 1) {
    a.relay.sendControl({ type: 'parked', query_id: id, epoch });
    expect(await b.next('park', id)).toMatchObject({ epoch });
    b.relay.sendControl({ type: 'parked', query_id: id, epoch });
    expect(await a.next('resume', id)).toMatchObject({ epoch: epoch + 1 });
  }
  a.relay.sendControl({ type: 'parked', query_id: id, epoch: EPOCHS_MAX - 1 });
  const record = await over(coordinator.url, id);
  expect(record).toMatchObject({ state: 'failed', error: { code: 'CHANNEL_CLOSED' } });
});

it('fails when the party stays away, or comes back without the run', async () => {
  const lost = await running(200);
  await lost.b.close();
  lost.a.relay.sendControl({ type: 'parked', query_id: lost.id, epoch: 0 });
  expect(await over(coordinator.url, lost.id)).toMatchObject({
    state: 'failed',
    error: { code: 'PARTY_AWAY', party: lost.b.name },
  });
  await lost.a.next('abort', lost.id);
  await coordinator.close();

  const blank = await running(60_000);
  await blank.b.close();
  (await back(blank.b.name)).relay.sendControl({ type: 'held', runs: [] });
  expect(await over(coordinator.url, blank.id)).toMatchObject({
    error: { code: 'PARTY_AWAY', party: blank.b.name },
  });
});

it('fails with the name of a party that is there and does not stop', () => {
  vi.useFakeTimers();
  try {
    const query = { ...newQuery(submission(), ''), parties: [...PARTIES] };
    query.state = 'running';
    const [deaf, lost] = PARTIES;
    const [orders, errors]: [string[], unknown[]] = [[], []];
    const desk = new RecoveryDesk({
      hub: { isConnected: () => true, send: (party, { type }) => orders.push(`${party} ${type}`) },
      audit: { write: () => undefined, close: () => Promise.resolve() },
      graceMs: 20_000,
      fail: (_, error) => errors.push(error),
      changed: () => undefined,
    });
    desk.interrupt(query, lost);
    desk.held(lost, held(query.id, 0).runs, new Map([[query.id, query]]));
    vi.advanceTimersByTime(19_999);
    expect(errors).toEqual([]);
    vi.advanceTimersByTime(1);
    expect(orders).toEqual([`${deaf} park`]);
    expect(errors).toMatchObject([{ code: 'TIMEOUT', detail: { party: deaf } }]);
  } finally {
    vi.useRealTimers();
  }
});

it('fetches an answer whose sender was lost, and repeats nothing', async () => {
  const { id, a, b, gos } = await running();
  await answer(a, id, gos);
  while ((await read(coordinator.url, id)).record.answers.length === 0);
  await b.close();
  const b2 = await back(b.name);
  b2.relay.sendControl(held(id, 0, true));
  await answer(b2, id, gos);
  expect((await over(coordinator.url, id)).state).toBe('answered');
  expect(a.orders.filter(({ type }) => type === 'park')).toEqual([]);
});

it('tells a party at once that nobody waits for a run', async () => {
  const { id, a, b } = await running();
  b.relay.sendControl({
    type: 'fail',
    query_id: id,
    error: { code: 'TIMEOUT', fault: 'transport', message: 'no', detail: {} },
  });
  await a.next('abort', id);
  for (const query of [id, 'never-heard-of-it-1']) {
    a.relay.sendControl(held(query, 0));
    await a.next('over', query);
  }
});

it('ends what only prepares at once, whether a party or a link is lost', async () => {
  const { id, a, b } = await running(5_000, 'prepare');
  await b.close();
  expect(await a.next('abort', id)).toMatchObject({ error: { code: 'PARTY_AWAY' } });
  expect(await over(coordinator.url, id)).toMatchObject({ state: 'failed' });
  expect(a.orders.filter(({ type }) => type === 'park')).toEqual([]);
  await Promise.all([a.close(), coordinator.close()]);
  const second = await running(5_000, 'prepare');
  second.a.relay.sendControl({ type: 'parked', query_id: second.id, epoch: 0 });
  expect(await second.b.next('abort', second.id)).toMatchObject({
    error: { code: 'CHANNEL_CLOSED' },
  });
  expect(await over(coordinator.url, second.id)).toMatchObject({ state: 'failed' });
});
