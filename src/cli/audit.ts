import { Command, InvalidArgumentError, Option } from 'commander';
import type { GameName } from '../audit/index.ts';
import { print, tell, withErrors } from './output.ts';

interface AuditFlags {
  readonly game?: readonly GameName[];
  readonly trials: number;
  readonly epsilon: string;
  readonly format: 'table' | 'json';
}

/** The games by name, without loading the engine for `--help`; a test holds them equal. */
export const AUDIT_GAMES: readonly GameName[] = [
  'membership',
  'averaging',
  'differencing',
  'set-size',
  'planted-user',
  'key-repetition',
];

/** Exit code when a bound is broken: the product is at fault. */
const EXIT_BROKEN = 3;

function trialsOf(text: string): number {
  if (!/^[1-9]\d{0,7}$/.test(text)) throw new InvalidArgumentError('It is a number of trials.');
  return Number(text);
}

/** `parley audit`: attack games against this very build. */
export function auditCommand(): Command {
  return new Command('audit')
    .description(
      'attack this build: games in which an attacker guesses from answers whether one person is in a\n' +
        "company's table. Plans, imports and computes as nodes do, on made-up data in this process;\n" +
        'prints how often each attack wins, the least epsilon that explains it, and the claim.\n' +
        'Exit code 3 when a bound is broken.',
    )
    .addOption(
      new Option('--game <name...>', 'which games; all otherwise').choices([...AUDIT_GAMES]),
    )
    .option('--trials <number>', 'trials of each game', trialsOf, 10_000)
    .option('--epsilon <decimal>', 'the whole epsilon of each game', '1')
    .addOption(new Option('--format <format>').choices(['table', 'json']).default('table'))
    .action((flags: AuditFlags) =>
      withErrors(flags.format === 'json', async () => {
        const { runAudit, formatReport, reportDocument, reportHolds } =
          await import('../audit/index.ts');
        const report = await runAudit({
          games: flags.game ?? AUDIT_GAMES,
          trials: flags.trials,
          epsilon: flags.epsilon,
          onOutcome: ({ game, claimedEpsilon, verdict }) => {
            const arm = claimedEpsilon === null ? ' with noise off' : '';
            tell(`${game}${arm}: ${verdict}`);
          },
        });
        if (flags.format === 'json') print(JSON.stringify(reportDocument(report), null, 2));
        else print(formatReport(report));
        if (!reportHolds(report)) process.exitCode = EXIT_BROKEN;
      }),
    );
}
