import { Command, Option } from 'commander';
import { createClient } from '../client/index.ts';
import { loadAnalystKeys } from '../policy/index.ts';
import { prepare } from './ask.ts';
import { readPacket } from './files.ts';
import { coordinatorUrlOf } from './options.ts';
import { print, tell, withErrors } from './output.ts';

interface PrepareFlags {
  readonly policy: string;
  readonly analyst: string;
  readonly keys: string;
  readonly coordinator: string;
  readonly format: 'text' | 'json';
  readonly epsilon?: string;
  readonly quiet?: boolean;
}

/** `parley prepare`: what a query costs without anybody's data, paid ahead. */
export function prepareCommand(): Command {
  return new Command('prepare')
    .description(
      "have the parties make ahead what one query of this shape consumes that depends on nobody's\n" +
        'data: most of its time. Nothing is charged, read or answered. It serves one query, once.',
    )
    .argument('<sql>', 'the SELECT statement that will be asked, or one like it')
    .requiredOption('--policy <packet>', 'your copy of the signed policy packet')
    .requiredOption('--analyst <name>', 'your name in the policy')
    .requiredOption('--keys <file>', 'your key file (parley keygen analyst)')
    .requiredOption('--coordinator <url>', 'such as http://127.0.0.1:7600', coordinatorUrlOf)
    .option('--epsilon <decimal>', "what the query will spend; the policy's default otherwise")
    .addOption(
      new Option('--format <format>', 'how to report').choices(['text', 'json']).default('text'),
    )
    .option('--quiet', 'no progress')
    .action((sql: string, flags: PrepareFlags) =>
      withErrors(flags.format === 'json', async () => {
        const client = createClient({
          url: flags.coordinator,
          packet: readPacket(flags.policy).packet,
          analyst: flags.analyst,
          keys: loadAnalystKeys(flags.keys),
        });
        const started = performance.now();
        const record = await prepare(client, sql, {
          quiet: flags.quiet === true,
          ...(flags.epsilon === undefined ? {} : { epsilon: flags.epsilon }),
        });
        const seconds = Number(((performance.now() - started) / 1000).toFixed(1));
        if (flags.format === 'json') {
          print(JSON.stringify({ event: 'prepared', query_id: record.query_id, seconds }));
        } else {
          tell(`prepared in ${seconds} s; the next query of this shape uses it, once`);
        }
      }),
    );
}
