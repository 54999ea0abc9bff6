import { Command, Option } from 'commander';
import { analystClient, withAnalystOptions, type AnalystFlags } from './analyst.ts';
import { prepare } from './ask.ts';
import { print, tell, withErrors } from './output.ts';

interface PrepareFlags extends AnalystFlags {
  readonly format: 'text' | 'json';
  readonly epsilon?: string;
  readonly quiet?: boolean;
}

/** `parley prepare`: what a query costs without anybody's data, paid ahead. */
export function prepareCommand(): Command {
  return withAnalystOptions(
    new Command('prepare')
      .description(
        "have the parties make ahead what one query of this shape consumes that depends on nobody's\n" +
          'data: most of its time. Nothing is charged, read or answered. It serves one query, once.',
      )
      .argument('<sql>', 'the SELECT statement that will be asked, or one like it'),
  )
    .option('--epsilon <decimal>', "what the query will spend; the policy's default otherwise")
    .addOption(
      new Option('--format <format>', 'how to report').choices(['text', 'json']).default('text'),
    )
    .option('--quiet', 'no progress')
    .action((sql: string, flags: PrepareFlags) =>
      withErrors(flags.format === 'json', async () => {
        const client = analystClient(flags);
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
