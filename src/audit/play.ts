import { ParleyError } from '../core/errors.ts';
import {
  add,
  compare,
  div,
  parseDecimal,
  parseRational,
  rational,
  ZERO,
  type Rational,
} from '../core/rational.ts';
import { systemRng } from '../core/rng.ts';
import { calibrate, releaseRuleOf, type Calibration } from '../dp/index.ts';
import { decimalOf } from '../policy/schema.ts';
import type { Plan } from '../sql/plan.ts';
import type { Engine } from './engine.ts';
import { plantedIn, sqlOf, type Game } from './games.ts';
import { evidenceOf, predictedEvidence, strongest, successOf } from './guess.ts';
import { makeRoom, type Asked, type AuditRoom, type RoomData, type Seen } from './room.ts';
import { judge, type Outcome, type Trial } from './verdict.ts';

/** Turns a plan into the one that runs; what the attacker and the claim go by stays the original. */
export type Sabotage = (plan: Plan) => Plan;

export interface PlayOptions {
  readonly engine: Engine;
  readonly trials: number;
  /** The game's whole epsilon, a decimal; null plays against `exact_k` with noise off. */
  readonly epsilon: string | null;
  /** For tests of the audit: what is planned is not what runs. */
  readonly sabotage?: Sabotage;
}

/** LOCAL. Threshold of the synthetic rooms, and delta of each of their queries. */
const MIN_USERS = 5;
const DELTA = '1e-6';
/** LOCAL. Groups of a run, and people in a table of one: a second or two of joint work. */
const GROUPS_MAX = 1000;
const PEOPLE_MAX = 60_000;
/** LOCAL. Sizes of groups, where the attacker is to know nothing of theirs. */
const SPREAD = 7;
/** Evidence below this is none: two doubles that should be equal. */
const NOTHING = 1e-9;

const spreadOf = ({ view }: Game): number => (view === 'difference' ? SPREAD : 0);

/** Parts of a game's epsilon, and that they come to no more than the whole. */
function questionsOf(game: Game, epsilon: string | null): readonly Asked[] {
  const parts = rational(BigInt(game.questions.length));
  const share = epsilon === null ? null : decimalOf(div(parseDecimal(epsilon), parts));
  return game.questions.map((question) => ({ sql: sqlOf(question), epsilon: share }));
}

/** What the plans of a game cost together. */
function priceOf(plans: readonly Plan[]): { readonly epsilon: Rational; readonly delta: Rational } {
  const sum = (of: 'epsilon' | 'delta'): Rational =>
    plans.reduce((total, { privacy }) => {
      const price = privacy.differential;
      return price === null ? total : add(total, parseRational(price[of]));
    }, ZERO);
  return { epsilon: sum('epsilon'), delta: sum('delta') };
}

const calibrationOf = (plan: Plan): Calibration => calibrate(releaseRuleOf(plan));

interface Setting {
  readonly room: AuditRoom;
  readonly plans: readonly Plan[];
  readonly calibrations: readonly Calibration[];
  readonly planted: number;
  readonly groups: number;
}

/** Plans once for what the threshold will be, then opens a room of the size that the game needs. */
function prepare(game: Game, { engine, trials, epsilon }: PlayOptions): Setting {
  const asked = questionsOf(game, epsilon);
  const rules = {
    minUsers: MIN_USERS,
    differential: epsilon === null ? null : { epsilon, delta: DELTA },
    rowsPerUser: game.rowsPerUser,
  };
  const sketch = makeRoom({ ...rules, groups: 1, usersMax: MIN_USERS }, engine);
  const planted = plantedIn(game, calibrationOf(sketch.planOf(asked[0]!)));
  sketch.close();
  const people = planted + spreadOf(game) + game.decoys.length + 1;
  const fit = Math.max(1, Math.floor(PEOPLE_MAX / people));
  const runs = Math.ceil(trials / Math.min(fit, GROUPS_MAX));
  const groups = Math.ceil(trials / runs);
  const room = makeRoom({ ...rules, groups, usersMax: groups * people }, engine);
  const plans = asked.map((question) => room.planOf(question));
  return { room, plans, calibrations: plans.map(calibrationOf), planted, groups };
}

/** A byte of the system's, as a coin. */
const coin = (): 0 | 1 => ((systemRng(1)[0]! & 1) === 0 ? 0 : 1);

interface Hidden {
  readonly member: 0 | 1;
  readonly planted: number;
}

/** Both tables of one run: trial t is group t. */
function dataOf(game: Game, hidden: readonly Hidden[]): RoomData {
  const own = hidden.flatMap(({ planted }, trial) => [
    ...Array.from({ length: planted }, (_, i) => {
      return { id: `p${trial}.${i}`, trial, code: 0, marked: false };
    }),
    ...game.victim.map((row) => ({ id: `v${trial}`, trial, ...row })),
    ...game.decoys.map((row, i) => ({ id: `d${trial}.${i}`, trial, ...row })),
  ]);
  const theirs = hidden.flatMap(({ planted, member }, trial) => [
    ...Array.from({ length: planted }, (_, i) => `p${trial}.${i}`),
    ...(member === 1 ? [`v${trial}`] : []),
  ]);
  return { own, theirs };
}

/** One run: fresh coins, fresh tables, all questions. */
async function playRun(
  game: Game,
  { room, plans, planted }: Setting,
  trials: number,
  sabotage: Sabotage,
): Promise<readonly { readonly hidden: Hidden; readonly seen: readonly Seen[] }[]> {
  const hidden = Array.from({ length: trials }, (_, t): Hidden => {
    return { member: coin(), planted: planted + (t % (spreadOf(game) + 1)) };
  });
  await room.load(dataOf(game, hidden));
  const answers: (readonly Seen[])[] = [];
  for (const plan of plans) answers.push(await room.ask(sabotage(plan)));
  return hidden.map((one, t) => ({ hidden: one, seen: answers.map((seen) => seen[t]!) }));
}

/**
 * Plays one game against the engine: real planning, import, local stage, joint run and decoding, on
 * made-up tables of two companies. Every group of an answer is one trial with a coin of its own.
 * The total epsilon of a game is the sum over its questions and is what it claims.
 *
 * Cost: about a second of two parties' work per question and thousand trials.
 * @throws ParleyError of the rooms it drives; INTERNAL when the questions would cost more.
 */
export async function play(game: Game, options: PlayOptions): Promise<Outcome> {
  const { trials, epsilon, sabotage = (plan: Plan) => plan } = options;
  const setting = prepare(game, options);
  try {
    const price = priceOf(setting.plans);
    if (compare(price.epsilon, epsilon === null ? ZERO : parseDecimal(epsilon)) !== 0) {
      throw new ParleyError('INTERNAL', 'the questions of a game do not cost what it claims');
    }
    const evidence = evidenceOf(game, setting.calibrations);
    const predicted = predictedEvidence(game, setting.calibrations, setting.planted);
    const played: Trial[] = [];
    while (played.length < trials) {
      const size = Math.min(setting.groups, trials - played.length);
      for (const { hidden, seen } of await playRun(game, setting, size, sabotage)) {
        const nats = evidence(seen, hidden.planted);
        const guess = Math.abs(nats) < NOTHING ? coin() : nats > 0 ? 1 : 0;
        played.push({ member: hidden.member, evidence: nats, guess });
      }
    }
    return judge({
      game: game.name,
      attack: game.attack,
      played,
      epsilon: epsilon === null ? null : Number(epsilon),
      delta: Number(price.delta.num) / Number(price.delta.den),
      predicted: successOf(predicted),
      strong: strongest(predicted, 0.02),
    });
  } finally {
    setting.room.close();
  }
}
