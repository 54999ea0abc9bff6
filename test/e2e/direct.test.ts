// Goal: over direct links a query gives the same answer with the same messages, and the coordinator
// carries none of them; a node starts only as its policy says; a peer that goes ends the query.
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { listenOf } from '../../src/cli/options.ts';
import type { Policy } from '../../src/policy/types.ts';
import { liveRoom, type LiveRoom } from '../support/live-room.ts';
import type { Row } from '../support/random-room.ts';
import { OPEN_RULES, roomPolicy } from '../support/room-policy.ts';

const SQL = `SELECT campaign_id, COUNT(DISTINCT hashed_email) AS users, SUM(total_spent) AS spent
  FROM joined_data WHERE exposure_date < purchase_date GROUP BY campaign_id`;
const THREE = `SELECT tier, COUNT(DISTINCT p.email) AS users FROM purchases p
  JOIN exposures e ON p.email = e.email JOIN members m ON p.email = m.email GROUP BY tier`;

let room: LiveRoom | null = null;
afterEach(async () => {
  await room?.close();
  room = null;
});

function policyWith(links: 'relay' | 'direct', parties = 2): Policy {
  const policy = roomPolicy(
    { ...OPEN_RULES, join: { ...OPEN_RULES.join, oprf: 'kkrt' } },
    2,
    parties,
  );
  return { ...policy, execution: { ...policy.execution, links } };
}

const email = (i: number): string => `person${i}@example.com`;
const rows: Record<string, Row[]> = {
  purchases: Array.from({ length: 20 }, (_, i) => ({
    email: email(i),
    purchase_date: '2025-10-12',
    total_spent: `${i}.25`,
    items: '3',
    category: 'home',
    online: 'true',
  })),
  exposures: Array.from({ length: 20 }, (_, i) => ({
    email: email(i + 7),
    campaign_id: i % 2 === 0 ? 'sg_fall25' : 'home',
    exposure_date: '2025-10-05',
    seconds: '12.5',
    clicked: 'true',
  })),
  members: Array.from({ length: 20 }, (_, i) => ({
    email: email(i + 10),
    tier: i % 3 === 0 ? 'gold' : 'blue',
    member_since: '2025-09-01',
    points: '1',
  })),
};

interface Outcome {
  readonly cells: unknown;
  readonly relayed: Readonly<Record<string, number>>;
  readonly shapes: unknown;
  /** Beginnings of the channel paths of every party, query id left out. */
  readonly roots: readonly (readonly string[])[];
}

async function ask(policy: Policy, sql: string): Promise<Outcome> {
  room = await liveRoom(policy, rows);
  const { rows: answered, queryId } = await room.client.answer(sql);
  const audit = readFileSync(join(room.dir, 'coordinator', 'audit.jsonl'), 'utf8');
  const end = audit.split('\n').find((line) => line.includes('relayed_bytes')) ?? '{}';
  const shapes = [...room.traces].map(([party, events]) => {
    const names = events.map(({ direction, path, step, bytes }) =>
      [direction, path.replace(queryId, 'q'), step, bytes].join(' '),
    );
    return [party, names.sort()];
  });
  const roots = [...room.traces.values()].map((events) => {
    const all = events.map(({ path }) => path.replace(queryId, 'q').split('/').slice(0, 3));
    return [...new Set(all.map((parts) => parts.join('/')))].sort();
  });
  await room.close();
  room = null;
  return {
    cells: answered.map((row) => row.cells.map((cell) => cell.value)),
    relayed: (JSON.parse(end) as { relayed_bytes: Record<string, number> }).relayed_bytes,
    shapes,
    roots,
  };
}

const total = (bytes: Readonly<Record<string, number>>): number =>
  Object.values(bytes).reduce((sum, n) => sum + n, 0);

it('gives the same answer and messages as the relay, which then carries nothing', async () => {
  const relay = await ask(policyWith('relay'), SQL);
  const direct = await ask(policyWith('direct'), SQL);
  expect(relay.cells).toHaveLength(2);
  expect(direct.cells).toEqual(relay.cells);
  expect(direct.shapes).toEqual(relay.shapes);
  expect(total(relay.relayed)).toBeGreaterThan(100_000);
  expect(total(direct.relayed)).toBe(0);
});

it('joins three parties, each pair over its own connection', async () => {
  // Persons 10 to 19 are in all three tables.
  const { cells, relayed, roots } = await ask(policyWith('direct', 3), THREE);
  expect(cells).toEqual([
    ['gold', 4],
    ['blue', 6],
  ]);
  expect(total(relayed)).toBe(0);
  // Channel paths label every key: those of two pairs differ.
  expect(roots.map((of) => of.join(' ')).sort()).toEqual([
    'q/e0/0-1 q/e0/0-2',
    'q/e0/0-1 q/e0/1-2',
    'q/e0/0-2 q/e0/1-2',
  ]);
});

it('fails the query at everybody when a node goes in mid-run, and runs the next', async () => {
  const limits = { resumeGraceMs: 1_000 };
  room = await liveRoom(policyWith('direct'), rows, undefined, false, { limits });
  const node = room.nodes.get('newsnow')!;
  const asked = room.client.answer(SQL).catch((error: unknown) => error);
  while (room.traces.get('newsnow')!.length < 10) await new Promise((r) => setTimeout(r, 2));
  await node.close(0);
  const { code } = (await asked) as { code: string };
  expect(code).toMatch(/^(PARTY_AWAY|CANCELLED)$/);
  await room.startNode('newsnow');
  expect((await room.client.answer(SQL)).rows.length).toBe(2);
});

it('starts a node only as its policy says', async () => {
  room = await liveRoom(policyWith('direct'), rows);
  expect(room.nodes.get('shopgood')!.linkPort).toBeGreaterThan(0);
  await room.nodes.get('shopgood')!.close(0);
  await expect(room.startNode('shopgood', null)).rejects.toMatchObject({
    code: 'BAD_CONFIG',
    detail: { path: 'execution.links' },
  });
  await room.close();
  room = await liveRoom(policyWith('relay'), rows);
  expect(room.nodes.get('shopgood')!.linkPort).toBeNull();
  await room.nodes.get('shopgood')!.close(0);
  const listen = { host: '127.0.0.1', port: 0 };
  await expect(room.startNode('shopgood', listen)).rejects.toMatchObject({ code: 'BAD_CONFIG' });
});

it('leaves the room again when a node cannot start, so that its process can end', async () => {
  const live = await liveRoom(policyWith('relay'), rows);
  room = live;
  await live.nodes.get('shopgood')!.close(0);
  const runs = join(live.dir, 'shopgood-runs');
  rmSync(runs, { recursive: true });
  writeFileSync(runs, 'no folder');
  await expect(live.startNode('shopgood')).rejects.toMatchObject({ code: 'STORAGE_FAILED' });
  const connected = async (): Promise<unknown> =>
    (await live.client.room()).parties.find(({ name }) => name === 'shopgood')!.connected;
  while ((await connected()) === true);
  rmSync(runs);
  await live.startNode('shopgood');
  expect(await connected()).toBe(true);
});

it.each([
  ['0.0.0.0:7700', { host: '0.0.0.0', port: 7700 }],
  ['[::1]:0', { host: '::1', port: 0 }],
  ['node.example:65535', { host: 'node.example', port: 65_535 }],
  ['7700', null],
  ['::1:7700', null],
  ['host:65536', null],
  ['host:', null],
])('reads --listen %s', (text, address) => {
  if (address === null) expect(() => listenOf(text)).toThrow(/^(It is an address|A port)/);
  else expect(listenOf(text)).toEqual(address);
});
