import { join } from 'node:path';
import type { Command } from 'commander';
import { fromHex } from '../core/bytes.ts';
import { ParleyError } from '../core/errors.ts';
import { readPacket } from './files.ts';
import { print, withErrors } from './output.ts';

interface ProveFlags {
  readonly policy: string;
  readonly party: string;
  readonly state: string;
  readonly table: string;
  readonly row: string;
}

/** `parley data prove`: opens one row of a company's own store towards its commitment. */
export function proveCommand(data: Command): void {
  data
    .command('prove')
    .description(
      'open one row of your store, for whom you give the output to: it shows that row and its\n' +
        'position, and can be checked against any receipt over this data (parley verify --row)',
    )
    .requiredOption('--policy <packet>', 'the signed policy packet')
    .requiredOption('--party <name>', 'whose table it is')
    .requiredOption('--state <dir>', "the node's state folder, where the store lives")
    .requiredOption('--table <table>', 'which table of the policy')
    .requiredOption('--row <index>', "in the store's order, from 0")
    .action((flags: ProveFlags) =>
      withErrors(false, async () => {
        print(JSON.stringify(await prove(flags), null, 2));
      }),
    );
}

/** @throws ParleyError POLICY_FOREIGN, BAD_ARGUMENT, FILE_NOT_FOUND, STORE_MISMATCH. */
async function prove({ policy: file, party, state, table, row }: ProveFlags): Promise<object> {
  const { policy } = readPacket(file);
  const tables = policy.parties.find(({ name }) => name === party)?.tables ?? {};
  const declared = Object.hasOwn(tables, table) ? tables[table] : undefined;
  if (declared === undefined) {
    throw new ParleyError('BAD_ARGUMENT', 'the policy declares no such table of this party', {
      party,
      fragment: table,
    });
  }
  if (!/^\d{1,10}$/.test(row)) {
    throw new ParleyError('BAD_ARGUMENT', 'a row is named by its index, from 0');
  }
  // Loaded here: other commands and --help do without the database engine.
  const { openStore } = await import('../party/index.ts');
  const store = await openStore(join(state, 'store.duckdb'));
  try {
    const salt = fromHex(policy.identifier_salt, 32);
    return { party, opening: await store.openRow(table, declared, salt, Number(row)) };
  } finally {
    store.close();
  }
}
