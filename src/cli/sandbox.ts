import { Command } from 'commander';
import { createClient } from '../client/index.ts';
import { ParleyError } from '../core/errors.ts';
import { ask, formatOf, printAnswer } from './ask.ts';
import { print, tell, withErrors } from './output.ts';
import type { Room } from './room.ts';
import { openRoom, SANDBOX_ANALYST } from './room.ts';
import { untilSignal } from './signals.ts';

interface SandboxFlags {
  readonly query?: string;
  readonly serve?: boolean;
  readonly format: string;
  readonly epsilon?: string;
  readonly state?: string;
  readonly port?: string;
  readonly quiet?: boolean;
}

/** `parley sandbox DIR`: a whole room on one machine, on one's own data. */
export function sandboxCommand(): Command {
  return new Command('sandbox')
    .description(
      'try a whole room on this machine: makes keys, signs DIR/policy.yaml for every party, imports\n' +
        'DIR/data/<party>/<table>.csv, runs every role as its own process on loopback, and answers one\n' +
        'query or stays up. Keys, stores and budgets are thrown away at the end unless --state is given.',
    )
    .argument('<dir>', 'holds policy.yaml and data/<party>/<table>.csv')
    .option('--query <sql>', 'ask this and stop')
    .option('--serve', 'stay up and print the addresses')
    .option('--format <table|json|csv>', 'how the answer is printed', 'table')
    .option('--epsilon <decimal>', "what to spend; the policy's default otherwise")
    .option('--state <dir>', 'keep keys, stores, ledgers and logs here')
    .option('--port <number>', 'port of the coordinator with --serve; a free one otherwise')
    .option('--quiet', 'no progress')
    .action((directory: string, flags: SandboxFlags) =>
      withErrors(flags.format === 'json', async () => {
        const format = formatOf(flags.format);
        if (flags.query === undefined && flags.serve !== true) {
          throw new ParleyError('BAD_ARGUMENT', 'a sandbox needs --query "SELECT ..." or --serve');
        }
        const quiet = flags.quiet === true || format !== 'table';
        const room = await openRoom({
          directory,
          say: quiet ? () => undefined : tell,
          ...(flags.state === undefined ? {} : { state: flags.state }),
          ...(flags.port === undefined ? {} : { port: Number(flags.port) }),
        });
        const stopOnSignal = untilSignal().then(() => room.close());
        try {
          if (flags.query !== undefined) {
            const { answer } = await ask(clientOf(room), flags.query, {
              quiet,
              ...(flags.epsilon === undefined ? {} : { epsilon: flags.epsilon }),
            });
            printAnswer(answer, format);
          }
          if (flags.serve === true) {
            print(addresses(room));
            await stopOnSignal;
          }
        } finally {
          await room.close();
        }
      }),
    );
}

/** The sandbox's own analyst, pinned to the packet the sandbox signed. */
export function clientOf(room: Room): ReturnType<typeof createClient> {
  return createClient({
    url: room.url,
    packet: room.packet,
    analyst: SANDBOX_ANALYST,
    keys: room.analystKeys,
  });
}

function addresses(room: Room): string {
  return [
    `coordinator ${room.url}`,
    ...room.roles.map((role) => `${role.name} is process ${role.pid}`),
    `logs, stores and ledgers are in ${room.state}`,
    '',
    'ask with:',
    `  npx parley query --coordinator ${room.url} --policy ${room.packetFile} \\`,
    `    --analyst ${SANDBOX_ANALYST} --keys ${room.analystKeysFile} "SELECT ..."`,
    '',
    'Ctrl-C stops everything.',
  ].join('\n');
}
