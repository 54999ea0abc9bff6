// privacy.md §7 test 9: a budget for ten queries and 64 questions at once, through a real coordinator
// and real nodes over sockets. `run(true)` repeats it 20 times with fresh rooms.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { newQueryId } from '../../src/client/index.ts';
import type { RulesPolicy } from '../../src/policy/types.ts';
import type { LiveRoom } from '../support/live-room.ts';
import { liveRoom } from '../support/live-room.ts';
import { dice, randomRows } from '../support/random-room.ts';
import { OPEN_RULES, roomPolicy } from '../support/room-policy.ts';

export const title = 'budget for ten queries, 64 at once';

export interface Row {
  readonly test: string;
  readonly what: string;
  readonly n: number;
  readonly result: string;
  readonly pass: boolean;
}

const QUESTIONS = 64;
const BUDGETED = 10;

/** Rules under which ten queries of epsilon 0.1 are all there is. */
export const TEN_TENTHS: RulesPolicy = {
  ...OPEN_RULES,
  join: { ...OPEN_RULES.join, oprf: 'kkrt' },
  differential_privacy: {
    noise_mechanism: 'discrete_laplace',
    epsilon_budget: '1',
    max_epsilon_per_query: '1',
    default_epsilon_per_query: '0.1',
    delta_budget: '1e-4',
    delta_per_query: '1e-6',
    max_partitions_contributed: 1,
    max_contributions_per_partition: 4,
    noise_threshold_bits: 64,
  },
};

/** No two questions are alike, so that nothing is answered twice for one charge. */
export const questionOf = (n: number): string => `SELECT COUNT(DISTINCT hashed_email) AS n
  FROM joined_data WHERE total_spent > ${n}.00`;

export const tenTenthsRoom = (seed: number, rules = TEN_TENTHS): Promise<LiveRoom> =>
  liveRoom(roomPolicy(rules, 2), randomRows(dice(seed), 30, 2));

/** Reservations of a party's ledger, by query id, in order of entry. */
export function reservedIn(room: LiveRoom, party: string): readonly string[] {
  const text = readFileSync(join(room.dir, `${party}-ledger`, 'ledger.jsonl'), 'utf8');
  return text
    .trimEnd()
    .split('\n')
    .map((line) => (JSON.parse(line) as { entry: { kind: string; query_id: string } }).entry)
    .filter(({ kind }) => kind === 'reserve')
    .map(({ query_id }) => query_id);
}

/** What became of 64 questions at once: answers, and refusals by code. */
async function askAll(room: LiveRoom): Promise<{
  readonly answered: readonly string[];
  readonly codes: ReadonlyMap<string, number>;
}> {
  const ids = Array.from({ length: QUESTIONS }, () => newQueryId());
  const ends = await Promise.allSettled(
    ids.map((queryId, n) => room.client.answer(questionOf(n), { queryId })),
  );
  const codes = new Map<string, number>();
  for (const end of ends) {
    if (end.status === 'fulfilled') continue;
    const code = String((end.reason as { code?: unknown }).code);
    codes.set(code, (codes.get(code) ?? 0) + 1);
  }
  return { answered: ids.filter((_, i) => ends[i]!.status === 'fulfilled'), codes };
}

async function once(seed: number): Promise<Row> {
  const room = await tenTenthsRoom(seed);
  try {
    const { answered, codes } = await askAll(room);
    const charged = ['shopgood', 'newsnow'].map((party) => [...reservedIn(room, party)].sort());
    const expected = JSON.stringify([...answered].sort());
    const equal = charged.every((ids) => JSON.stringify(ids) === expected);
    const refused = codes.get('BUDGET_EXHAUSTED') ?? 0;
    const pass = answered.length === BUDGETED && refused === QUESTIONS - BUDGETED && equal;
    const others = [...codes].filter(([code]) => code !== 'BUDGET_EXHAUSTED').join(' ');
    return {
      test: '9',
      what: `64 at once on a budget for ten, room ${seed}`,
      n: QUESTIONS,
      result: `${answered.length} answers, ${refused} refusals, ledgers ${equal ? 'equal' : 'DIFFER'} ${others}`,
      pass,
    };
  } finally {
    await room.close();
  }
}

/** @param long - twenty rooms, else one. */
export async function run(long: boolean): Promise<readonly Row[]> {
  const rows: Row[] = [];
  for (let seed = 1; seed <= (long ? 20 : 1); seed += 1) rows.push(await once(seed));
  return rows;
}
