import { calibrate } from '../dp/index.ts';
import type { OwnRow } from './room.ts';

/** The games, in the order they are played. */
export const GAMES = [
  'membership',
  'averaging',
  'differencing',
  'set-size',
  'planted-user',
  'key-repetition',
] as const;
export type GameName = (typeof GAMES)[number];

/** A row of the attacker's table before it has an owner. */
type RowOf = Pick<OwnRow, 'code' | 'marked'>;

/**
 * One game. In every trial a fair coin says whether one person, the victim, is in the table of the
 * company that is attacked; the attacker holds a table of its own, chooses the questions, sees the
 * answers, and guesses the coin.
 */
export interface Game {
  readonly name: GameName;
  /** What the attacker does, for a person. */
  readonly attack: string;
  /** Asked in this order, with equal parts of the game's epsilon. `null` is without a WHERE. */
  readonly questions: readonly { readonly columns: string; readonly where: string | null }[];
  /** The attacker's rows about the victim, and about people who are in no other table. */
  readonly victim: readonly RowOf[];
  readonly decoys: readonly RowOf[];
  /** Rows of one person that a policy lets join. */
  readonly rowsPerUser: number;
  /**
   * People planted in both tables of a group: as many as make it open with and without the victim,
   * or as many as leave the victim to decide.
   */
  readonly planted: 'open' | 'edge';
  /**
   * What the guess rests on: all answers, the rest of the group being known (`each`); or the
   * difference of the two answers alone, nothing else being known (`difference`).
   */
  readonly view: 'each' | 'difference';
  /** Exact measures of every question, from planted people and the coin. */
  readonly totals: (planted: number, member: 0 | 1) => readonly (readonly number[])[];
}

const PEOPLE = 'COUNT(DISTINCT id) AS people';
const PLAIN: RowOf = { code: 0, marked: false };
/** LOCAL. Questions that share epsilon where one is repeated; halves of decimals are decimals. */
const REPEATS = 2;
/** LOCAL. Rows about the victim that the policy lets join, and those the attacker brings. */
const ROWS_ALLOWED = 4;
const ROWS_BROUGHT = 20;

const repeated = <T>(n: number, value: T): readonly T[] => Array.from({ length: n }, () => value);
const whole = { columns: PEOPLE, where: null };
const plain = {
  victim: [PLAIN],
  decoys: [],
  rowsPerUser: 1,
  planted: 'open',
  view: 'each',
} as const;

const GAME_OF: Readonly<Record<GameName, Game>> = {
  membership: {
    ...plain,
    name: 'membership',
    attack: 'asks once, knowing everybody in the group but the victim',
    questions: [whole],
    totals: (n, b) => [[n + b]],
  },
  averaging: {
    ...plain,
    name: 'averaging',
    attack: 'asks the same twice, a fresh draw each, and adds up',
    questions: repeated(REPEATS, whole),
    totals: (n, b) => repeated(REPEATS, [n + b]),
  },
  differencing: {
    ...plain,
    name: 'differencing',
    attack: 'subtracts a count without the victim from one with, knowing nothing else',
    questions: [whole, { columns: PEOPLE, where: 'marked = FALSE' }],
    victim: [{ code: 0, marked: true }],
    view: 'difference',
    totals: (n, b) => [[n + b], [n]],
  },
  'set-size': {
    ...plain,
    name: 'set-size',
    attack: 'halves four candidates around the victim, counting each time (Guo et al. 2022)',
    questions: [2, 1].map((below) => ({ columns: PEOPLE, where: `code < ${below}` })),
    decoys: Array.from({ length: 3 }, (_, i) => ({ code: i + 1, marked: false })),
    totals: (n, b) => repeated(2, [n + b]),
  },
  'planted-user': {
    ...plain,
    name: 'planted-user',
    attack: 'plants people until the victim decides whether the group opens (Sybil)',
    questions: [whole],
    planted: 'edge',
    totals: (n, b) => [[n + b]],
  },
  'key-repetition': {
    ...plain,
    name: 'key-repetition',
    attack: `repeats the victim's key ${ROWS_BROUGHT} times to multiply its rows`,
    questions: [{ columns: `${PEOPLE}, COUNT(*) AS pairs`, where: null }],
    victim: Array.from({ length: ROWS_BROUGHT }, (_, code) => ({ code, marked: false })),
    rowsPerUser: ROWS_ALLOWED,
    totals: (n, b) => [[n + b, n + ROWS_ALLOWED * b]],
  },
};

export function gameOf(name: GameName): Game {
  return GAME_OF[name];
}

export function sqlOf({ columns, where }: Game['questions'][number]): string {
  const condition = where === null ? '' : ` WHERE ${where}`;
  return `SELECT g, ${columns} FROM joined${condition} GROUP BY g`;
}

/** LOCAL. Scales of the noise that an open group is kept away from its threshold: closed once in 100. */
const SCALES = 4;

/** People to plant in a group so that the game is at its most telling. */
export function plantedIn(
  game: Game,
  { tau, minUsers, laws }: ReturnType<typeof calibrate>,
): number {
  const k = Number(minUsers);
  if (tau === null) return game.planted === 'edge' ? k - 1 : k;
  // With tau-1+k people a group opens iff X >= 0, with one fewer iff X >= 1.
  const edge = Number(tau) + k - 2;
  if (game.planted === 'edge') return edge;
  const { rate } = laws[0]!;
  return edge + Math.ceil((SCALES * Number(rate.den)) / Number(rate.num));
}
