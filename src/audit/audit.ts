import { ParleyError } from '../core/errors.ts';
import { compare, parseDecimal, rational, type Rational } from '../core/rational.ts';
import { EPSILON_PER_QUERY_MAX } from '../policy/limits.ts';
import { openEngine } from './engine.ts';
import { gameOf, type GameName } from './games.ts';
import { play } from './play.ts';
import type { AuditReport } from './report.ts';
import type { Outcome } from './verdict.ts';

export interface AuditOptions {
  readonly games: readonly GameName[];
  /** Of each game, against noise; at most {@link TEETH_TRIALS} of them with noise off. */
  readonly trials: number;
  /** The whole epsilon of each game, a decimal string. */
  readonly epsilon: string;
  readonly onOutcome?: (outcome: Outcome) => void;
}

/** LOCAL. Trials with noise off: an attack that wins always needs few. */
const TEETH_TRIALS = 500;

/** LOCAL. Trials of a game: below, no verdict means anything; above, it takes hours. */
const TRIALS_MIN = 100;
const TRIALS_MAX = 10_000_000;

/** LOCAL. Smallest epsilon of a game: below, groups that open hold thousands. */
const EPSILON_MIN: Rational = rational(1n, 10n);

function expectOptions({ trials, epsilon }: AuditOptions): void {
  const most = parseDecimal(EPSILON_PER_QUERY_MAX);
  const value = parseDecimal(epsilon);
  if (compare(value, EPSILON_MIN) < 0 || compare(value, most) > 0) {
    const range = `0.1 to ${EPSILON_PER_QUERY_MAX}`;
    throw new ParleyError('BAD_ARGUMENT', `the epsilon of an audit is from ${range}`);
  }
  if (!Number.isSafeInteger(trials) || trials < TRIALS_MIN || trials > TRIALS_MAX) {
    throw new ParleyError('BAD_ARGUMENT', `trials are from ${TRIALS_MIN} to ${TRIALS_MAX}`);
  }
}

/**
 * Plays the games against noise at the claimed epsilon, then against `exact_k` with noise off, where
 * each must win. Everything happens in this process on made-up data.
 * @throws ParleyError BAD_ARGUMENT; those of planning, import and protocols.
 */
export async function runAudit(options: AuditOptions): Promise<AuditReport> {
  expectOptions(options);
  const { games, trials, epsilon, onOutcome } = options;
  const engine = await openEngine();
  const outcomes = async (each: { trials: number; epsilon: string | null }): Promise<Outcome[]> => {
    const done: Outcome[] = [];
    for (const name of games) {
      const outcome = await play(gameOf(name), { ...each, engine });
      onOutcome?.(outcome);
      done.push(outcome);
    }
    return done;
  };
  try {
    return {
      epsilon,
      private: await outcomes({ trials, epsilon }),
      exact: await outcomes({ trials: Math.min(trials, TEETH_TRIALS), epsilon: null }),
    };
  } finally {
    engine.close();
  }
}
