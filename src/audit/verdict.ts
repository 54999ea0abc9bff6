import { clopperPearson } from './binomial.ts';
import type { GameName } from './games.ts';

/** One trial after the coin is shown. */
export interface Trial {
  readonly member: 0 | 1;
  readonly evidence: number;
  readonly guess: 0 | 1;
}

export interface Played {
  readonly game: GameName;
  readonly attack: string;
  readonly played: readonly Trial[];
  /** The game's whole epsilon and delta; null with noise off. */
  readonly epsilon: number | null;
  readonly delta: number;
  /** How often the best guess should be right, by the laws the plans state. */
  readonly predicted: number;
  /** Evidence that counts as strong, chosen before anything is played. */
  readonly strong: number;
}

/**
 * `held`: within the bound and as predicted. `broken`: more is leaked than claimed. `unexpected`: the
 * attack wins as often as it may, but not as often as the stated noise says: the noise is not that.
 */
export type Verdict = 'held' | 'broken' | 'unexpected';

/** What one game came to. */
export interface Outcome {
  readonly game: GameName;
  readonly attack: string;
  readonly trials: number;
  readonly success: number;
  readonly predicted: number;
  /** Most a game may win; null with noise off. */
  readonly limit: number | null;
  readonly claimedEpsilon: number | null;
  readonly claimedDelta: number;
  /** No smaller epsilon explains what was seen, but for a chance of {@link MISS}. */
  readonly epsilonAtLeast: number;
  readonly verdict: Verdict;
}

/** LOCAL. Chance that a lower bound on epsilon is wrong. */
export const MISS = 1e-3;
/** LOCAL. Standard deviations from the prediction that are called unexpected: 7 in a million. */
const DEVIATIONS = 4.5;
/** LOCAL. Success that shows the games can win, where nothing stops them. */
export const TEETH = 0.99;

/**
 * Most that any attack on an (epsilon, delta) mechanism may win, three deviations of a fair coin
 * allowed for chance (privacy.md §7, test 12; Kairouz, Oh, Viswanath, ICML 2015 for the bound).
 */
export function successLimit(epsilon: number, delta: number, trials: number): number {
  return 1 / (1 + Math.exp(-epsilon)) + delta + (3 * 0.5) / Math.sqrt(trials);
}

/**
 * Lower bound on epsilon: of every (epsilon, delta) mechanism P1 \<= e^epsilon·P0 + delta for every
 * event, and with the coin turned over. Four events fixed beforehand, the two bounds of each by
 * Clopper and Pearson, all eight together wrong with a chance of at most {@link MISS} (Jagielski,
 * Ullman, Oprea, NeurIPS 2020, for bounding epsilon this way).
 */
export function epsilonBound(played: readonly Trial[], delta: number, strong: number): number {
  const events: readonly ((evidence: number) => boolean)[] = [
    (e) => e > 0,
    (e) => e >= strong - 1e-9,
    (e) => e < 0,
    (e) => e <= -strong + 1e-9,
  ];
  const bounds = events.map((event, i) => {
    const [p0, p1] = ([0, 1] as const).map((member) => {
      const own = played.filter((trial) => trial.member === member);
      const hits = own.filter(({ evidence }) => event(evidence)).length;
      return clopperPearson(hits, own.length, MISS / 8);
    }) as [ReturnType<typeof clopperPearson>, ReturnType<typeof clopperPearson>];
    const [likely, unlikely] = i < 2 ? [p1, p0] : [p0, p1];
    return Math.log((likely.low - delta) / unlikely.high);
  });
  return Math.max(0, ...bounds.filter((bound) => !Number.isNaN(bound)));
}

/** Settles a game. With noise off the attack is to win: `held` is then {@link TEETH} or more. */
export function judge(played: Played): Outcome {
  const { epsilon, delta, predicted, strong } = played;
  const trials = played.played.length;
  const right = played.played.filter(({ member, guess }) => member === guess).length;
  const success = right / trials;
  const epsilonAtLeast = epsilonBound(played.played, delta, strong);
  const limit = epsilon === null ? null : successLimit(epsilon, delta, trials);
  const deviation = Math.sqrt((predicted * (1 - predicted)) / trials);
  const asPredicted = Math.abs(success - predicted) <= DEVIATIONS * deviation + 1e-9;
  const verdict = ((): Verdict => {
    if (limit === null || epsilon === null) return success >= TEETH ? 'held' : 'unexpected';
    if (success > limit || epsilonAtLeast > epsilon) return 'broken';
    return asPredicted ? 'held' : 'unexpected';
  })();
  return {
    game: played.game,
    attack: played.attack,
    trials,
    success,
    predicted,
    limit,
    claimedEpsilon: epsilon,
    claimedDelta: delta,
    epsilonAtLeast,
    verdict,
  };
}
