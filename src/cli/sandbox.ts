import { Command, Option } from 'commander';
import { createClient } from '../client/index.ts';
import type { Backend } from '../records/index.ts';
import { planQuery } from '../sql/index.ts';
import { ask, keepReceipt, printAnswer } from './ask.ts';
import { draftOf, explainTo } from './explain.ts';
import { formatOption, portOf, type Format } from './options.ts';
import { EXIT_USAGE, print, tell, withErrors } from './output.ts';
import type { Room } from './room.ts';
import { openRoom, SANDBOX_ANALYST } from './room.ts';
import { abortOnSignal } from './signals.ts';

interface SandboxFlags {
  readonly query?: string;
  readonly explain?: string;
  readonly serve?: boolean;
  readonly format: Format;
  readonly epsilon?: string;
  readonly backend?: Backend;
  readonly state?: string;
  readonly port?: number;
  readonly receipt?: string;
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
    .addOption(
      new Option('--explain <sql>', 'say what this would cost and show; starts nothing').conflicts([
        'query',
        'serve',
      ]),
    )
    .addOption(new Option('--serve', 'stay up and print the addresses').conflicts('query'))
    .addOption(formatOption())
    .addOption(
      new Option(
        '--backend <backend>',
        'what it runs on. tee: the sandbox adds a SIMULATED enclave, without hardware, to the policy it signs',
      ).choices(['mpc', 'tee']),
    )
    .option('--epsilon <decimal>', "what to spend; the policy's default otherwise")
    .option('--state <dir>', 'keep keys, stores, ledgers and logs here')
    .option('--port <number>', 'port of the coordinator; a free one otherwise', portOf)
    .option('--receipt <file>', 'write what proves the answer to others here (parley verify)')
    .option('--quiet', 'no progress')
    .action(async (directory: string, flags: SandboxFlags, command: Command) => {
      const { query, explain, serve: stay, format } = flags;
      if (query === undefined && explain === undefined && stay !== true) {
        command.error('error: a sandbox needs --query "SELECT ...", --explain or --serve', {
          exitCode: EXIT_USAGE,
        });
      }
      await withErrors(format === 'json', () =>
        explain === undefined
          ? runSandbox(directory, flags)
          : explainTo(draftOf(directory), explain, { epsilon: flags.epsilon ?? null, format }),
      );
    });
}

async function runSandbox(directory: string, flags: SandboxFlags): Promise<void> {
  const { query, format, epsilon, backend } = flags;
  const quiet = flags.quiet === true || format !== 'table';
  const signal = abortOnSignal();
  const room = await openRoom({
    directory,
    signal,
    say: quiet ? () => undefined : tell,
    // A query that will be refused is refused before anything is imported.
    check: (policy, digest) => {
      if (query !== undefined) planQuery(policy, digest, query, { epsilon: epsilon ?? null });
    },
    ...(flags.state === undefined ? {} : { state: flags.state }),
    ...(flags.port === undefined ? {} : { port: flags.port }),
    ...(backend === 'tee' ? { simulatedEnclave: true } : {}),
  });
  try {
    if (query === undefined) await serve(room, format, signal);
    else {
      const { answer } = await ask(clientOf(room), query, {
        quiet,
        signal,
        ...(backend === undefined ? {} : { backend }),
        ...(epsilon === undefined ? {} : { epsilon }),
      });
      keepReceipt(answer, flags.receipt);
      printAnswer(answer, format);
    }
  } finally {
    await room.close();
  }
}

/** Prints where everything is and stays until a signal. */
async function serve(room: Room, format: Format, signal: AbortSignal): Promise<void> {
  print(format === 'json' ? JSON.stringify(addressDocument(room)) : addresses(room));
  for (const role of room.roles) {
    void role.ended.then(() => {
      if (!signal.aborted) tell(`${role.name} (process ${role.pid}) has ended`);
    });
  }
  if (signal.aborted) return;
  await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
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

function addressDocument(room: Room): Record<string, unknown> {
  return {
    event: 'ready',
    role: 'sandbox',
    url: room.url,
    policy: room.packetFile,
    policy_digest: room.policyDigest,
    analyst: SANDBOX_ANALYST,
    keys: room.analystKeysFile,
    state: room.state,
    processes: Object.fromEntries(room.roles.map(({ name, pid }) => [name, pid])),
  };
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
