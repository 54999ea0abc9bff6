import { MISS, TEETH, type Outcome } from './verdict.ts';

/** Games against noise, and the same against `exact_k` with noise off. */
export interface AuditReport {
  readonly epsilon: string;
  readonly private: readonly Outcome[];
  readonly exact: readonly Outcome[];
}

/** Whether every bound held and the games have teeth. */
export function reportHolds(report: AuditReport): boolean {
  return [...report.private, ...report.exact].every(({ verdict }) => verdict === 'held');
}

const rate = (x: number): string => x.toFixed(4);

function documentOf(outcome: Outcome): object {
  return {
    game: outcome.game,
    attack: outcome.attack,
    trials: outcome.trials,
    success: outcome.success,
    success_predicted: outcome.predicted,
    success_limit: outcome.limit,
    epsilon_claimed: outcome.claimedEpsilon,
    delta_claimed: outcome.claimedDelta,
    epsilon_at_least: outcome.epsilonAtLeast,
    verdict: outcome.verdict,
  };
}

export function reportDocument(report: AuditReport): object {
  return {
    epsilon: report.epsilon,
    confidence: 1 - MISS,
    private: report.private.map(documentOf),
    exact_k_noise_off: report.exact.map(documentOf),
    holds: reportHolds(report),
  };
}

function table(rows: readonly (readonly string[])[]): string[] {
  const widths = rows[0]!.map((_, c) => Math.max(...rows.map((row) => row[c]!.length)));
  return rows.map((row) =>
    row
      .map((cell, c) => cell.padEnd(widths[c]!))
      .join('  ')
      .trimEnd(),
  );
}

/** The report for a person. Ends in a line end. */
export function formatReport(report: AuditReport): string {
  const head = ['game', 'trials', 'wins', 'predicted', 'most allowed', 'epsilon ≥', 'claimed', ''];
  const noised = report.private.map((o) => [
    o.game,
    `${o.trials}`,
    rate(o.success),
    rate(o.predicted),
    rate(o.limit ?? 1),
    rate(o.epsilonAtLeast),
    `${o.claimedEpsilon ?? '-'}`,
    o.verdict.toUpperCase(),
  ]);
  const exact = report.exact.map((o) => [
    o.game,
    `${o.trials}`,
    rate(o.success),
    `at least ${TEETH}`,
    o.verdict === 'held' ? 'WINS, as it must' : 'HAS NO TEETH',
  ]);
  const attacks = report.private.map((o) => [`  ${o.game}`, o.attack]);
  return [
    `attack games at epsilon ${report.epsilon} in all, pre_threshold`,
    ...table([head, ...noised]),
    '',
    'the same against exact_k with noise off',
    ...table([['game', 'trials', 'wins', 'must win', ''], ...exact]),
    '',
    'in every trial a fair coin hides one person or not; the attacker',
    ...table(attacks),
    `epsilon ≥: no smaller epsilon explains what was seen (Clopper-Pearson, confidence ${1 - MISS}).`,
    reportHolds(report)
      ? 'Every bound held.'
      : 'A BOUND WAS BROKEN, OR A GAME IS NOT AS PREDICTED.',
    '',
  ].join('\n');
}
