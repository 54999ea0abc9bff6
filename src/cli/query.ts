import { Command } from 'commander';
import { analystClient, withAnalystOptions, type AnalystFlags } from './analyst.ts';
import type { Backend } from '../records/index.ts';
import { backendOption, formatOption, type Format } from './options.ts';
import { ask, keepReceipt, printAnswer } from './ask.ts';
import { withErrors } from './output.ts';

interface QueryFlags extends AnalystFlags {
  readonly format: Format;
  readonly epsilon?: string;
  readonly id?: string;
  readonly receipt?: string;
  readonly backend?: Backend;
  readonly quiet?: boolean;
}

/** `parley query`: ask, verify every signature, reconstruct. */
export function queryCommand(): Command {
  return withAnalystOptions(
    new Command('query')
      .description(
        'ask a question of a room: signs it, waits, checks the plan, every go and receipt against\n' +
          'your own copy of the policy, and alone puts the answer together',
      )
      .argument('<sql>', 'one SELECT statement with aggregates'),
  )
    .option('--epsilon <decimal>', "what to spend; the policy's default otherwise")
    .option('--id <id>', 'query id, to repeat a question without a second charge')
    .option('--receipt <file>', 'write what proves the answer to others here (parley verify)')
    .addOption(backendOption())
    .addOption(formatOption())
    .option('--quiet', 'no progress')
    .action((sql: string, flags: QueryFlags) =>
      withErrors(flags.format === 'json', async () => {
        const client = analystClient(flags);
        const { answer } = await ask(client, sql, {
          quiet: flags.quiet === true,
          ...(flags.epsilon === undefined ? {} : { epsilon: flags.epsilon }),
          ...(flags.backend === undefined ? {} : { backend: flags.backend }),
          ...(flags.id === undefined ? {} : { queryId: flags.id }),
        });
        keepReceipt(answer, flags.receipt);
        printAnswer(answer, flags.format);
      }),
    );
}
