import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Answer } from '../../src/client/index.ts';
import type { RulesPolicy } from '../../src/policy/types.ts';
import { dice, randomRows } from '../support/random-room.ts';
import { liveRoom, type LiveRoom } from '../support/live-room.ts';
import { NEAR_MISSES, QUESTION, REWRITES } from '../support/rewrites.ts';
import { OPEN_RULES, roomPolicy } from '../support/room-policy.ts';

export const title = 'Replay of identical questions (privacy.md section 7, test 10)';

interface Result {
  readonly test: string;
  readonly what: string;
  readonly n: number;
  readonly result: string;
  readonly pass: boolean;
}

/** Enough for one question and one near miss at 1/2 each, and no more. */
const BUDGET = '1';

/** Rules with noise, and a budget for two questions. */
export const REPLAY_RULES: RulesPolicy = {
  ...OPEN_RULES,
  partition_selection: 'pre_threshold',
  differential_privacy: {
    noise_mechanism: 'discrete_laplace',
    epsilon_budget: BUDGET,
    max_epsilon_per_query: BUDGET,
    default_epsilon_per_query: '0.5',
    delta_budget: '1e-6',
    delta_per_query: '5e-8',
    max_partitions_contributed: 1,
    max_contributions_per_partition: 4,
    noise_threshold_bits: 64,
  },
  join: { oprf: 'kkrt', ot_field_bits: 4, shard_users: 65_536 },
};

/** A room with noise, in this process over real sockets, whose nodes keep their answers. */
export function replayRoom(rules: object = {}): Promise<LiveRoom> {
  const policy = roomPolicy({ ...REPLAY_RULES, ...rules });
  return liveRoom(policy, randomRows(dice(10), 60, 2, true), undefined, true);
}

/** Receipts and shares of an answer as they came. */
export function bytesOf({ bundle }: Answer): string {
  if (bundle.backend !== 'mpc') throw new Error('the room computes on shares');
  return JSON.stringify([bundle.receipts, bundle.openings]);
}

/** Charges in a party's ledger. */
export function chargesOf(room: LiveRoom, party: string): number {
  const ledger = readFileSync(join(room.dir, `${party}-ledger`, 'ledger.jsonl'), 'utf8');
  return ledger.split('\n').filter((line) => line.includes('"reserve"')).length;
}

/**
 * One question, many times, then in 20 other ways, against a real room: the same bytes every time,
 * one charge. Near misses that the budget still pays for are run and charged.
 */
export async function run(long: boolean): Promise<readonly Result[]> {
  const repetitions = long ? 1000 : 50;
  const room = await replayRoom();
  const charges = (): string => ['shopgood', 'newsnow'].map((p) => chargesOf(room, p)).join('/');
  try {
    const first = await room.client.answer(QUESTION);
    const bytes = bytesOf(first);
    const ask = async (sql: string): Promise<boolean> => {
      const again = await room.client.answer(sql);
      return (
        bytesOf(again) === bytes && again.replayOf === first.queryId && again.epsilonSpent === '0'
      );
    };
    let same = 1;
    for (let i = 1; i < repetitions; i += 1) same += (await ask(QUESTION)) ? 1 : 0;
    const afterRepetitions = charges();
    let rewritten = 0;
    for (const [, sql] of REWRITES) rewritten += (await ask(sql)) ? 1 : 0;
    const afterRewrites = charges();
    let missed = 0;
    for (const [, sql] of NEAR_MISSES) missed += (await ask(sql).catch(() => false)) ? 0 : 1;
    return [
      {
        test: 'privacy 10',
        what: 'one question again: same bytes, charged once at each party',
        n: repetitions,
        result: `${same} the same, charges ${afterRepetitions}`,
        pass: same === repetitions && afterRepetitions === '1/1',
      },
      {
        test: 'privacy 10',
        what: 'the question written otherwise: same bytes, nothing charged',
        n: REWRITES.length,
        result: `${rewritten} the same, charges ${afterRewrites}`,
        pass: rewritten === REWRITES.length && afterRewrites === '1/1',
      },
      {
        test: 'privacy 10',
        what: 'near misses: run and charged, or refused when the budget is spent',
        n: NEAR_MISSES.length,
        result: `${missed} not the same, charges ${charges()}`,
        pass: missed === NEAR_MISSES.length && charges() === '2/2',
      },
    ];
  } finally {
    await room.close();
  }
}
