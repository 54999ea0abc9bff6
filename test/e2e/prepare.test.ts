// Goal: among real node processes a prepared query answers exactly what an unprepared one does, from
// what was prepared; a batch that a killed node had taken is never used again; nothing is charged or
// answered for preparing.
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Answer, Client } from '../../src/client/index.ts';
import { startRole, type RoleProcess } from '../../src/cli/processes.ts';
import { openRoom, type Room } from '../../src/cli/room.ts';
import { clientOf } from '../../src/cli/sandbox.ts';

const USERS = 300;
const POLICY = `
version: 1
room: prepared
parties:
  - name: shopgood
    tables:
      purchases:
        privacy_unit_column: { name: email, kind: exact }
        max_users: ${USERS}
        max_rows_per_user: 2
        columns:
          day: { type: integer, lower: "0", upper: "100" }
          spent: { type: integer, lower: "0", upper: "1000" }
  - name: newsnow
    tables:
      exposures:
        privacy_unit_column: { name: email, kind: exact }
        max_users: ${USERS}
        max_rows_per_user: 1
        columns:
          seen: { type: integer, lower: "0", upper: "100" }
          campaign: { type: text, values: [a, b, c] }
views: { joined: { join: [purchases, exposures], privacy_unit_alias: email } }
rules:
  allowed_aggregates: [COUNT, COUNT_DISTINCT, SUM]
  min_privacy_units_per_group: 1
  partition_selection: exact_k
  differential_privacy: off
  join: { oprf: kkrt, shard_users: 200 }
  size_disclosure: declared
  cache_identical_queries: false
execution: { backends: [mpc], tee: null }
`;
const SQL = `SELECT campaign, COUNT(DISTINCT email) AS users, SUM(spent) AS spent FROM joined
  WHERE seen < day GROUP BY campaign`;

/** Rows of both, and the plain answer. */
function makeData(dir: string): string[][] {
  const purchases = ['email,day,spent'];
  const exposures = ['email,seen,campaign'];
  const users = new Map<string, Set<number>>();
  const spent = new Map<string, number>();
  for (let u = 0; u < USERS; u += 1) {
    const campaign = 'abc'[u % 3]!;
    const seen = (u * 17) % 60;
    exposures.push(`u${u + 100},${seen},${campaign}`);
    for (const r of [0, 1]) {
      const [day, cost] = [(u * 7 + r * 31) % 100, (u * 13 + r) % 900];
      purchases.push(`u${u},${day},${cost}`);
      const other = u - 100;
      if (other < 0 || (other * 17) % 60 >= day) continue;
      const group = 'abc'[other % 3]!;
      users.set(group, (users.get(group) ?? new Set()).add(u));
      spent.set(group, (spent.get(group) ?? 0) + cost);
    }
  }
  for (const [party, table, lines] of [
    ['shopgood', 'purchases', purchases],
    ['newsnow', 'exposures', exposures],
  ] as const) {
    mkdirSync(join(dir, 'data', party), { recursive: true });
    writeFileSync(join(dir, 'data', party, `${table}.csv`), `${lines.join('\n')}\n`);
  }
  writeFileSync(join(dir, 'policy.yaml'), POLICY);
  return ['a', 'b', 'c'].map((g) => [g, `${users.get(g)!.size}`, `${spent.get(g)!}`]);
}

const PARTIES = ['shopgood', 'newsnow'] as const;
type Party = (typeof PARTIES)[number];

describe('prepare', () => {
  let dir = '';
  let room: Room;
  let client: Client;
  let plain: string[][] = [];
  const restarted: RoleProcess[] = [];
  beforeAll(async () => {
    dir = mkdtempSync(join(tmpdir(), 'parley-prepare-'));
    plain = makeData(dir);
    room = await openRoom({ directory: dir, state: join(dir, 'state') });
    client = clientOf(room);
  });
  afterAll(async () => {
    await Promise.all(restarted.map((role) => role.stop()));
    await room.close();
    rmSync(dir, { recursive: true, force: true });
  });

  const stockOf = (party: Party): string => join(room.state, party, 'stock');
  const batchesOf = (party: Party): string[] =>
    readdirSync(stockOf(party)).filter((name) => name.length === 64);
  const journalOf = (party: Party): string[] =>
    readFileSync(join(stockOf(party), 'used.jsonl'), 'utf8')
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as { entry: { kind: string; batch?: string } })
      .flatMap(({ entry }) => (entry.kind === 'taken' ? [entry.batch!] : []));
  const logged = (party: Party, message: string): Record<string, unknown>[] =>
    readFileSync(join(room.state, `${party}.log`), 'utf8')
      .split('\n')
      .filter((line) => line.startsWith('{'))
      .map((line) => JSON.parse(line) as Record<string, unknown>)
      .filter(({ msg }) => msg === message);
  const cells = ({ rows }: Answer): string[][] =>
    rows.map(({ cells: row }) => row.map(({ value }) => String(value))).sort();
  const spentOf = (party: Party): string =>
    readFileSync(join(room.state, party, 'ledger', 'ledger.jsonl'), 'utf8');

  it('makes a batch at every party, charges nothing, answers nothing', async () => {
    const before = PARTIES.map(spentOf);
    const record = await client.prepare(SQL);
    expect(record).toMatchObject({ state: 'prepared', answers: [], error: null });
    expect(PARTIES.map(spentOf)).toEqual(before);
    const [first, second] = PARTIES.map(batchesOf);
    expect(first).toHaveLength(1);
    expect(second).toEqual(first);
    for (const party of PARTIES) {
      expect(logged(party, 'prepared').at(-1)).toMatchObject({ batch: first![0] });
    }
  });

  it('is used by the next query of the shape, once, which answers the same', async () => {
    const [batch] = batchesOf('shopgood');
    // Another literal and another epsilon do not matter; another grouping would.
    const other = await client.answer('SELECT COUNT(*) AS n FROM joined');
    expect(other.rows).toHaveLength(1);
    expect(PARTIES.map((p) => logged(p, 'computed').at(-1)!['batch'])).toEqual([null, null]);
    expect(cells(await client.answer(SQL))).toEqual(plain);
    const computed = PARTIES.map((party) => logged(party, 'computed').at(-1)!);
    expect(computed.map((line) => line['batch'])).toEqual([batch, batch]);
    expect(PARTIES.map(batchesOf)).toEqual([[], []]);
    expect(cells(await client.answer(SQL))).toEqual(plain);
    const live = PARTIES.map((party) => logged(party, 'computed').at(-1)!);
    expect(live.map((line) => line['batch'])).toEqual([null, null]);
    // Online is a fraction of the bytes, at each end.
    computed.forEach((line, i) => {
      expect(Number(line['bytes_sent'])).toBeLessThan(0.7 * Number(live[i]!['bytes_sent']));
    });
  });

  it('never uses again what a killed node had taken, nor what is copied back to it', async () => {
    await client.prepare(SQL);
    await client.prepare(SQL);
    const two = batchesOf('newsnow').sort();
    expect(two).toHaveLength(2);
    const copy = join(dir, 'copy');
    cpSync(stockOf('newsnow'), copy, { recursive: true });
    const newsnow = room.roles.find(({ name }) => name === 'newsnow')!;
    let killed = false;
    const attempt = client.answer(SQL, {
      onProgress: ({ progress }) => {
        const took = progress.some((p) => p.party === 'newsnow' && p.stage === 'stock');
        if (!took || killed) return;
        killed = true;
        process.kill(newsnow.pid, 'SIGKILL');
      },
    });
    // Taken up again without the batch; or lost, when its finish had begun.
    const ending = attempt.then(cells, (error: unknown) => (error as { code: string }).code);
    await newsnow.ended;
    expect(killed).toBe(true);
    expect(journalOf('newsnow')).toContain(two[0]);
    expect(journalOf('shopgood')).toContain(two[0]);
    for (const batch of two) {
      if (existsSync(join(stockOf('newsnow'), batch))) continue;
      cpSync(join(copy, batch), join(stockOf('newsnow'), batch), { recursive: true });
    }
    restarted.push(await restart('newsnow'));
    const outcome = await ending;
    if (outcome !== 'FINISH_INTERRUPTED') expect(outcome).toEqual(plain);
    expect(batchesOf('newsnow')).toEqual([two[1]]);
    expect(cells(await client.answer(SQL))).toEqual(plain);
    expect(PARTIES.map((p) => logged(p, 'computed').at(-1)!['batch'])).toEqual([two[1], two[1]]);
    expect(cells(await client.answer(SQL))).toEqual(plain);
    expect(PARTIES.map((p) => logged(p, 'computed').at(-1)!['batch'])).toEqual([null, null]);
    for (const party of PARTIES) {
      const taken = journalOf(party);
      expect(new Set(taken).size).toBe(taken.length);
      expect(taken.slice(-2)).toEqual(two);
    }
  });

  it('is refused by a party that prepares nothing', async () => {
    const role = restarted.pop()!;
    await role.stop();
    restarted.push(await restart('newsnow', ['--stock-bytes', '0']));
    await expect(client.prepare(SQL)).rejects.toMatchObject({ code: 'STOCK_OFF' });
    await restarted.pop()!.stop();
    restarted.push(await restart('newsnow', ['--stock-bytes', '1000']));
    await expect(client.prepare(SQL)).rejects.toMatchObject({ code: 'STOCK_FULL' });
    await expect.poll(() => PARTIES.map(batchesOf), { timeout: 10_000 }).toEqual([[], []]);
    expect(cells(await client.answer(SQL))).toEqual(plain);
  });

  function restart(party: Party, more: readonly string[] = []): Promise<RoleProcess> {
    const args = ['party', '--policy', room.packetFile, '--party', party];
    args.push('--keys', join(dirname(room.packetFile), `${party}.keys.json`));
    args.push('--state', join(room.state, party), '--coordinator', room.url, ...more);
    const log = join(room.state, `${party}.log`);
    return startRole(party, args, log, new AbortController().signal);
  }
});
