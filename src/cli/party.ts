import { join } from 'node:path';
import { Command } from 'commander';
import { makeFolder } from '../core/durable.ts';
import { ParleyError } from '../core/errors.ts';
import type { ImportSummary } from '../party/index.ts';
import { loadPartyKeys } from '../policy/index.ts';
import type { Policy } from '../policy/types.ts';
import { findTableFile, importFile } from './data.ts';
import { readPacket } from './files.ts';
import { openLog } from './log.ts';
import { coordinatorUrlOf, listenOf, stockBytesOf, workersOf } from './options.ts';
import { print, withErrors } from './output.ts';
import { untilSignal } from './signals.ts';

interface PartyFlags {
  readonly policy: string;
  readonly party: string;
  readonly keys: string;
  readonly state: string;
  readonly ledger?: string;
  readonly coordinator: string;
  readonly data?: string;
  readonly listen?: ReturnType<typeof listenOf>;
  readonly workers?: number;
  readonly stockBytes: number;
}

/** LOCAL. Room for correlations made ahead unless told: query 1 of a million users takes less. */
const STOCK_BYTES = 4 * 2 ** 30;

/** `parley party`: one company's node. */
export function partyCommand(): Command {
  return new Command('party')
    .description(
      "run a company's node: imports its files, joins the room, answers vetted queries.\n" +
        'Prints one line of JSON when it is ready; logs go to stderr. SIGTERM stops it.',
    )
    .requiredOption('--policy <packet>', 'the signed policy packet')
    .requiredOption('--party <name>', 'which party of the policy this node is')
    .requiredOption('--keys <file>', 'its key file (parley keygen party)')
    .requiredOption('--state <dir>', 'where store and budget ledger live')
    .requiredOption('--coordinator <url>', 'such as http://127.0.0.1:7600', coordinatorUrlOf)
    .option(
      '--data <dir>',
      'import <dir>/<table>.csv (or .parquet, .json, .jsonl) of every table first',
    )
    .option(
      '--ledger <dir>',
      "budget ledger of all rooms of this party, one node at a time; else the room's own in --state",
    )
    .option('--listen <host:port>', 'take direct links here (execution.links: direct)', listenOf)
    .option('--workers <n>', 'shards of a query computed at once (cores)', workersOf)
    .option(
      '--stock-bytes <n>',
      'most bytes of correlations made ahead on disk; 0 prepares nothing',
      stockBytesOf,
      STOCK_BYTES,
    )
    .action((flags: PartyFlags) =>
      withErrors(true, async () => {
        await runParty(flags);
      }),
    );
}

async function runParty(flags: PartyFlags): Promise<void> {
  const log = openLog(flags.party);
  const { packet, policy, digest } = readPacket(flags.policy);
  const keys = loadPartyKeys(flags.keys);
  // Loaded here: other commands and --help do without the database engine.
  const { expectOwnKeys, startParty } = await import('../party/index.ts');
  // Before anything is written.
  expectOwnKeys(policy, { party: flags.party, keys });
  makeFolder(flags.state);
  const storePath = join(flags.state, 'store.duckdb');
  const imported =
    flags.data === undefined ? [] : await importAll(policy, flags, flags.data, storePath);
  const node = await startParty({
    packet,
    party: flags.party,
    keys,
    storePath,
    ledgerDirectory: flags.ledger ?? join(flags.state, 'ledger'),
    ledgerShared: flags.ledger !== undefined,
    runsDirectory: join(flags.state, 'runs'),
    approvalsDirectory: join(flags.state, 'approvals'),
    answersDirectory: join(flags.state, 'answers'),
    stock: { directory: join(flags.state, 'stock'), bytesMax: flags.stockBytes },
    coordinatorUrl: flags.coordinator,
    ...(flags.listen === undefined ? {} : { listen: flags.listen }),
    ...(flags.workers === undefined ? {} : { workers: flags.workers }),
    log,
  });
  print(
    JSON.stringify({
      event: 'ready',
      role: 'party',
      party: flags.party,
      policy_digest: digest,
      link_port: node.linkPort,
      imported,
    }),
  );
  const ending = await Promise.race([untilSignal(), node.ended]);
  log.info(typeof ending === 'string' ? { signal: ending } : {}, 'stopping');
  await node.close();
  if (ending instanceof ParleyError) throw ending;
}

/** Imports every table of the party, all or nothing per file. @throws ParleyError DATA_*. */
async function importAll(
  policy: Policy,
  flags: PartyFlags,
  data: string,
  storePath: string,
): Promise<readonly ImportSummary[]> {
  const tables = policy.parties.find((p) => p.name === flags.party)?.tables ?? {};
  const summaries: ImportSummary[] = [];
  for (const [tableName, table] of Object.entries(tables)) {
    const file = await findTableFile(data, tableName, flags.party);
    summaries.push(await importFile({ policy, file, tableName, table, storePath }));
  }
  return summaries;
}
