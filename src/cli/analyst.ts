import type { Command } from 'commander';
import { createClient, type Client } from '../client/index.ts';
import { loadAnalystKeys } from '../policy/index.ts';
import { readPacket } from './files.ts';
import { coordinatorUrlOf } from './options.ts';

/** Who asks, and which room: what an analyst says to every command that reaches a coordinator. */
export interface AnalystFlags {
  readonly policy: string;
  readonly analyst: string;
  readonly keys: string;
  readonly coordinator: string;
}

export function withAnalystOptions(command: Command): Command {
  return command
    .requiredOption('--policy <packet>', 'your copy of the signed policy packet')
    .requiredOption('--analyst <name>', 'your name in the policy')
    .requiredOption('--keys <file>', 'your key file (parley keygen analyst)')
    .requiredOption('--coordinator <url>', 'such as http://127.0.0.1:7600', coordinatorUrlOf);
}

/** @throws ParleyError for a packet or key file that is missing or wrong. */
export function analystClient(flags: AnalystFlags): Client {
  return createClient({
    url: flags.coordinator,
    packet: readPacket(flags.policy).packet,
    analyst: flags.analyst,
    keys: loadAnalystKeys(flags.keys),
  });
}
