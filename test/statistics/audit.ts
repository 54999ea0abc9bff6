// privacy 12: the attack games of `parley audit`, and the audit's own teeth.
import {
  gameOf,
  GAMES,
  openEngine,
  play,
  type GameName,
  type Outcome,
} from '../../src/audit/index.ts';
import type { Plan } from '../../src/sql/index.ts';
import type { Check } from './check.ts';

export const title = 'Attack games';

/** The plan with noise as if epsilon were so many times as large as claimed. */
const louder =
  (times: bigint) =>
  (plan: Plan): Plan => ({
    ...plan,
    measures: plan.measures.map((measure) => {
      const [num, den = '1'] = (measure.epsilon ?? '0').split('/');
      if (measure.epsilon === null) return measure;
      const scaled = BigInt(num!) * times;
      const whole = scaled % BigInt(den) === 0n;
      return { ...measure, epsilon: whole ? `${scaled / BigInt(den)}` : `${scaled}/${den}` };
    }),
  });

function noised(outcome: Outcome): Check {
  const { game, attack, trials, success, predicted, limit, epsilonAtLeast, verdict } = outcome;
  return {
    test: '12',
    what: `${game}: ${attack}`,
    n: trials,
    result:
      `wins ${success.toFixed(4)} (predicted ${predicted.toFixed(4)}, at most ` +
      `${limit!.toFixed(4)}), epsilon at least ${epsilonAtLeast.toFixed(3)} of 1`,
    pass: verdict === 'held',
  };
}

export async function run(long: boolean): Promise<readonly Check[]> {
  const engine = await openEngine();
  const trials = long ? 10_000 : 300;
  const played: readonly GameName[] = long ? GAMES : ['membership', 'planted-user'];
  const checks: Check[] = [];
  try {
    for (const name of played) {
      checks.push(noised(await play(gameOf(name), { engine, trials, epsilon: '1' })));
    }
    for (const name of GAMES) {
      const few = long ? 1000 : 100;
      const exact = await play(gameOf(name), { engine, trials: few, epsilon: null });
      checks.push({
        test: '12',
        what: `${name} against exact_k with noise off must win`,
        n: few,
        result: `wins ${exact.success.toFixed(4)}, must be 0.99`,
        pass: exact.verdict === 'held' && exact.success >= 0.99,
      });
    }
    const cheated = await play(gameOf('membership'), {
      engine,
      trials: long ? 2000 : 300,
      epsilon: '1',
      sabotage: louder(4n),
    });
    checks.push({
      test: '12',
      what: 'control: noise of epsilon 4 sold as epsilon 1 must be called broken',
      n: cheated.trials,
      result: `wins ${cheated.success.toFixed(4)}, epsilon at least ${cheated.epsilonAtLeast.toFixed(3)}`,
      pass: cheated.verdict === 'broken',
    });
  } finally {
    engine.close();
  }
  return checks;
}
