// Kills processes of a room at random moments of a query of some shards, restarts them or not, and checks
// what must hold whenever it happened: the query ends within 60 s of the last fault, with the exact
// answer or a code; every party charged its id at most once and released at most once; an answer means
// that all released; no attempt of a shard ran twice; nothing is left on disk; and at every party what
// is durably spent is at least epsilon times the answers ever delivered. Throws at the first violation.
// The seed decides who is killed, when, and whether it comes back.
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { newQueryId } from '../../src/client/index.ts';
import type { Rational } from '../../src/core/rational.ts';
import { compare, formatRational, mul, parseDecimal, rational } from '../../src/core/rational.ts';
import { readLedger } from '../../src/party/ledger/index.ts';
import {
  cellsOf,
  EXACT,
  PARTIES,
  shardRoom,
  SHARDS,
  SQL,
  type ShardRoom,
} from '../support/shard-room.ts';

export interface KillOptions {
  readonly runs: number;
  readonly seed: string;
  /** With noise, every query costs; without, every answer can be compared with the exact one. */
  readonly noise: boolean;
  /** Of the query; 16 when left out. */
  readonly shards?: number;
  /** Never the coordinator alone. */
  readonly partiesOnly?: boolean;
  readonly tell: (line: string) => void;
}

/** What a query costs in a room with noise. */
const EPSILON = '0.02';

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

const PARTY_VICTIMS = [['shopgood'], ['newsnow'], ['shopgood', 'newsnow']] as const;
const VICTIMS = [...PARTY_VICTIMS, ['coordinator']] as const;

/** Answered with these cells, or a code. */
async function ask(
  room: ShardRoom,
  queryId: string,
  noise: boolean,
): Promise<{ code: string; cells: number[] }> {
  try {
    const options = noise ? { queryId, epsilon: EPSILON } : { queryId };
    return { code: 'answered', cells: cellsOf(await room.client.answer(SQL, options)) };
  } catch (error) {
    return { code: String((error as { code?: unknown }).code), cells: [] };
  }
}

const ledgerOf = (room: ShardRoom, party: string): string => join(room.folderOf(party), 'ledger');

/** What a party has durably spent; the ledger is checked in full. */
function spentAt(room: ShardRoom, party: string): Rational {
  const { accounts } = readLedger(ledgerOf(room, party), { strict: true });
  return accounts[0]?.spent.epsilon ?? rational(0n);
}

type Demand = (condition: boolean, what: string) => void;

function check(
  room: ShardRoom,
  queryId: string,
  end: { code: string; cells: number[] },
  { noise }: KillOptions,
  demand: Demand,
): void {
  demand(end.code !== 'undefined' && end.code !== 'INTERNAL', `ended with ${end.code}`);
  if (end.code === 'answered' && !noise) {
    demand(end.cells.join() === EXACT.join(), `the answer is ${end.cells.join()}`);
  }
  for (const party of PARTIES) {
    const lines = readFileSync(join(ledgerOf(room, party), 'ledger.jsonl'), 'utf8').split('\n');
    const kinds = lines
      .filter((line) => line.includes(queryId))
      .map((line) => (JSON.parse(line) as { entry: { kind: string } }).entry.kind);
    demand(new Set(kinds).size === kinds.length, `${party} has ledger entries ${kinds.join()}`);
    if (end.code === 'answered') {
      const all = kinds.join() === 'reserve,peer_head,commit';
      demand(all, `${party} answered with ledger entries ${kinds.join()}`);
    }
    const attempts = room
      .log(party)
      .filter((line) => line.msg === 'shard finished' && line['query_id'] === queryId)
      .map((line) => `${String(line['shard'])} ${String(line['attempt'])}`);
    demand(new Set(attempts).size === attempts.length, `${party} ran an attempt twice`);
    demand(
      room.log(party).every((line) => line['code'] !== 'INTERNAL'),
      `${party} met a bug of its own`,
    );
  }
}

async function nothingLeft(room: ShardRoom, demand: Demand): Promise<void> {
  for (let i = 0; i < 6_000; i += 1) {
    const left = PARTIES.map((party) => join(room.folderOf(party), 'runs'))
      .filter((folder) => existsSync(folder))
      .flatMap((folder) => readdirSync(folder));
    if (left.length === 0) return;
    await sleep(10);
  }
  demand(false, 'a run was left on disk');
}

/** All are connected again before the next question. */
async function allConnected(room: ShardRoom): Promise<void> {
  for (let i = 0; i < 1_000; i += 1) {
    if ((await room.client.room()).parties.every(({ connected }) => connected)) return;
    await sleep(20);
  }
}

/** @returns how often queries ended how. */
export async function randomKills(options: KillOptions): Promise<ReadonlyMap<string, number>> {
  const { runs, seed, noise, tell } = options;
  const sets = options.partiesOnly === true ? PARTY_VICTIMS : VICTIMS;
  let counter = 0;
  /** A number below n that follows from the seed. */
  const roll = (n: number): number =>
    createHash('sha256').update(`${seed} ${counter++}`).digest().readUInt32BE(0) % n;
  const demand: Demand = (condition, what) => {
    if (!condition) throw new Error(`seed ${seed}: ${what}`);
  };
  const endings = new Map<string, number>();
  const room = await shardRoom({ noise, shards: options.shards ?? SHARDS });
  try {
    const started = performance.now();
    demand((await ask(room, newQueryId(), noise)).code === 'answered', 'the room does not work');
    let answers = 1;
    const usualMs = performance.now() - started;
    for (let run = 0; run < runs; run += 1) {
      const queryId = newQueryId();
      const ending = ask(room, queryId, noise);
      const victims = sets[roll(sets.length)]!;
      const afterMs = roll(Math.round(1.1 * usualMs));
      const away = roll(5) === 0;
      await sleep(afterMs);
      await Promise.all(victims.map((role) => room.kill(role)));
      const faultAt = performance.now();
      if (away) await ending;
      else await sleep(roll(500));
      await Promise.all(victims.map((role) => room.restart(role)));
      const end = await ending;
      const endedMs = performance.now() - faultAt;
      demand(endedMs < 60_000 + usualMs, `took ${endedMs} ms to end`);
      check(room, queryId, end, options, demand);
      if (end.code === 'answered') answers += 1;
      const due = noise ? mul(parseDecimal(EPSILON), rational(BigInt(answers))) : rational(0n);
      const spent = PARTIES.map((party) => spentAt(room, party));
      for (const amount of spent) {
        const said = `${formatRational(amount)} spent, ${formatRational(due)} due`;
        demand(compare(amount, due) >= 0, said);
      }
      await nothingLeft(room, demand);
      endings.set(end.code, (endings.get(end.code) ?? 0) + 1);
      const who = `${victims.join(' and ')}${away ? ', away' : ''}`;
      const paid = noise
        ? `; ${answers} answers, spent ${spent.map(formatRational).join(' and ')}`
        : '';
      tell(`${run}: ${who} at ${afterMs} ms: ${end.code} after ${Math.round(endedMs)} ms${paid}`);
      await allConnected(room);
    }
    return endings;
  } finally {
    await room.close();
  }
}
