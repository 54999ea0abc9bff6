import { Command } from 'commander';
import type { EnclaveHost } from '../coordinator/index.ts';
import { makeFolder } from '../core/durable.ts';
import { readPacket } from './files.ts';
import { openLog } from './log.ts';
import { graceOf, portOf } from './options.ts';
import { print, withErrors } from './output.ts';
import { untilSignal } from './signals.ts';

interface CoordinatorFlags {
  readonly policy: string;
  readonly state: string;
  readonly host: string;
  readonly port: number;
  readonly resumeGrace?: number;
  readonly enclave?: string;
}

/** Every connection to the socket is an enclave of its own. */
async function enclaveHostAt(socket: string): Promise<EnclaveHost> {
  const host = await import('../tee-adapter/host/index.ts');
  const { connectEnclave, enclaveConnection, sealedInputBytes } = host;
  return {
    connect: async () => enclaveConnection(await connectEnclave(socket)),
    inputBytes: sealedInputBytes,
  };
}

/** `parley coordinator`: relays ciphertext between nodes, takes signed queries from analysts. */
export function coordinatorCommand(): Command {
  return new Command('coordinator')
    .description(
      'run the relay: it plans queries, passes ciphertext between nodes and keeps records;\n' +
        'it never holds a share that opens. Prints one line of JSON when it is ready.',
    )
    .requiredOption('--policy <packet>', 'the signed policy packet')
    .requiredOption('--state <dir>', 'where records and the audit log live')
    .option('--host <address>', 'address to listen on', '127.0.0.1')
    .option('--port <number>', 'port to listen on; 0 takes a free one', portOf, 7600)
    .option('--resume-grace <s>', 'how long a run waits for a party that was lost (20)', graceOf)
    .option('--enclave <socket>', 'unix socket of an enclave host (parley enclave)')
    .action((flags: CoordinatorFlags) =>
      withErrors(true, async () => {
        const log = openLog('coordinator');
        const { packet, digest } = readPacket(flags.policy);
        makeFolder(flags.state);
        // Loaded here: other commands and --help do without the servers.
        const { startCoordinator } = await import('../coordinator/index.ts');
        const coordinator = await startCoordinator({
          packet,
          host: flags.host,
          port: flags.port,
          dataDir: flags.state,
          log,
          ...(flags.enclave === undefined
            ? {}
            : { enclaveHost: await enclaveHostAt(flags.enclave) }),
          ...(flags.resumeGrace === undefined
            ? {}
            : { limits: { resumeGraceMs: 1000 * flags.resumeGrace } }),
        });
        print(
          JSON.stringify({
            event: 'ready',
            role: 'coordinator',
            url: coordinator.url,
            policy_digest: digest,
          }),
        );
        await untilSignal();
        await coordinator.close();
      }),
    );
}
