import { existsSync } from 'node:fs';
import { basename, extname, join } from 'node:path';
import { Command, Option } from 'commander';
import { fromHex } from '../core/bytes.ts';
import { makeFolder } from '../core/durable.ts';
import { ParleyError } from '../core/errors.ts';
import type { DescribedFile, ImportSummary } from '../party/index.ts';
import type { Policy, TablePolicy } from '../policy/types.ts';
import { readPacket } from './files.ts';
import { print, withErrors } from './output.ts';
import { readProgress } from './progress.ts';
import { proveCommand } from './prove.ts';

interface ImportFlags {
  readonly policy: string;
  readonly party: string;
  readonly state: string;
  readonly table?: string;
  readonly format: 'text' | 'json';
}

const format = (): Option =>
  new Option('--format <format>', 'how the summary is printed')
    .choices(['text', 'json'])
    .default('text');

/** `parley data import|check|describe|prove`: a company's files, before and apart from its node. */
export function dataCommand(): Command {
  const command = new Command('data').description(
    "import, check and describe a company's files (CSV, Parquet, JSON, JSON Lines); open a row",
  );
  const loader = (name: string, description: string): Command =>
    command
      .command(name)
      .description(description)
      .argument('<file>', 'a .csv, .parquet, .json, .jsonl or .ndjson file')
      .requiredOption('--policy <packet>', 'the signed policy packet')
      .requiredOption('--party <name>', 'whose table it is')
      .option('--table <table>', 'which table of the policy (default: the name of the file)')
      .addOption(format());
  loader('import', 'replace one table of the store by the rows of this file, all or nothing')
    .requiredOption('--state <dir>', "the node's state folder, where the store lives")
    .action((file: string, flags: ImportFlags) => load(file, flags, false));
  loader('check', 'do all that import does and change nothing')
    .requiredOption('--state <dir>', 'a folder with room for the sorted rows', '.')
    .action((file: string, flags: ImportFlags) => load(file, flags, true));
  command
    .command('describe')
    .description('what the columns of a file could be declared as; needs no policy')
    .argument('<file>')
    .addOption(format())
    .action((file: string, flags: Pick<ImportFlags, 'format'>) =>
      withErrors(flags.format === 'json', async () => {
        const { describeFile } = await import('../party/index.ts');
        const progress = readProgress(basename(file));
        const described = await describeFile(file, { onProgress: progress.onProgress });
        progress.end();
        print(flags.format === 'json' ? JSON.stringify(described) : describedText(described));
      }),
    );
  proveCommand(command);
  return command;
}

function load(file: string, flags: ImportFlags, dryRun: boolean): Promise<void> {
  return withErrors(flags.format === 'json', async () => {
    const { policy } = readPacket(flags.policy);
    const [tableName, table] = tableOf(policy, flags.party, file, flags.table);
    makeFolder(flags.state);
    const storePath = join(flags.state, 'store.duckdb');
    const summary = await importFile({ policy, file, tableName, table, storePath, dryRun });
    print(flags.format === 'json' ? JSON.stringify(summary) : summaryText(summary, dryRun));
  });
}

/** The table a file is for. @throws ParleyError POLICY_FOREIGN, BAD_ARGUMENT naming the tables. */
function tableOf(
  policy: Policy,
  party: string,
  file: string,
  named: string | undefined,
): readonly [string, TablePolicy] {
  const own = policy.parties.find((p) => p.name === party);
  if (own === undefined) {
    throw new ParleyError('POLICY_FOREIGN', 'the policy names no such party', { party });
  }
  const name = named ?? basename(file, extname(file));
  const table = Object.hasOwn(own.tables, name) ? own.tables[name] : undefined;
  if (table !== undefined) return [name, table];
  throw new ParleyError('BAD_ARGUMENT', `the policy declares no table ${name} of this party`, {
    party,
    hint: `its tables are ${Object.keys(own.tables).join(', ')}; name one with --table`,
  });
}

/** Imports one file with a progress bar on stderr. @throws ParleyError DATA_*, INPUT_TOO_LARGE. */
export async function importFile(options: {
  readonly policy: Policy;
  readonly file: string;
  readonly tableName: string;
  readonly table: TablePolicy;
  readonly storePath: string;
  readonly dryRun?: boolean;
}): Promise<ImportSummary> {
  // Loaded here: other commands and --help do without the database engine.
  const { importTable } = await import('../party/index.ts');
  const { policy, ...rest } = options;
  const salt = fromHex(policy.identifier_salt, 32);
  const progress = readProgress(rest.tableName);
  try {
    return await importTable({ ...rest, salt, onProgress: progress.onProgress });
  } finally {
    progress.end();
  }
}

/**
 * The one file of a table in a data folder, whatever its form.
 * @throws ParleyError FILE_NOT_FOUND; BAD_ARGUMENT when there are several.
 */
export async function findTableFile(
  data: string,
  tableName: string,
  party: string,
): Promise<string> {
  const { SOURCE_ENDINGS } = await import('../party/index.ts');
  const found = SOURCE_ENDINGS.map((ending) => join(data, `${tableName}${ending}`)).filter((file) =>
    existsSync(file),
  );
  const [file] = found;
  if (file !== undefined && found.length === 1) return file;
  if (file !== undefined) {
    const names = found.map((path) => basename(path)).join(', ');
    throw new ParleyError('BAD_ARGUMENT', `there are several files for one table: ${names}`, {
      party,
    });
  }
  throw new ParleyError('FILE_NOT_FOUND', `there is no ${tableName}.csv in the data folder`, {
    party,
    hint: `each table of the policy needs a file: <table> and one of ${SOURCE_ENDINGS.join(', ')}`,
  });
}

function summaryText(s: ImportSummary, dryRun: boolean): string {
  const n = (count: number): string => count.toLocaleString('en-US');
  const lines = [
    `${s.table}: ${n(s.rows)} rows of ${n(s.users)} people ${dryRun ? 'would be stored' : 'stored'}`,
    `  ${n(s.normalisedRows)} rows whose identifier was normalised (case, spaces, dots)`,
    `  ${n(s.repeatedRows)} further rows of people seen before`,
    `  ${n(s.unmatchableRows)} rows without an identifier, left out`,
  ];
  if (s.usersOverBound > 0) {
    lines.push(
      `  ${n(s.usersOverBound)} people have more rows than max_rows_per_user: ` +
        `${n(s.rowsOverBound)} rows take part in no query`,
    );
  }
  lines.push(`  commitment ${s.commitment}`, `  ${(s.durationMs / 1000).toFixed(1)} s`);
  return lines.join('\n');
}

function describedText({ rows, badRows, columns }: DescribedFile): string {
  const lines = [
    `${rows.toLocaleString('en-US')} rows${badRows === 0 ? '' : `, and ${badRows} malformed ones`}`,
  ];
  for (const c of columns) {
    const parts: string[] = [c.likely];
    if (c.scale !== null) parts.push(`scale ${c.scale}`);
    if (c.min !== null) parts.push(`${c.min} to ${c.max ?? ''}`);
    if (c.values !== null) parts.push(`[${c.values.join(', ')}]`);
    if (c.empty > 0) parts.push(`${c.empty.toLocaleString('en-US')} empty`);
    lines.push(`  ${c.name}: ${parts.join(', ')}`);
  }
  lines.push(
    '',
    'Ranges and values are what this file holds. Bounds of a policy are agreed on, not read off',
    'the data: under differential privacy a bound that follows the data tells of it.',
  );
  return lines.join('\n');
}
