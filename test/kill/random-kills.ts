// Kills processes of a room at random moments of a query of 16 shards, restarts them or not, and checks
// what must hold whenever it happened: the query ends within 60 s of the last fault, with the exact
// answer or a code; every party charged its id at most once and released at most once; an answer means
// that all released; no attempt of a shard ran twice; nothing is left on disk. Throws at the first
// violation. The seed decides who is killed, when, and whether it comes back; it is printed.
import { createHash, randomInt } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { newQueryId } from '../../src/client/index.ts';
import { cellsOf, EXACT, PARTIES, shardRoom, SQL, type ShardRoom } from '../support/shard-room.ts';

const { values: flags } = parseArgs({
  options: {
    runs: { type: 'string', default: '20' },
    seed: { type: 'string', default: `${randomInt(2 ** 31)}` },
  },
});

let counter = 0;
/** A number below n that follows from the seed. */
function roll(n: number): number {
  const hash = createHash('sha256').update(`${flags.seed} ${counter++}`).digest();
  return hash.readUInt32BE(0) % n;
}

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

function demand(condition: boolean, what: string): void {
  if (!condition) throw new Error(`seed ${flags.seed}: ${what}`);
}

/** Answered with these cells, or a code. */
async function ask(room: ShardRoom, queryId: string): Promise<{ code: string; cells: number[] }> {
  try {
    return { code: 'answered', cells: cellsOf(await room.client.answer(SQL, { queryId })) };
  } catch (error) {
    return { code: String((error as { code?: unknown }).code), cells: [] };
  }
}

function check(room: ShardRoom, queryId: string, end: { code: string; cells: number[] }): void {
  demand(end.code !== 'undefined' && end.code !== 'INTERNAL', `ended with ${end.code}`);
  if (end.code === 'answered') {
    demand(end.cells.join() === EXACT.join(), `the answer is ${end.cells.join()}`);
  }
  for (const party of PARTIES) {
    const path = join(room.folderOf(party), 'ledger', 'ledger.jsonl');
    const lines = readFileSync(path, 'utf8').split('\n');
    const kinds = lines
      .filter((line) => line.includes(queryId))
      .map((line) => (JSON.parse(line) as { entry: { kind: string } }).entry.kind);
    demand(new Set(kinds).size === kinds.length, `${party} has ledger entries ${kinds.join()}`);
    if (end.code === 'answered') demand(kinds.length === 2, `${party} answered without a charge`);
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

async function nothingLeft(room: ShardRoom): Promise<void> {
  for (let i = 0; i < 6_000; i += 1) {
    const left = PARTIES.map((party) => join(room.folderOf(party), 'runs'))
      .filter((folder) => existsSync(folder))
      .flatMap((folder) => readdirSync(folder));
    if (left.length === 0) return;
    await sleep(10);
  }
  demand(false, 'a run was left on disk');
}

const VICTIMS = [['shopgood'], ['newsnow'], ['shopgood', 'newsnow'], ['coordinator']] as const;

const endings = new Map<string, number>();
process.stdout.write(`seed ${flags.seed}, ${flags.runs} runs\n`);
const room = await shardRoom();
try {
  const started = performance.now();
  demand((await ask(room, newQueryId())).code === 'answered', 'the room does not work');
  const usualMs = performance.now() - started;
  for (let run = 0; run < Number(flags.runs); run += 1) {
    const queryId = newQueryId();
    const ending = ask(room, queryId);
    const victims = VICTIMS[roll(VICTIMS.length)]!;
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
    check(room, queryId, end);
    await nothingLeft(room);
    endings.set(end.code, (endings.get(end.code) ?? 0) + 1);
    const who = `${victims.join(' and ')}${away ? ', away' : ''}`;
    process.stdout.write(
      `${run}: ${who} at ${afterMs} ms: ${end.code} after ${Math.round(endedMs)} ms\n`,
    );
    // Both are connected again before the next question.
    for (let i = 0; i < 1_000; i += 1) {
      if ((await room.client.room()).parties.every(({ connected }) => connected)) break;
      await sleep(20);
    }
  }
  process.stdout.write(`${[...endings].map(([code, n]) => `${code} ${n}`).join(', ')}\n`);
} finally {
  await room.close();
}
