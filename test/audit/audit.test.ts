// Goal: the audit's instruments are right: bounds of proportions, best guesses and how often they win,
// verdicts; its links refuse what is out of step. The games themselves: test/statistics (privacy 12).
import { describe, expect, it } from 'vitest';
import { betaCdf, clopperPearson } from '../../src/audit/binomial.ts';
import { gameOf, GAMES, plantedIn, type GameName } from '../../src/audit/games.ts';
import { evidenceOf, predictedEvidence, strongest, successOf } from '../../src/audit/guess.ts';
import { formatReport, reportDocument, reportHolds, runAudit } from '../../src/audit/index.ts';
import { atLeast, chanceOf, differenceOf, laplaceLaw } from '../../src/audit/law.ts';
import { localLink } from '../../src/audit/link.ts';
import { epsilonBound, judge, successLimit, type Trial } from '../../src/audit/verdict.ts';
import { AUDIT_GAMES } from '../../src/cli/audit.ts';
import { rational } from '../../src/core/rational.ts';
import { calibrate, discreteLaplace, type Calibration } from '../../src/dp/index.ts';

/** What a plan of these measures would be calibrated to, k = 5, delta = 1e-6. */
function calibrated(epsilons: readonly string[], sensitivities: readonly string[]): Calibration {
  return calibrate({
    selection: 'pre_threshold',
    minUsers: 5,
    differential: { epsilon: '1', delta: '1/1000000', maxPartitions: 1, thresholdBits: 64 },
    confidenceLevel: '0.95',
    measures: epsilons.map((epsilon, i) => ({ epsilon, sensitivity: sensitivities[i]! })),
  });
}

const EXACT = calibrate({
  selection: 'exact_k',
  minUsers: 5,
  differential: null,
  confidenceLevel: '0.95',
  measures: [
    { epsilon: null, sensitivity: '0' },
    { epsilon: null, sensitivity: '0' },
  ],
});

describe('Clopper-Pearson', () => {
  // scipy.stats.beta.ppf.
  it.each([
    [0, 100, 0.025, 0, 0.03621669264517641],
    [5, 100, 0.025, 0.016431879182052155, 0.11283491110546275],
    [731, 1000, 5e-7, 0.6585137188601404, 0.7959429196134844],
    [269_000, 1_000_000, 1e-6, 0.26689521043043063, 0.27111190526477824],
    [100, 100, 0.025, 0.9637833073548235, 1],
  ])('%i of %i at %f', (hits, trials, miss, low, high) => {
    const bounds = clopperPearson(hits, trials, miss);
    expect(bounds.low).toBeCloseTo(low, 11);
    expect(bounds.high).toBeCloseTo(high, 11);
  });

  it('stands on the incomplete beta function', () => {
    expect(betaCdf(0.3, 2, 5)).toBeCloseTo(0.579825, 12);
    expect(betaCdf(0.9, 200.5, 30)).toBeCloseTo(0.921417112249146, 12);
    expect([betaCdf(0, 2, 3), betaCdf(1, 2, 3)]).toEqual([0, 1]);
  });
});

describe('the best guess', () => {
  const p = (epsilon: number): number => 1 / (1 + Math.exp(-epsilon));
  // Two of two, or one of two and a coin.
  const half = p(0.5);
  const majority = half ** 2 + half * (1 - half);
  const a = Math.exp(-0.5);
  const same = ((1 - a) / (1 + a)) ** 2 * ((1 + a * a) / (1 - a * a));

  it.each<[GameName, readonly Calibration[], number]>([
    ['membership', [calibrated(['1'], ['1'])], p(1)],
    ['averaging', Array<Calibration>(2).fill(calibrated(['1/2'], ['1'])), majority],
    ['differencing', Array<Calibration>(2).fill(calibrated(['1/2'], ['1'])), (1 + same) / 2],
    ['set-size', Array<Calibration>(2).fill(calibrated(['1/2'], ['1'])), majority],
    ['planted-user', [calibrated(['1'], ['1'])], p(1)],
    // The count alone and the rows alone, added up by a program of its own.
    ['key-repetition', [calibrated(['1/2', '1/2'], ['1', '4'])], 0.6224593312018545],
  ])('wins %s as often as the closed form says', (name, calibrations, success) => {
    const game = gameOf(name);
    const law = predictedEvidence(game, calibrations, plantedIn(game, calibrations[0]!));
    // Groups near their threshold close once in 100, and then speak as loudly or say nothing.
    expect(Math.abs(successOf(law) - success)).toBeLessThan(0.005);
    for (const member of [0, 1] as const) {
      const total = [...law.values()].reduce((sum, { p: chances }) => sum + chances[member], 0);
      expect(total).toBeCloseTo(1, 8);
    }
    expect(strongest(law, 0.02)).toBeLessThanOrEqual(1 + 1e-6);
  });

  it.each(GAMES)('wins %s always with noise off', (name) => {
    const game = gameOf(name);
    const calibrations = game.questions.map(() => EXACT);
    const planted = plantedIn(game, EXACT);
    expect(successOf(predictedEvidence(game, calibrations, planted))).toBe(1);
    const evidence = evidenceOf(game, calibrations);
    for (const member of [0, 1] as const) {
      const seen = game.totals(planted, member).map((totals) => (totals[0]! < 5 ? null : totals));
      expect(evidence(seen, planted)).toBe(member === 1 ? Infinity : -Infinity);
    }
  });

  it('is epsilon towards the nearer of two counts, and what closed says', () => {
    const calibration = calibrated(['1'], ['1']);
    const evidence = evidenceOf(gameOf('membership'), [calibration]);
    expect(evidence([[101]], 100)).toBeCloseTo(1, 9);
    expect(evidence([[100]], 100)).toBeCloseTo(-1, 9);
    const edge = Number(calibration.tau) + 3;
    expect(evidence([null], edge)).toBeCloseTo(-1, 6);
    expect(evidence([null], 2)).toBe(0);
  });
});

describe('the laws', () => {
  const law = laplaceLaw(discreteLaplace(rational(1n), 1n, 64));
  it('are the discrete Laplace, and differences of it', () => {
    const a = Math.exp(-1);
    expect(chanceOf(law, 0)).toBeCloseTo((1 - a) / (1 + a), 12);
    expect(atLeast(law, 3)).toBeCloseTo(a ** 3 / (1 + a), 12);
    expect(chanceOf(law, 10_000)).toBe(0);
    const difference = differenceOf(law, law);
    expect(chanceOf(difference, 0)).toBeCloseTo(
      ((1 - a) / (1 + a)) ** 2 * ((1 + a * a) / (1 - a * a)),
      12,
    );
    expect(chanceOf(difference, 2)).toBeCloseTo(chanceOf(difference, -2), 15);
    expect(difference.p.reduce((x, y) => x + y, 0)).toBeCloseTo(1, 12);
  });
});

describe('the verdict', () => {
  /** `right` of every 1,000 guesses right, evidence ±1. */
  const trials = (right: number, n: number): Trial[] =>
    Array.from({ length: n }, (_, i) => {
      const member = (i % 2) as 0 | 1;
      const guess = (Math.floor(i / 2) % 500 < right / 2 ? member : 1 - member) as 0 | 1;
      return { member, guess, evidence: guess === 1 ? 1 : -1 };
    });
  const played = { game: 'membership', attack: '', epsilon: 1, delta: 1e-6, strong: 1 } as const;
  const verdict = (right: number, predicted: number): string =>
    judge({ ...played, played: trials(right, 10_000), predicted }).verdict;

  it('holds at the bound, breaks above it, and is unexpected off its prediction', () => {
    expect(successLimit(1, 1e-6, 10_000)).toBeCloseTo(0.746, 3);
    expect(verdict(732, 0.731)).toBe('held');
    expect(verdict(750, 0.731)).toBe('broken');
    expect(verdict(600, 0.731)).toBe('unexpected');
    expect(verdict(600, 0.6)).toBe('held');
  });

  it('breaks on the bound of epsilon alone', () => {
    // One strong event in twenty, fifty times as likely for members, and no guess to speak of.
    const rare = Array.from({ length: 10_000 }, (_, i): Trial => {
      const member = (i % 2) as 0 | 1;
      const strong = i % 20 === 1 || i % 1000 === 0;
      return { member, guess: (Math.floor(i / 2) % 2) as 0 | 1, evidence: strong ? 1 : 0 };
    });
    expect(epsilonBound(rare, 1e-6, 1)).toBeGreaterThan(2);
    const outcome = judge({ ...played, played: rare, predicted: 0.5 });
    expect(outcome.success).toBeLessThan(0.6);
    expect(outcome.verdict).toBe('broken');
  });

  it('bounds epsilon near what made the trials, and never above it by much', () => {
    const bound = epsilonBound(trials(732, 10_000), 1e-6, 1);
    expect(bound).toBeGreaterThan(0.8);
    expect(bound).toBeLessThan(1);
    expect(epsilonBound(trials(500, 10_000), 1e-6, 1)).toBe(0);
  });

  it('asks for teeth where noise is off', () => {
    const off = { ...played, epsilon: null, predicted: 1 };
    expect(judge({ ...off, played: trials(1000, 1000) }).verdict).toBe('held');
    expect(judge({ ...off, played: trials(900, 1000) }).verdict).toBe('unexpected');
  });
});

describe('the report', () => {
  const held = judge({
    game: 'membership',
    attack: 'asks',
    played: [
      { member: 1, guess: 1, evidence: 1 },
      { member: 0, guess: 0, evidence: -1 },
    ],
    epsilon: null,
    delta: 0,
    predicted: 1,
    strong: 1,
  });
  it('holds only if every line does', () => {
    const report = { epsilon: '1', private: [held], exact: [held] };
    expect(reportHolds(report)).toBe(true);
    expect(formatReport(report)).toContain('Every bound held.');
    const broken = { ...report, private: [{ ...held, verdict: 'broken' as const }] };
    expect(reportHolds(broken)).toBe(false);
    expect(formatReport(broken)).toContain('A BOUND WAS BROKEN');
    expect(reportDocument(broken)).toMatchObject({
      holds: false,
      private: [{ verdict: 'broken' }],
    });
    const toothless = { ...report, exact: [{ ...held, verdict: 'unexpected' as const }] };
    expect(formatReport(toothless)).toContain('HAS NO TEETH');
  });

  it.each([
    [{ trials: 99, epsilon: '1' }],
    [{ trials: 100, epsilon: '0.05' }],
    [{ trials: 100, epsilon: '21' }],
    [{ trials: 100, epsilon: 'NaN' }],
    [{ trials: 1.5, epsilon: '1' }],
  ])('refuses %j', async (options) => {
    await expect(runAudit({ games: ['membership'], ...options })).rejects.toMatchObject({
      code: 'BAD_ARGUMENT',
    });
  });

  it('knows the games of the command', () => {
    expect(AUDIT_GAMES).toEqual(GAMES);
  });
});

describe('a link within the process', () => {
  it('carries copies, in order, and refuses another step or length', async () => {
    const link = localLink('t');
    const { ends } = link;
    const bytes = Uint8Array.of(1, 2);
    await ends[0].sub('a').send('x', bytes);
    bytes.fill(9);
    expect(await ends[1].sub('a').recv('x', 2)).toEqual(Uint8Array.of(1, 2));
    await ends[0].send('x', Uint8Array.of(1));
    await expect(ends[1].recv('y', 1)).rejects.toMatchObject({ code: 'PEER_OUT_OF_STEP' });
    await ends[0].send('x', Uint8Array.of(1));
    await expect(ends[1].recv('x', 2)).rejects.toMatchObject({ code: 'PEER_BAD_LENGTH' });
    const waiting = expect(ends[1].recv('x', 1)).rejects.toMatchObject({ code: 'CHANNEL_CLOSED' });
    link.close();
    await waiting;
    expect(() => ends[0].send('x', Uint8Array.of(1))).toThrow('closed');
  });
});
