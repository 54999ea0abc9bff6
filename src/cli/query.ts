import { Command } from 'commander';
import { createClient } from '../client/index.ts';
import { loadAnalystKeys } from '../policy/index.ts';
import { coordinatorUrlOf, formatOption, type Format } from './options.ts';
import { ask, printAnswer } from './ask.ts';
import { readPacket } from './files.ts';
import { withErrors } from './output.ts';

interface QueryFlags {
  readonly policy: string;
  readonly analyst: string;
  readonly keys: string;
  readonly coordinator: string;
  readonly format: Format;
  readonly epsilon?: string;
  readonly id?: string;
  readonly quiet?: boolean;
}

/** `parley query`: ask, verify every signature, reconstruct. */
export function queryCommand(): Command {
  return new Command('query')
    .description(
      'ask a question of a room: signs it, waits, checks the plan, every go and receipt against\n' +
        'your own copy of the policy, and alone puts the answer together',
    )
    .argument('<sql>', 'one SELECT statement with aggregates')
    .requiredOption('--policy <packet>', 'your copy of the signed policy packet')
    .requiredOption('--analyst <name>', 'your name in the policy')
    .requiredOption('--keys <file>', 'your key file (parley keygen analyst)')
    .requiredOption('--coordinator <url>', 'such as http://127.0.0.1:7600', coordinatorUrlOf)
    .option('--epsilon <decimal>', "what to spend; the policy's default otherwise")
    .option('--id <id>', 'query id, to repeat a question without a second charge')
    .addOption(formatOption())
    .option('--quiet', 'no progress')
    .action((sql: string, flags: QueryFlags) =>
      withErrors(flags.format === 'json', async () => {
        const client = createClient({
          url: flags.coordinator,
          packet: readPacket(flags.policy).packet,
          analyst: flags.analyst,
          keys: loadAnalystKeys(flags.keys),
        });
        const { answer } = await ask(client, sql, {
          quiet: flags.quiet === true,
          ...(flags.epsilon === undefined ? {} : { epsilon: flags.epsilon }),
          ...(flags.id === undefined ? {} : { queryId: flags.id }),
        });
        printAnswer(answer, flags.format);
      }),
    );
}
