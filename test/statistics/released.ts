// privacy 6: what the release circuit opens for n people against n + 1. Two parties of the real
// sharing in one process, bit triples from a trusted dealer; noise bits from the system.
import { clopperPearson } from '../../src/audit/index.ts';
import { systemRng } from '../../src/core/rng.ts';
import { calibrate } from '../../src/dp/index.ts';
import { vetAnswer } from '../../src/engine/mpc/finish.ts';
import { planQuery, type Plan } from '../../src/sql/index.ts';
import { seededRng } from '../support/seeded-rng.ts';
import { elementsToBigints, makePair, shareRing, xorBytes } from '../sharing/support.ts';
import type { Check } from './check.ts';
import { cellsPolicy, USERS_SQL } from './cells.ts';

export const title = 'The released value';

const ROWS = 50_000;
const MISS = 1e-6;
/** Far above threshold: the group opens, and the value alone speaks. */
const PEOPLE = 200;

/** How often the circuit releases at most `limit` for `people` people. */
async function atMost(plan: Plan, people: number, limit: number, runs: number): Promise<number> {
  const calibration = calibrate({ ...plan.privacy, measures: plan.measures });
  let hits = 0;
  for (let done = 0; done < runs; done += ROWS) {
    const exact = Array<bigint>(ROWS).fill(BigInt(people));
    const totals = shareRing(exact, seededRng(`totals ${done}`));
    const pair = makePair({ rngs: [systemRng, systemRng], seed: `${done}`, record: false });
    const [left, right] = await pair.run((s) =>
      vetAnswer(s, plan, calibration, [totals[s.party as 0 | 1]]),
    );
    for (const value of elementsToBigints(xorBytes(left.cells, right.cells))) {
      if (BigInt.asIntN(64, value) <= BigInt(limit)) hits += 1;
    }
  }
  return hits;
}

export async function run(long: boolean): Promise<readonly Check[]> {
  const plan = planQuery(cellsPolicy(1, 1, { minUsers: 5 }), 'd'.repeat(64), USERS_SQL, {
    epsilon: '1',
  });
  const runs = long ? 1_000_000 : ROWS;
  const without = await atMost(plan, PEOPLE, PEOPLE, runs);
  const within = await atMost(plan, PEOPLE + 1, PEOPLE, runs);
  const likely = clopperPearson(without, runs, MISS / 2).low;
  const bound = Math.log(likely / clopperPearson(within, runs, MISS / 2).high);
  const floor = long ? 0.97 : 0.9;
  return [
    {
      test: '6',
      what: `epsilon at least, from y <= n at n and n + 1, epsilon 1, wrong once in 10^6`,
      n: 2 * runs,
      result: `${bound.toFixed(4)}, must be ${floor} to 1`,
      pass: bound <= 1 && bound >= floor,
    },
  ];
}
