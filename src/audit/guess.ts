import type { Calibration } from '../dp/index.ts';
import type { Game } from './games.ts';
import { atLeast, chanceOf, differenceOf, laplaceLaw, type FiniteLaw } from './law.ts';
import type { Seen } from './room.ts';

// The attacker's best guess, by the likelihoods of what it sees (Neyman, Pearson 1933), and how often
// that guess is right, by listing everything it could see.

/** ln P[seen | member] − ln P[seen | no member]; what neither explains says nothing. */
function ratio(p1: number, p0: number): number {
  return p1 === 0 && p0 === 0 ? 0 : Math.log(p1 / p0);
}

/** Whether a group opens: n \>= k, and with a noisy threshold the released count at least this. */
interface Gate {
  readonly minUsers: number;
  readonly shown: number | null;
}

function gateOf({ minUsers, tau }: Calibration): Gate {
  return {
    minUsers: Number(minUsers),
    shown: tau === null ? null : Number(tau + minUsers - 1n),
  };
}

/** P[the group stays closed] for exact measures `totals`. */
function closedChance(gate: Gate, law: FiniteLaw, users: number): number {
  if (users < gate.minUsers) return 1;
  return gate.shown === null ? 0 : 1 - atLeast(law, gate.shown - users);
}

function likelihood(gate: Gate, laws: readonly FiniteLaw[], totals: readonly number[], seen: Seen) {
  const closed = closedChance(gate, laws[0]!, totals[0]!);
  if (seen === null) return closed;
  if (totals[0]! < gate.minUsers) return 0;
  return seen.reduce((p, value, m) => p * chanceOf(laws[m]!, value - totals[m]!), 1);
}

/** How the answers of one trial speak for the victim's presence, in nats. */
export type Evidence = (seen: readonly Seen[], planted: number) => number;

/** The best evidence that a game's view allows, under the laws its plans state. */
export function evidenceOf(game: Game, calibrations: readonly Calibration[]): Evidence {
  const laws = calibrations.map((c) => c.laws.map(laplaceLaw));
  const gates = calibrations.map(gateOf);
  if (game.view === 'difference') {
    const law = differenceOf(laws[0]![0]!, laws[1]![0]!);
    return ([first, second]) => {
      if (first == null || second == null) return 0;
      const difference = first[0]! - second[0]!;
      return ratio(chanceOf(law, difference - 1), chanceOf(law, difference));
    };
  }
  return (seen, planted) => {
    const [without, within] = [game.totals(planted, 0), game.totals(planted, 1)];
    return seen.reduce((sum, one, q) => {
      const of = (totals: readonly (readonly number[])[]): number =>
        likelihood(gates[q]!, laws[q]!, totals[q]!, one);
      return sum + ratio(of(within), of(without));
    }, 0);
  };
}

/** Chances of every amount of evidence, by coin. */
export type EvidenceLaw = ReadonlyMap<number, { readonly p: readonly [number, number] }>;

/** LOCAL. Amounts that differ by less than this are one. */
const ROUNDED = 1e9;

class Tally {
  readonly law = new Map<number, { p: [number, number] }>();
  add(evidence: number, p0: number, p1: number): void {
    if (p0 === 0 && p1 === 0) return;
    const key = Math.round(evidence * ROUNDED) / ROUNDED;
    const entry = this.law.get(key) ?? { p: [0, 0] };
    entry.p[0] += p0;
    entry.p[1] += p1;
    this.law.set(key, entry);
  }
}

/** Evidence of two independent things together. */
function together(x: EvidenceLaw, y: EvidenceLaw): EvidenceLaw {
  const tally = new Tally();
  for (const [a, { p }] of x) {
    for (const [b, { p: q }] of y) {
      const sum = Number.isNaN(a + b) ? 0 : a + b;
      tally.add(sum, p[0] * q[0], p[1] * q[1]);
    }
  }
  return tally.law;
}

/** Evidence of one measure's value, as far as it is `from` or more; total chances below 1 then. */
function valueEvidence(
  law: FiniteLaw,
  totals: readonly [number, number],
  from: number | null,
): EvidenceLaw {
  const tally = new Tally();
  const low = Math.max(from ?? -Infinity, Math.min(...totals) + law.low);
  const high = Math.max(...totals) + law.low + law.p.length - 1;
  for (let y = low; y <= high; y += 1) {
    const [p0, p1] = [chanceOf(law, y - totals[0]), chanceOf(law, y - totals[1])];
    tally.add(ratio(p1, p0), p0, p1);
  }
  return tally.law;
}

function questionEvidence(
  gate: Gate,
  laws: readonly FiniteLaw[],
  totals: readonly [readonly number[], readonly number[]],
): EvidenceLaw {
  const users = [totals[0][0]!, totals[1][0]!] as const;
  const measures = totals[0].map((without, m): EvidenceLaw => {
    return valueEvidence(laws[m]!, [without, totals[1][m]!], m === 0 ? gate.shown : null);
  });
  const open = measures.reduce(together);
  const closed = users.map((n) => closedChance(gate, laws[0]!, n)) as [number, number];
  const tally = new Tally();
  for (const [evidence, { p }] of open) {
    const mayOpen = users.map((n, b) => (n < gate.minUsers ? 0 : p[b]!));
    const shown = mayOpen.some((x, b) => x !== p[b]) ? ratio(mayOpen[1]!, mayOpen[0]!) : evidence;
    tally.add(shown, mayOpen[0]!, mayOpen[1]!);
  }
  tally.add(ratio(closed[1], closed[0]), closed[0], closed[1]);
  return tally.law;
}

/** The exact law of a game's evidence, from what its plans state. */
export function predictedEvidence(
  game: Game,
  calibrations: readonly Calibration[],
  planted: number,
): EvidenceLaw {
  const laws = calibrations.map((c) => c.laws.map(laplaceLaw));
  if (game.view === 'difference') {
    // Groups that stay closed are left out: they are planted to be open.
    return valueEvidence(differenceOf(laws[0]![0]!, laws[1]![0]!), [0, 1], null);
  }
  const [without, within] = [game.totals(planted, 0), game.totals(planted, 1)];
  return calibrations
    .map((c, q) => questionEvidence(gateOf(c), laws[q]!, [without[q]!, within[q]!]))
    .reduce(together);
}

/** How often the best guess is right, a tossed coin deciding where the evidence is 0. */
export function successOf(law: EvidenceLaw): number {
  let right = 0;
  for (const [evidence, { p }] of law) {
    if (evidence === 0) right += (p[0] + p[1]) / 4;
    else right += p[evidence > 0 ? 1 : 0] / 2;
  }
  return right;
}

/** The strongest evidence for the victim that comes up with a chance of at least `rare`. */
export function strongest(law: EvidenceLaw, rare: number): number {
  let chance = 0;
  for (const [evidence, { p }] of [...law].sort(([a], [b]) => b - a)) {
    chance += p[1];
    if (chance >= rare) return evidence;
  }
  return 0;
}
